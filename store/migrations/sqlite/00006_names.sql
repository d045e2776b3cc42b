-- +goose Up

-- The id of the event that deleted the last room that had the name before; 0 if none had. A cursor from before that may
-- mean another room.
ALTER TABLE rooms ADD COLUMN name_since INTEGER NOT NULL DEFAULT 0;

-- The rooms that have been deleted: which name each had, from its first event to the one that deleted it.
CREATE TABLE former_rooms (
  name    TEXT    NOT NULL,
  made    INTEGER NOT NULL,
  deleted INTEGER NOT NULL,
  PRIMARY KEY (name, deleted)
) WITHOUT ROWID;
