-- +goose Up

-- What was uploaded; the bytes are elsewhere, under this id.
CREATE TABLE files (
  id         TEXT    NOT NULL PRIMARY KEY, -- 22 characters of base64url, random
  owner      INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  topic      INTEGER NOT NULL,             -- the room or the conversation; the owner's inbox for an avatar
  name       TEXT    NOT NULL,
  size       INTEGER NOT NULL,             -- bytes
  type       TEXT    NOT NULL,
  width      INTEGER NOT NULL,             -- pixels; 0 where it is no picture
  height     INTEGER NOT NULL,
  preview    BOOLEAN NOT NULL,
  created_at INTEGER NOT NULL,
  message_id INTEGER                       -- that has it; 0 for an avatar in use, null until it is taken
) WITHOUT ROWID;
CREATE INDEX files_by_message ON files (message_id);
CREATE INDEX files_by_topic ON files (topic);
CREATE INDEX files_by_owner ON files (owner);
CREATE INDEX files_waiting ON files (created_at) WHERE message_id IS NULL;

-- Files whose rows are gone and whose bytes are to go.
CREATE TABLE file_deletions (
  id TEXT NOT NULL PRIMARY KEY
) WITHOUT ROWID;

-- How much each user has uploaded of late: what was used at that time, of which a day takes away as much as a user may
-- upload in one.
CREATE TABLE file_usage (
  user_id INTEGER NOT NULL PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  bytes   INTEGER NOT NULL,
  at      INTEGER NOT NULL
) WITHOUT ROWID;

-- When the bytes were last compared with the rows, by whichever node.
CREATE TABLE file_sweeps (
  one INTEGER NOT NULL PRIMARY KEY CHECK (one = 1),
  at  INTEGER NOT NULL
);
