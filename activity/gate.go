// Package activity has a node fall silent while nobody needs it: a database, or a machine, that sleeps when nobody
// calls is not kept awake by clocks.
package activity

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Quiet is how long after the last request, and without streams, a node is silent. It is longer than anybody's leave
// takes to be told.
const Quiet = 15 * time.Second

// pace is how often an awake Gate looks whether it may fall asleep.
const pace = time.Second

// Gate is open, and the node awake, while there are requests or streams and for Quiet behind them. All that is done by
// a clock and leaves the process goes through it. A nil Gate is always open.
type Gate struct {
	// Busy tells whether there is something other than requests that needs the node; nil for nothing.
	Busy func() bool
	// Wake is done before the first request goes on: what was missed is made up for. Where one fails, so does the
	// request, and the next tries again.
	Wake []func(ctx context.Context) error
	// Ready is done when the clocks run again, before that request goes on; nil for nothing.
	Ready func(ctx context.Context) error

	running atomic.Int64 // requests
	last    atomic.Int64 // when one began or ended, in Unix nanoseconds
	passing atomic.Bool  // requests may go on at once

	waking sync.Mutex // held by the request that wakes the node, while others wait for it

	mu     sync.Mutex
	awake  chan struct{} // closed while awake
	asleep chan struct{} // closed while asleep
}

// New returns a Gate that is open. It falls shut while Run runs.
func New() *Gate {
	g := &Gate{awake: make(chan struct{}), asleep: make(chan struct{})}
	close(g.awake)
	g.passing.Store(true)
	g.touch()
	return g
}

func (g *Gate) touch() { g.last.Store(time.Now().UnixNano()) }

// Enter is called before anything is done for a request, and Leave behind its end, unless Enter returned an error.
func (g *Gate) Enter(ctx context.Context) error {
	if g == nil {
		return nil
	}
	g.running.Add(1) // first: either Run sees it, or it is seen below that the gate is shut
	g.touch()
	if g.passing.Load() {
		return nil
	}
	entered := false
	defer func() {
		if !entered { // also where waking panicked
			g.Leave()
		}
	}()
	if err := g.wake(ctx); err != nil {
		return err
	}
	entered = true
	return nil
}

// Leave ends what Enter began.
func (g *Gate) Leave() {
	if g == nil {
		return
	}
	g.touch()
	g.running.Add(-1)
}

func (g *Gate) wake(ctx context.Context) error {
	g.waking.Lock()
	defer g.waking.Unlock() // also if one of these panics
	if g.passing.Load() {
		return nil // another request was here
	}
	for _, f := range g.Wake {
		if err := f(ctx); err != nil {
			return err
		}
	}
	g.set(true)
	if g.Ready != nil {
		if err := g.Ready(ctx); err != nil {
			return err
		}
	}
	g.passing.Store(true)
	return nil
}

// set opens the gate for the clocks, or shuts it.
func (g *Gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.awake:
		if !open {
			close(g.asleep)
			g.awake = make(chan struct{})
		}
	default:
		if open {
			close(g.awake)
			g.asleep = make(chan struct{})
		}
	}
}

// Awake is closed while the node is awake.
func (g *Gate) Awake() <-chan struct{} {
	if g == nil {
		return closed
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.awake
}

// Asleep is closed while the node is asleep.
func (g *Gate) Asleep() <-chan struct{} {
	if g == nil {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asleep
}

var closed = func() chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}()

// Open tells whether the node is awake.
func (g *Gate) Open() bool {
	select {
	case <-g.Awake():
		return true
	default:
		return false
	}
}

// Run shuts the gate whenever nobody needs the node, until ctx ends.
func (g *Gate) Run(ctx context.Context) {
	g.Every(ctx, pace, func(now time.Time) {
		if !g.mayRest(now) {
			return
		}
		// It is false already where the last waking failed when the clocks ran again.
		if passed := g.passing.Swap(false); passed && !g.mayRest(now) { // a request came in between, and was let through
			g.passing.Store(true)
			return
		}
		g.waking.Lock() // a request came behind that; its waking shall find all of it done
		defer g.waking.Unlock()
		if !g.passing.Load() {
			g.set(false)
		}
	})
}

func (g *Gate) mayRest(now time.Time) bool {
	return g.running.Load() == 0 && now.Sub(time.Unix(0, g.last.Load())) > Quiet && (g.Busy == nil || !g.Busy())
}

// Every calls f every d while the node is awake, until ctx ends.
func (g *Gate) Every(ctx context.Context, d time.Duration, f func(now time.Time)) {
	t := time.NewTicker(d)
	defer t.Stop()
	for {
		select {
		case now := <-t.C:
			if g.Open() {
				f(now)
				continue
			}
			t.Stop()
			select {
			case <-g.Awake():
				t.Reset(d)
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}
