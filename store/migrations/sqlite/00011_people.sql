-- +goose Up

-- Messages that are pinned in a room, or a conversation, in the order of their message_pinned events.
CREATE TABLE pins (
  topic      INTEGER NOT NULL,        -- the room, or the conversation
  message_id INTEGER NOT NULL,
  event_id   INTEGER NOT NULL,        -- of its message_pinned
  PRIMARY KEY (topic, message_id)
) WITHOUT ROWID;

-- Of what users want to be told, where that is not the default.
CREATE TABLE notify_levels (
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  topic   INTEGER NOT NULL,           -- the room, or the conversation
  level   TEXT    NOT NULL,
  PRIMARY KEY (user_id, topic)
) WITHOUT ROWID;
CREATE INDEX notify_levels_by_topic ON notify_levels (topic); -- for rooms that are deleted

-- Members of a private room are told how far the others have read.
ALTER TABLE rooms ADD COLUMN receipts INTEGER NOT NULL DEFAULT 0;

ALTER TABLE users ADD COLUMN display_name TEXT;                   -- null: the name
ALTER TABLE users ADD COLUMN avatar       TEXT;                   -- the id of a file; null: none
ALTER TABLE users ADD COLUMN data         TEXT;                   -- JSON of the app's own; null: none
ALTER TABLE users ADD COLUMN receipts     INTEGER NOT NULL DEFAULT 1; -- tells how far they have read, and is told
ALTER TABLE users ADD COLUMN invisible    INTEGER NOT NULL DEFAULT 0; -- counts as absent for others
ALTER TABLE users ADD COLUMN last_seen    INTEGER;                -- when their last stream ended; null: never
CREATE INDEX users_by_invisible ON users (id) WHERE invisible;
