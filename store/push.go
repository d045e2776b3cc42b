package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"tandem/auth"
	"tandem/push"
)

var _ push.Store = (*Store)(nil)

// putAgainAfter is the age after which an unchanged subscription is written again.
const putAgainAfter = time.Hour

const selectPushes = `SELECT id, user_id, coalesce(session_id, 0), name, kind, service, target, p256dh, auth, created_at, put_at,
	coalesce(last_error, '') FROM push_subscriptions`

func scanPush(row scanner) (s push.Subscription, err error) {
	var created, put int64
	err = row.Scan(&s.Number, &s.User, &s.Session, &s.ID, &s.Kind, &s.Service, &s.Target, &s.P256dh, &s.Auth, &created, &put, &s.LastError)
	s.CreatedAt, s.PutAt = time.UnixMilli(created), time.UnixMilli(put)
	return s, err
}

// PutPush implements push.Store.
func (s *Store) PutPush(ctx context.Context, n push.Subscription) error {
	return s.log.do(ctx, func(t *tx) error {
		was, err := scanPush(t.queryRow(selectPushes+` WHERE user_id = ? AND name = ?`, n.User, n.ID))
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return unavailable(err)
		}
		now := t.now.UnixMilli()
		same := was.Session == n.Session && was.Kind == n.Kind && was.Target == n.Target &&
			string(was.P256dh) == string(n.P256dh) && string(was.Auth) == string(n.Auth)
		if err == nil && same && t.now.Sub(was.PutAt) < putAgainAfter {
			return nil
		}
		// A browser or phone that another user uses now must not show the previous user's notifications.
		if _, err := t.exec(`DELETE FROM push_subscriptions WHERE kind = ? AND target = ? AND NOT (user_id = ? AND name = ?)`,
			n.Kind, n.Target, n.User, n.ID); err != nil {
			return unavailable(err)
		}
		_, err = t.exec(`INSERT INTO push_subscriptions (user_id, name, session_id, kind, service, target, p256dh, auth, created_at, put_at)
			VALUES (?, ?, nullif(?, 0), ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (user_id, name) DO UPDATE SET session_id = excluded.session_id,
			kind = excluded.kind, service = excluded.service, target = excluded.target, p256dh = excluded.p256dh, auth = excluded.auth,
			put_at = excluded.put_at, last_error = NULL`,
			n.User, n.ID, n.Session, n.Kind, n.Service, n.Target, n.P256dh, n.Auth, now, now)
		if isForeignKey(err) {
			return auth.ErrInvalidToken // the session ended between the check and here
		}
		if err != nil {
			return unavailable(err)
		}
		if err := t.followForPush(); err != nil {
			return err
		}
		_, err = t.exec(`DELETE FROM push_subscriptions WHERE id IN
			(SELECT id FROM push_subscriptions WHERE user_id = ? ORDER BY put_at DESC, id DESC LIMIT 1000 OFFSET ?)`, n.User, push.MaxSubscriptions)
		return unavailable(err)
	})
}

// followForPush starts following the log for notifications. While there are no subscriptions nothing does, because it
// would add a cost to each post.
func (t *tx) followForPush() error {
	var there bool
	err := t.queryRow(`SELECT EXISTS (SELECT 1 FROM followers WHERE name = ?)`, push.Follower).Scan(&there)
	if err != nil || there {
		return unavailable(err)
	}
	return t.addFollower(push.Follower, t.head)
}

// UnfollowPush implements push.Store.
func (s *Store) UnfollowPush(ctx context.Context) error {
	const needed = `SELECT EXISTS (SELECT 1 FROM push_subscriptions)`
	var any bool
	if err := s.queryRow(ctx, needed).Scan(&any); err != nil || any {
		return unavailable(err)
	}
	return s.log.do(ctx, func(t *tx) error {
		if err := t.queryRow(needed).Scan(&any); err != nil || any {
			return unavailable(err)
		}
		return t.removeFollower(push.Follower)
	})
}

// DeletePush implements push.Store.
func (s *Store) DeletePush(ctx context.Context, user int64, id string) error {
	return s.log.do(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM push_subscriptions WHERE user_id = ? AND name = ?`, user, id)
		return unavailable(err)
	})
}

// Pushes implements push.Store. It skips expired sessions, though their rows may still exist.
func (s *Store) Pushes(ctx context.Context, user int64) ([]push.Subscription, error) {
	return list(ctx, s, scanPush, selectPushes+` p WHERE user_id = ? AND NOT EXISTS
		(SELECT 1 FROM sessions n WHERE n.id = p.session_id AND n.expires_at < ?) ORDER BY name`, user, s.log.now().UnixMilli())
}
