//go:build linux

package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"tandem/chat"
	"tandem/store"
	"tandem/testservers"
)

const (
	// busyRooms have all events but the first ones, in turn.
	busyRooms = 1000
	// quietRooms have ten events each, at the very beginning of the log.
	quietRooms = 200
	// resumePage is how many events a stream reads at once.
	resumePage = 256
)

// benchResume measures the read of a stream that comes back, in a long log: of rooms where much has happened since,
// and of rooms where nothing has.
func benchResume(ctx context.Context, o *options, r *report) error {
	fmt.Printf("\nresume: a log of %s events; %d busy rooms, %d quiet ones; the median and the slowest of 50 reads of up to %d events\n",
		thousands(o.events), busyRooms, quietRooms, resumePage)
	table := r.section("resume reads", "1 room", "slowest", "10 rooms", "slowest", "200 rooms", "slowest")
	dir, err := os.MkdirTemp(o.dir, "tandem-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	// The generated rows are what a writer would have left, but for the texts.
	const row = `CASE WHEN i <= 2000 THEN 2 * (%d + (i - 1) / 10) ELSE 2 * (1 + i %% %d) END, NULL, 1, 'chat_message',
		'"room":"lobby","user":"bench","sent_at":"2026-01-01T00:00:00.000Z","message":"forty-eight characters of a message over the wire"}'`
	values := fmt.Sprintf(row, busyRooms+1, busyRooms)
	err = resumeOn(ctx, o, table, "SQLite", store.Config{Dir: dir, Now: time.Now}, "sqlite", "file:"+filepath.Join(dir, "tandem.db"), []string{
		`PRAGMA synchronous = OFF`,
		fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			INSERT INTO events (id, topic, also, author, type, body) SELECT i, %s FROM n`, o.events, values),
	})
	if err != nil {
		return fmt.Errorf("SQLite: %w", err)
	}
	pg, err := testservers.StartPostgres("shared_buffers=512MB", "max_wal_size=8GB")
	if errors.Is(err, testservers.ErrMissing) {
		fmt.Println("  PostgreSQL left out:", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer pg.Remove()
	database, err := pg.NewDatabase()
	if err != nil {
		return err
	}
	err = resumeOn(ctx, o, table, "PostgreSQL", store.Config{URL: pg.URL(database), Now: time.Now}, "pgx", pg.URL(database), []string{
		`SET synchronous_commit = off`,
		fmt.Sprintf(`INSERT INTO events (id, topic, also, author, type, body) SELECT i, %s FROM generate_series(1, %d) AS n (i)`, values, o.events),
		`VACUUM ANALYZE events`, // as autovacuum does in time
	})
	if err != nil {
		return fmt.Errorf("PostgreSQL: %w", err)
	}
	return nil
}

func resumeOn(ctx context.Context, o *options, table *section, name string, cfg store.Config, driver, source string, fill []string) error {
	s, err := store.Open(ctx, cfg) // makes the tables
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	began := time.Now()
	db, err := sql.Open(driver, source)
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1) // what is set for one statement is set for the next
	for _, q := range append(fill, fmt.Sprintf(`UPDATE log SET head = %d`, o.events)) {
		if _, err := db.ExecContext(ctx, q); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	if err := db.Close(); err != nil {
		return err
	}
	fmt.Printf("  %s: %s events made in %.0f s\n", name, thousands(o.events), time.Since(began).Seconds())
	if s, err = store.Open(ctx, cfg); err != nil {
		return err
	}
	defer s.Close()
	head := int64(o.events)
	for _, c := range []struct {
		name  string
		room  int // the first
		since int64
		some  bool // there is something to read
	}{
		{"busy, 1,000 events ago", 1, head - 1000, true},
		{"busy, half the log ago", 1, head / 2, true},
		{"quiet, 1,000 events ago", busyRooms + 1, head - 1000, false},
		{"quiet, half the log ago", busyRooms + 1, head / 2, false},
	} {
		cells := []string{name + ", " + c.name}
		for _, rooms := range []int{1, 10, 200} {
			var took []int32
			for i := range 60 {
				topics := make([]chat.TopicSince, rooms)
				for k := range topics {
					room := c.room + (i*rooms+k)%quietRooms // there are as many of either
					topics[k] = chat.TopicSince{Topic: chat.RoomTopic(int64(room)), After: c.since}
				}
				at := time.Now()
				events, err := s.Read(ctx, topics, head, resumePage)
				if err != nil {
					return err
				}
				if (len(events) > 0) != c.some {
					return fmt.Errorf("%s: %d events", c.name, len(events))
				}
				if i >= 10 { // those before warm up
					took = append(took, int32(time.Since(at).Microseconds()))
				}
			}
			cells = append(cells, millis2(percentile(took, 0.5)), millis2(percentile(took, 1)))
		}
		table.add(cells...)
	}
	return nil
}

func millis2(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/1e6) }
