-- +goose Up

-- Who the people of an outside issuer are here. Their names were free when they came; only issuer and subject,
-- compared byte for byte, lead to an account.
CREATE TABLE outside_users (
  issuer  TEXT    NOT NULL,
  subject TEXT    NOT NULL,
  user_id INTEGER NOT NULL UNIQUE REFERENCES users ON DELETE CASCADE,
  PRIMARY KEY (issuer, subject)
) WITHOUT ROWID;

-- An outside token has no session here, and its tickets have none either. Tickets live for 30 seconds: whoever has
-- one now asks for another.
DROP TABLE tickets;
CREATE TABLE tickets (
  hash       BLOB    PRIMARY KEY,
  user_id    INTEGER NOT NULL REFERENCES users ON DELETE CASCADE,
  session_id INTEGER REFERENCES sessions ON DELETE CASCADE,
  until      INTEGER NOT NULL, -- when a stream opened with it ends: with the token that asked
  expires_at INTEGER NOT NULL
);
CREATE INDEX tickets_by_expiry ON tickets (expires_at);
