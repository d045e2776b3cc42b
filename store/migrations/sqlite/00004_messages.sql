-- +goose Up

-- A conversation of two is a topic below 0, made of both users' numbers; its messages have it as their second one.

-- The message_edited events of each message; the last one has its present text. Messages that are as they were
-- posted have no rows here, nor in the next two.
CREATE TABLE edits (
  message_id INTEGER NOT NULL,
  event_id   INTEGER NOT NULL,
  PRIMARY KEY (message_id, event_id)
) WITHOUT ROWID;

-- Messages without a text any more, so that unread counts pass over them and nothing brings a text back.
CREATE TABLE deletions (
  topic      INTEGER NOT NULL,        -- the room, or the conversation
  message_id INTEGER NOT NULL,
  PRIMARY KEY (topic, message_id)
) WITHOUT ROWID;

CREATE TABLE reactions (
  message_id INTEGER NOT NULL,
  emoji      TEXT    NOT NULL,
  user_id    INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  event_id   INTEGER NOT NULL,        -- of its reaction_added: kinds and users stand in this order
  PRIMARY KEY (message_id, emoji, user_id)
) WITHOUT ROWID;

-- How far users have read; without a row, nothing.
CREATE TABLE markers (
  user_id    INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  topic      INTEGER NOT NULL,        -- the room, or the conversation
  message_id INTEGER NOT NULL,
  PRIMARY KEY (user_id, topic)
) WITHOUT ROWID;

-- One row for each side.
CREATE TABLE conversations (
  user_id  INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  other_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  last_id  INTEGER NOT NULL,          -- of its latest message
  PRIMARY KEY (user_id, other_id)
) WITHOUT ROWID;
CREATE INDEX conversations_by_last ON conversations (user_id, last_id);
