package suite

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"time"
)

// T is a running scenario: over one transport, over two with a switch, or over all together.
type T struct {
	*run
	ctx      context.Context
	scenario *Scenario
	over     []Transport
	column   string // the transport whose failures these are; "" for all in over

	Over Transport // the tested transport
	Then Transport // the one that Turn switches to; equals Over if no switch is tested

	Patience time.Duration // how long to wait for expected events

	own *own // shared by the Ts of one scenario
}

// own is what a scenario has acquired and must give back.
type own struct {
	mu       sync.Mutex
	failures map[string][]string // by column
	lacked   string              // what was found to be missing
	streams  []*Stream
	users    []*User
	fresh    []*User // that nobody else may use
	cleanup  []func()
}

func newT(ctx context.Context, r *run, s *Scenario, over []Transport, column string) *T {
	return &T{
		run: r, ctx: ctx, scenario: s, over: over, column: column, Over: over[0], Then: over[len(over)-1], Patience: r.Patience,
		own: &own{failures: map[string][]string{}},
	}
}

// try runs the scenario and reports its outcome.
func (t *T) try() {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() {
			if p := recover(); p != nil {
				t.Errorf("the scenario panicked: %v", p)
			}
		}()
		t.scenario.Run(t)
	}()
	<-done
	t.finish()
}

// finish ends what the scenario left open, in an order that causes no failures.
func (t *T) finish() {
	for _, s := range t.own.streams {
		s.Close()
	}
	for _, f := range t.own.cleanup {
		f()
	}
	t.Accounts.giveBack(t.own.users)
	for _, u := range t.own.fresh {
		u.leave(t.run)
	}
	columns := []string{t.column}
	if t.column == "" {
		columns = columns[:0]
		for _, tr := range t.over {
			columns = append(columns, tr.Name)
		}
	}
	for _, column := range columns {
		if t.own.lacked != "" {
			t.report.lacks(t.scenario, column, t.own.lacked)
			continue
		}
		failures := t.own.failures[column]
		if column != "" {
			failures = append(failures, t.own.failures[""]...)
		}
		t.report.tried(t.scenario, column, t.label(), failures)
	}
}

// label names the tested switch, or is "".
func (t *T) label() string {
	if t.scenario.Switch && t.Then.Name != t.Over.Name && !t.scenario.All {
		return t.Over.Name + " → " + t.Then.Name
	}
	return ""
}

// Errorf records a failure and continues.
func (t *T) Errorf(format string, args ...any) {
	t.own.mu.Lock()
	defer t.own.mu.Unlock()
	if len(t.own.failures[t.column]) < 5 { // the first ones are enough
		t.own.failures[t.column] = append(t.own.failures[t.column], strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

// Fatalf records a failure and ends the calling goroutine.
func (t *T) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Lack ends the scenario because the server lacks what it tests, if only trying could show that.
func (t *T) Lack(what string) {
	t.own.mu.Lock()
	t.own.lacked = what
	t.own.mu.Unlock()
	runtime.Goexit()
}

// Each runs f concurrently for each transport, in a scenario that runs over all together. A failure in f counts for
// that transport only.
func (t *T) Each(f func(*T)) {
	var all sync.WaitGroup
	for _, tr := range t.over {
		all.Go(func() {
			done := make(chan struct{})
			go func() { // Fatalf ends it
				defer close(done)
				f(t.on(tr))
			}()
			<-done
		})
	}
	all.Wait()
}

// on returns t with the failures counted for one transport.
func (t *T) on(tr Transport) *T {
	one := *t
	one.Over, one.Then, one.column = tr, tr, tr.Name
	return &one
}

// Together runs n calls of f concurrently and waits for them.
func (t *T) Together(n int, f func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			done := make(chan struct{})
			go func() {
				defer close(done)
				f(i)
			}()
			<-done
		})
	}
	all.Wait()
}

// Cleanup registers f to be called when the scenario has ended.
func (t *T) Cleanup(f func()) {
	t.own.mu.Lock()
	defer t.own.mu.Unlock()
	t.own.cleanup = append(t.own.cleanup, f)
}

// Name returns a random name for a room or a user.
func (t *T) Name() string { return randomName() }

func randomName() string { return fmt.Sprintf("cf-%010x", rand.Uint64N(1<<40)) }

// Other returns a transport other than the tested one, or the same if there is no other.
func (t *T) Other() Transport {
	if t.Then.Name != t.Over.Name {
		return t.Then
	}
	for _, tr := range t.transports {
		if tr.Name != t.Over.Name && (tr.Needs == "" || t.server.lacks(tr.Needs) == "") {
			return tr
		}
	}
	return t.Over
}
