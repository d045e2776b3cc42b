package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"tandem/chat"
)

const selectProfile = `SELECT coalesce(display_name, ''), coalesce(avatar, ''), data, receipts, invisible FROM users WHERE id = ? AND NOT disabled`

func scanProfile(row scanner) (p chat.Profile, err error) {
	var data sql.NullString
	err = row.Scan(&p.DisplayName, &p.Avatar, &data, &p.Receipts, &p.Invisible)
	if data.Valid {
		p.Data = json.RawMessage(data.String)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Profile{}, chat.ErrGone
	}
	return p, unavailable(err)
}

// Profile implements chat.Store.
func (s *Store) Profile(ctx context.Context, user int64) (chat.Profile, error) {
	return scanProfile(s.queryRow(ctx, selectProfile, user))
}

// ChangeProfile implements chat.Store.
func (s *Store) ChangeProfile(ctx context.Context, user int64, c chat.ProfileChange) (was, is chat.Profile, at int64, err error) {
	var done struct { // a job may outlive this call (see writer.do)
		was, is chat.Profile
		at      int64
	}
	err = s.log.do(ctx, func(t *tx) (err error) {
		if done.was, err = scanProfile(t.queryRow(selectProfile, user)); err != nil {
			return err
		}
		done.is, done.at = c.Of(done.was), 0
		if done.is.LooksLike(done.was) && done.is.Receipts == done.was.Receipts && done.is.Invisible == done.was.Invisible {
			return nil
		}
		if _, err := t.exec(`UPDATE users SET display_name = nullif(?, ''), avatar = nullif(?, ''), data = ?, receipts = ?, invisible = ? WHERE id = ?`,
			done.is.DisplayName, done.is.Avatar, nullJSON(done.is.Data), done.is.Receipts, done.is.Invisible, user); err != nil {
			return unavailable(err)
		}
		if done.is.Avatar != done.was.Avatar {
			if err := t.takeAvatar(user, done.is.Avatar); errors.Is(err, chat.ErrNoFile) {
				return chat.ErrBadAvatar
			} else if err != nil {
				return err
			}
		}
		t.scrubbed = t.scrubbed || !done.is.LooksLike(done.was) // the previous values
		if done.is.Invisible == done.was.Invisible {
			return nil
		}
		e, err := t.append(chat.ControlEvent{User: user, Invisible: &done.is.Invisible}.Event(user))
		done.at = e.ID
		return err
	})
	if err != nil {
		return chat.Profile{}, chat.Profile{}, 0, err
	}
	return done.was, done.is, done.at, nil
}

// nullJSON returns JSON as it is stored; null for none.
func nullJSON(data json.RawMessage) any {
	if data == nil {
		return nil
	}
	return string(data)
}

// clearProfile removes the profile of a user who deletes their account.
func clearProfile(t *tx, user int64) error {
	_, err := t.exec(`UPDATE users SET display_name = NULL, avatar = NULL, data = NULL, receipts = ?, invisible = ?, last_seen = NULL WHERE id = ?`,
		true, false, user)
	if err == nil {
		_, err = t.exec(`DELETE FROM notify_levels WHERE user_id = ?`, user)
	}
	return unavailable(err)
}

// Acquainted implements chat.Store.
func (s *Store) Acquainted(ctx context.Context, user int64, rooms, users int) ([]chat.Topic, error) {
	topics, err := list(ctx, s, scanOne[chat.Topic], `SELECT room_id * 2 FROM members WHERE user_id = ? ORDER BY room_id LIMIT ?`, user, rooms)
	if err != nil {
		return nil, err
	}
	inboxes, err := list(ctx, s, scanOne[chat.Topic], `SELECT other_id * 2 + 1 FROM conversations
		WHERE user_id = ? AND other_id <> ? ORDER BY last_id DESC LIMIT ?`, user, user, users)
	return append(append(topics, chat.InboxTopic(user)), inboxes...), err
}

// Invisible implements realtime.Log.
func (s *Store) Invisible(ctx context.Context) ([]int64, error) {
	return list(ctx, s, scanOne[int64], `SELECT id FROM users WHERE invisible`)
}

// SetLastSeen stores when the last streams of these users ended.
func (s *Store) SetLastSeen(ctx context.Context, users map[int64]time.Time) error {
	return s.log.do(ctx, func(t *tx) error {
		for user, at := range users {
			// Another node may have seen them later; users who deleted their account meanwhile are skipped.
			if _, err := t.exec(`UPDATE users SET last_seen = ? WHERE id = ? AND NOT deleted AND coalesce(last_seen, 0) < ?`,
				at.UnixMilli(), user, at.UnixMilli()); err != nil {
				return unavailable(err)
			}
		}
		return nil
	})
}
