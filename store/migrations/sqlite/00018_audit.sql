-- +goose Up

-- What admins and moderators did. Users have their numbers here, and rooms, which may be gone, their names.
CREATE TABLE audit_log (
  id        INTEGER PRIMARY KEY AUTOINCREMENT,
  at        INTEGER NOT NULL,
  actor_id  INTEGER REFERENCES users, -- null for the command line
  via       TEXT    NOT NULL,         -- login, token or command_line
  token_id  INTEGER,                  -- of an API token, which may be gone
  action    TEXT    NOT NULL,         -- an operation of openapi.yaml
  room      TEXT    NOT NULL,         -- empty where there is none, here and below
  target_id INTEGER REFERENCES users,
  object    TEXT    NOT NULL,         -- the number of a report, hook, inlet or message
  detail    TEXT    NOT NULL          -- JSON
);
