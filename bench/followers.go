//go:build linux

package main

import (
	"context"
	"runtime"
	"syscall"
	"time"

	"tandem/followers"
)

// missedEvents is the number of events that a follower has missed after a day's absence.
const missedEvents = 1_000_000

// benchFollowers measures how a follower with a large backlog catches up: its rate, and its memory at the start and at
// the peak. Its function does nothing, so this measures the runner, the log and the cursor.
func benchFollowers(ctx context.Context, o *options, r *report) error {
	events := min(o.events, missedEvents)
	progress("\nfollowers: catching up %s events in batches of 100, each of which moves the cursor durably\n", thousands(events))
	table := r.section("catching up", "events/s", "CPU/event", "heap after a tenth", "heap at most", "RSS at most")
	return onBoth(o, events, func(d longLog) error { return catchUpOn(ctx, r, table, d) })
}

func catchUpOn(ctx context.Context, r *report, table *section, d longLog) error {
	events := d.events
	s, err := d.open(ctx, `INSERT INTO followers (name, kind, cursor, epoch) VALUES ('bench', 'bench', 0, 1)`)
	if err != nil {
		return err
	}
	defer s.Close()
	runtime.GC()
	memory := memoryWatch{events: events}
	var last int64
	done := make(chan struct{})
	run := followers.New(s, s, followers.Config{})
	run.Add(followers.Follower{Name: "bench", Handle: func(_ context.Context, b followers.Batch) error {
		for _, e := range b.Events {
			if e.ID != last+1 {
				r.fail("%s: event %d came behind %d", d.name, e.ID, last)
			}
			last = e.ID
		}
		memory.saw(len(b.Events))
		if last == int64(events) {
			close(done)
		}
		return nil
	}})
	began, cpu := time.Now(), used(syscall.RUSAGE_SELF)
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() { defer close(ended); run.Run(running) }()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	took, cpu := time.Since(began), used(syscall.RUSAGE_SELF)-cpu
	stop()
	<-ended
	states, err := s.Followers(ctx, []string{"bench"})
	if err != nil {
		return err
	}
	if len(states) != 1 || states[0].Cursor != int64(events) || memory.seen != events {
		r.fail("%s: %d events, and the cursors are %v", d.name, memory.seen, states)
	}
	table.add(append([]string{d.name, thousands(int(float64(events) / took.Seconds())), micros(float64(cpu) / float64(events))}, memory.cells()...)...)
	return nil
}
