-- +goose Up

-- What a username looks like (UTS 39), so that another that looks the same is refused. Null: to be worked out, as of
-- users from before, and of those that a tandem of the version before adds to the same database. A later migration
-- may set it to null where Unicode's table has changed.
ALTER TABLE users ADD COLUMN skeleton TEXT;
CREATE INDEX users_by_skeleton ON users (skeleton);

-- The times of the refreshes before rotated_at, the latest first, as long as they matter: a JSON list, or null.
ALTER TABLE sessions ADD COLUMN rotated_before TEXT;
