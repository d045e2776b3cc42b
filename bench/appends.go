//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tandem/chat"
	"tandem/store"
	"tandem/testservers"
)

// benchAppends measures appends to one PostgreSQL with group commits on several nodes, without HTTP: the limit of the
// log itself. Every node is a store with its own connections, all in this process. commit_delay, with
// commit_siblings=0, makes each commit hold the log's head longer, as a slower disk or a synchronous standby would. It
// checks that ids are consecutive and that all posts are stored.
func benchAppends(ctx context.Context, o *options, r *report) error {
	progress("\nappends: one PostgreSQL, no HTTP\n")
	pg, err := testservers.StartPostgres("shared_buffers=512MB", "commit_siblings=0", "max_connections=200")
	if errors.Is(err, testservers.ErrMissing) {
		progress("  left out: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer pg.Remove()
	sync, err := syncCost(o.dir)
	if err != nil {
		return err
	}
	progress("  for context: write and fsync of 4 KiB where the data lies takes %.0f µs (median)\n", float64(sync)/1e3)
	table := r.section("appends on PostgreSQL", "appends/s", "p50", "p99", "at 5,000/s: p50", "p99")
	for _, delay := range []time.Duration{0, 2 * time.Millisecond} {
		if err := pg.Exec("postgres", fmt.Sprintf(`ALTER SYSTEM SET commit_delay = %d`, delay.Microseconds()), `SELECT pg_reload_conf()`); err != nil {
			return err
		}
		for _, c := range []struct{ nodes, posters, rooms int }{
			{1, 64, 1}, {1, 64, 100}, {1, 512, 1}, {1, 512, 100}, {2, 64, 1}, {2, 64, 100}, {4, 64, 1}, {4, 64, 100},
		} {
			name := fmt.Sprintf("nodes: %d, posters each: %d, rooms: %d, commits %s longer", c.nodes, c.posters, c.rooms, delay)
			if err := appendRun(ctx, o, pg, table, name, c.nodes, c.posters, c.rooms); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil
}

func appendRun(ctx context.Context, o *options, pg *testservers.Postgres, table *section, name string, nodes, posters, rooms int) error {
	database, err := pg.NewDatabase()
	if err != nil {
		return err
	}
	var stores []*store.Store
	defer func() {
		for _, s := range stores {
			_ = s.Close()
		}
	}()
	for range nodes {
		s, err := store.Open(ctx, store.Config{URL: pg.URL(database), Now: time.Now})
		if err != nil {
			return err
		}
		stores = append(stores, s)
	}
	account, _, err := stores[0].CreateUser(ctx, "bench", "hash", nil)
	if err != nil {
		return err
	}
	user, err := stores[0].User(ctx, account.ID)
	if err != nil {
		return err
	}
	var all []chat.Room
	for i := range rooms {
		room, err := stores[0].CreateRoom(ctx, chat.Guard{User: user.ID, UserVersion: user.Version},
			chat.Room{Name: fmt.Sprint("room", i), Visibility: chat.Public, Posting: chat.PostingEveryone, CreatedAt: time.Now()},
			func(chat.Room) []chat.Event { return nil })
		if err != nil {
			return err
		}
		all = append(all, room)
	}
	total := 0
	run := func(d time.Duration, rate float64) (latency []int32, took time.Duration, err error) {
		var mu sync.Mutex
		n := nodes * posters
		began := time.Now()
		err = parallel(n, n, func(i int) error {
			s, room := stores[i%nodes], all[i%len(all)]
			var own []int32
			due := began.Add(time.Duration(float64(i) / max(rate, 1) * float64(time.Second)))
			for k := 0; time.Since(began) < d; k++ {
				if rate > 0 {
					time.Sleep(time.Until(due))
					due = due.Add(time.Duration(float64(n) / rate * float64(time.Second)))
				}
				at := time.Now()
				_, _, err := s.Post(ctx, chat.Guard{User: user.ID, UserVersion: user.Version, Room: room.ID, RoomVersion: room.Version},
					chat.Message{Event: chat.Event{Topic: chat.RoomTopic(room.ID), Type: chat.TypeChatMessage, Author: user.ID,
						Body: `"room":"lobby","user":"bench","sent_at":"2026-01-01T00:00:00.000Z","message":"forty-eight characters of a message over the wire"}`}}, nil)
				if err != nil {
					return err
				}
				own = append(own, int32(time.Since(at).Microseconds()))
			}
			mu.Lock()
			defer mu.Unlock()
			latency = append(latency, own...)
			return nil
		})
		total += len(latency)
		return latency, time.Since(began), err
	}
	if _, _, err := run(o.warmup/4, 0); err != nil {
		return err
	}
	flat, took, err := run(o.seconds/2, 0)
	if err != nil {
		return err
	}
	paced, _, err := run(o.seconds/2, 5000)
	if err != nil {
		return err
	}
	table.add(name, thousands(float64(len(flat))/took.Seconds()), millis(percentile(flat, 0.5)), millis(percentile(flat, 0.99)),
		millis(percentile(paced, 0.5)), millis(percentile(paced, 0.99)))
	state, err := stores[0].Head(ctx)
	if err != nil {
		return err
	}
	if state.Head != int64(total) {
		return fmt.Errorf("%d posts were acknowledged, and the log's head is %d", total, state.Head)
	}
	return nil
}
