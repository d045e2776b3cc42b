-- +goose Up

-- A room's messages are found without walking past its other events, which may be many more. Each event is in one of the
-- two, so that a post writes no page more than before.
CREATE INDEX events_messages ON events (topic, id) WHERE type = 'chat_message';
CREATE INDEX events_others   ON events (topic, id) WHERE type <> 'chat_message';
DROP INDEX events_by_topic;
