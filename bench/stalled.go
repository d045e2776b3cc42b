//go:build linux

package main

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const stalledReaders = 50

// benchStalled measures how stalled readers affect the others, and what they cost.
func benchStalled(ctx context.Context, o *options, r *report) error {
	table := r.section("stalled readers", "p50", "p99", "p99 with 50 stalled", "resident each", "kernel each", "in all each")
	for i := range transports {
		if err := stall(ctx, o, r, table, &transports[i]); err != nil {
			return fmt.Errorf("%s: %w", transports[i].name, err)
		}
	}
	return nil
}

func stall(ctx context.Context, o *options, r *report, table *section, t *transport) error {
	progress("\nstalled: %d among %s readers over %s, 100 posts/s\n", stalledReaders, thousands(o.readers), t.name)
	own := *o // the ring's memory is not the readers'
	own.serverFlags = append(slices.Clone(o.serverFlags), "--ring-bytes=2000000")
	s, tokens, err := startLobby(ctx, &own)
	if err != nil {
		return err
	}
	defer s.close()
	name := fmt.Sprintf("%s × %s", t.name, thousands(o.readers))
	play := func() (figures, error) {
		a, err := openAudience(ctx, s, t, tokens, o.readers)
		if err != nil {
			return figures{}, err
		}
		defer a.close()
		time.Sleep(time.Second) // let presence settle
		p, err := newPosters(s.port, tokens, lobby, 4, message{characters: shortText})
		if err != nil {
			return figures{}, err
		}
		defer p.close()
		f, wrong, err := a.play(ctx, s, p, 100, o.seconds)
		if len(wrong) > 0 {
			r.fail("stalled: %s: %d readers, such as: %s", name, len(wrong), wrong[0])
		}
		return f, err
	}
	alone, err := play()
	if err != nil {
		return err
	}
	if err := s.fill(ctx, tokens); err != nil { // so that the allocator has grown before
		return err
	}
	resident := settled(ctx, s)
	for i := range stalledReaders {
		fd, _, _, err := t.open(s, lobby[0], tokens[i%len(tokens)])
		if err != nil {
			return err
		}
		defer syscall.Close(fd)
		if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 32<<10); err != nil {
			return err
		}
	}
	if err := s.fill(ctx, tokens); err != nil {
		return err
	}
	each := max(0, settled(ctx, s)-resident) << 10 / stalledReaders
	kernel, full, err := s.kernelMemory(ctx)
	if err != nil {
		return err
	}
	if full < stalledReaders {
		return fmt.Errorf("%d of %d connections are full", full, stalledReaders)
	}
	kernel /= int64(full)
	among, err := play()
	if err != nil {
		return err
	}
	kib := func(n int64) string { return fmt.Sprintf("%d KiB", n>>10) }
	r.bound("p99 beside 50 stalled readers, "+name, float64(percentile(among.latency, 0.99))/float64(max(1, percentile(alone.latency, 0.99))), 1.2, "")
	table.add(name, millis(percentile(alone.latency, 0.50)), millis(percentile(alone.latency, 0.99)),
		millis(percentile(among.latency, 0.99)), kib(each), kib(kernel), kib(each+kernel))
	return nil
}

// fill posts 1 MB to the lobby, more than a connection buffers.
func (s *server) fill(ctx context.Context, tokens []string) error {
	body := map[string]string{"message": strings.Repeat("x", 1000)}
	return parallel(1000, 8, func(i int) error {
		return call(ctx, s, "POST", "/v1/rooms/"+lobby[0]+"/messages", tokens[i%len(tokens)], body, nil)
	})
}

// skmem matches the memory of a socket as ss(8) prints it. It uses the memory received, forward allocated, queued for
// sending, for options and in the backlog; the others are limits, or included in these.
var skmem = regexp.MustCompile(`skmem:\(r(\d+),rb\d+,t\d+,tb\d+,f(\d+),w(\d+),o(\d+),bl(\d+)`)

// kernelMemory returns the kernel memory of the server's connections with unsent data, and their number.
func (s *server) kernelMemory(ctx context.Context) (bytes int64, full int, err error) {
	out, err := exec.CommandContext(ctx, "ss", "-tmnHO", "state", "established", "sport", "=", strconv.Itoa(s.port)).Output()
	if err != nil {
		return 0, 0, fmt.Errorf("ss: %w", err)
	}
	for _, m := range skmem.FindAllStringSubmatch(string(out), -1) {
		var all int64
		for _, part := range m[1:] {
			n, err := strconv.ParseInt(part, 10, 64)
			if err != nil {
				return 0, 0, err
			}
			all += n
		}
		if m[3] != "0" {
			bytes, full = bytes+all, full+1
		}
	}
	return bytes, full, nil
}
