-- +goose Up

-- The nodes that hold leases of followers. One whose lease has run out is removed by any other, and its followers are free.
CREATE TABLE follower_nodes (
  node    TEXT    NOT NULL PRIMARY KEY, -- new with each start
  expires INTEGER NOT NULL
) WITHOUT ROWID;

-- What leaves the log: each has done everything up to its cursor.
CREATE TABLE followers (
  name          TEXT    NOT NULL PRIMARY KEY, -- push, or hook:7
  kind          TEXT    NOT NULL,             -- what is before the colon
  cursor        INTEGER NOT NULL,
  node          TEXT    REFERENCES follower_nodes ON DELETE SET NULL, -- that holds it; null: free
  epoch         INTEGER NOT NULL,             -- grows with each lease; who has an older one moves no cursor
  paused        TEXT,                         -- why nobody is to hold it; null: it runs
  failures      INTEGER NOT NULL DEFAULT 0,   -- in a row
  failing_since INTEGER NOT NULL DEFAULT 0,
  retry_at      INTEGER NOT NULL DEFAULT 0,
  error         TEXT    NOT NULL DEFAULT ''   -- the last one
) WITHOUT ROWID;
CREATE INDEX followers_free    ON followers (kind) WHERE node IS NULL AND paused IS NULL;
CREATE INDEX followers_by_node ON followers (node) WHERE node IS NOT NULL;
