// Package activity lets a node fall silent while nobody needs it, so that its clocks do not keep a database or a
// machine awake that sleeps when idle.
package activity

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Quiet is how long after the last request, and without streams, a node that is not Busy falls silent. It is longer
// than announcing a leave takes.
const Quiet = 15 * time.Second

// pace is how often an open Gate checks whether it may shut.
const pace = time.Second

// Gate is open, and the node awake, while there are requests or streams and for Quiet after them. Everything that runs
// by a clock and leaves the process goes through it. A nil Gate is always open.
type Gate struct {
	// Busy reports whether anything other than requests needs the node; nil for nothing.
	Busy func() bool
	// Wake runs before the first request continues, to catch up on what was missed. If a function fails, so does the
	// request, and the next one tries again.
	Wake []func(ctx context.Context) error
	// Ready runs when the clocks run again, before that request continues; nil for nothing.
	Ready func(ctx context.Context) error

	running atomic.Int64 // requests
	last    atomic.Int64 // when one last began or ended, in Unix nanoseconds
	passing atomic.Bool  // requests may pass without waking the node

	waking sync.Mutex // held by the request that wakes the node, while others wait for it

	mu     sync.Mutex
	awake  chan struct{} // closed while awake
	asleep chan struct{} // closed while asleep
}

// New returns an open Gate. It shuts while Run runs.
func New() *Gate {
	g := &Gate{awake: make(chan struct{}), asleep: make(chan struct{})}
	close(g.awake)
	g.passing.Store(true)
	g.touch()
	return g
}

func (g *Gate) touch() { g.last.Store(time.Now().UnixNano()) }

// Enter is called before a request is handled, and Leave after it, unless Enter returned an error.
func (g *Gate) Enter(ctx context.Context) error {
	if g == nil {
		return nil
	}
	g.running.Add(1) // first: either Run sees it, or the code below sees that the gate is shut
	g.touch()
	if g.passing.Load() {
		return nil
	}
	entered := false
	defer func() {
		if !entered { // also if waking panicked
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
		return nil // another request has woken the node
	}
	if !g.Open() { // otherwise only Ready failed, and what Wake does has been done
		for _, f := range g.Wake {
			if err := f(ctx); err != nil {
				return err
			}
		}
		g.set(true)
	}
	if g.Ready != nil {
		if err := g.Ready(ctx); err != nil {
			return err
		}
	}
	g.passing.Store(true)
	return nil
}

// set opens or shuts the gate for the clocks.
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

// Awake returns a channel that is closed while the node is awake.
func (g *Gate) Awake() <-chan struct{} {
	if g == nil {
		return closed
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.awake
}

// Asleep returns a channel that is closed while the node is asleep.
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

// Open reports whether the node is awake.
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
		// It is already false if the last waking failed when the clocks ran again.
		if passed := g.passing.Swap(false); passed && !g.mayRest(now) { // a request came in between and passed
			g.passing.Store(true)
			return
		}
		g.waking.Lock() // a request came after that; its waking must see all of this done
		defer g.waking.Unlock()
		if !g.passing.Load() {
			g.set(false)
		}
	})
}

// Last returns when the last request began or ended; the zero time for a nil Gate.
func (g *Gate) Last() time.Time {
	if g == nil {
		return time.Time{}
	}
	return time.Unix(0, g.last.Load())
}

func (g *Gate) mayRest(now time.Time) bool {
	return g.running.Load() == 0 && now.Sub(g.Last()) > Quiet && (g.Busy == nil || !g.Busy())
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
