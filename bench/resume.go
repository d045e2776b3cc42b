//go:build linux

package main

import (
	"context"
	"fmt"
	"time"

	"tandem/chat"
)

const (
	// busyRooms have all events but the first, in turn.
	busyRooms = 1000
	// quietRooms have ten events each, at the very start of the log.
	quietRooms = 200
	// resumePage is the number of events that a stream reads at once.
	resumePage = 256
)

// benchResume measures the read of a reconnecting stream in a long log, for rooms where much has happened since and for
// rooms where nothing has.
func benchResume(ctx context.Context, o *options, r *report) error {
	progress("\nresume: a log of %s events; %d busy rooms, %d quiet ones; the median and the slowest of 50 reads of up to %d events\n",
		thousands(o.events), busyRooms, quietRooms, resumePage)
	table := r.section("resume reads", "1 room", "slowest", "10 rooms", "slowest", "200 rooms", "slowest")
	return onBoth(o, o.events, func(d longLog) error { return resumeOn(ctx, table, d) })
}

func resumeOn(ctx context.Context, table *section, d longLog) error {
	s, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	head := int64(d.events)
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
		cells := []string{d.name + ", " + c.name}
		for _, rooms := range []int{1, 10, 200} {
			var took []int32
			for i := range 60 {
				topics := make([]chat.TopicSince, rooms)
				for k := range topics {
					room := c.room + (i*rooms+k)%quietRooms // there are as many of each
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
				if i >= 10 { // the first ones warm up
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
