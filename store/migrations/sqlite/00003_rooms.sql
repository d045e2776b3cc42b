-- +goose Up

-- Who may not see a room.
CREATE TABLE bans (
  room_id INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  by_id   INTEGER NOT NULL REFERENCES users,
  since   INTEGER NOT NULL,
  PRIMARY KEY (room_id, user_id)
) WITHOUT ROWID;
CREATE INDEX bans_by_user ON bans (user_id);

-- For the question whether an admin is left.
CREATE INDEX users_by_admin ON users (id) WHERE admin;
