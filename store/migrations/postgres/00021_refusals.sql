-- +goose Up

-- Of accounts deleted before their bans, mutes and blocks went with them: nobody can remove these.
DELETE FROM bans   WHERE user_id IN (SELECT id FROM users WHERE deleted);
DELETE FROM mutes  WHERE user_id IN (SELECT id FROM users WHERE deleted);
DELETE FROM blocks WHERE user_id IN (SELECT id FROM users WHERE deleted) OR blocked_id IN (SELECT id FROM users WHERE deleted);
