-- +goose NO TRANSACTION
-- +goose Up

-- A room's messages are found without walking past its other events, which may be many more. Each event is in one of the
-- two, so that a post writes no page more than before.
--
-- CONCURRENTLY, so that the nodes that run go on posting. What an attempt leaves behind that was broken off is not valid
-- and goes first.
DROP INDEX CONCURRENTLY IF EXISTS events_messages;
CREATE INDEX CONCURRENTLY events_messages ON events (topic, id) WHERE type = 'chat_message';
DROP INDEX CONCURRENTLY IF EXISTS events_others;
CREATE INDEX CONCURRENTLY events_others ON events (topic, id) WHERE type <> 'chat_message';
DROP INDEX CONCURRENTLY IF EXISTS events_by_topic;
