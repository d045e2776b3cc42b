-- +goose Up

-- Seconds between two messages of the same member; 0: none have to pass.
ALTER TABLE rooms ADD COLUMN slow_mode INTEGER NOT NULL DEFAULT 0;

-- When members last posted, in rooms with slow mode alone.
CREATE TABLE last_posts (
  room_id INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  at      INTEGER NOT NULL,
  PRIMARY KEY (room_id, user_id)
) WITHOUT ROWID;

-- Who may not post in a room for a time. Those that have ended are removed when somebody else is muted there.
CREATE TABLE mutes (
  room_id INTEGER NOT NULL REFERENCES rooms ON DELETE CASCADE,
  user_id INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  by_id   INTEGER NOT NULL REFERENCES users,
  since   INTEGER NOT NULL,
  until   INTEGER NOT NULL,
  PRIMARY KEY (room_id, user_id)
) WITHOUT ROWID;

-- Messages that were reported. The text as it was then is in the log, and goes with the message.
CREATE TABLE reports (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  topic      INTEGER NOT NULL,         -- the room, or the conversation
  message_id INTEGER NOT NULL UNIQUE,
  event_id   INTEGER NOT NULL,         -- that had its text then: the message, or an edit of it
  state      TEXT    NOT NULL,         -- open, resolved or dismissed
  created_at INTEGER NOT NULL,
  closed_by  INTEGER REFERENCES users, -- null while it is open
  closed_at  INTEGER
);
CREATE INDEX reports_by_topic ON reports (topic, id);
CREATE INDEX reports_by_state ON reports (state, id);
CREATE INDEX reports_open     ON reports (topic, id) WHERE state = 'open';

-- Who reported a message, each once.
CREATE TABLE reporters (
  report_id INTEGER NOT NULL REFERENCES reports ON DELETE CASCADE,
  user_id   INTEGER NOT NULL,          -- 0: a hook that was asked before the post
  reason    TEXT    NOT NULL,          -- empty: none was given
  at        INTEGER NOT NULL,
  PRIMARY KEY (report_id, user_id)
) WITHOUT ROWID;
CREATE INDEX reporters_by_user ON reporters (user_id, report_id);

-- What is asked before each post in a room.
CREATE TABLE before_posts (
  room_id    INTEGER NOT NULL PRIMARY KEY REFERENCES rooms ON DELETE CASCADE,
  url        TEXT    NOT NULL,
  secret     TEXT    NOT NULL,
  on_failure TEXT    NOT NULL          -- open or closed
);
