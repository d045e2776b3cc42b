-- +goose Up

-- Messages that are old go. What is below a floor is gone, but for what is pinned, or is about to go; what is below swept
-- has gone.
ALTER TABLE rooms ADD COLUMN retention INTEGER NOT NULL DEFAULT 0; -- seconds; 0: as the site's
ALTER TABLE rooms ADD COLUMN floor     INTEGER NOT NULL DEFAULT 0;
ALTER TABLE rooms ADD COLUMN swept     INTEGER NOT NULL DEFAULT 0;
ALTER TABLE log   ADD COLUMN swept     INTEGER NOT NULL DEFAULT 1;
CREATE INDEX rooms_by_floor ON rooms (id) WHERE floor > 0;
