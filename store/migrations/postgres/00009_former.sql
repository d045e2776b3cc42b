-- +goose Up

-- Rooms that were deleted before their names were kept. The log says which those were.
INSERT INTO former_rooms (name, made, deleted)
SELECT ('{' || d.body)::json ->> 'room', (SELECT min(id) FROM (
    SELECT min(id) AS id FROM events WHERE topic = d.topic AND type = 'chat_message'
    UNION ALL SELECT min(id) FROM events WHERE topic = d.topic AND type <> 'chat_message') e), d.id
FROM events d WHERE d.type = 'room_deleted' ON CONFLICT DO NOTHING;

UPDATE rooms SET name_since = (SELECT max(deleted) FROM former_rooms f WHERE f.name = rooms.name)
WHERE name IN (SELECT name FROM former_rooms);
