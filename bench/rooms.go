//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

const (
	roomsOfTen = 200
	readersOfA = 10
	roomsRate  = 1000 // posts per second, to the rooms in turn
	roomsTurns = 3
)

// benchRooms measures the usual chat: many small rooms with occasional posts. The posts are included in the cost, as
// for the durable loop, which takes as many from as many connections and stores them before it writes them.
func benchRooms(ctx context.Context, o *options, r *report) error {
	table := r.section("200 rooms of ten", "deliveries/s", "CPU each, posts included", "p50", "p99", "p99 of each turn", "times the loop")
	for i := range transports {
		if err := manyRooms(ctx, o, r, table, &transports[i]); err != nil {
			return fmt.Errorf("%d rooms over %s: %w", roomsOfTen, transports[i].name, err)
		}
	}
	return nil
}

// readContender is a contender with readers in its rooms.
type readContender struct {
	contender
	readers    *readers
	delivered  []int32 // µs from post to reader, of all turns
	p99        []string
	deliveries float64 // per second, in the last turn
}

func manyRooms(ctx context.Context, o *options, r *report, table *section, t *transport) error {
	n := roomsOfTen * readersOfA
	progress("\ndeliveries: %s readers in %d rooms over %s\n", thousands(n), roomsOfTen, t.name)
	s, tokens, err := startLobby(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	rooms := make([]string, roomsOfTen)
	for i := range rooms {
		rooms[i] = fmt.Sprintf("room%03d", i)
	}
	if err := enter(ctx, s, tokens[:1], rooms...); err != nil {
		return err
	}
	l, err := startLoop(ctx, goroutines, "durable", o.dir, t.name)
	if err != nil {
		return err
	}
	defer l.close()
	common := contender{tokens: tokens, rooms: rooms, characters: shortText}
	ours, loops := &readContender{contender: common}, &readContender{contender: common}
	ours.name, ours.port, ours.cpu = "tandem", s.port, serverCPU(s)
	loops.name, loops.port, loops.cpu = "durable loop", l.port, l.cpu
	ours.readers, err = connectRooms(ctx, rooms, func(i int, room string) (*reader, []byte, error) {
		fd, chunked, body, err := t.open(s, room, tokens[i%len(tokens)])
		return &reader{fd: fd, chunked: chunked}, body, err
	})
	if err != nil {
		return err
	}
	defer ours.readers.close()
	loops.readers, err = connectRooms(ctx, rooms, func(_ int, room string) (*reader, []byte, error) {
		fd, err := l.read(room)
		return &reader{fd: fd}, nil, err
	})
	if err != nil {
		return err
	}
	defer loops.readers.close()
	time.Sleep(4 * time.Second) // let presence settle

	name := fmt.Sprintf("%s × %s in %d rooms, %s posts/s", t.name, thousands(n), roomsOfTen, thousands(roomsRate))
	for range roomsTurns {
		for _, c := range []*readContender{ours, loops} {
			wrong, err := c.play(ctx, o.seconds/2)
			if err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
			if len(wrong) > 0 {
				r.fail("%s, %s: %d readers, such as: %s", name, c.name, len(wrong), wrong[0])
			}
		}
	}
	times := ours.times(&loops.contender)
	for _, c := range []*readContender{ours, loops} {
		table.add(name+", "+c.name, thousands(c.deliveries), micros(median(c.each)), millis(percentile(c.delivered, 0.5)),
			millis(percentile(c.delivered, 0.99)), strings.Join(c.p99, " · "), fmt.Sprintf("%.2f", c.times(&loops.contender)))
	}
	r.bound("CPU a delivery, posts included, "+name+", to the durable loop's", times, 1.25, "")
	r.bound("p99 post to reader, "+name+", to the durable loop's",
		float64(percentile(ours.delivered, 0.99))/float64(max(1, percentile(loops.delivered, 0.99))), 3, "")
	return nil
}

// connectRooms opens the readers of the rooms.
func connectRooms(ctx context.Context, rooms []string, open func(i int, room string) (*reader, []byte, error)) (*readers, error) {
	return connectReaders(ctx, roomsOfTen*readersOfA, func(i int) (*reader, []byte, error) {
		rd, body, err := open(i, rooms[i%len(rooms)])
		if err == nil {
			rd.room = i % len(rooms)
		}
		return rd, body, err
	})
}

// play posts for d and waits until everything is delivered. It returns what is wrong with what readers got.
func (c *readContender) play(ctx context.Context, d time.Duration) (wrong []string, err error) {
	if c.posters, err = newPosters(c.port, c.tokens, c.rooms, roomsOfTen, message{characters: c.characters}); err != nil {
		return nil, err
	}
	defer c.posters.close()
	c.readers.reset(true)
	before, err := c.used()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	out, err := c.post(ctx, d, roomsRate)
	if err != nil {
		return nil, err
	}
	deliveries := int64(len(out.ids)) * readersOfA
	c.readers.wait(ctx, deliveries)
	took := time.Since(began)
	after, err := c.used()
	if err != nil {
		return nil, err
	}
	c.each = append(c.each, float64(after.server-before.server)/float64(deliveries))
	c.deliveries = float64(deliveries) / took.Seconds()
	time.Sleep(300 * time.Millisecond) // catch duplicates
	latency := c.readers.latencies()
	c.delivered = append(c.delivered, latency...)
	c.p99 = append(c.p99, millis(percentile(latency, 0.99)))
	return c.readers.wrongInRooms(out), nil
}

// wrongInRooms compares what each reader got with what was posted to its room.
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
