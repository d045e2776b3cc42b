package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"tandem/chat"
)

// Report implements chat.Store.
func (s *Store) Report(ctx context.Context, g chat.Guard, topic chat.Topic, message int64, reason string) (bool, error) {
	changed := false
	err := s.log.do(ctx, func(t *tx) error {
		if err := errors.Join(t.check(g), t.notDeleted(topic, message)); err != nil {
			return err
		}
		var err error
		if changed, err = t.report(topic, message, g.User, reason); err != nil || !changed {
			return err
		}
		return t.within(chat.MaxReports, "you have %d open reports", `SELECT count(*) FROM reporters p
			JOIN reports r ON r.id = p.report_id WHERE p.user_id = ? AND r.state = '`+string(chat.ReportOpen)+`'`, g.User)
	})
	if err != nil {
		return false, err // the job may still run (see writer.do)
	}
	return changed, nil
}

// report records that a user, or 0 for a hook, reports a message; false if they already have, unless the report was closed and
// the message edited since.
func (t *tx) report(topic chat.Topic, message, user int64, reason string) (bool, error) {
	now := t.now.UnixMilli()
	if _, err := t.exec(`INSERT INTO reports (topic, message_id, event_id, state, created_at) VALUES (?, ?, ?, ?, ?)
		ON CONFLICT DO NOTHING`, int64(topic), message, message, chat.ReportOpen, now); err != nil {
		return false, unavailable(err)
	}
	var id int64
	var known bool
	if err := t.queryRow(`SELECT id, EXISTS (SELECT 1 FROM reporters WHERE report_id = reports.id) FROM reports WHERE message_id = ?`,
		message).Scan(&id, &known); err != nil {
		return false, unavailable(err)
	}
	n, err := affected(t, `INSERT INTO reporters (report_id, user_id, reason, at) VALUES (?1, ?2, ?3, ?4)
		ON CONFLICT (report_id, user_id) DO UPDATE SET reason = excluded.reason, at = excluded.at
		WHERE EXISTS (SELECT 1 FROM reports r WHERE r.id = ?1 AND r.state <> ?5
			AND r.event_id < (SELECT max(event_id) FROM edits WHERE message_id = r.message_id))`,
		id, user, reason, now, chat.ReportOpen)
	if err != nil || n == 0 {
		return false, err
	}
	// A new or reopened report is about the message's current text.
	_, err = t.exec(`UPDATE reports SET state = ?, closed_by = NULL, closed_at = NULL,
			event_id = coalesce((SELECT max(event_id) FROM edits WHERE message_id = ?), message_id)
		WHERE id = ? AND (? OR state <> ?)`, chat.ReportOpen, message, id, !known, chat.ReportOpen)
	return true, unavailable(err)
}

// ChangeReport implements chat.Store.
func (s *Store) ChangeReport(ctx context.Context, g chat.Guard, topic chat.Topic, report int64, state chat.ReportState) (bool, error) {
	changed := false
	err := s.log.do(ctx, func(t *tx) error {
		changed = false
		if err := t.check(g); err != nil {
			return err
		}
		var is chat.ReportState
		var of chat.Topic
		err := t.queryRow(`SELECT state, topic FROM reports WHERE id = ?`, report).Scan(&is, &of)
		if errors.Is(err, sql.ErrNoRows) || err == nil && topic != chat.NoTopic && topic != of {
			return chat.ErrNoReport
		}
		if err != nil || is == state {
			return unavailable(err)
		}
		changed = true
		var by, at any
		if state != chat.ReportOpen {
			by, at = g.User, t.now.UnixMilli()
		}
		_, err = t.exec(`UPDATE reports SET state = ?, closed_by = ?, closed_at = ? WHERE id = ?`, state, by, at, report)
		return unavailable(err)
	})
	if err != nil {
		return false, err
	}
	return changed, nil
}

const selectReports = `SELECT r.id, r.topic, coalesce(o.name, ''), r.message_id, r.event_id, r.state, r.created_at, coalesce(c.name, ''),
	coalesce(r.closed_at, 0) FROM reports r LEFT JOIN rooms o ON o.id * 2 = r.topic LEFT JOIN users c ON c.id = r.closed_by`

func scanReport(row scanner) (r chat.Report, err error) {
	var created, closed int64
	err = row.Scan(&r.ID, &r.Topic, &r.Room, &r.MessageID, &r.EventID, &r.State, &created, &r.ClosedBy, &closed)
	r.CreatedAt, r.ClosedAt = time.UnixMilli(created), time.UnixMilli(closed)
	return r, err
}

// Reports implements chat.Store.
func (s *Store) Reports(ctx context.Context, q chat.ReportQuery) ([]chat.Report, error) {
	query, args := selectReports+` WHERE r.id < ?`, []any{q.Before}
	if q.Before == 0 {
		args[0] = int64(chat.MaxID)
	}
	if q.Topic != chat.NoTopic {
		query, args = query+` AND r.topic = ?`, append(args, int64(q.Topic))
	}
	if q.State != "" {
		query, args = query+` AND r.state = ?`, append(args, q.State)
	}
	all, err := list(ctx, s, scanReport, query+` ORDER BY r.id DESC LIMIT ?`, append(args, q.Limit)...)
	if err != nil {
		return nil, err
	}
	return all, s.reporters(ctx, all)
}

// ReportNumbered implements chat.Store.
func (s *Store) ReportNumbered(ctx context.Context, report int64) (chat.Report, error) {
	r, err := scanReport(s.queryRow(ctx, selectReports+` WHERE r.id = ?`, report))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Report{}, chat.ErrNoReport
	}
	if err != nil {
		return chat.Report{}, unavailable(err)
	}
	one := []chat.Report{r}
	err = s.reporters(ctx, one)
	return one[0], err
}

// reporters adds their reporters to reports.
func (s *Store) reporters(ctx context.Context, reports []chat.Report) error {
	at := make(map[int64]int, len(reports))
	ids := make([]int64, 0, len(reports))
	for i, r := range reports {
		at[r.ID], ids = i, append(ids, r.ID)
	}
	numbers, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	_, err = list(ctx, s, func(row scanner) (none struct{}, err error) {
		var id, when int64
		var count int
		var p chat.Reporter
		if err = row.Scan(&id, &p.Name, &p.Reason, &when, &count); err != nil {
			return none, err
		}
		p.At = time.UnixMilli(when)
		r := &reports[at[id]]
		r.Reporters, r.Count = append(r.Reporters, p), count
		return none, nil
	}, `SELECT p.report_id, coalesce(u.name, ''), p.reason, p.at, p.count FROM (
			SELECT report_id, user_id, reason, at, count(*) OVER (PARTITION BY report_id) AS count,
				row_number() OVER (PARTITION BY report_id ORDER BY at DESC, user_id) AS place
			FROM reporters WHERE report_id IN (`+s.dialect.numbers(`?`)+`)) p
		LEFT JOIN users u ON u.id = p.user_id WHERE p.place <= ? ORDER BY p.report_id, p.place`, string(numbers), chat.MaxReporters)
	return err
}

// EventsNumbered implements chat.Store.
func (s *Store) EventsNumbered(ctx context.Context, ids []int64) (map[int64]chat.Event, error) {
	numbers, err := json.Marshal(ids)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	found, err := s.events(ctx, selectEvents+` WHERE id IN (`+s.dialect.numbers(`?`)+`)`, string(numbers))
	events := make(map[int64]chat.Event, len(found))
	for _, e := range found {
		events[e.ID] = e
	}
	return events, err
}

// OpenReports implements chat.Store.
func (s *Store) OpenReports(ctx context.Context, topic chat.Topic) (n int, err error) {
	which := `topic = ?`
	if topic == chat.NoTopic {
		which = `topic < ?` // conversations are
	}
	err = s.queryRow(ctx, `SELECT count(*) FROM reports WHERE `+which+` AND state = 'open'`, int64(topic)).Scan(&n)
	return n, unavailable(err)
}

// mostModerators bounds whom a report is announced to.
const mostModerators = 500

// Moderators implements chat.Store.
func (s *Store) Moderators(ctx context.Context, topic chat.Topic) ([]chat.Topic, error) {
	return list(ctx, s, scanOne[chat.Topic], `SELECT id * 2 + 1 FROM users WHERE admin AND NOT disabled
		UNION SELECT user_id * 2 + 1 FROM members WHERE room_id = ? AND role IN (?, ?) LIMIT ?`,
		topic.Number(), chat.RoleOwner, chat.RoleModerator, mostModerators)
}
