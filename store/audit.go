package store

import (
	"context"
	"encoding/json"
	"time"

	"tandem/chat"
)

// do runs f in the writer's transaction and returns once it is durable, or with the reason why it is not. If ctx ends,
// or the database takes too long, a job that was still queued does not run; otherwise its outcome is unknown: f may
// still be committed. The deed of ctx is recorded in the same transaction.
func (w *writer) do(ctx context.Context, f func(*tx) error) error {
	d := chat.DeedOf(ctx)
	if d == nil || d.Recorded() {
		return w.submit(ctx, &job{run: f, done: make(chan struct{})})
	}
	err := w.submit(ctx, &job{done: make(chan struct{}), run: func(t *tx) error {
		if err := f(t); err != nil {
			return err
		}
		return t.record(d)
	}})
	if err == nil {
		d.SetRecorded()
	}
	return err
}

// record writes d into the audit log. Users have their numbers there, which stay theirs.
func (t *tx) record(d *chat.Deed) error {
	var actor, token any
	if d.Actor != 0 {
		actor = d.Actor
	}
	if d.Token != 0 {
		token = d.Token
	}
	_, err := t.exec(`INSERT INTO audit_log (at, actor_id, via, token_id, action, room, target_id, object, detail)
		VALUES (?, ?, ?, ?, ?, ?, (SELECT id FROM users WHERE name = ?), ?, ?)`,
		t.now.UnixMilli(), actor, d.Via, token, d.Action, d.Room, d.Target, d.Object, string(d.Detail))
	return unavailable(err)
}

// RecordDeed implements chat.Store.
func (s *Store) RecordDeed(ctx context.Context) error {
	return s.log.do(ctx, func(*tx) error { return nil })
}

// Deeds implements chat.Store.
func (s *Store) Deeds(ctx context.Context, before int64, limit int) ([]chat.DoneDeed, error) {
	if before == 0 {
		before = chat.MaxID
	}
	return list(ctx, s, scanDeed, `SELECT l.id, l.at, coalesce(a.name, ''), l.via, coalesce(l.token_id, 0), l.action, l.room,
			coalesce(u.name, ''), l.object, l.detail
		FROM audit_log l LEFT JOIN users a ON a.id = l.actor_id LEFT JOIN users u ON u.id = l.target_id
		WHERE l.id < ? ORDER BY l.id DESC LIMIT ?`, before, limit)
}

func scanDeed(row scanner) (d chat.DoneDeed, err error) {
	var at int64
	var detail string
	err = row.Scan(&d.ID, &at, &d.Actor, &d.Via, &d.Token, &d.Action, &d.Room, &d.Target, &d.Object, &detail)
	d.At = time.UnixMilli(at)
	if detail != "" {
		d.Detail = json.RawMessage(detail)
	}
	return d, err
}
