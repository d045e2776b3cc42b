//go:build linux

package main

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"syscall"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tandem/chat"
	"tandem/followers"
	"tandem/hooks"
	"tandem/outbound"
)

// oneHook is a store with a single hook.
type oneHook struct{ chat.Hook }

func (h oneHook) HooksOf(context.Context, []string) ([]chat.Hook, error) {
	return []chat.Hook{h.Hook}, nil
}

func (oneHook) EndHook(context.Context, int64, string) error { return nil }

// benchHooks measures how a hook catches up after its receiver was down for a day: its rate, and its memory. The
// receiver, in this process, verifies and answers each batch.
func benchHooks(ctx context.Context, o *options, r *report) error {
	events := min(o.events, missedEvents)
	progress("\nhooks: catching up %s events over HTTP, in batches of 100, signed and verified\n", thousands(events))
	table := r.section("a hook catches up", "events/s", "CPU/event", "heap after a tenth", "heap at most", "RSS at most")
	dir, err := os.MkdirTemp(o.dir, "tandem-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := sqliteLog(dir, events).open(ctx, `INSERT INTO followers (name, kind, cursor, epoch) VALUES ('hook:1', 'hook', 0, 1)`)
	if err != nil {
		return err
	}
	defer s.Close()

	secret := outbound.NewSecret()
	verifier, err := webhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	memory := memoryWatch{events: events}
	var last int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil || verifier.Verify(body, req.Header) != nil {
			r.fail("a batch was not received: %v", err)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		var batch struct{ Events []struct{ ID int64 } }
		if err := json.Unmarshal(body, &batch); err != nil {
			r.fail("%v", err)
		}
		for _, e := range batch.Events {
			if e.ID <= last {
				r.fail("event %d came behind %d", e.ID, last)
			}
			last = e.ID
		}
		memory.saw(len(batch.Events))
	}))
	defer receiver.Close()
	client := outbound.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")})
	defer client.Close()
	hook := oneHook{chat.Hook{ID: 1, URL: receiver.URL, Secret: secret}}
	run := followers.New(s, s, followers.Config{})
	run.AddKind(hooks.New(hook, client, slog.New(slog.DiscardHandler)).Kind())
	runtime.GC()
	began, cpu := time.Now(), used(syscall.RUSAGE_SELF)
	running, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() { defer close(ended); run.Run(running) }()
	for done := false; !done; {
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
		for _, f := range run.Stats() {
			done = f.Held && f.Lag == 0
		}
	}
	took, cpu := time.Since(began), used(syscall.RUSAGE_SELF)-cpu
	stop()
	<-ended
	if memory.seen == 0 || last != int64(events) {
		r.fail("%d events, up to %d", memory.seen, last)
	}
	table.add(append([]string{"SQLite", thousands(int(float64(memory.seen) / took.Seconds())), micros(float64(cpu) / float64(memory.seen))}, memory.cells()...)...)
	progress("  %s events were sent\n", thousands(memory.seen))
	return nil
}
