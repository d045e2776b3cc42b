//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

const (
	roomsOfTen = 200
	readersOfA = 10
	roomsRate  = 1000 // posts a second, to the rooms in turn
)

// benchRooms measures the usual chat: many small rooms, and a post in each now and then. Posts are part of what it costs.
func benchRooms(ctx context.Context, o *options, r *report) error {
	table := r.section("200 rooms of ten", "deliveries/s", "server CPU each, posts included", "p50", "p99",
		"durable loop CPU each", "p50", "p99", "times the loop")
	for i := range transports {
		// In turn with the loop, as the machine has moods.
		for range 2 {
			if err := manyRooms(ctx, o, r, table, &transports[i]); err != nil {
				return fmt.Errorf("%d rooms over %s: %w", roomsOfTen, transports[i].name, err)
			}
		}
	}
	return nil
}

func manyRooms(ctx context.Context, o *options, r *report, table *section, t *transport) error {
	n := roomsOfTen * readersOfA
	fmt.Printf("\ndeliveries: %s readers in %d rooms over %s\n", thousands(n), roomsOfTen, t.name)
	s, tokens, err := startLobby(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	rooms := make([]string, roomsOfTen)
	for i := range rooms {
		rooms[i] = fmt.Sprint("room", i)
	}
	if err := enter(ctx, s, tokens[:1], rooms...); err != nil {
		return err
	}
	var next atomic.Int64
	rs, err := connectReaders(ctx, n, func(int) (*reader, []byte, error) {
		i := int(next.Add(1) - 1)
		fd, chunked, body, err := t.open(s, rooms[i%len(rooms)], tokens[i%len(tokens)])
		return &reader{fd: fd, chunked: chunked, room: i % len(rooms)}, body, err
	})
	if err != nil {
		return err
	}
	defer rs.close()
	time.Sleep(4 * time.Second) // presence settles
	p, err := newPosters(s, tokens, rooms, roomsOfTen, false)
	if err != nil {
		return err
	}
	defer p.close()
	rs.reset(true)
	cpu, began := s.cpu(), time.Now()
	out, err := p.run(ctx, o.seconds, roomsRate)
	if err != nil {
		return err
	}
	deliveries := int64(len(out.ids)) * readersOfA
	rs.wait(ctx, deliveries)
	took := time.Since(began)
	each := float64(s.cpu()-cpu) / float64(deliveries)
	time.Sleep(300 * time.Millisecond) // for what comes twice
	name := fmt.Sprintf("%s × %s in %d rooms, %s posts/s", t.name, thousands(n), roomsOfTen, thousands(roomsRate))
	if wrong := rs.wrongInRooms(out); len(wrong) > 0 {
		r.fail("%s: %d readers, such as: %s", name, len(wrong), wrong[0])
	}
	latency := rs.latencies()
	rs.close()
	fl, err := runDurableFloor(ctx, t.frame(out.event), n, roomsOfTen, o.dir, roomsRate, o.seconds/2)
	if err != nil {
		return fmt.Errorf("durable loop: %w", err)
	}
	p99 := percentile(latency, 0.99)
	// Its CPU has no bound here: this loop takes its posts from a clock, ours come over HTTP.
	r.judge("p99 post to reader, "+name, float64(p99)/float64(max(1, fl.p99)), 3, "")
	table.add(name, thousands(float64(deliveries)/took.Seconds()), micros(each), millis(percentile(latency, 0.5)), millis(p99),
		micros(fl.each), millis(fl.p50), millis(fl.p99), fmt.Sprintf("%.2f", each/fl.each))
	return nil
}

// wrongInRooms compares what each reader got with what was posted into its room.
func (rs *readers) wrongInRooms(out posted) (wrong []string) {
	ids := make([][]int64, roomsOfTen)
	for i, id := range out.ids {
		ids[out.rooms[i]] = append(ids[out.rooms[i]], id)
	}
	for _, of := range ids {
		slices.Sort(of)
	}
	for _, th := range rs.threads {
		th.lock.Lock()
		for _, r := range th.readers {
			if what := r.compare(ids[r.room]); what != "" {
				wrong = append(wrong, fmt.Sprintf("of room %d: %s", r.room, what))
			}
		}
		th.lock.Unlock()
	}
	return wrong
}
