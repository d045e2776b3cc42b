-- +goose Up

-- Messages that are pinned in a room, or a conversation, in the order of their message_pinned events.
CREATE TABLE pins (
  topic      BIGINT NOT NULL,        -- the room, or the conversation
  message_id BIGINT NOT NULL,
  event_id   BIGINT NOT NULL,        -- of its message_pinned
  PRIMARY KEY (topic, message_id)
);

-- Of what users want to be told, where that is not the default.
CREATE TABLE notify_levels (
  user_id BIGINT NOT NULL REFERENCES users ON DELETE CASCADE,
  topic   BIGINT NOT NULL,           -- the room, or the conversation
  level   TEXT    NOT NULL,
  PRIMARY KEY (user_id, topic)
);
CREATE INDEX notify_levels_by_topic ON notify_levels (topic); -- for rooms that are deleted

-- Members of a private room are told how far the others have read.
ALTER TABLE rooms ADD COLUMN receipts BOOLEAN NOT NULL DEFAULT false;

ALTER TABLE users ADD COLUMN display_name TEXT;                   -- null: the name
ALTER TABLE users ADD COLUMN avatar       TEXT;                   -- the id of a file; null: none
ALTER TABLE users ADD COLUMN data         TEXT;                   -- JSON of the app's own; null: none
ALTER TABLE users ADD COLUMN receipts     BOOLEAN NOT NULL DEFAULT true; -- tells how far they have read, and is told
ALTER TABLE users ADD COLUMN invisible    BOOLEAN NOT NULL DEFAULT false; -- counts as absent for others
ALTER TABLE users ADD COLUMN last_seen    BIGINT;                -- when their last stream ended; null: never
CREATE INDEX users_by_invisible ON users (id) WHERE invisible;
