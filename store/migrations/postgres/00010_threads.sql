-- +goose NO TRANSACTION
-- +goose Up

-- The message whose thread a message belongs to.
ALTER TABLE events ADD COLUMN IF NOT EXISTS thread BIGINT;

-- A room's messages are those in no thread. Those of threads are found by their thread, and among the other events when a
-- stream reads all of a room's.
--
-- CONCURRENTLY, so that the nodes that run go on posting. What an attempt leaves behind that was broken off is not valid
-- and goes first.
DROP INDEX CONCURRENTLY IF EXISTS events_main;
CREATE INDEX CONCURRENTLY events_main ON events (topic, id) WHERE type = 'chat_message' AND thread IS NULL;
DROP INDEX CONCURRENTLY IF EXISTS events_rest;
CREATE INDEX CONCURRENTLY events_rest ON events (topic, id) WHERE type <> 'chat_message' OR thread IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS events_threads;
CREATE INDEX CONCURRENTLY events_threads ON events (thread, id) WHERE thread IS NOT NULL;
DROP INDEX CONCURRENTLY IF EXISTS events_messages;
DROP INDEX CONCURRENTLY IF EXISTS events_others;

-- Who wrote in which thread.
CREATE TABLE IF NOT EXISTS thread_authors (
  root_id BIGINT NOT NULL,        -- the message that the thread begins with
  user_id BIGINT NOT NULL REFERENCES users ON DELETE CASCADE,
  replies BIGINT NOT NULL,        -- theirs that are not deleted
  last_id BIGINT NOT NULL,        -- the latest of them
  PRIMARY KEY (root_id, user_id)
);

-- Whom the messages of rooms mention.
CREATE TABLE IF NOT EXISTS mentions (
  message_id BIGINT NOT NULL,
  user_id    BIGINT NOT NULL,     -- 0 for all members of the room
  topic      BIGINT NOT NULL,
  PRIMARY KEY (message_id, user_id)
);
CREATE INDEX IF NOT EXISTS mentions_by_user  ON mentions (user_id, message_id);
CREATE INDEX IF NOT EXISTS mentions_by_topic ON mentions (topic, user_id, message_id);
