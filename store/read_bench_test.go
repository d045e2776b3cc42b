package store

import (
	"cmp"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"tandem/chat"
	"tandem/testservers"
)

// BenchmarkRead reads a log of TANDEM_BENCH_EVENTS events (300,000) in 200 rooms and 20 inboxes as streams, histories
// and lists of rooms do. A third of the events are not messages. The first room, which has a quarter of the second half
// of the log, has only messages:
//
//	go test -run '^$' -bench Read -benchtime 200x ./store
func BenchmarkRead(b *testing.B) {
	n, _ := strconv.ParseInt(os.Getenv("TANDEM_BENCH_EVENTS"), 10, 64)
	n = cmp.Or(n, 300_000)
	b.Run("SQLite", func(b *testing.B) { benchmarkRead(b, place{Dir: b.TempDir()}, n) })
	b.Run("PostgreSQL", func(b *testing.B) { benchmarkRead(b, place{URL: testservers.Database(b)}, n) })
}

func benchmarkRead(b *testing.B, p place, n int64) {
	s := fillLog(b, p, n, `CASE WHEN i % 50 = 0 THEN 2 * (i % 1000 / 50 + 1) + 1 WHEN i > {n} / 2 AND i % 4 = 0 THEN 2 ELSE 2 * (i * 7 % 199 + 2) END,
		CASE WHEN i % 50 = 25 THEN 2 * (i % 1000 / 50 + 1) + 1 END, 1,
		CASE WHEN i % 50 = 0 THEN 'private_message_delivered' WHEN i > {n} / 2 AND i % 4 = 0 OR i % 3 = 0 THEN 'reaction_added' ELSE 'chat_message' END`)
	all := make([]chat.TopicSince, 0, readRooms+1)
	for i := range int64(readRooms) {
		all = append(all, chat.TopicSince{Topic: chat.RoomTopic(i + 1)})
	}
	all = append(all, chat.TopicSince{Topic: chat.InboxTopic(3)})
	for _, c := range []struct {
		name   string
		topics []chat.TopicSince
		behind int64
	}{
		{"live, 1 room", all[5:6], 20}, {"live, room and inbox", []chat.TopicSince{all[5], all[readRooms]}, 20}, {"live, 201 topics", all, 20},
		{"back after 20,000, 1 room", all[5:6], 20_000}, {"back after 20,000, 201 topics", all, 20_000}, {"all of 1 room", all[5:6], n},
		{"all of 201 topics", all, n},
	} {
		b.Run(c.name, func(b *testing.B) {
			topics := make([]chat.TopicSince, len(c.topics))
			for i, t := range c.topics {
				topics[i] = chat.TopicSince{Topic: t.Topic, After: n - c.behind}
			}
			for b.Loop() {
				if _, err := s.Read(b.Context(), topics, n, 500); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for _, room := range []int64{1, 6} {
		topic := chat.RoomTopic(room)
		for name, f := range map[string]func() error{
			"start":    func() error { _, err := s.Start(b.Context(), topic, 50); return err },
			"messages": func() error { _, err := s.Messages(b.Context(), topic, chat.Page{Limit: 50}); return err },
			"unread":   func() error { _, err := s.Unread(b.Context(), 1, topic); return err },
			"room":     func() error { _, err := s.Room(b.Context(), fmt.Sprint("room", room), 1); return err },
		} {
			b.Run(fmt.Sprintf("%s of room %d", name, room), func(b *testing.B) {
				for b.Loop() {
					if err := f(); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

const readRooms = 200

// fillLog opens a store with one user, 200 rooms (room1 and so on), and n events. row is an SQL list that gives the
// topic, also, author and type of event i.
func fillLog(t testing.TB, p place, n int64, row string) *Store {
	t.Helper()
	open := func() *Store {
		s, err := p.try(Config{})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open() // makes the tables
	if _, _, err := s.CreateUser(t.Context(), "ada", "hash", nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	driver, source := "sqlite", "file:"+filepath.Join(p.Dir, "tandem.db")
	if p.URL != "" {
		driver, source = "pgx", p.URL
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, q := range []string{
		`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rooms})
			INSERT INTO rooms (id, name, title, visibility, posting, created_by, created_at)
			SELECT i, 'room' || i, '', 'public', 'everyone', 1, 0 FROM n`,
		`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})
			INSERT INTO events (id, topic, also, author, type, body) SELECT i, ` + row + `,
			'"room":"lobby","user":"bench","sent_at":"2026-01-01T00:00:00.000Z","message":"forty-eight characters of a message over the wire"}' FROM n`,
		`UPDATE log SET head = {n}`,
	} {
		q = strings.NewReplacer("{n}", fmt.Sprint(n), "{rooms}", fmt.Sprint(readRooms)).Replace(q)
		if _, err := db.ExecContext(t.Context(), q); err != nil {
			t.Fatal(err)
		}
	}
	if p.URL != "" { // as autovacuum does in time
		if _, err := db.ExecContext(t.Context(), `VACUUM ANALYZE events`); err != nil {
			t.Fatal(err)
		}
	}
	s = open()
	t.Cleanup(func() { _ = s.Close() })
	return s
}
