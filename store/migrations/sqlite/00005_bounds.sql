-- +goose Up

-- For how many rooms a user has made.
CREATE INDEX rooms_by_creator ON rooms (created_by);
