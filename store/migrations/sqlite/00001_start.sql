-- +goose Up

-- The log's own row. head is the id of the latest event; ids are dense, so there are as many events as head
-- says. floor is the oldest id that is kept. name changes where ids may have been given out twice.
CREATE TABLE log (
  one   INTEGER PRIMARY KEY CHECK (one = 1),
  name  TEXT    NOT NULL,
  head  INTEGER NOT NULL,
  floor INTEGER NOT NULL
);

-- A topic is 2 × room, or 2 × user + 1 for an inbox; 1 is control.
-- body is the JSON text that follows the id, never parsed here.
CREATE TABLE events (
  id     INTEGER PRIMARY KEY,
  topic  INTEGER NOT NULL,
  also   INTEGER,           -- a second topic that it reaches under the same id
  author INTEGER NOT NULL,
  type   TEXT    NOT NULL,
  body   TEXT    NOT NULL
);
CREATE INDEX events_by_topic ON events (topic, id);
CREATE INDEX events_by_also  ON events (also, id) WHERE also IS NOT NULL;

CREATE TABLE users (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT    NOT NULL UNIQUE, -- prepared; kept for ever, so that it is not given out again
  password   TEXT    NOT NULL,        -- argon2id, in the PHC string format
  admin      INTEGER NOT NULL DEFAULT 0,
  disabled   INTEGER NOT NULL DEFAULT 0,
  deleted    INTEGER NOT NULL DEFAULT 0, -- by the user; disabled as well
  version    INTEGER NOT NULL DEFAULT 1,
  created_at INTEGER NOT NULL         -- all times are Unix milliseconds
);

-- A login, or an API token: a session that is not refreshed. Ending either is removing its row.
CREATE TABLE sessions (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id    INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  seed       BLOB    NOT NULL,        -- refresh tokens are derived from it and a key; none is stored
  generation INTEGER NOT NULL,        -- how often it was refreshed
  created_at INTEGER NOT NULL,
  rotated_at INTEGER NOT NULL,
  expires_at INTEGER,                 -- null: never
  token      BLOB    UNIQUE,          -- hash of an API token; null for a login
  name       TEXT    NOT NULL,        -- what an API token is for
  rooms      TEXT                     -- the rooms that it is limited to, a JSON list of numbers; null: not limited
);
CREATE INDEX sessions_by_user   ON sessions (user_id, id);
CREATE INDEX sessions_by_expiry ON sessions (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE blocks (
  user_id    INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  blocked_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  PRIMARY KEY (user_id, blocked_id)
) WITHOUT ROWID;

CREATE TABLE tickets (
  hash       BLOB    PRIMARY KEY,
  user_id    INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  session_id INTEGER REFERENCES sessions ON DELETE CASCADE, -- null for an outside issuer's user
  until      INTEGER,                 -- when a stream opened with it ends: with the token that asked; null: never
  expires_at INTEGER NOT NULL
);
CREATE INDEX tickets_by_expiry  ON tickets (expires_at);
-- For the cascades, which would look at every ticket otherwise.
CREATE INDEX tickets_by_user    ON tickets (user_id);
CREATE INDEX tickets_by_session ON tickets (session_id);

-- Who the people of an outside issuer are here. Their names were free when they came; only issuer and subject,
-- compared byte for byte, lead to an account.
CREATE TABLE outside_users (
  issuer  TEXT    NOT NULL,
  subject TEXT    NOT NULL,
  user_id INTEGER NOT NULL UNIQUE REFERENCES users ON DELETE CASCADE,
  PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;

-- AUTOINCREMENT: a room made anew under an old name must get another number, and so another topic.
CREATE TABLE rooms (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  name       TEXT    NOT NULL UNIQUE,
  title      TEXT    NOT NULL,
  visibility TEXT    NOT NULL,
  posting    TEXT    NOT NULL,
  created_by INTEGER NOT NULL REFERENCES users,
  created_at INTEGER NOT NULL,
  version    INTEGER NOT NULL DEFAULT 1
);

CREATE TABLE members (
  room_id INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  role    TEXT    NOT NULL,
  since   INTEGER NOT NULL,
  PRIMARY KEY (room_id, user_id)
) WITHOUT ROWID;
CREATE INDEX members_by_user ON members (user_id);

-- Rows come in the order of their ids and go in it, when they are a day old.
CREATE TABLE idempotency (
  event_id    INTEGER PRIMARY KEY,
  user_id     INTEGER NOT NULL,
  topic       INTEGER NOT NULL,
  key         TEXT    NOT NULL,
  fingerprint BLOB    NOT NULL,       -- of the body
  created_at  INTEGER NOT NULL,
  UNIQUE (user_id, topic, key)
);

-- What all nodes share and nobody need configure, such as the generated JWT secret.
CREATE TABLE settings (
  name  TEXT PRIMARY KEY,
  value BLOB NOT NULL
) WITHOUT ROWID;
