-- +goose Up

-- URLs that events are sent to. How far each is, its follower knows: hook: and the id, which therefore is never given out
-- again (AUTOINCREMENT).
CREATE TABLE hooks (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  room_id    INTEGER REFERENCES rooms ON DELETE CASCADE, -- null: all rooms
  url        TEXT    NOT NULL,
  events     TEXT,                                       -- the types that are sent, a JSON list; null: all
  secret     TEXT    NOT NULL,                           -- signs what is sent, so it is kept as it is
  created_by INTEGER NOT NULL REFERENCES users,
  created_at INTEGER NOT NULL
);
CREATE INDEX hooks_by_room ON hooks (room_id, id);
CREATE INDEX hooks_by_user ON hooks (created_by);
