-- +goose Up

-- Who may not see a room.
CREATE TABLE bans (
  room_id BIGINT NOT NULL REFERENCES rooms ON DELETE CASCADE,
  user_id BIGINT NOT NULL REFERENCES users ON DELETE CASCADE,
  by_id   BIGINT NOT NULL REFERENCES users,
  since   BIGINT NOT NULL,
  PRIMARY KEY (room_id, user_id)
);
CREATE INDEX bans_by_user ON bans (user_id);

-- For the question whether an admin is left.
CREATE INDEX users_by_admin ON users (id) WHERE admin;
