//go:build linux

package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"
)

// connections is how many clients post at once.
const connections = 64

// benchPosts measures durable posts without readers, and checks that every acknowledged one is in the
// history, and nothing else.
func benchPosts(ctx context.Context, o *options, r *report) error {
	fmt.Printf("\nposts: %d keep-alive connections of %d users, 48 characters each, no readers\n", connections, users)
	s, err := startServer(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	sync, err := syncCost(s.data)
	if err != nil {
		return err
	}
	fmt.Printf("  for context: write and fsync of 4 KiB where the data lies takes %.0f µs (median)\n", float64(sync)/1e3)

	one, ten := []string{"lobby"}, make([]string, 10)
	for i := range ten {
		ten[i] = fmt.Sprintf("room%d", i)
	}
	tokens, err := signUp(ctx, s)
	if err == nil {
		err = enter(ctx, s, tokens, append(one, ten...)...)
	}
	if err != nil {
		return err
	}

	table := r.section("durable posts", "posts/s", "p50", "p99", "server CPU/post", "server cores", "generator CPU/post")
	acknowledged := map[string][]int64{}
	warm := o.warmup
	for _, run := range []struct {
		name  string
		rooms []string
		keys  bool
	}{
		{"1 room", one, false}, {"1 room, Idempotency-Key", one, true},
		{"10 rooms", ten, false}, {"10 rooms, Idempotency-Key", ten, true},
	} {
		out, cpu, err := postRun(ctx, o, s, r, tokens, run.rooms, run.keys, warm, acknowledged)
		if err != nil {
			return fmt.Errorf("%s: %w", run.name, err)
		}
		n := len(out.latency)
		each := cpu.server / time.Duration(n)
		if r.perPost == 0 {
			r.perPost = each
		}
		table.add(run.name, thousands(float64(n)/out.took.Seconds()),
			millis(percentile(out.latency, 0.50)), millis(percentile(out.latency, 0.99)),
			micros(float64(each)), fmt.Sprintf("%.2f", cpu.server.Seconds()/out.took.Seconds()),
			micros(float64(cpu.own)/float64(n)))
		warm = min(o.warmup, time.Second)
	}
	return checkPosts(ctx, s, r, tokens[0], acknowledged)
}

type cpuTimes struct{ server, own time.Duration }

// postRun warms up, measures, and adds what was acknowledged to the ids of each room.
func postRun(ctx context.Context, o *options, s *server, r *report, tokens, rooms []string, keys bool, warm time.Duration,
	acknowledged map[string][]int64) (out posted, cpu cpuTimes, err error) {
	p, err := newPosters(s, tokens, rooms, connections, keys)
	if err != nil {
		return out, cpu, err
	}
	defer p.close()
	for _, d := range []time.Duration{warm, o.seconds} {
		server, own := s.cpu(), ownCPU()
		if out, err = p.run(ctx, d, 0); err != nil {
			return out, cpu, err
		}
		cpu = cpuTimes{s.cpu() - server, ownCPU() - own}
		for i, id := range out.ids {
			name := rooms[out.rooms[i]]
			acknowledged[name] = append(acknowledged[name], id)
		}
	}
	return out, cpu, nil
}

// checkPosts compares the history with what was acknowledged. Nothing else happened in between, so the
// ids of all posts together are also without a hole.
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
	fmt.Printf("  checked: %s acknowledged, %s in the history, ids %d to %d (read in %.1f s)\n",
		thousands(len(all)), thousands(total), all[0], all[len(all)-1], time.Since(began).Seconds())
	return nil
}

// syncCost is how long it takes the disk under dir to make 4 KiB durable.
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
