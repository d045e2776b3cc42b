-- +goose Up

-- Where notifications go: one row for each device. It ends with the session that put it.
CREATE TABLE push_subscriptions (
  id         INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id    INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  name       TEXT    NOT NULL,        -- the device's, chosen by the app
  session_id INTEGER REFERENCES sessions ON DELETE CASCADE, -- null for an outside issuer's user
  kind       TEXT    NOT NULL,        -- webpush, fcm or apns
  service    TEXT    NOT NULL,        -- whose push service it is: of webpush the endpoint's host
  target     TEXT    NOT NULL,        -- the endpoint, or the token
  p256dh     BLOB,                    -- webpush: what to encrypt with
  auth       BLOB,
  created_at INTEGER NOT NULL,
  put_at     INTEGER NOT NULL,        -- when the app last said so
  last_error TEXT,                    -- why the last notification did not arrive
  UNIQUE (user_id, name),
  UNIQUE (kind, target)
);
CREATE INDEX push_subscriptions_by_session ON push_subscriptions (session_id);

-- What a device is told of a room or conversation: a row for each where something is to be told, or is shown.
CREATE TABLE push_notices (
  user_id         INTEGER NOT NULL,
  topic           INTEGER NOT NULL,   -- the room, or the conversation
  subscription_id INTEGER NOT NULL REFERENCES push_subscriptions ON DELETE CASCADE,
  message_id      INTEGER NOT NULL,   -- the latest that may have to be told
  told_id         INTEGER NOT NULL DEFAULT 0, -- the latest that the device was told of; 0: none
  due_at          INTEGER,            -- when somebody is to look at it; null: when there is a reason to
  since           INTEGER NOT NULL,   -- when it was first due of what is to be told now
  tries           INTEGER NOT NULL DEFAULT 0,
  claim           INTEGER NOT NULL DEFAULT 0, -- by whom it is being sent, until due_at; 0: nobody
  again           INTEGER NOT NULL DEFAULT 0, -- it is to be looked at once more when it is sent
  PRIMARY KEY (user_id, topic, subscription_id)
) WITHOUT ROWID;
CREATE INDEX push_notices_by_due          ON push_notices (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX push_notices_by_topic        ON push_notices (topic, told_id); -- for messages and rooms that are deleted
CREATE INDEX push_notices_by_subscription ON push_notices (subscription_id);

-- Whom every message of a room is told.
CREATE INDEX notify_levels_all ON notify_levels (topic, user_id) WHERE level = 'all';
