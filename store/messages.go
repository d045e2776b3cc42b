package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"strings"

	"tandem/chat"
)

// Edit implements chat.Store.
func (s *Store) Edit(ctx context.Context, g chat.Guard, topic chat.Topic, message int64, edit func(last *chat.Event) (chat.Edit, error)) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := errors.Join(t.check(g), t.notDeleted(topic, message)); err != nil {
			return err
		}
		last, err := t.lastEdit(message)
		if err != nil {
			return err
		}
		e, err := edit(last)
		if err != nil {
			return err
		}
		if e.Event, err = t.append(e.Event); err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO edits (message_id, event_id) VALUES (?, ?)`, message, e.ID); err != nil {
			return unavailable(err)
		}
		if e.Report != "" {
			if _, err := t.report(topic, message, 0, e.Report); err != nil {
				return err
			}
		}
		if !e.TextChanged {
			return nil
		}
		if _, err := t.exec(`DELETE FROM mentions WHERE message_id = ?`, message); err != nil {
			return unavailable(err)
		}
		return t.mention(topic, message, e.Mentions)
	})
}

// lastEdit returns the last message_edited of a message, nil if there is none.
func (t *tx) lastEdit(message int64) (*chat.Event, error) {
	e, err := scanEvent(t.queryRow(selectEvents+` WHERE id = (SELECT max(event_id) FROM edits WHERE message_id = ?)`, message))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	return &e, unavailable(err)
}

// notDeleted returns chat.ErrNoMessage if the message is deleted, or has gone for its age, which is final.
func (t *tx) notDeleted(topic chat.Topic, message int64) error {
	var deleted bool
	err := t.queryRow(`SELECT EXISTS (SELECT 1 FROM deletions WHERE topic = ?1 AND message_id = ?2)
		OR NOT EXISTS (SELECT 1 FROM events WHERE id = ?2)`, int64(topic), message).Scan(&deleted)
	if err == nil && deleted {
		return chat.ErrNoMessage
	}
	return unavailable(err)
}

// Delete implements chat.Store.
func (s *Store) Delete(ctx context.Context, g chat.Guard, topic chat.Topic, message int64, e chat.Event) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		n, err := affected(t, `INSERT INTO deletions (topic, message_id) VALUES (?, ?) ON CONFLICT DO NOTHING`, int64(topic), message)
		if err != nil || n == 0 {
			return err
		}
		if err := t.scrub(topic, message); err != nil {
			return err
		}
		_, err = t.append(e)
		return err
	})
}

// scrubEvents removes the texts from events.
func (t *tx) scrubEvents(where string, args ...any) error {
	events, err := listIn(t, scanEvent, selectEvents+` WHERE `+where, args...)
	if err != nil {
		return err
	}
	for _, e := range events {
		if e, err = chat.Scrub(e); err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE events SET body = ? WHERE id = ?`, e.Body, e.ID); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// scrub removes a message's text from the log, and what else belongs to it.
func (t *tx) scrub(topic chat.Topic, message int64) error {
	t.scrubbed = true
	// The event that tells the sender of a private message about its delivery directly follows it.
	if err := t.scrubEvents(`id = ? OR id = ? AND type = ? OR id IN (SELECT event_id FROM edits WHERE message_id = ?)`,
		message, message+1, chat.TypeDelivered, message); err != nil {
		return err
	}
	for _, q := range []string{
		`DELETE FROM edits WHERE message_id = ?`,
		`DELETE FROM reactions WHERE message_id = ?`,
		`DELETE FROM mentions WHERE message_id = ?`,
		`DELETE FROM thread_authors WHERE root_id = ?`,
	} {
		if _, err := t.exec(q, message); err != nil {
			return unavailable(err)
		}
	}
	if _, err := t.exec(`DELETE FROM pins WHERE topic = ? AND message_id = ?`, int64(topic), message); err != nil {
		return unavailable(err)
	}
	if _, err := t.removeFiles(`message_id = ?`, message); err != nil {
		return err
	}
	return t.leaveThread(message)
}

// emojiKind is what the forms of one emoji have in common. Old rows may have any form.
const emojiKind = `replace(emoji, '` + chat.EmojiSelector + `', '')`

// React implements chat.Store.
func (s *Store) React(ctx context.Context, g chat.Guard, topic chat.Topic, message int64, emoji string, on bool, e chat.Event) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := errors.Join(t.check(g), t.notDeleted(topic, message)); err != nil {
			return err
		}
		kind := strings.ReplaceAll(emoji, chat.EmojiSelector, "")
		var mine, used bool
		var kinds int
		if err := t.queryRow(`SELECT count(CASE WHEN kind = ? AND user_id = ? THEN 1 END) > 0, count(CASE WHEN kind = ? THEN 1 END) > 0,
			count(DISTINCT kind) FROM (SELECT `+emojiKind+` AS kind, user_id FROM reactions WHERE message_id = ?) r`,
			kind, e.Author, kind, message).Scan(&mine, &used, &kinds); err != nil {
			return unavailable(err)
		}
		if mine == on {
			return nil
		}
		if on && !used && kinds >= chat.MaxReactions {
			return chat.ErrManyReactions
		}
		said, err := t.append(e)
		if err != nil {
			return err
		}
		if on {
			_, err = t.exec(`INSERT INTO reactions (message_id, emoji, user_id, event_id) VALUES (?, ?, ?, ?)`, message, emoji, e.Author, said.ID)
		} else {
			_, err = t.exec(`DELETE FROM reactions WHERE message_id = ? AND `+emojiKind+` = ? AND user_id = ?`, message, kind, e.Author)
		}
		return unavailable(err)
	})
}

// messagesOf returns the column in which messages have this topic, and the condition for messages.
func messagesOf(topic chat.Topic) (column, only string) {
	if topic.IsRoom() {
		return `topic`, `type = '` + chat.TypeChatMessage + `'`
	}
	return `also`, `type = '` + chat.TypePrivateMessage + `'`
}

// messages returns the end of a query for the messages of a topic outside threads, with ids in (after, upto], the
// latest first if descending.
func (d *dialect) messages(topic chat.Topic, after, upto string, descending bool) string {
	column, only := messagesOf(topic)
	if topic.IsRoom() {
		only = isMain
	} else {
		only += ` AND also IS NOT NULL AND thread IS NULL` // the second part is the index's condition
	}
	end := ` FROM events WHERE ` + d.within(column, `?1`, after, upto) + ` AND ` + only
	if descending {
		return end + ` ORDER BY ` + column + ` DESC, id DESC`
	}
	return end + ` ORDER BY ` + column + `, id`
}

// Message implements chat.Store.
func (s *Store) Message(ctx context.Context, topic chat.Topic, id int64) (chat.Event, error) {
	column, only := messagesOf(topic)
	e, err := scanEvent(s.queryRow(ctx, selectEvents+` WHERE id = ? AND `+column+` = ? AND `+only, id, int64(topic)))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.Event{}, chat.ErrNoMessage
	}
	return e, unavailable(err)
}

// Messages implements chat.Store.
func (s *Store) Messages(ctx context.Context, topic chat.Topic, p chat.Page) (chat.MessagePage, error) {
	if p.Query != nil {
		return s.search(ctx, topic, p)
	}
	from := p.Before
	if from == 0 {
		from = chat.MaxID + 1
	}
	after, upto := int64(0), from-1
	if p.HasAfter {
		from, after, upto = p.After, p.After, chat.MaxID
	}
	of, end := int64(topic), func(descending bool) string { return s.dialect.messages(topic, `?2`, `?3`, descending) }
	if p.Thread != 0 {
		of, end = p.Thread, func(descending bool) string { return threadMessages(`?2`, `?3`, descending) }
	}
	events, err := s.events(ctx, eventColumns+end(!p.HasAfter)+` LIMIT ?4`, of, after, upto, p.Limit)
	if err != nil {
		return chat.MessagePage{}, err
	}
	return makePage(events, p, from, func(before bool, id int64) (bool, error) {
		after, upto := id, int64(chat.MaxID)
		if before {
			after, upto = 0, id-1
		}
		// Not EXISTS, in which ORDER BY has no effect.
		err := s.queryRow(ctx, `SELECT id`+end(before)+` LIMIT 1`, of, after, upto).Scan(&id)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		return err == nil, unavailable(err)
	})
}

// makePage returns a page of events found from the id from on, with its edges: edge reports whether there are more
// before or after an id.
func makePage(events []chat.Event, p chat.Page, from int64, edge func(before bool, id int64) (bool, error)) (chat.MessagePage, error) {
	if !p.HasAfter {
		slices.Reverse(events)
	}
	// An empty page has its starting point as its edge on both sides.
	first, last := from, from-1
	if p.HasAfter {
		first, last = from+1, from
	}
	if len(events) > 0 {
		first, last = events[0].ID, events[len(events)-1].ID
	}
	page := chat.MessagePage{Events: events}
	before, err := edge(true, first)
	if before {
		page.Prev = &first
	}
	if err != nil {
		return page, err
	}
	behind, err := edge(false, last)
	if behind {
		page.Next = &last
	}
	return page, err
}

// Changes implements chat.Store.
func (s *Store) Changes(ctx context.Context, viewer int64, messages []int64) (map[int64]chat.Changes, error) {
	if len(messages) == 0 {
		return nil, nil
	}
	ids, err := json.Marshal(messages)
	if err != nil {
		return nil, err
	}
	changes := make(map[int64]chat.Changes)
	type edit struct {
		message int64
		event   chat.Event
	}
	edits, err := list(ctx, s, func(row scanner) (e edit, err error) {
		err = row.Scan(&e.message, &e.event.ID, &e.event.Body)
		return e, err
	}, `SELECT l.message_id, e.id, e.body FROM events e
		JOIN (SELECT message_id, max(event_id) AS event_id FROM edits WHERE message_id IN (`+s.dialect.numbers("?")+`) GROUP BY message_id) l
		ON l.event_id = e.id`, string(ids))
	if err != nil {
		return nil, err
	}
	for _, e := range edits {
		changes[e.message] = chat.Changes{Edit: &e.event}
	}
	type reaction struct {
		message int64
		emoji   string
		user    string
		count   int
		me      bool
	}
	reactions, err := list(ctx, s, func(row scanner) (r reaction, err error) {
		err = row.Scan(&r.message, &r.emoji, &r.user, &r.count, &r.me)
		r.emoji = chat.QualifyEmoji(r.emoji)
		return r, err
	}, `SELECT r.message_id, r.kind, u.name, r.count, r.me FROM (
			SELECT message_id, kind, user_id, event_id,
				count(*) OVER same AS count,
				max(CASE WHEN user_id = ? THEN 1 ELSE 0 END) OVER same AS me,
				min(event_id) OVER same AS first,
				row_number() OVER (PARTITION BY message_id, kind ORDER BY event_id) AS place
			FROM (SELECT message_id, `+emojiKind+` AS kind, user_id, min(event_id) AS event_id
				FROM reactions WHERE message_id IN (`+s.dialect.numbers("?")+`) GROUP BY message_id, kind, user_id) one
			WINDOW same AS (PARTITION BY message_id, kind)) r
		JOIN users u ON u.id = r.user_id
		WHERE r.place <= ? ORDER BY r.message_id, r.first, r.event_id`, viewer, string(ids), chat.MaxReactors)
	for _, r := range reactions {
		c := changes[r.message]
		if n := len(c.Reactions); n == 0 || c.Reactions[n-1].Emoji != r.emoji {
			c.Reactions = append(c.Reactions, chat.Reaction{Emoji: r.emoji, Count: r.count, Me: r.me})
		}
		last := &c.Reactions[len(c.Reactions)-1]
		last.Users = append(last.Users, r.user)
		changes[r.message] = c
	}
	if err != nil {
		return nil, err
	}
	threads, err := s.threads(ctx, string(ids))
	for root, thread := range threads {
		c := changes[root]
		c.Thread = thread
		changes[root] = c
	}
	return changes, err
}

// markerOf is how far the user ?2 has read the topic ?1.
const markerOf = `coalesce((SELECT message_id FROM markers WHERE user_id = ?2 AND topic = ?1), 0)`

// Unread implements chat.Store.
func (s *Store) Unread(ctx context.Context, user int64, topic chat.Topic) (int, error) {
	if user == 0 {
		return 0, nil // anonymous callers have no marker
	}
	var n int
	// The inner limit is for users who post and never read: a script's own messages are many, and do not count.
	err := s.queryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM (
			SELECT id, author`+s.dialect.messages(topic, markerOf, `?3`, true)+` LIMIT ?4) m
		WHERE author <> ?2 AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.topic = ?1 AND d.message_id = m.id)
		LIMIT ?5) latest`,
		int64(topic), user, chat.MaxID, 10*chat.MaxUnread, chat.MaxUnread).Scan(&n)
	return n, unavailable(err)
}

// MarkRead implements chat.Store.
func (s *Store) MarkRead(ctx context.Context, user int64, topic chat.Topic, id int64) (int64, error) {
	at := id
	_, err := s.Message(ctx, topic, id)
	if errors.Is(err, chat.ErrNoMessage) {
		// The latest before it. Those in threads are not in the main history, but may mention the user.
		err = s.queryRow(ctx, `SELECT coalesce(max(id), 0) FROM (SELECT id FROM (
				SELECT id`+s.dialect.messages(topic, markerOf, `?3`, true)+` LIMIT 1) main
			UNION ALL SELECT max(message_id) FROM mentions WHERE topic = ?1 AND user_id = ?2 AND message_id > `+markerOf+` AND message_id <= ?3
			UNION ALL SELECT max(message_id) FROM mentions WHERE topic = ?1 AND user_id = 0 AND message_id > `+markerOf+` AND message_id <= ?3) latest`,
			int64(topic), user, id).Scan(&at)
	}
	if err != nil || at == 0 {
		return 0, unavailable(err)
	}
	moved := false
	err = s.log.do(ctx, func(t *tx) error {
		n, err := affected(t, `INSERT INTO markers (user_id, topic, message_id) VALUES (?, ?, ?)
			ON CONFLICT (user_id, topic) DO UPDATE SET message_id = excluded.message_id WHERE excluded.message_id > markers.message_id`,
			user, int64(topic), at)
		if moved = n == 1; !moved || err != nil {
			return err
		}
		take, err := t.notePushRead(user, topic, at)
		if err != nil || !take {
			return err
		}
		_, err = t.append(chat.ControlEvent{Push: true}.Event(user))
		return err
	})
	if err != nil || !moved {
		return 0, err
	}
	return at, nil
}
