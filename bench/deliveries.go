//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"
)

// parsed is the number of readers that parse everything they get.
const parsed = 2

// lobby is the room of all readers.
var lobby = []string{"lobby"}

// A pace is a rate of posts; rate 0 posts as fast as posts are answered.
type pace struct {
	name    string
	rate    float64
	posters int
}

// benchDeliveries measures the cost of delivering posts to many readers of one room, compared with a bare loop of
// write(2), and checks that each reader gets each message once and in order.
func benchDeliveries(ctx context.Context, o *options, r *report) error {
	paced := pace{"10 posts/s", 10, 4}
	runs := []struct {
		readers int
		paces   []pace
	}{
		{o.readers, []pace{paced, {"100 posts/s", 100, 4}, {"flat out", 0, 16}}},
		{o.crowd, []pace{{"5 posts/s", 5, 4}}},
	}
	table := r.section("deliveries", "deliveries/s", "server CPU each", "net of posts", "p50", "p99",
		"posts/s", "floor CPU each", "floor deliveries per write", "floor p50", "floor p99", "times floor")
	for _, run := range runs {
		for i := range transports {
			if err := deliver(ctx, o, r, table, &transports[i], run.readers, run.paces); err != nil {
				return fmt.Errorf("%d readers over %s: %w", run.readers, transports[i].name, err)
			}
		}
	}
	return nil
}

// deliver opens n readers on a new server and posts to them at each pace.
func deliver(ctx context.Context, o *options, r *report, table *section, t *transport, n int, paces []pace) error {
	progress("\ndeliveries: %s readers of one room over %s, 48 characters a message\n", thousands(n), t.name)
	s, tokens, err := startLobby(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	began := time.Now()
	a, err := openAudience(ctx, s, t, tokens, n)
	if err != nil {
		return err
	}
	defer a.close()
	progress("  connected in %.1f s\n", time.Since(began).Seconds())
	time.Sleep(time.Second) // let presence settle

	var all []figures
	for _, p := range paces {
		posters, err := newPosters(s.port, tokens, lobby, p.posters, message{characters: shortText})
		if err != nil {
			return err
		}
		f, wrong, err := a.play(ctx, s, posters, p.rate, o.seconds)
		posters.close()
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		f.name = fmt.Sprintf("%s × %s, %s", t.name, thousands(n), p.name)
		for i, what := range wrong {
			if i == 5 {
				r.fail("%s: … and %d readers more", f.name, len(wrong)-i)
				break
			}
			r.fail("%s: %s", f.name, what)
		}
		all = append(all, f)
	}
	a.close() // there may not be enough file descriptors for another crowd
	for _, f := range all {
		fl, err := runFloor(ctx, t.frame(f.event), n, f.rate, o.seconds/2)
		if err != nil {
			return fmt.Errorf("floor: %w", err)
		}
		f.print(table, r.perPost, fl)
		times := float64(f.cpu) / float64(f.deliveries) / fl.each
		if len(f.latency) == 0 {
			r.bound("CPU a delivery, "+f.name, times, 1.5, "")
			continue
		}
		r.bound("CPU a delivery, "+f.name, times, 1.1, "")
		if f.rate > 50 {
			r.bound("p99 post to reader, "+f.name, float64(percentile(f.latency, 0.99))/float64(max(1, fl.p99)), 1.2, "")
		}
	}
	return nil
}

// figures are the results for one pace.
type figures struct {
	name       string
	rate       float64 // posts a second
	posts      int
	deliveries int64
	took       time.Duration // from the first post to the last delivery
	cpu        time.Duration
	latency    []int32 // of deliveries, µs
	answers    []int32 // of posts, µs
	event      []byte  // one of the events
}

func (f *figures) print(table *section, perPost time.Duration, fl floor) {
	each := float64(f.cpu) / float64(f.deliveries)
	net, p50, p99, floorP50, floorP99 := "–", "–", "–", "–", "–"
	if perPost > 0 {
		net = micros((float64(f.cpu) - float64(f.posts)*float64(perPost)) / float64(f.deliveries))
	}
	if len(f.latency) > 0 {
		p50, p99 = millis(percentile(f.latency, 0.50)), millis(percentile(f.latency, 0.99))
		floorP50, floorP99 = millis(fl.p50), millis(fl.p99)
	}
	table.add(f.name, thousands(float64(f.deliveries)/f.took.Seconds()), micros(each), net, p50, p99,
		thousands(f.rate), micros(fl.each), fmt.Sprintf("%.2f", fl.perWrite), floorP50, floorP99, fmt.Sprintf("%.2f", each/fl.each))
}

// audience is the readers of a room: most scan, some parse.
type audience struct {
	readers *readers
	strict  []*strictReader
}

func openAudience(ctx context.Context, s *server, t *transport, tokens []string, n int) (*audience, error) {
	rs, err := openReaders(ctx, s, t, tokens, lobby[0], n-parsed)
	if err != nil {
		return nil, err
	}
	a := &audience{readers: rs}
	for i := range parsed {
		st, err := openStrict(s, t, tokens[i], lobby[0], &rs.seen)
		if err != nil {
			a.close()
			return nil, err
		}
		a.strict = append(a.strict, st)
	}
	return a, nil
}

func (a *audience) close() {
	if a.readers == nil {
		return
	}
	a.readers.close()
	for _, st := range a.strict {
		st.close()
	}
	a.readers, a.strict = nil, nil
}

// play posts at a rate for a while, waits until every reader has everything, and returns what is wrong with what they
// got.
func (a *audience) play(ctx context.Context, s *server, p *posters, rate float64, d time.Duration) (f figures, wrong []string, err error) {
	a.readers.reset(rate > 0)
	for _, st := range a.strict {
		st.take()
	}
	cpu, began := s.cpu(), time.Now()
	out, err := p.run(ctx, d, rate)
	if err != nil {
		return f, nil, err
	}
	deliveries := int64(len(out.ids)) * int64(a.size())
	a.readers.wait(ctx, deliveries)
	f = figures{posts: len(out.ids), deliveries: deliveries, took: time.Since(began), cpu: s.cpu() - cpu,
		answers: out.latency, event: bytes.TrimSpace(out.event)}
	f.rate = float64(f.posts) / f.took.Seconds()

	time.Sleep(300 * time.Millisecond) // catch duplicates
	f.latency = a.readers.latencies()
	slices.Sort(out.ids)
	wrong = a.readers.wrong(out.ids)
	for _, st := range a.strict {
		ids, what := st.take()
		if what == "" {
			what = missing(ids, out.ids)
		}
		if what != "" {
			wrong = append(wrong, "parsing reader: "+what)
		}
	}
	if expected := rate * d.Seconds(); float64(f.posts) < 0.95*expected {
		progress("  note: %d posts of %.0f; the server did not keep up\n", f.posts, expected)
	}
	return f, wrong, nil
}

func (a *audience) size() int {
	n := len(a.strict)
	for _, th := range a.readers.threads {
		n += len(th.readers)
	}
	return n
}
