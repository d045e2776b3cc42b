package activity

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// bubble runs f with a running gate and fake time.
func bubble(t *testing.T, f func(t *testing.T, g *Gate)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := New()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); g.Run(ctx) }()
		f(t, g)
		stop()
		<-done
	})
}

// pass makes a request that takes no time.
func pass(t *testing.T, g *Gate) {
	t.Helper()
	if err := g.Enter(t.Context()); err != nil {
		t.Fatal(err)
	}
	g.Leave()
}

func TestClocksStopWhileTheNodeIsIdle(t *testing.T) {
	bubble(t, func(t *testing.T, g *Gate) {
		var ticks, wakes atomic.Int64
		g.Wake = append(g.Wake, func(context.Context) error { wakes.Add(1); return nil })
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); g.Every(ctx, time.Second, func(time.Time) { ticks.Add(1) }) }()
		defer func() { stop(); <-done }()

		time.Sleep(2 * Quiet)
		seen := ticks.Load()
		if g.Open() || seen == 0 {
			t.Fatalf("after %v of silence and %d ticks: gate open = %v, want false", 2*Quiet, seen, g.Open())
		}
		time.Sleep(time.Hour)
		if now := ticks.Load(); now != seen {
			t.Errorf("%d ticks while the gate was closed", now-seen)
		}
		pass(t, g)
		pass(t, g)
		time.Sleep(5 * time.Second)
		if ticks.Load() == seen || wakes.Load() != 1 {
			t.Errorf("after the first request: %d ticks, woken %d times", ticks.Load()-seen, wakes.Load())
		}
	})
}

func TestGateStaysOpenForRequestsAndStreams(t *testing.T) {
	bubble(t, func(t *testing.T, g *Gate) {
		var streams atomic.Bool
		g.Busy = streams.Load
		if err := g.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if !g.Open() {
			t.Error("gate closed during a request")
		}
		streams.Store(true)
		g.Leave()
		time.Sleep(time.Hour)
		if !g.Open() {
			t.Error("gate closed while a stream was open")
		}
		streams.Store(false)
		time.Sleep(2 * time.Second)
		if g.Open() {
			t.Error("gate open without requests or streams")
		}
	})
}

// If only the wait for other nodes fails, what waking did is not done again: it would forget what has arrived since.
func TestNodeWakesOnce(t *testing.T) {
	bubble(t, func(t *testing.T, g *Gate) {
		woken, gone := 0, errors.New("the client has gone")
		err := gone
		g.Wake = []func(context.Context) error{func(context.Context) error { woken++; return nil }}
		g.Ready = func(context.Context) error { return err }
		time.Sleep(2 * Quiet)
		if got := g.Enter(t.Context()); !errors.Is(got, gone) {
			t.Fatalf("Enter: got %v, want %v", got, gone)
		}
		err = nil
		pass(t, g)
		if woken != 1 {
			t.Errorf("the node was woken %d times, want once", woken)
		}
	})
}

// A request passes only when all overdue work has been done. One that fails or panics leaves nothing that would keep
// the node awake.
func TestFailedWakeIsRetried(t *testing.T) {
	failed := errors.New("no database")
	for name, fail := range map[string]func() error{
		"an error": func() error { return failed },
		"a panic":  func() error { panic(failed) },
	} {
		for _, when := range []string{"before the clocks run", "when they run"} {
			t.Run(name+" "+when, func(t *testing.T) {
				bubble(t, func(t *testing.T, g *Gate) {
					broken := true
					step := func(context.Context) error {
						if broken {
							return fail()
						}
						return nil
					}
					if when == "when they run" {
						g.Ready = step
					} else {
						g.Wake = append(g.Wake, step)
					}
					time.Sleep(2 * Quiet)
					err := func() (err error) {
						defer func() {
							if p := recover(); p != nil {
								err = failed
							}
						}()
						return g.Enter(t.Context())
					}()
					if err == nil {
						t.Error("request was let through, want an error")
					}
					time.Sleep(2 * Quiet)
					if g.Open() {
						t.Error("gate stays open after a failed request")
					}
					broken = false
					pass(t, g)
					if !g.Open() {
						t.Error("gate closed right after a request")
					}
				})
			})
		}
	}
}
