//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/chat"
	"tandem/store"
	"tandem/testservers"
)

const (
	forwardingNodes = 4
	forwardingTurns = 3
	forwardingRate  = 2000 // posts a second of all nodes, when paced
)

// benchForwarding measures what it would bring if one node committed for all (docs/decisions/0040): the log of four
// nodes on one PostgreSQL whose disk takes 2 ms to sync. Each node is a process with the product's own store and its
// share of the posters. Today each commits its own posts when it gets the head. With forwarding only one does; the
// others send it their posts over TCP, everything that waits in one write, and get the answers the same way.
func benchForwarding(ctx context.Context, o *options, r *report) error {
	const slow = 2 * time.Millisecond
	progress("\nforwarding: %d nodes, every sync takes at least %s\n", forwardingNodes, slow)
	pg, err := testservers.StartPostgres("shared_buffers=512MB", "max_connections=200", "checkpoint_timeout=1h", "max_wal_size=8GB")
	if err == nil {
		defer pg.Remove()
		pg.Stop()
		if err = pg.SlowSync(slow); err == nil {
			err = pg.Start()
		}
	}
	if errors.Is(err, testservers.ErrMissing) {
		progress("  left out: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	table := r.section("one committing node, syncs of 2 ms", "posts/s", "p50", "p99", "posts/commit", "CPU/post nodes", "database",
		fmt.Sprintf("at %s/s: p50", thousands(forwardingRate)), "p99")
	for _, posters := range []int{64, 256} {
		for turn := range forwardingTurns {
			for _, way := range []string{"one node alone", "each commits", "one commits"} {
				name := fmt.Sprintf("%d posters, %s, turn %d", posters, way, turn+1)
				if err := forwardingRun(ctx, o, pg, table, name, way, posters); err != nil {
					return fmt.Errorf("%s: %w", name, err)
				}
			}
		}
	}
	return nil
}

func forwardingRun(ctx context.Context, o *options, pg *testservers.Postgres, table *section, name, way string, posters int) error {
	database, err := pg.NewDatabase()
	if err != nil {
		return err
	}
	url := pg.URL(database)
	s, err := store.Open(ctx, store.Config{URL: url, Now: time.Now})
	if err != nil {
		return err
	}
	defer s.Close()
	guard, err := benchRoom(ctx, s)
	if err != nil {
		return err
	}
	nodes := forwardingNodes
	if way == "one node alone" {
		nodes = 1
	}
	var to string
	if way == "one commits" {
		port, err := testservers.FreePort()
		if err != nil {
			return err
		}
		to = fmt.Sprintf("127.0.0.1:%d", port)
	}
	var all []*appender
	defer func() {
		for _, a := range all {
			a.close()
		}
	}()
	for i := range nodes {
		a, err := startAppender(ctx, appenderTask{URL: url, Guard: guard, Posters: posters / nodes, Address: to, Forwards: to != "" && i > 0})
		if err != nil {
			return err
		}
		all = append(all, a)
	}
	if _, err := appendTogether(all, appenderPhase{For: o.warmup / 4}); err != nil {
		return err
	}
	before := treeCPU(pg.PID())
	flat, err := appendTogether(all, appenderPhase{For: o.seconds / 2})
	if err != nil {
		return err
	}
	database1 := treeCPU(pg.PID()) - before
	paced, err := appendTogether(all, appenderPhase{For: o.seconds / 2, Rate: forwardingRate / float64(nodes)})
	if err != nil {
		return err
	}
	n := float64(len(flat.Latency))
	table.add(name, thousands(n/flat.Took.Seconds()), millis(percentile(flat.Latency, 0.5)), millis(percentile(flat.Latency, 0.99)),
		fmt.Sprintf("%.0f", n/float64(flat.Commits)), micros(float64(flat.CPU)/n), micros(float64(database1)/n),
		millis(percentile(paced.Latency, 0.5)), millis(percentile(paced.Latency, 0.99)))
	state, err := s.Head(ctx)
	if err != nil {
		return err
	}
	posted := 0
	for _, a := range all {
		posted += a.posted
	}
	if state.Head != int64(posted) {
		return fmt.Errorf("%d posts were acknowledged, and the log's head is %d", posted, state.Head)
	}
	return nil
}

// benchRoom makes a user and a room, and returns the guard of a post there. Neither adds to the log.
func benchRoom(ctx context.Context, s *store.Store) (g chat.Guard, err error) {
	account, _, err := s.CreateUser(ctx, "bench", "hash", nil)
	if err != nil {
		return g, err
	}
	user, err := s.User(ctx, account.ID)
	if err != nil {
		return g, err
	}
	room, err := s.CreateRoom(ctx, chat.Guard{User: user.ID, UserVersion: user.Version},
		chat.Room{Name: "lobby", Visibility: chat.Public, Posting: chat.PostingEveryone, CreatedAt: time.Now()},
		func(chat.Room) []chat.Event { return nil })
	return chat.Guard{User: user.ID, UserVersion: user.Version, Room: room.ID, RoomVersion: room.Version}, err
}
