package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"time"

	"tandem/auth"
	"tandem/chat"
)

var _ chat.ImportStore = (*Store)(nil)

// Imported returns the local id of an item of source; 0 if it has not been imported.
func (s *Store) Imported(ctx context.Context, source, item string) (id int64, err error) {
	return foundOrZero(s.queryRow(ctx, selectImport, source, item))
}

const selectImport = `SELECT id FROM imports WHERE source = ? AND item = ?`

func (t *tx) imported(source, item string) (int64, error) {
	return foundOrZero(t.queryRow(selectImport, source, item))
}

func foundOrZero(row scanner) (id int64, err error) {
	if err = row.Scan(&id); errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return id, unavailable(err)
}

func (t *tx) noteImport(source, item string, id int64) error {
	_, err := t.exec(`INSERT INTO imports (source, item, id) VALUES (?, ?, ?)`, source, item, id)
	return unavailable(err)
}

// ImportUser returns the user with that key in source, or creates an account under the first free name among names,
// which are prepared. An existing account with the very first name counts as the same person, unless it is already
// another person of this source.
func (s *Store) ImportUser(ctx context.Context, source, key, password string, names iter.Seq[string]) (u chat.User, made bool, err error) {
	item := "user/" + key
	var id int64
	err = s.log.do(ctx, func(t *tx) (err error) {
		made = false
		if id, err = t.imported(source, item); err != nil || id != 0 {
			return err
		}
		first := true
		for name := range names {
			id, err = insertUser(t, name, password)
			if made = err == nil; made {
				return t.noteImport(source, item, id)
			}
			if !errors.Is(err, auth.ErrNameTaken) && !errors.Is(err, auth.ErrLooksTaken) {
				return err
			}
			if first && errors.Is(err, auth.ErrNameTaken) {
				id, err = foundOrZero(t.queryRow(`SELECT id FROM users WHERE name = ? AND NOT deleted AND NOT EXISTS (
					SELECT 1 FROM imports i WHERE i.source = ? AND i.item > 'user/' AND i.item < 'user0' AND i.id = users.id)`, name, source))
				if err != nil {
					return err
				}
				if id != 0 {
					return t.noteImport(source, item, id)
				}
			}
			first = false
		}
		return auth.ErrNameTaken
	})
	if err != nil {
		return chat.User{}, false, err
	}
	u, err = s.User(ctx, id)
	return u, made, err
}

// ImportRoom returns the room with that key in source, or creates it under the first unused name among names, which are
// prepared. It returns chat.ErrRoomNotFound for a room that was imported and deleted since.
func (s *Store) ImportRoom(ctx context.Context, source, key string, r chat.Room, by int64, names iter.Seq[string]) (room chat.Room, made bool, err error) {
	item := "room/" + key
	err = s.log.do(ctx, func(t *tx) error {
		made = false
		id, err := t.imported(source, item)
		if err != nil {
			return err
		}
		if id == 0 {
			for name := range names {
				err := t.queryRow(`INSERT INTO rooms (name, title, visibility, posting, receipts, slow_mode, retention, created_by, created_at, name_since)
					VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, coalesce((SELECT max(deleted) FROM former_rooms WHERE name = ?), 0))
					ON CONFLICT DO NOTHING RETURNING id`,
					name, r.Title, r.Visibility, r.Posting, r.Receipts, r.SlowMode, r.Retention, by, r.CreatedAt.UnixMilli(), name).Scan(&id)
				if errors.Is(err, sql.ErrNoRows) {
					continue
				}
				if err != nil {
					return unavailable(err)
				}
				made = true
				break
			}
			if !made {
				return chat.ErrRoomExists
			}
			if err := t.noteImport(source, item, id); err != nil {
				return err
			}
		}
		room = r
		err = t.queryRow(`SELECT id, name, visibility FROM rooms WHERE id = ?`, id).Scan(&room.ID, &room.Name, &room.Visibility)
		if errors.Is(err, sql.ErrNoRows) {
			return chat.ErrRoomNotFound
		}
		return unavailable(err)
	})
	return room, made, err
}

// ImportMember makes a user a member of a room, as e says, unless they are a member or banned, the account is deleted, or
// source has done so before: since then they may have left.
func (s *Store) ImportMember(ctx context.Context, source string, room, user int64, role chat.Role, since time.Time, e chat.Event) error {
	// Local ids, because keys can contain a slash.
	item := fmt.Sprintf("member/%d/%d", room, user)
	return s.log.do(ctx, func(t *tx) error {
		before, err := t.imported(source, item)
		if err != nil || before != 0 {
			return err
		}
		if err := t.noteImport(source, item, user); err != nil {
			return err
		}
		n, err := affected(t, `INSERT INTO members (room_id, user_id, role, since)
			SELECT ?, id, ?, ? FROM users WHERE id = ? AND NOT deleted AND NOT EXISTS (SELECT 1 FROM bans WHERE room_id = ? AND user_id = users.id)
			ON CONFLICT DO NOTHING`,
			room, role, since.UnixMilli(), user, room)
		if err != nil || n == 0 {
			return err
		}
		_, err = t.append(e)
		return err
	})
}

// ImportPin pins an imported message, unless an import has pinned it before, and reports whether it did. pin makes the
// event. It returns chat.ErrNoMessage if the message is not here.
func (s *Store) ImportPin(ctx context.Context, source, key string, pin func(message chat.Event) (chat.Event, error)) (pinned bool, err error) {
	id, err := s.Imported(ctx, source, "message/"+key)
	if err != nil {
		return false, err
	}
	message, err := scanEvent(s.queryRow(ctx, selectEvents+` WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return false, chat.ErrNoMessage
	}
	if err != nil {
		return false, unavailable(err)
	}
	e, err := pin(message)
	if err != nil {
		return false, err
	}
	topic := message.Topic
	if !topic.IsRoom() {
		topic = message.Also
	}
	err = s.log.do(ctx, func(t *tx) error {
		pinned = false
		before, err := t.imported(source, "pin/"+key)
		if err != nil || before != 0 {
			return err
		}
		if err := t.notDeleted(topic, id); err != nil {
			return err
		}
		n, err := affected(t, `INSERT INTO pins (topic, message_id, event_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, int64(topic), id, t.head+1)
		if err != nil || n == 0 {
			return err
		}
		if err := t.within(chat.MaxPins, "%d messages can be pinned here; unpin one first", `SELECT count(*) FROM pins WHERE topic = ?`, int64(topic)); err != nil {
			return err
		}
		if e, err = t.append(e); err != nil {
			return err
		}
		pinned = true
		return t.noteImport(source, "pin/"+key, e.ID)
	})
	return pinned, err
}

// Import implements chat.ImportStore.
func (s *Store) Import(ctx context.Context, source string, messages []chat.ImportedMessage) ([]chat.ImportResult, error) {
	var results []chat.ImportResult
	err := s.log.do(ctx, func(t *tx) error {
		results = make([]chat.ImportResult, len(messages))
		made := map[chat.Topic][]int64{}
		for i := range messages {
			id, err := t.importMessage(source, &messages[i], &results[i])
			if err != nil {
				return err
			}
			if id != 0 {
				made[messages[i].Topic] = append(made[messages[i].Topic], id)
			}
		}
		for topic, ids := range made {
			if err := t.markImported(topic, ids); err != nil {
				return err
			}
		}
		return nil
	})
	return results, err
}

// importMessage returns the message's id; 0 if it had been imported before.
func (t *tx) importMessage(source string, m *chat.ImportedMessage, result *chat.ImportResult) (int64, error) {
	item := "message/" + m.Key
	if before, err := t.imported(source, item); err != nil || before != 0 {
		return 0, err
	}
	thread, err := t.importedThread(source, m, result)
	if err != nil {
		return 0, err
	}
	var replyTo int64
	if m.ReplyTo != "" {
		if replyTo, err = t.imported(source, "message/"+m.ReplyTo); err != nil {
			return 0, err
		}
	}
	message := m.Make(thread, replyTo)
	if message.Event, err = t.append(message.Event); err != nil {
		return 0, err
	}
	for _, f := range m.Files {
		if _, err := t.exec(`INSERT INTO files (id, owner, topic, name, size, type, width, height, preview, created_at, message_id)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, f.ID, message.Author, int64(m.Topic), f.Name, f.Size, f.Type, f.Width, f.Height, f.Preview,
			t.now.UnixMilli(), message.ID); err != nil {
			return 0, unavailable(err)
		}
	}
	if m.Delivered != nil {
		if _, err := t.append(m.Delivered(message.ID)); err != nil {
			return 0, err
		}
	}
	if m.Topic.IsConversation() {
		a, b := m.Topic.Between()
		if err := t.converse(a, b, message.ID); err != nil {
			return 0, err
		}
	}
	if err := t.beside(message); err != nil {
		return 0, err
	}
	if err := t.importChanges(m, message); err != nil {
		return 0, err
	}
	result.New = true
	return message.ID, t.noteImport(source, item, message.ID)
}

// importedThread returns the root of the thread that a message is in; for a reply to a reply, the first message.
func (t *tx) importedThread(source string, m *chat.ImportedMessage, result *chat.ImportResult) (int64, error) {
	if m.Thread == "" {
		return 0, nil
	}
	root, err := t.imported(source, "message/"+m.Thread)
	if err != nil {
		return 0, err
	}
	root, err = foundOrZero(t.queryRow(`SELECT coalesce(thread, id) FROM events WHERE id = ? AND (topic = ? OR also = ?)`,
		root, int64(m.Topic), int64(m.Topic)))
	result.NoThread = root == 0
	return root, err
}

// importChanges appends the events for what became of a message.
func (t *tx) importChanges(m *chat.ImportedMessage, message chat.Message) error {
	changes := m.After(message.ID)
	if changes.Edited != nil {
		e, err := t.append(*changes.Edited)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO edits (message_id, event_id) VALUES (?, ?)`, message.ID, e.ID); err != nil {
			return unavailable(err)
		}
	}
	for _, r := range changes.Reactions {
		e, err := t.append(r.Event)
		if err != nil {
			return err
		}
		if _, err := t.exec(`INSERT INTO reactions (message_id, emoji, user_id, event_id) VALUES (?, ?, ?, ?)`, message.ID, r.Emoji, e.Author, e.ID); err != nil {
			return unavailable(err)
		}
	}
	if changes.Deleted == nil {
		return nil
	}
	if _, err := t.exec(`INSERT INTO deletions (topic, message_id) VALUES (?, ?)`, int64(m.Topic), message.ID); err != nil {
		return unavailable(err)
	}
	if err := t.leaveThread(message.ID); err != nil {
		return err
	}
	_, err := t.append(*changes.Deleted)
	return err
}

// markImported marks messages of a topic, oldest first, as read, so that they cause no notifications. A public room can
// also notify users who are not members: those who are mentioned, or have asked for all messages.
func (t *tx) markImported(topic chat.Topic, ids []int64) error {
	numbers, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	readers := `SELECT user_id AS id FROM members WHERE room_id = ?3
		UNION SELECT user_id FROM notify_levels WHERE topic = ?1 AND level = 'all'
		UNION SELECT user_id FROM mentions WHERE message_id IN (` + t.w.dialect.numbers(`?4`) + `) AND user_id <> 0`
	args := []any{int64(topic), ids[len(ids)-1], topic.Number(), string(numbers)}
	if topic.IsConversation() {
		a, b := topic.Between()
		readers, args = `SELECT id FROM users WHERE id = ?3 OR id = ?4`, []any{args[0], args[1], a, b}
	}
	_, err = t.exec(`INSERT INTO markers (user_id, topic, message_id) SELECT r.id, CAST(?1 AS bigint), CAST(?2 AS bigint) FROM (`+readers+`) r WHERE true
		ON CONFLICT (user_id, topic) DO UPDATE SET message_id = excluded.message_id WHERE excluded.message_id > markers.message_id`, args...)
	return unavailable(err)
}
