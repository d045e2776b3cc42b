-- +goose Up

-- URLs by which other products post into a room. What an inlet posts has minus its number as the author, which therefore is
-- never given out again (AUTOINCREMENT).
CREATE TABLE inlets (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  room_id    INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
  name       TEXT    NOT NULL,
  secret     BLOB    NOT NULL UNIQUE,  -- hash of what stands in the URL
  created_by INTEGER NOT NULL REFERENCES users,
  created_at INTEGER NOT NULL
);
CREATE INDEX inlets_by_room ON inlets (room_id, id);

-- All that an API token can do, a JSON list; null: not limited to scopes.
ALTER TABLE sessions ADD COLUMN scopes TEXT;
-- Where a login began or was last refreshed; null where that is not known.
ALTER TABLE sessions ADD COLUMN agent   TEXT;
ALTER TABLE sessions ADD COLUMN address TEXT;
-- The API token with which a backend asked for this login; null where its user logged in.
ALTER TABLE sessions ADD COLUMN made_by INTEGER;
