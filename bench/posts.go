//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"tandem/testservers"
)

// connections is the number of concurrent posters where only one number is measured.
const connections = 64

// keyedAtMost is the most that an Idempotency-Key may multiply a post's cost by.
const keyedAtMost = 1.2

// dataAtMost is the most that 1 KiB of data may multiply a post's cost by.
const dataAtMost = 1.3

// postTurns is the number of turns for each measurement.
const postTurns = 5

// benchPosts measures durable posts without readers, compared with loops that only store them, and checks that the
// history has exactly the acknowledged posts.
func benchPosts(ctx context.Context, o *options, r *report) error {
	progress("\nposts: %d characters each, to ten rooms, no readers; one request in flight on each connection\n", longText)
	s, err := startServer(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	sync, err := syncCost(s.data)
	if err != nil {
		return err
	}
	progress("  for context: write and fsync of 4 KiB where the data lies takes %.0f µs (median)\n", float64(sync)/1e3)
	tandem, err := postsTo(ctx, s, "tandem")
	if err != nil {
		return err
	}
	keyed := *tandem
	keyed.name, keyed.keys = "tandem, Idempotency-Key", true
	withData := *tandem
	withData.name, withData.data = "tandem, 1 KiB of data", 1024
	loops := make([]*contender, 3)
	for i, of := range []struct{ name, model, keeper string }{
		{"durable loop", goroutines, "durable"}, {"durable loop in one thread", oneThread, "durable"}, {"SQLite loop", goroutines, "SQLite"},
	} {
		l, err := startLoop(ctx, of.model, of.keeper, o.dir, transports[0].name)
		if err != nil {
			return err
		}
		defer l.close()
		c := *tandem
		c.name, c.port, c.cpu, c.acknowledged = of.name, l.port, l.cpu, nil
		loops[i] = &c
	}
	durable, thread, sqlite := loops[0], loops[1], loops[2]
	all := []*contender{tandem, &keyed, &withData, durable, thread, sqlite}
	postgres, stop, err := postsOnPostgres(ctx, o)
	if err != nil {
		return err
	}
	defer stop()

	table := r.section("durable posts", "posts/s", "p50", "p99", "CPU/post", "times the durable loop", "the one in one thread", "the SQLite loop", "PostgreSQL CPU/post", "generator CPU/post")
	for _, at := range []struct {
		connections int
		rate        float64 // posts per second; 0 is flat out
		atMost      float64 // as a multiple of the durable loop; 0 means no bound
	}{{1, 0, 2}, {4, 0, 1.8}, {connections, 0, 1.5}, {4, 1000, 0}} {
		turn := all
		if at.connections > 1 && postgres != nil {
			turn = append(slices.Clone(all), postgres)
		}
		if err := postInTurn(ctx, turn, at.connections, postTurns, o.warmup/5, o.seconds/4, at.rate); err != nil {
			return err
		}
		where := fmt.Sprintf("%d connections", at.connections)
		if at.connections == 1 {
			where = "1 connection"
		}
		if at.rate > 0 { // with pauses, in which processors slow down and caches are lost
			where += fmt.Sprintf(", %s posts/s", thousands(at.rate))
		}
		for _, c := range turn {
			beside := "–"
			if c.beside != nil {
				beside = micros(median(c.eachBeside))
			}
			table.add(where+", "+c.name, thousands(c.rate()), millis2(percentile(c.latency, 0.50)), millis2(percentile(c.latency, 0.99)),
				micros(median(c.each)), fmt.Sprintf("%.2f", c.times(durable)), fmt.Sprintf("%.2f", c.times(thread)), fmt.Sprintf("%.2f", c.times(sqlite)), beside, micros(median(c.own)))
		}
		if at.atMost == 0 {
			continue
		}
		r.bound("CPU a post, "+where+", to the durable loop's", tandem.times(durable), at.atMost, "")
		r.bound("CPU a post, "+where+", with Idempotency-Key to without", keyed.times(tandem), keyedAtMost, "")
		r.bound("CPU a post, "+where+", with 1 KiB of data to without", withData.times(tandem), dataAtMost, "")
		if at.connections == 4 { // as in the deliveries
			r.perPost = time.Duration(median(tandem.each))
		}
	}
	if postgres != nil {
		if err := checkPosts(ctx, postgres.server, r, postgres.tokens[0], postgres.acknowledged); err != nil {
			return err
		}
	}
	return checkPosts(ctx, s, r, tandem.tokens[0], tandem.acknowledged)
}

// postsTo signs up users at a server and returns a function that posts to ten of their rooms.
func postsTo(ctx context.Context, s *server, name string) (*contender, error) {
	tokens, err := signUp(ctx, s)
	if err != nil {
		return nil, err
	}
	rooms := make([]string, 10)
	for i := range rooms {
		rooms[i] = fmt.Sprintf("room%05d", i)
	}
	return &contender{name: name, server: s, port: s.port, cpu: serverCPU(s), tokens: tokens, rooms: rooms, characters: longText,
		acknowledged: map[string][]int64{}}, enter(ctx, s, tokens, rooms...)
}

// postsOnPostgres is like postsTo for a tandem on PostgreSQL; nil if PostgreSQL is not installed.
func postsOnPostgres(ctx context.Context, o *options) (c *contender, stop func(), err error) {
	pg, err := testservers.StartPostgres("shared_buffers=512MB")
	if errors.Is(err, testservers.ErrMissing) {
		progress("  left out: %v\n", err)
		return nil, func() {}, nil
	}
	if err != nil {
		return nil, nil, err
	}
	defer func() {
		if err != nil {
			pg.Remove()
		}
	}()
	database, err := pg.NewDatabase()
	if err != nil {
		return nil, nil, err
	}
	own := *o
	own.serverFlags = append(slices.Clone(o.serverFlags), "--database-url", pg.URL(database))
	s, err := startServer(ctx, &own)
	if err != nil {
		return nil, nil, err
	}
	if c, err = postsTo(ctx, s, "tandem on PostgreSQL"); err != nil {
		s.close()
		return nil, nil, err
	}
	c.beside = func() (time.Duration, error) { return treeCPU(pg.PID()), nil }
	return c, func() { s.close(); pg.Remove() }, nil
}

// checkPosts compares the history with what was acknowledged. Nothing else happened in between, so the ids of all posts
// together must be consecutive.
func checkPosts(ctx context.Context, s *server, r *report, token string, acknowledged map[string][]int64) error {
	var names []string
	var all []int64
	for name, ids := range acknowledged {
		names = append(names, name)
		slices.Sort(ids)
		all = append(all, ids...)
	}
	slices.Sort(all)
	if n := int64(len(all)); n > 0 && all[n-1]-all[0] != n-1 {
		r.fail("posts: %d ids from %d to %d are not dense", n, all[0], all[n-1])
	}
	if len(slices.Compact(slices.Clone(all))) != len(all) {
		r.fail("posts: an id was acknowledged twice")
	}
	began := time.Now()
	stored := make([][]int64, len(names))
	err := parallel(len(names), 4, func(i int) (err error) {
		stored[i], err = history(ctx, s, token, names[i], 0)
		return err
	})
	if err != nil {
		return err
	}
	total := 0
	for i, name := range names {
		total += len(stored[i])
		if difference := missing(stored[i], acknowledged[name]); difference != "" {
			r.fail("posts: history of %s %s", name, difference)
		}
	}
	progress("  checked: %s acknowledged, %s in the history, ids %d to %d (read in %.1f s)\n",
		thousands(len(all)), thousands(total), all[0], all[len(all)-1], time.Since(began).Seconds())
	return nil
}

// syncCost returns how long the disk under dir takes to make 4 KiB durable.
func syncCost(dir string) (time.Duration, error) {
	f, err := os.CreateTemp(dir, "sync-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	var took []int32
	for block := make([]byte, 4096); len(took) < 200; {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return 0, err
		}
		if err := f.Sync(); err != nil {
			return 0, err
		}
		took = append(took, int32(time.Since(began).Microseconds()))
	}
	return percentile(took, 0.5), nil
}
