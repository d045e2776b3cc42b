-- +goose Up

-- The nodes that hold leases of followers. One whose lease has run out is removed by any other, and its followers are free.
CREATE TABLE follower_nodes (
  node    TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- new with each start
  expires BIGINT NOT NULL
);

-- What leaves the log: each has done everything up to its cursor.
CREATE TABLE followers (
  name          TEXT COLLATE "C" NOT NULL PRIMARY KEY, -- push, or hook:7
  kind          TEXT COLLATE "C" NOT NULL,             -- what is before the colon
  cursor        BIGINT NOT NULL,
  node          TEXT COLLATE "C" REFERENCES follower_nodes ON DELETE SET NULL, -- that holds it; null: free
  epoch         BIGINT NOT NULL,             -- grows with each lease; who has an older one moves no cursor
  paused        TEXT,                        -- why nobody is to hold it; null: it runs
  failures      BIGINT NOT NULL DEFAULT 0,   -- in a row
  failing_since BIGINT NOT NULL DEFAULT 0,
  retry_at      BIGINT NOT NULL DEFAULT 0,
  error         TEXT   NOT NULL DEFAULT ''   -- the last one
);
CREATE INDEX followers_free    ON followers (kind) WHERE node IS NULL AND paused IS NULL;
CREATE INDEX followers_by_node ON followers (node) WHERE node IS NOT NULL;
