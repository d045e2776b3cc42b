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

// T is one scenario that runs: over one transport, over two with a switch, or over all together.
type T struct {
	*run
	ctx      context.Context
	scenario *Scenario
	over     []Transport
	column   string // whose failures these are; "" is all that are in over

	Over Transport // the transport that is tried
	Then Transport // the one that Turn switches to; Over again where no switch is tried

	Patience time.Duration // how long to wait for what must come

	own *own // shared by the Ts of one scenario
}

// own is what a scenario has taken and gives back.
type own struct {
	mu       sync.Mutex
	failures map[string][]string // by column
	lacked   string              // what turned out to be missing
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

// try runs the scenario and reports.
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

// finish ends what the scenario left open, in an order that makes no failures of its own.
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

// label says which switch is tried, "" for none.
func (t *T) label() string {
	if t.scenario.Switch && t.Then.Name != t.Over.Name && !t.scenario.All {
		return t.Over.Name + " → " + t.Then.Name
	}
	return ""
}

// Errorf makes the scenario fail, and goes on.
func (t *T) Errorf(format string, args ...any) {
	t.own.mu.Lock()
	defer t.own.mu.Unlock()
	if len(t.own.failures[t.column]) < 5 { // the first ones tell
		t.own.failures[t.column] = append(t.own.failures[t.column], strings.TrimSpace(fmt.Sprintf(format, args...)))
	}
}

// Fatalf makes the scenario fail, and ends the goroutine that calls it.
func (t *T) Fatalf(format string, args ...any) {
	t.Errorf(format, args...)
	runtime.Goexit()
}

// Lack ends the scenario because the server lacks what it is about, where only trying could show that.
func (t *T) Lack(what string) {
	t.own.mu.Lock()
	t.own.lacked = what
	t.own.mu.Unlock()
	runtime.Goexit()
}

// Each runs f once for each transport of a scenario that runs over all together, at once; what fails in there is the
// failure of that transport alone.
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

// on is t with the failures of one transport.
func (t *T) on(tr Transport) *T {
	one := *t
	one.Over, one.Then, one.column = tr, tr, tr.Name
	return &one
}

// Together runs f n times at once and returns when all have ended.
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

// Cleanup has f called when the scenario has ended.
func (t *T) Cleanup(f func()) {
	t.own.mu.Lock()
	defer t.own.mu.Unlock()
	t.own.cleanup = append(t.own.cleanup, f)
}

// Name is a random name for a room or a user.
func (t *T) Name() string { return randomName() }

func randomName() string { return fmt.Sprintf("cf-%010x", rand.Uint64N(1<<40)) }

// Other is a transport beside the one that is tried; the same where there is none.
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
