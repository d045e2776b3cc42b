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
func (s *Store) Edit(ctx context.Context, g chat.Guard, topic chat.Topic, message int64, e chat.Event) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := errors.Join(t.check(g), t.notDeleted(topic, message)); err != nil {
			return err
		}
		edit, err := t.append(e)
		if err != nil {
			return err
		}
		_, err = t.exec(`INSERT INTO edits (message_id, event_id) VALUES (?, ?)`, message, edit.ID)
		return unavailable(err)
	})
}

// notDeleted returns chat.ErrNoMessage where the message is deleted, which is for ever.
func (t *tx) notDeleted(topic chat.Topic, message int64) error {
	var deleted bool
	err := t.queryRow(`SELECT EXISTS (SELECT 1 FROM deletions WHERE topic = ? AND message_id = ?)`, int64(topic), message).Scan(&deleted)
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
		if err := t.scrub(message); err != nil {
			return err
		}
		_, err = t.append(e)
		return err
	})
}

// scrub takes a message's text out of the log, and what else became of it away.
func (t *tx) scrub(message int64) error {
	t.scrubbed = true
	// What tells the sender of a private message that it was delivered is directly behind it.
	rows, err := t.w.conn.QueryContext(t.ctx, t.w.dialect.bind(selectEvents+` WHERE id = ? OR id = ? AND type = ?
		OR id IN (SELECT event_id FROM edits WHERE message_id = ?)`), message, message+1, chat.TypeDelivered, message)
	if err != nil {
		return unavailable(err)
	}
	events, err := scanAll(rows, scanEvent)
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
	_, err = t.exec(`DELETE FROM edits WHERE message_id = ?`, message)
	if err == nil {
		_, err = t.exec(`DELETE FROM reactions WHERE message_id = ?`, message)
	}
	return unavailable(err)
}

// emojiKind is what the forms of one emoji have in common. Rows of before may have any of them.
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

// messagesOf is the condition for a topic's messages, and its arguments. What they are of has its own index for
// either column.
func messagesOf(topic chat.Topic) (string, []any) {
	if topic.IsRoom() {
		return `topic = ? AND type = ?`, []any{int64(topic), chat.TypeChatMessage}
	}
	return `also = ? AND type = ?`, []any{int64(topic), chat.TypePrivateMessage}
}

// Message implements chat.Store.
func (s *Store) Message(ctx context.Context, topic chat.Topic, id int64) (chat.Event, error) {
	where, args := messagesOf(topic)
	e, err := scanEvent(s.queryRow(ctx, selectEvents+` WHERE id = ? AND `+where, append([]any{id}, args...)...))
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
	where, args := messagesOf(topic)
	from, side := p.Before, ` AND id < ? ORDER BY id DESC LIMIT ?`
	switch {
	case p.HasAfter:
		from, side = p.After, ` AND id > ? ORDER BY id LIMIT ?`
	case p.Before == 0:
		from = chat.MaxID + 1
	}
	events, err := s.events(ctx, selectEvents+` WHERE `+where+side, append(slices.Clone(args), from, p.Limit)...)
	if err != nil {
		return chat.MessagePage{}, err
	}
	edge := func(side string, id int64) (bool, error) {
		var there bool
		err := s.queryRow(ctx, `SELECT EXISTS (SELECT 1 FROM events WHERE `+where+side+`)`, append(slices.Clone(args), id)...).Scan(&there)
		return there, unavailable(err)
	}
	return makePage(events, p, from, edge)
}

// makePage is a page of events found from the id from on, with its edges: edge tells whether there are more on that
// side of an id.
func makePage(events []chat.Event, p chat.Page, from int64, edge func(side string, id int64) (bool, error)) (chat.MessagePage, error) {
	if !p.HasAfter {
		slices.Reverse(events)
	}
	// Where the page is empty, what it was asked from is its edge on both sides.
	first, last := from, from-1
	if p.HasAfter {
		first, last = from+1, from
	}
	if len(events) > 0 {
		first, last = events[0].ID, events[len(events)-1].ID
	}
	page := chat.MessagePage{Events: events}
	before, err := edge(` AND id < ?`, first)
	if before {
		page.Prev = &first
	}
	if err != nil {
		return page, err
	}
	behind, err := edge(` AND id > ?`, last)
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
	return changes, err
}

// Unread implements chat.Store.
func (s *Store) Unread(ctx context.Context, user int64, topic chat.Topic) (int, error) {
	if user == 0 {
		return 0, nil // nobody has read nothing
	}
	where, args := messagesOf(topic)
	var n int
	// The inner limit is for who posts and never reads: a script's own messages are many, and do not count.
	err := s.queryRow(ctx, `SELECT count(*) FROM (SELECT 1 FROM (
			SELECT id, author FROM events WHERE `+where+`
				AND id > coalesce((SELECT message_id FROM markers WHERE user_id = ? AND topic = ?), 0)
			ORDER BY id DESC LIMIT ?) e
		WHERE author <> ? AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.topic = ? AND d.message_id = e.id)
		LIMIT ?) latest`,
		append(args, user, int64(topic), 10*chat.MaxUnread, user, int64(topic), chat.MaxUnread)...).Scan(&n)
	return n, unavailable(err)
}

// MarkRead implements chat.Store.
func (s *Store) MarkRead(ctx context.Context, user int64, topic chat.Topic, id int64) (int64, error) {
	where, args := messagesOf(topic)
	var at int64
	err := s.queryRow(ctx, `SELECT id FROM events WHERE `+where+` AND id <= ?
			AND id > coalesce((SELECT message_id FROM markers WHERE user_id = ? AND topic = ?), 0)
		ORDER BY id DESC LIMIT 1`, append(args, id, user, int64(topic))...).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err != nil {
		return 0, unavailable(err)
	}
	moved := false
	err = s.log.do(ctx, func(t *tx) error {
		n, err := affected(t, `INSERT INTO markers (user_id, topic, message_id) VALUES (?, ?, ?)
			ON CONFLICT (user_id, topic) DO UPDATE SET message_id = excluded.message_id WHERE excluded.message_id > markers.message_id`,
			user, int64(topic), at)
		moved = n == 1
		return err
	})
	if err != nil || !moved {
		return 0, err
	}
	return at, nil
}
