-- +goose Up

-- What was uploaded; the bytes are elsewhere, under this id.
CREATE TABLE files (
  id         TEXT    COLLATE "C" NOT NULL PRIMARY KEY, -- 22 characters of base64url, random
  owner      BIGINT NOT NULL REFERENCES users ON DELETE CASCADE,
  topic      BIGINT NOT NULL,             -- the room or the conversation; the owner's inbox for an avatar
  name       TEXT    NOT NULL,
  size       BIGINT NOT NULL,             -- bytes
  type       TEXT    NOT NULL,
  width      BIGINT NOT NULL,             -- pixels; 0 where it is no picture
  height     BIGINT NOT NULL,
  preview    BOOLEAN NOT NULL,
  created_at BIGINT NOT NULL,
  message_id BIGINT                       -- that has it; 0 for an avatar in use, null until it is taken
);
CREATE INDEX files_by_message ON files (message_id);
CREATE INDEX files_by_topic ON files (topic);
CREATE INDEX files_by_owner ON files (owner);
CREATE INDEX files_waiting ON files (created_at) WHERE message_id IS NULL;

-- Files whose rows are gone and whose bytes are to go.
CREATE TABLE file_deletions (
  id TEXT COLLATE "C" NOT NULL PRIMARY KEY
);

-- How much each user has uploaded of late: what was used at that time, of which a day takes away as much as a user may
-- upload in one.
CREATE TABLE file_usage (
  user_id BIGINT NOT NULL PRIMARY KEY REFERENCES users ON DELETE CASCADE,
  bytes   BIGINT NOT NULL,
  at      BIGINT NOT NULL
);

-- When the bytes were last compared with the rows, by whichever node.
CREATE TABLE file_sweeps (
  one BIGINT NOT NULL PRIMARY KEY CHECK (one = 1),
  at  BIGINT NOT NULL
);
