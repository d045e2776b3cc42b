//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// contender is one of several targets that are posted to in turn, since the machine's speed varies. The result is the
// median of the turns' ratios.
type contender struct {
	name       string
	server     *server // nil for a loop
	port       int
	tokens     []string
	rooms      []string
	characters int
	data       int // bytes of data per message
	keys       bool
	cpu        func() (time.Duration, error)
	beside     func() (time.Duration, error) // CPU time of another process, such as a database's; may be nil

	acknowledged map[string][]int64 // ids by room; nil if not needed
	posters      *posters

	each       []float64 // ns of CPU per post, by turn
	eachBeside []float64
	own        []float64 // the generator's
	latency    []int32   // from all turns
	took       time.Duration
}

// serverCPU returns the CPU time of a server, for a contender.
func serverCPU(s *server) func() (time.Duration, error) {
	return func() (time.Duration, error) { return s.cpu(), nil }
}

// postInTurn posts to each contender from as many connections for d, several times, after a warm-up turn. The rate is
// in posts per second; 0 is as fast as posts are answered.
func postInTurn(ctx context.Context, all []*contender, connections, turns int, warm, d time.Duration, rate float64) (err error) {
	for _, c := range all {
		c.each, c.eachBeside, c.own, c.latency, c.took = nil, nil, nil, nil, 0
		c.posters, err = newPosters(c.port, c.tokens, c.rooms, connections, message{characters: c.characters, data: c.data, keys: c.keys})
		if err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
		defer c.posters.close()
		// Immediately, since a server closes an idle connection.
		if _, err := c.post(ctx, warm, rate); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	for range turns {
		for _, c := range all {
			if err := c.turn(ctx, d, rate); err != nil {
				return fmt.Errorf("%s: %w", c.name, err)
			}
		}
	}
	return nil
}

// turn makes one measurement.
func (c *contender) turn(ctx context.Context, d time.Duration, rate float64) error {
	before, err := c.used()
	if err != nil {
		return err
	}
	out, err := c.post(ctx, d, rate)
	if err != nil {
		return err
	}
	after, err := c.used()
	if err != nil {
		return err
	}
	n := float64(len(out.ids))
	if n == 0 {
		return fmt.Errorf("not a post within %s", d)
	}
	c.each = append(c.each, float64(after.server-before.server)/n)
	c.eachBeside = append(c.eachBeside, float64(after.beside-before.beside)/n)
	c.own = append(c.own, float64(after.own-before.own)/n)
	c.latency = append(c.latency, out.latency...)
	c.took += out.took
	return nil
}

func (c *contender) post(ctx context.Context, d time.Duration, rate float64) (posted, error) {
	out, err := c.posters.run(ctx, d, rate)
	if err == nil && c.acknowledged != nil {
		for i, id := range out.ids {
			name := c.rooms[out.rooms[i]]
			c.acknowledged[name] = append(c.acknowledged[name], id)
		}
	}
	return out, err
}

type cpuTimes struct{ server, beside, own time.Duration }

func (c *contender) used() (t cpuTimes, err error) {
	if t.server, err = c.cpu(); err != nil {
		return t, err
	}
	if c.beside != nil {
		t.beside, err = c.beside()
	}
	t.own = ownCPU()
	return t, err
}

// times returns c's cost of a post as a multiple of the other's.
func (c *contender) times(other *contender) float64 {
	ratios := make([]float64, len(c.each))
	for i := range ratios {
		ratios[i] = c.each[i] / other.each[i]
	}
	return median(ratios)
}

// rate is in posts per second.
func (c *contender) rate() float64 { return float64(len(c.latency)) / c.took.Seconds() }

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	if len(v) == 0 {
		return 0
	}
	return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
}
