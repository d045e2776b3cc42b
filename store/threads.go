package store

import (
	"context"

	"tandem/chat"
)

// beside stores the rows that belong to an appended message.
func (t *tx) beside(m chat.Message) error {
	if m.Thread != 0 {
		_, err := t.exec(`INSERT INTO thread_authors (root_id, user_id, replies, last_id) VALUES (?, ?, 1, ?)
			ON CONFLICT (root_id, user_id) DO UPDATE SET replies = thread_authors.replies + 1, last_id = excluded.last_id`,
			m.Thread, m.Author, m.ID)
		if err != nil {
			return unavailable(err)
		}
	}
	if m.Report != "" {
		topic := m.Topic
		if m.Type == chat.TypePrivateMessage {
			topic = m.Also
		}
		if _, err := t.report(topic, m.ID, 0, m.Report); err != nil {
			return err
		}
	}
	return t.mention(m.Topic, m.ID, m.Mentions)
}

// leaveThread removes a deleted message from the counts of its thread, if it is in one.
func (t *tx) leaveThread(message int64) error {
	e, err := scanEvent(t.queryRow(selectEvents+` WHERE id = ?`, message))
	if err != nil || e.Thread == 0 {
		return unavailable(err)
	}
	for _, q := range leavesThread(e, ``) {
		if _, err := t.exec(q.query, q.args...); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// leavesThread removes a reply from the counts of its thread, under a condition whose arguments are from ?3, the topic,
// and ?4 on.
func leavesThread(e chat.Event, condition string, args ...any) []statement {
	return []statement{
		{`UPDATE thread_authors SET replies = replies - 1, last_id = coalesce((SELECT max(e.id) FROM events e
				WHERE e.thread = ?1 AND e.author = ?2 AND NOT EXISTS (SELECT 1 FROM deletions d WHERE d.topic = ?3 AND d.message_id = e.id)), 0)
			WHERE root_id = ?1 AND user_id = ?2` + condition, append([]any{e.Thread, e.Author, int64(chat.Within(e))}, args...)},
		{`DELETE FROM thread_authors WHERE root_id = ? AND user_id = ? AND replies <= 0`, []any{e.Thread, e.Author}},
	}
}

// threadMessages is the dialect's messages for the thread ?1, starting with its first message.
func threadMessages(after, upto string, descending bool) string {
	between := ` AND id > ` + after + ` AND id <= ` + upto
	end := ` FROM (SELECT * FROM events WHERE id = ?1` + between + ` UNION ALL SELECT * FROM events WHERE thread = ?1` + between + `) m ORDER BY id`
	if descending {
		end += ` DESC`
	}
	return end
}

// threads returns the states of the threads that start with these messages, a JSON list.
func (s *Store) threads(ctx context.Context, messages string) (map[int64]*chat.ThreadState, error) {
	type author struct {
		root  int64
		count int
		last  int64
		name  string
	}
	authors, err := list(ctx, s, func(row scanner) (a author, err error) {
		err = row.Scan(&a.root, &a.count, &a.last, &a.name)
		return a, err
	}, `SELECT a.root_id, a.count, a.last, u.name FROM (
			SELECT root_id, user_id, last_id,
				CAST(sum(replies) OVER same AS bigint) AS count, max(last_id) OVER same AS last,
				row_number() OVER (PARTITION BY root_id ORDER BY last_id DESC) AS place
			FROM thread_authors WHERE root_id IN (`+s.dialect.numbers("?")+`)
			WINDOW same AS (PARTITION BY root_id)) a
		JOIN users u ON u.id = a.user_id
		WHERE a.place <= ? ORDER BY a.root_id, a.last_id DESC`, messages, chat.MaxThreadUsers)
	threads := make(map[int64]*chat.ThreadState)
	for _, a := range authors {
		if threads[a.root] == nil {
			threads[a.root] = &chat.ThreadState{Count: a.count, LastID: a.last}
		}
		threads[a.root].Users = append(threads[a.root].Users, a.name)
	}
	return threads, err
}
