-- +goose Up

-- The message whose thread a message belongs to.
ALTER TABLE events ADD COLUMN thread INTEGER;

-- A room's messages are those in no thread. Those of threads are found by their thread, and among the other events when a
-- stream reads all of a room's.
CREATE INDEX events_main    ON events (topic, id) WHERE type = 'chat_message' AND thread IS NULL;
CREATE INDEX events_rest    ON events (topic, id) WHERE type <> 'chat_message' OR thread IS NOT NULL;
CREATE INDEX events_threads ON events (thread, id) WHERE thread IS NOT NULL;
DROP INDEX events_messages;
DROP INDEX events_others;

-- Who wrote in which thread.
CREATE TABLE thread_authors (
  root_id INTEGER NOT NULL,        -- the message that the thread begins with
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  replies INTEGER NOT NULL,        -- theirs that are not deleted
  last_id INTEGER NOT NULL,        -- the latest of them
  PRIMARY KEY (root_id, user_id)
) WITHOUT ROWID;

-- Whom the messages of rooms mention.
CREATE TABLE mentions (
  message_id INTEGER NOT NULL,
  user_id    INTEGER NOT NULL,     -- 0 for all members of the room
  topic      INTEGER NOT NULL,
  PRIMARY KEY (message_id, user_id)
) WITHOUT ROWID;
CREATE INDEX mentions_by_user  ON mentions (user_id, message_id);
CREATE INDEX mentions_by_topic ON mentions (topic, user_id, message_id);
