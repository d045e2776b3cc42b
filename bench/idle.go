//go:build linux

package main

import (
	"context"
	"fmt"
	"time"
)

// benchIdle measures the memory that an idle stream takes.
func benchIdle(ctx context.Context, o *options, r *report) error {
	table := r.section("idle streams", "resident each", "server before", "all connected", "settled", "opened a second", "the loop's", "CPU a second, pings included", "the loop's pings")
	for i := range transports {
		if err := idle(ctx, o, r, table, &transports[i]); err != nil {
			return fmt.Errorf("%s: %w", transports[i].name, err)
		}
	}
	return nil
}

func idle(ctx context.Context, o *options, r *report, table *section, t *transport) error {
	progress("\nidle: %s streams of one room over %s\n", thousands(o.crowd), t.name)
	s, tokens, err := startLobby(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	// argon2id leaves many megabytes that streams could reuse for free, so start a new process.
	if err := s.stop(); err != nil {
		progress("  note: %v\n", err)
	}
	if err := s.start(ctx); err != nil {
		return err
	}

	before := settled(ctx, s)
	began := time.Now()
	rs, err := openReaders(ctx, s, t, tokens, lobby[0], o.crowd)
	if err != nil {
		return err
	}
	defer rs.close()
	opened := float64(o.crowd) / time.Since(began).Seconds()
	peak := s.resident()
	after := settled(ctx, s)
	for _, what := range rs.wrong(nil) {
		r.fail("idle: %s", what)
		break
	}
	const pings = 20 // seconds between a stream's pings
	cpu := s.exactCPU()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(pings * time.Second):
	}
	cpu = (s.exactCPU() - cpu) / pings
	rs.close()
	// The same pings from the loop: a twentieth of the streams per second, from a single place in its code.
	fl, err := runFloor(ctx, shortest, max(1, o.crowd/pings), 1, 10*time.Second)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	loopOpened, err := floorOpenings(ctx, o.crowd)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	loopPings := time.Duration(fl.each * float64(o.crowd/pings))
	each := float64(after-before) / float64(o.crowd)
	name := fmt.Sprintf("%s × %s", t.name, thousands(o.crowd))
	r.bound("resident KiB an idle stream, "+name, each, 2, "")
	r.bound("CPU of idle streams, ms a second, "+name, cpu.Seconds()*1e3, 0.8, "")
	r.bound("openings, the loop's to ours, "+name, loopOpened/opened, 1.2, "")
	table.add(name, fmt.Sprintf("%.1f KiB", each), mebibytes(before), mebibytes(peak), mebibytes(after),
		thousands(opened), thousands(loopOpened), fmt.Sprintf("%.2f ms", cpu.Seconds()*1e3), fmt.Sprintf("%.2f ms", loopPings.Seconds()*1e3))
	return nil
}

// settled returns the resident memory in KiB once it has stayed within 1 % for 3 s, or after 20 s.
func settled(ctx context.Context, s *server) int64 {
	const step, steady = 500 * time.Millisecond, 6
	var last []int64
	for range 40 {
		last = append(last, s.resident())
		if n := len(last); n > steady {
			low, high := last[n-1], last[n-1]
			for _, v := range last[n-1-steady:] {
				low, high = min(low, v), max(high, v)
			}
			if high-low <= low/100 {
				break
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(step):
		}
	}
	return last[len(last)-1]
}

func mebibytes(kib int64) string { return fmt.Sprintf("%.1f MiB", float64(kib)/1024) }
