package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"tandem/chat"
	"tandem/push"
)

// candidate is a device that may have to be notified of a message.
type candidate struct {
	subscription int64
	place        chat.Topic
	message      int64
}

func scanCandidate(row scanner) (c candidate, err error) {
	err = row.Scan(&c.subscription, &c.place, &c.message)
	return c, err
}

// NotePush implements push.Store. It starts from users who have subscriptions, or have asked to be notified: the size
// of a room makes no difference unless all its members are mentioned.
func (s *Store) NotePush(ctx context.Context, h push.Happened, due time.Time) (bool, error) {
	found, err := s.candidates(ctx, h)
	if err != nil {
		return false, err
	}
	// The latest message per device and place.
	type device struct {
		subscription int64
		place        chat.Topic
	}
	latest := make(map[device]int64)
	for _, c := range found {
		d := device{c.subscription, c.place}
		latest[d] = max(latest[d], c.message)
	}
	devices := make(map[push.Sent][]int64)
	for d, message := range latest {
		key := push.Sent{ID: message, Topic: d.place}
		devices[key] = append(devices[key], d.subscription)
	}
	for message, of := range devices {
		for len(of) > 0 {
			some := of[:min(len(of), notesAtOnce)]
			of = of[len(some):]
			if err := s.notePush(ctx, message, some, due.UnixMilli()); err != nil {
				return false, err
			}
		}
	}
	again, err := s.lookAgain(ctx, h.Deleted)
	return again || len(latest) > 0, err
}

// notesAtOnce bounds a transaction: posts wait for it.
const notesAtOnce = 500

func (s *Store) notePush(ctx context.Context, message push.Sent, subscriptions []int64, due int64) error {
	numbers, err := json.Marshal(subscriptions)
	if err != nil {
		return err
	}
	return s.log.do(ctx, func(t *tx) error {
		// A notice of this message or a later one stays as it is.
		_, err := t.exec(`INSERT INTO push_notices (user_id, topic, subscription_id, message_id, due_at, since)
			SELECT p.user_id, CAST(?1 AS bigint), p.id, CAST(?2 AS bigint), CAST(?3 AS bigint), CAST(?3 AS bigint)
			FROM push_subscriptions p WHERE p.id IN (`+s.dialect.numbers(`?4`)+`)
			ON CONFLICT (user_id, topic, subscription_id) DO UPDATE SET message_id = excluded.message_id,
				since  = CASE WHEN push_notices.due_at IS NULL THEN excluded.since ELSE push_notices.since END,
				due_at = coalesce(push_notices.due_at, excluded.due_at)
			WHERE excluded.message_id > push_notices.message_id`,
			int64(message.Topic), message.ID, due, string(numbers))
		return unavailable(err)
	})
}

// candidates finds the devices of users whom an event may concern.
func (s *Store) candidates(ctx context.Context, h push.Happened) (all []candidate, err error) {
	if len(h.Private) > 0 {
		targets := make(map[int64][]push.Sent)
		var users []int64
		for _, m := range h.Private {
			targets[m.Target] = append(targets[m.Target], m)
			users = append(users, m.Target)
		}
		numbers, err := json.Marshal(users)
		if err != nil {
			return nil, err
		}
		found, err := list(ctx, s, func(row scanner) (c struct{ subscription, user int64 }, err error) {
			err = row.Scan(&c.subscription, &c.user)
			return c, err
		}, `SELECT id, user_id FROM push_subscriptions WHERE user_id IN (`+s.dialect.numbers(`?`)+`)`, string(numbers))
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			for _, m := range targets[c.user] {
				all = append(all, candidate{c.subscription, m.Topic, m.ID})
			}
		}
	}
	add := func(query string, arg any) error {
		text, err := json.Marshal(arg)
		if err != nil {
			return err
		}
		found, err := list(ctx, s, scanCandidate, query, string(text))
		all = append(all, found...)
		return err
	}
	if len(h.Mentions) > 0 {
		ids := make([]int64, len(h.Mentions))
		for i, m := range h.Mentions {
			ids[i] = m.ID
		}
		of := s.dialect.numbers(`?1`)
		if err := add(`SELECT p.id, m.topic, m.message_id FROM mentions m JOIN push_subscriptions p ON p.user_id = m.user_id
			WHERE m.message_id IN (`+of+`)
			UNION ALL
			SELECT p.id, m.topic, m.message_id FROM mentions m JOIN members r ON r.room_id * 2 = m.topic JOIN push_subscriptions p ON p.user_id = r.user_id
			WHERE m.message_id IN (`+of+`) AND m.user_id = 0`, ids); err != nil {
			return nil, err
		}
	}
	if len(h.Main) > 0 {
		topics := make([]int64, 0, len(h.Main))
		for topic := range h.Main {
			topics = append(topics, int64(topic))
		}
		numbers, err := json.Marshal(topics)
		if err != nil {
			return nil, err
		}
		found, err := list(ctx, s, func(row scanner) (c struct {
			candidate
			user int64
		}, err error) {
			err = row.Scan(&c.subscription, &c.place, &c.user)
			return c, err
		}, `SELECT p.id, n.topic, n.user_id FROM notify_levels n JOIN push_subscriptions p ON p.user_id = n.user_id
			WHERE n.topic IN (`+s.dialect.numbers(`?`)+`) AND n.level = 'all'`, string(numbers))
		if err != nil {
			return nil, err
		}
		for _, c := range found {
			if m := h.Main[c.place]; m.Author != c.user {
				all = append(all, candidate{c.subscription, c.place, m.ID})
			}
		}
	}
	return all, nil
}

// lookAgain schedules the notices of deleted messages.
func (s *Store) lookAgain(ctx context.Context, deleted []push.Sent) (again bool, err error) {
	for _, m := range deleted {
		var told bool
		if err := s.queryRow(ctx, `SELECT EXISTS (SELECT 1 FROM push_notices WHERE topic = ? AND (told_id = ? OR claim <> 0))`, int64(m.Topic), m.ID).Scan(&told); err != nil {
			return false, unavailable(err)
		}
		if !told {
			continue
		}
		again = true
		if err := s.log.do(ctx, func(t *tx) error {
			_, err := t.exec(`UPDATE push_notices SET again = TRUE, due_at = CASE WHEN claim = 0 THEN 0 ELSE due_at END
				WHERE topic = ? AND (told_id = ? OR claim <> 0)`, int64(m.Topic), m.ID)
			return unavailable(err)
		}); err != nil {
			return false, err
		}
	}
	return again, nil
}

// notePushRead schedules the notices of what user has read now; unsent ones wait again, because the user is there. It
// reports whether something must be withdrawn.
func (t *tx) notePushRead(user int64, topic chat.Topic, upto int64) (bool, error) {
	wait := t.now.Add(push.Grace).UnixMilli()
	n, err := affected(t, `UPDATE push_notices SET again = claim <> 0, due_at = CASE WHEN claim <> 0 THEN due_at WHEN message_id <= ? THEN 0
		WHEN due_at < ? THEN ? ELSE due_at END WHERE user_id = ? AND topic = ?`, upto, wait, wait, user, int64(topic))
	if err != nil || n == 0 {
		return false, err
	}
	var told bool
	err = t.queryRow(`SELECT EXISTS (SELECT 1 FROM push_notices WHERE user_id = ? AND topic = ? AND due_at = 0 AND told_id <> 0)`,
		user, int64(topic)).Scan(&told)
	return told, unavailable(err)
}

// NextPush implements push.Store.
func (s *Store) NextPush(ctx context.Context) (time.Time, error) {
	var due sql.NullInt64
	err := s.queryRow(ctx, `SELECT min(due_at) FROM push_notices WHERE due_at IS NOT NULL`).Scan(&due)
	if err != nil || !due.Valid {
		return time.Time{}, unavailable(err)
	}
	return time.UnixMilli(due.Int64), nil
}

// ClaimPush implements push.Store.
func (s *Store) ClaimPush(ctx context.Context, c push.Claim) ([]push.Due, error) {
	except, err := json.Marshal(append([]string{}, c.Except...)) // null is not a list
	if err != nil {
		return nil, err
	}
	now, until := c.Now.UnixMilli(), c.Until.UnixMilli()
	claimed := int64(0)
	if err := s.log.do(ctx, func(t *tx) (err error) {
		claimed, err = affected(t, `UPDATE push_notices SET claim = ?1, due_at = ?2, again = FALSE, tries = tries + 1
			WHERE (user_id, topic, subscription_id) IN (
				SELECT n.user_id, n.topic, n.subscription_id FROM push_notices n JOIN push_subscriptions p ON p.id = n.subscription_id
				WHERE n.due_at <= ?3 AND p.service NOT IN (`+s.dialect.texts(`?4`)+`) ORDER BY n.due_at LIMIT ?5)`,
			c.By, until, now, string(except), c.Most)
		return err
	}); err != nil || claimed == 0 {
		return nil, err
	}
	return list(ctx, s, func(row scanner) (d push.Due, err error) {
		var since, created, put int64
		b := &d.Subscription
		err = row.Scan(&d.Topic, &d.Message, &d.Notified, &since, &d.Tries,
			&b.Number, &b.User, &b.ID, &b.Kind, &b.Service, &b.Target, &b.P256dh, &b.Auth, &created, &put, &b.LastError)
		d.Since, b.CreatedAt, b.PutAt = time.UnixMilli(since), time.UnixMilli(created), time.UnixMilli(put)
		return d, err
	}, `SELECT n.topic, n.message_id, n.told_id, n.since, n.tries, p.id, p.user_id, p.name, p.kind, p.service, p.target, p.p256dh, p.auth,
			p.created_at, p.put_at, coalesce(p.last_error, '')
		FROM push_notices n JOIN push_subscriptions p ON p.id = n.subscription_id WHERE n.due_at = ? AND n.claim = ?`, until, c.By)
}

// ofDue is the condition for the notice of a push.Due while the caller has it claimed.
const ofDue = ` WHERE user_id = ? AND topic = ? AND subscription_id = ? AND claim = ?`

// EndDue implements push.Store.
func (s *Store) EndDue(ctx context.Context, by int64, d push.Due, e push.End) error {
	of := []any{d.Subscription.User, int64(d.Topic), d.Subscription.Number, by}
	return s.log.do(ctx, func(t *tx) (err error) {
		switch {
		case e.Gone:
			_, err = t.exec(`DELETE FROM push_subscriptions WHERE id = ? AND put_at = ?`, d.Subscription.Number, d.Subscription.PutAt.UnixMilli())
		case e.Over:
			// Not if something arrived meanwhile: then it is examined once more.
			if _, err = t.exec(`DELETE FROM push_notices`+ofDue+` AND message_id = ?`, append(of, d.Message)...); err != nil {
				return unavailable(err)
			}
			_, err = t.exec(`UPDATE push_notices SET claim = 0, again = FALSE, due_at = ?, tries = 0`+ofDue, append([]any{e.At.UnixMilli()}, of...)...)
		case e.Notified != 0:
			// Due again if a message arrived meanwhile. The one that caused the notice may be newer than Notified: deleted, say.
			_, err = t.exec(`UPDATE push_notices SET told_id = ?1, message_id = CASE WHEN message_id > ?7 THEN message_id ELSE ?1 END, claim = 0, again = FALSE, tries = 0,
				due_at = CASE WHEN again THEN 0 WHEN message_id > ?7 THEN CAST(?2 AS bigint) END, since = ?2
				WHERE user_id = ?3 AND topic = ?4 AND subscription_id = ?5 AND claim = ?6`,
				append(append([]any{e.Notified, e.At.UnixMilli()}, of...), max(d.Message, e.Notified))...)
		case e.GivenUp:
			_, err = t.exec(`UPDATE push_notices SET claim = 0, again = FALSE, tries = 0, due_at = CASE WHEN again THEN CAST(0 AS bigint) END`+ofDue, of...)
		default:
			tries := d.Tries
			if e.Untried {
				tries--
			}
			_, err = t.exec(`UPDATE push_notices SET claim = 0, again = FALSE, tries = ?, due_at = CASE WHEN again THEN 0 ELSE CAST(? AS bigint) END`+ofDue,
				append([]any{tries, e.At.UnixMilli()}, of...)...)
		}
		if err != nil {
			return unavailable(err)
		}
		if e.Asked && !e.Gone && e.Error != d.Subscription.LastError {
			_, err = t.exec(`UPDATE push_subscriptions SET last_error = nullif(?, '') WHERE id = ?`, e.Error, d.Subscription.Number)
		}
		return unavailable(err)
	})
}

// DelayPush implements push.Store.
func (s *Store) DelayPush(ctx context.Context, service string, until time.Time) error {
	for {
		var n int64
		if err := s.log.do(ctx, func(t *tx) (err error) {
			n, err = affected(t, `UPDATE push_notices SET due_at = ?1 WHERE (user_id, topic, subscription_id) IN (
				SELECT n.user_id, n.topic, n.subscription_id FROM push_notices n JOIN push_subscriptions p ON p.id = n.subscription_id
				WHERE n.due_at < ?1 AND n.claim = 0 AND p.service = ?2 LIMIT ?3)`, until.UnixMilli(), service, notesAtOnce)
			return err
		}); err != nil || n < notesAtOnce {
			return err
		}
	}
}

// Standing implements push.Store.
func (s *Store) Standing(ctx context.Context, d push.Due, now time.Time) (st push.Standing, err error) {
	user, place, arg := d.Subscription.User, `'', TRUE, coalesce(o.name, ''), FALSE`, int64(0)
	from := `LEFT JOIN users o ON o.id = ?4`
	if d.Topic.IsRoom() {
		arg = d.Topic.Number()
		place = `coalesce(r.name, ''), r.id IS NOT NULL AND b.user_id IS NULL AND (r.visibility = 'public' OR m.user_id IS NOT NULL), '', m.user_id IS NOT NULL`
		from = `LEFT JOIN rooms r ON r.id = ?4 LEFT JOIN members m ON m.room_id = ?4 AND m.user_id = u.id LEFT JOIN bans b ON b.room_id = ?4 AND b.user_id = u.id`
	} else {
		a, b := d.Topic.Between()
		if arg = a; a == user {
			arg = b
		}
	}
	err = s.queryRow(ctx, `SELECT u.name, NOT u.disabled AND (p.session_id IS NULL OR n.expires_at IS NULL OR n.expires_at > ?5),
			coalesce((SELECT message_id FROM markers k WHERE k.user_id = u.id AND k.topic = ?3), 0),
			coalesce((SELECT level FROM notify_levels l WHERE l.user_id = u.id AND l.topic = ?3), ''), `+place+`
		FROM push_subscriptions p JOIN users u ON u.id = p.user_id LEFT JOIN sessions n ON n.id = p.session_id `+from+`
		WHERE p.id = ?1 AND p.user_id = ?2`, d.Subscription.Number, user, int64(d.Topic), arg, now.UnixMilli()).
		Scan(&st.Name, &st.Live, &st.Marker, &st.Level, &st.Room, &st.May, &st.With, &st.Member)
	if errors.Is(err, sql.ErrNoRows) {
		return push.Standing{}, nil // the subscription has ended meanwhile
	}
	return st, unavailable(err)
}

// notFrom excludes messages by ?2, or by users they block.
const notFrom = ` author <> ?2 AND NOT EXISTS (SELECT 1 FROM blocks b WHERE b.user_id = ?2 AND b.blocked_id = author)`

// UnreadMessages implements push.Store. The inner limit is that of Unread.
func (s *Store) UnreadMessages(ctx context.Context, user int64, topic chat.Topic, after int64, threads bool) ([]int64, error) {
	end := s.dialect.messages(topic, `?3`, `?4`, true)
	if threads { // of a conversation
		column, only := messagesOf(topic)
		end = ` FROM events WHERE ` + s.dialect.within(column, `?1`, `?3`, `?4`) + ` AND ` + only + ` AND also IS NOT NULL ORDER BY ` + column + ` DESC, id DESC`
	}
	return list(ctx, s, scanOne[int64], `SELECT id FROM (SELECT id, author`+end+` LIMIT ?5) m
		WHERE`+notFrom+` AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.topic = ?1 AND d.message_id = m.id) ORDER BY id DESC LIMIT ?6`,
		int64(topic), user, after, chat.MaxID, 10*push.MaxUnread, push.MaxUnread)
}

// UnreadMentionsOf implements push.Store.
func (s *Store) UnreadMentionsOf(ctx context.Context, user int64, topic chat.Topic, after int64, member bool) ([]int64, error) {
	return list(ctx, s, scanOne[int64], `SELECT DISTINCT m.message_id FROM mentions m JOIN events e ON e.id = m.message_id
		WHERE m.topic = ?1 AND m.message_id > ?3 AND (m.user_id = ?2 OR m.user_id = 0 AND ?4) AND`+notFrom+`
		ORDER BY m.message_id DESC LIMIT ?5`, int64(topic), user, after, member, push.MaxUnread)
}

// PushedMessage implements push.Store.
func (s *Store) PushedMessage(ctx context.Context, id int64) (m push.Message, err error) {
	events, err := s.events(ctx, selectEvents+` WHERE id = ?1 OR id = (SELECT max(event_id) FROM edits WHERE message_id = ?1) ORDER BY id`, id)
	if err != nil || len(events) == 0 {
		return m, err
	}
	if m.Text, m.Mentions, err = chat.TextAndMentions(events[len(events)-1]); err != nil {
		return m, err
	}
	m.Author, err = chat.UserOf(events[0])
	return m, err
}
