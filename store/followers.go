package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"time"

	"tandem/chat"
	"tandem/followers"
)

var _ followers.Leases = (*Store)(nil)

// ErrNoFollower means that there is no follower of that name.
var ErrNoFollower = errors.New("no such follower")

// addFollower adds a follower that has handled everything up to cursor; a node claims it at once.
func (t *tx) addFollower(name string, cursor int64) error {
	if _, err := t.exec(`INSERT INTO followers (name, kind, cursor, epoch) VALUES (?, ?, ?, 1)`, name, followers.KindOf(name), cursor); err != nil {
		return unavailable(err)
	}
	return t.voidLeases(name, 1)
}

// changeFollower resets a follower's failures and ends its lease; the node that claims it next loads it again. A cursor
// moves it; nil keeps its position. paused is the reason to pause it; empty resumes it. It returns ErrNoFollower if
// there is none.
func (t *tx) changeFollower(name string, cursor *int64, paused string) error {
	var epoch int64
	err := t.queryRow(`UPDATE followers SET node = NULL, epoch = epoch + 1, cursor = coalesce(?, cursor), paused = nullif(?, ''),
		failures = 0, failing_since = 0, retry_at = 0, error = '' WHERE name = ? RETURNING epoch`, cursor, paused, name).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return ErrNoFollower
	}
	if err != nil {
		return unavailable(err)
	}
	return t.voidLeases(name, epoch)
}

// removeFollower removes a follower, if it exists, and ends its lease.
func (t *tx) removeFollower(name string) error {
	var epoch int64
	err := t.queryRow(`DELETE FROM followers WHERE name = ? RETURNING epoch`, name).Scan(&epoch)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	return t.voidLeases(name, epoch+1)
}

// voidLeases announces to all nodes that leases of a follower before that epoch are void.
func (t *tx) voidLeases(name string, epoch int64) error {
	_, err := t.append(chat.ControlEvent{Follower: name, Epoch: epoch}.Event(0))
	return err
}

// Followers returns the states of the existing followers with these names.
func (s *Store) Followers(ctx context.Context, names []string) ([]followers.State, error) {
	text, err := json.Marshal(names)
	if err != nil {
		return nil, err
	}
	return list(ctx, s, func(row scanner) (f followers.State, err error) {
		var since, retry int64
		err = row.Scan(&f.Name, &f.Cursor, &f.Held, &f.Paused, &f.Failures, &since, &retry, &f.Error)
		f.FailingSince, f.RetryAt = optionalTime(since), optionalTime(retry)
		return f, err
	}, `SELECT name, cursor, node IS NOT NULL, coalesce(paused, ''), failures, failing_since, retry_at, error FROM followers
		WHERE name IN (`+s.dialect.texts(`?`)+`) ORDER BY name`, string(text))
}

// optionalTime returns a time in milliseconds; 0 for none.
func optionalTime(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms)
}

func milliseconds(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// Ensure implements followers.Leases.
func (s *Store) Ensure(ctx context.Context, name string) error {
	if there, err := s.Followers(ctx, []string{name}); err != nil || len(there) > 0 {
		return err
	}
	return s.log.do(ctx, func(t *tx) error {
		_, err := t.exec(`INSERT INTO followers (name, kind, cursor, epoch) VALUES (?, ?, ?, 1) ON CONFLICT DO NOTHING`,
			name, followers.KindOf(name), t.head)
		return unavailable(err)
	})
}

// Free implements followers.Leases.
func (s *Store) Free(ctx context.Context, kinds []string) (bool, error) {
	text, err := json.Marshal(kinds)
	if err != nil {
		return false, err
	}
	var free bool
	err = s.queryRow(ctx, `SELECT EXISTS (SELECT 1 FROM followers WHERE kind IN (`+s.dialect.texts(`?`)+`) AND node IS NULL AND paused IS NULL)
		OR EXISTS (SELECT 1 FROM follower_nodes WHERE expires <= `+s.dialect.clock+`)`, string(text)).Scan(&free)
	return free, unavailable(err)
}

// Claim implements followers.Leases.
func (s *Store) Claim(ctx context.Context, node string, lease time.Duration, kinds []string, most int, held []string) ([]followers.Lease, error) {
	kindList, err := json.Marshal(kinds)
	if err != nil {
		return nil, err
	}
	heldList, err := json.Marshal(held)
	if err != nil {
		return nil, err
	}
	var claimed []followers.Lease
	err = s.log.do(ctx, func(t *tx) (err error) {
		claimed = nil
		if _, err := t.exec(`DELETE FROM follower_nodes WHERE expires <= `+s.dialect.clock+` AND node <> ?`, node); err != nil {
			return unavailable(err)
		}
		if _, err := t.exec(`INSERT INTO follower_nodes (node, expires) VALUES (?, `+s.dialect.clock+` + ?)
			ON CONFLICT (node) DO UPDATE SET expires = excluded.expires`, node, lease.Milliseconds()); err != nil {
			return unavailable(err)
		}
		if held != nil {
			if _, err := t.exec(`UPDATE followers SET node = NULL WHERE node = ? AND name NOT IN (`+s.dialect.texts(`?`)+`)`, node, string(heldList)); err != nil {
				return unavailable(err)
			}
		}
		claimed, err = listIn(t, scanLease, `UPDATE followers SET node = ?, epoch = epoch + 1 WHERE name IN (SELECT name FROM followers
			WHERE kind IN (`+s.dialect.texts(`?`)+`) AND node IS NULL AND paused IS NULL LIMIT ?)
			RETURNING name, epoch, cursor, failures, failing_since, retry_at`, node, string(kindList), most)
		return err
	})
	if err != nil {
		return nil, err // it may be done all the same (see writer.do)
	}
	return claimed, nil
}

func scanLease(row scanner) (l followers.Lease, err error) {
	var since, retry int64
	err = row.Scan(&l.Name, &l.Epoch, &l.Cursor, &l.Failures, &since, &retry)
	l.FailingSince, l.RetryAt = optionalTime(since), optionalTime(retry)
	return l, err
}

// Renew implements followers.Leases.
func (s *Store) Renew(ctx context.Context, node string, lease time.Duration) (bool, error) {
	alive := false
	err := s.log.do(ctx, func(t *tx) error {
		n, err := affected(t, `UPDATE follower_nodes SET expires = `+s.dialect.clock+` + ? WHERE node = ?`, lease.Milliseconds(), node)
		alive = n == 1
		return err
	})
	if err != nil {
		return false, err
	}
	return alive, nil
}

// Save implements followers.Leases.
func (s *Store) Save(ctx context.Context, all []followers.Progress) ([]bool, error) {
	var saved map[leased]bool
	err := s.log.do(ctx, func(t *tx) (err error) {
		saved, err = t.saveFollowers(all)
		return err
	})
	if err != nil {
		return nil, err
	}
	each := make([]bool, len(all))
	for i, p := range all {
		each[i] = saved[leased{p.Name, p.Epoch}]
	}
	return each, nil
}

// Release implements followers.Leases.
func (s *Store) Release(ctx context.Context, node string, all []followers.Progress) error {
	return s.log.do(ctx, func(t *tx) error {
		if _, err := t.saveFollowers(all); err != nil {
			return err
		}
		_, err := t.exec(`DELETE FROM follower_nodes WHERE node = ?`, node)
		return unavailable(err)
	})
}

// leased is a follower under one of its leases.
type leased struct {
	name  string
	epoch int64
}

// saveFollowers writes the cursors of followers whose leases are still valid, and returns which those are. If a
// follower occurs twice, the last one counts.
func (t *tx) saveFollowers(all []followers.Progress) (map[leased]bool, error) {
	last := make(map[leased][]any, len(all))
	for _, p := range all {
		last[leased{p.Name, p.Epoch}] = []any{p.Name, p.Epoch, p.Cursor, p.Failures, milliseconds(p.FailingSince), milliseconds(p.RetryAt), p.Error, p.Paused}
	}
	text, err := json.Marshal(slices.Collect(maps.Values(last)))
	if err != nil || len(last) == 0 {
		return nil, err
	}
	number := func(i string) string { return `CAST(v.value->>` + i + ` AS bigint)` }
	found, err := listIn(t, func(row scanner) (l leased, err error) {
		err = row.Scan(&l.name, &l.epoch)
		return l, err
	}, `UPDATE followers SET cursor = `+number("2")+`, failures = `+number("3")+`,
		failing_since = `+number("4")+`, retry_at = `+number("5")+`, error = v.value->>6, paused = nullif(v.value->>7, ''),
		node = CASE WHEN v.value->>7 = '' THEN node END
		FROM `+t.w.dialect.rows+` WHERE name = v.value->>0 AND epoch = `+number("1")+` RETURNING name, epoch`, string(text))
	saved := make(map[leased]bool, len(found))
	for _, l := range found {
		saved[l] = true
	}
	return saved, err
}
