//go:build linux

package main

import (
	"context"
	"fmt"
	"path/filepath"
	"time"
)

const (
	fewRooms, manyOfRooms = 10, 10_000
	fewReaders            = 100
	scaleTurns            = 5
	// scaleAtMost is the most that size may multiply a cost by.
	scaleAtMost = 1.5
)

// benchScale measures what becomes more expensive with size: a post, with the number of rooms and the length of the
// log, and a delivery, with the number of readers.
func benchScale(ctx context.Context, o *options, r *report) error {
	if err := scalePosts(ctx, o, r); err != nil {
		return err
	}
	return scaleDeliveries(ctx, o, r)
}

// scalePosts posts in turn to ten rooms, to very many, and to ten in a long log.
func scalePosts(ctx context.Context, o *options, r *report) error {
	rooms := min(manyOfRooms, o.crowd)
	progress("\nscale: posts to %d and to %s rooms, and to a log of %s events\n", fewRooms, thousands(rooms), thousands(o.events))
	var all []*contender
	for _, c := range []struct {
		name          string
		rooms, events int
	}{
		{fmt.Sprintf("%d rooms", fewRooms), fewRooms, 0},
		{fmt.Sprintf("%s rooms", thousands(rooms)), rooms, 0},
		{fmt.Sprintf("%d rooms, a log of %s events", fewRooms, thousands(o.events)), fewRooms, o.events},
	} {
		s, err := startServer(ctx, o)
		if err != nil {
			return err
		}
		defer s.close()
		if c.events > 0 { // before users sign up, since their tokens last for minutes
			if err := lengthen(ctx, s, c.events); err != nil {
				return fmt.Errorf("a log of %s events: %w", thousands(c.events), err)
			}
		}
		tokens, err := signUp(ctx, s)
		if err != nil {
			return err
		}
		names := make([]string, c.rooms)
		for i := range names {
			names[i] = fmt.Sprintf("room%05d", i)
		}
		err = parallel(len(names), 16, func(i int) error {
			return call(ctx, s, "PUT", "/v1/rooms/"+names[i], tokens[i%len(tokens)], nil, nil)
		})
		if err != nil {
			return err
		}
		all = append(all, &contender{name: c.name, port: s.port, cpu: serverCPU(s), tokens: tokens, rooms: names, characters: longText})
	}
	// As many connections as share a commit best: the rest of the cost depends on rooms and the log.
	if err := postInTurn(ctx, all, connections, scaleTurns, o.warmup, o.seconds/4, 0); err != nil {
		return err
	}
	table := r.section("posts by size", "posts/s", "p50", "p99", "CPU/post", "times the first")
	for _, c := range all {
		table.add(c.name, thousands(c.rate()), millis2(percentile(c.latency, 0.5)), millis2(percentile(c.latency, 0.99)),
			micros(median(c.each)), fmt.Sprintf("%.2f", c.times(all[0])))
	}
	for _, c := range all[1:] {
		r.bound("CPU a post, "+c.name+", to "+all[0].name+" and an empty log", c.times(all[0]), scaleAtMost, "")
	}
	return nil
}

// lengthen stops a new server, puts that many events into its database, marks them as indexed for search, and restarts
// it.
func lengthen(ctx context.Context, s *server, events int) error {
	if err := s.stop(); err != nil {
		return err
	}
	began := time.Now()
	if err := runSQL(ctx, "sqlite", sqliteFile(s.data), fillSQLite(events)); err != nil {
		return err
	}
	err := runSQL(ctx, "sqlite", "file:"+filepath.Join(s.data, "search.db"), []string{fmt.Sprintf(`UPDATE progress SET id = %d`, events)})
	if err != nil {
		return err
	}
	progress("  %s events made in %.0f s\n", thousands(events), time.Since(began).Seconds())
	return s.start(ctx)
}

// scaleDeliveries delivers as many messages per second to few readers as to very many. The bound includes the posts, as
// for all deliveries here. With few readers each bears more of them, so the cost without posts is printed too. It
// subtracts what posts cost at the same pace without readers, which is more than they cost when readers keep the caches
// warm.
func scaleDeliveries(ctx context.Context, o *options, r *report) error {
	t := &transports[0]
	few := min(fewReaders, o.crowd)
	const crowdRate = 5 // posts per second
	progress("\nscale: deliveries to %d and to %s readers of one room over %s, %s a second\n", few, thousands(o.crowd), t.name, thousands(o.crowd*crowdRate))
	table := r.section("deliveries by readers", "posts/s", "CPU each, posts included", "without them", "CPU/post without readers", "p50", "p99", "bare loop CPU each")
	var each []float64
	for _, n := range []int{few, o.crowd} {
		rate := float64(o.crowd*crowdRate) / float64(n)
		name := fmt.Sprintf("%s × %s", t.name, thousands(n))
		f, perPost, err := scaleDelivery(ctx, o, r, t, name, n, rate)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		fl, err := runFloor(ctx, t.frame(f.event), n, rate, o.seconds/2)
		if err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		each = append(each, float64(f.cpu)/float64(f.deliveries))
		net := (float64(f.cpu) - float64(f.posts)*perPost) / float64(f.deliveries)
		table.add(name, thousands(f.rate), micros(float64(f.cpu)/float64(f.deliveries)), micros(net), micros(perPost),
			millis(percentile(f.latency, 0.5)), millis(percentile(f.latency, 0.99)), micros(fl.each))
	}
	r.bound(fmt.Sprintf("CPU a delivery, posts included, %s readers to %d", thousands(o.crowd), few), each[1]/each[0], scaleAtMost, "")
	return nil
}

// scaleDelivery posts at a rate without readers, to measure the CPU time of a post in ns, and then to n readers.
func scaleDelivery(ctx context.Context, o *options, r *report, t *transport, name string, n int, rate float64) (f figures, perPost float64, err error) {
	s, tokens, err := startLobby(ctx, o)
	if err != nil {
		return f, 0, err
	}
	defer s.close()
	const posters = 16
	alone := &contender{name: "posts alone", port: s.port, cpu: serverCPU(s), tokens: tokens, rooms: lobby, characters: shortText}
	if err := postInTurn(ctx, []*contender{alone}, posters, 1, time.Second, o.seconds, rate); err != nil {
		return f, 0, err
	}
	a, err := openAudience(ctx, s, t, tokens, n)
	if err != nil {
		return f, 0, err
	}
	defer a.close()
	time.Sleep(2 * time.Second) // let presence settle
	p, err := newPosters(s.port, tokens, lobby, posters, message{characters: shortText})
	if err != nil {
		return f, 0, err
	}
	defer p.close()
	f, wrong, err := a.play(ctx, s, p, rate, o.seconds)
	for _, what := range wrong {
		r.fail("scale, %s: %s", name, what)
		break
	}
	return f, alone.each[0], err
}
