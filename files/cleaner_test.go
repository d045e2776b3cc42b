package files

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// world is a database and a store in memory. While failing is set, every call fails.
type world struct {
	mu      sync.Mutex
	due     map[string]bool
	rows    map[string]bool
	untaken map[string]time.Time
	swept   time.Time
	blobs   map[string]time.Time // when they were stored
	asked   int
	failing bool
}

func newWorld() *world {
	return &world{due: map[string]bool{}, rows: map[string]bool{}, untaken: map[string]time.Time{}, blobs: map[string]time.Time{}}
}

var errDown = errors.New("down")

func (w *world) enter() error {
	w.mu.Lock()
	w.asked++
	if w.failing {
		return errDown
	}
	return nil
}

func (w *world) FileDeletions(_ context.Context, limit int) ([]string, error) {
	defer w.mu.Unlock()
	err := w.enter()
	all := slices.Sorted(maps.Keys(w.due))
	return all[:min(limit, len(all))], err
}

func (w *world) FilesDeleted(_ context.Context, ids []string) error {
	defer w.mu.Unlock()
	if err := w.enter(); err != nil {
		return err
	}
	for _, id := range ids {
		delete(w.due, id)
	}
	return nil
}

func (w *world) ExpireFiles(_ context.Context, before time.Time) (some bool, err error) {
	defer w.mu.Unlock()
	if err := w.enter(); err != nil {
		return false, err
	}
	for id, at := range w.untaken {
		if at.Before(before) {
			delete(w.untaken, id)
			delete(w.rows, id)
			w.due[id] = true
			return true, nil // one at a time
		}
	}
	return false, nil
}

func (w *world) ClaimFileSweep(_ context.Context, every time.Duration) (bool, error) {
	defer w.mu.Unlock()
	if err := w.enter(); err != nil {
		return false, err
	}
	if time.Since(w.swept) < every {
		return false, nil
	}
	w.swept = time.Now()
	return true, nil
}

func (w *world) KnownFiles(_ context.Context, ids []string) (map[string]bool, error) {
	defer w.mu.Unlock()
	err := w.enter()
	known := map[string]bool{}
	for _, id := range ids {
		known[id] = w.rows[id]
	}
	return known, err
}

// stored returns its blobs.
type stored struct {
	*world
	Blobs
}

func (s stored) Delete(_ context.Context, name string) error {
	defer s.mu.Unlock()
	if err := s.enter(); err != nil {
		return err
	}
	delete(s.blobs, name)
	return nil
}

func (s stored) List(context.Context) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		s.mu.Lock()
		all := maps.Clone(s.blobs)
		s.mu.Unlock()
		for name, at := range all {
			if !yield(Info{Name: name, ModTime: at}, nil) {
				return
			}
		}
	}
}

func (w *world) names() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(slices.Sorted(maps.Keys(w.blobs)), " ")
}

func (w *world) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

// run runs a Cleaner until the test ends.
func (w *world) run(t *testing.T, awake func() bool) *Cleaner {
	c := NewCleaner(w, stored{world: w}, awake, slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return c
}

func TestCleanerDeletesSignalledFilesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		for _, name := range []string{"aa", "aa.preview", "bb", "cc"} {
			w.blobs[name] = time.Now()
		}
		w.rows["bb"], w.rows["cc"], w.due["aa"] = true, true, true // from before the start
		c := w.run(t, nil)
		synctest.Wait()
		if got := w.names(); got != "bb cc" {
			t.Errorf("stored after the start = %s, want bb cc", got)
		}
		w.set(func() { delete(w.rows, "bb"); w.due["bb"] = true })
		c.Signal()
		synctest.Wait()
		if got := w.names(); got != "cc" || len(w.due) > 0 {
			t.Errorf("stored = %s, due = %v", got, w.due)
		}
		w.set(func() { delete(w.rows, "cc"); w.due["cc"] = true }) // by another node
		time.Sleep(lookEvery)
		synctest.Wait()
		if got := w.names(); got != "" {
			t.Errorf("stored after another node's crash = %s, want none", got)
		}
	})
}

// While the store is down nothing is forgotten, and it is not called constantly. When it is back it is cleaned.
func TestCleanerRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		c := w.run(t, nil)
		synctest.Wait()
		w.set(func() { w.blobs["aa"], w.due["aa"], w.failing, w.asked = time.Now(), true, true, 0 })
		for range 600 {
			c.Signal()
			time.Sleep(time.Second)
		}
		if w.asked > 20 || w.names() != "aa" {
			t.Errorf("%d calls in 10 minutes, stored = %s", w.asked, w.names())
		}
		w.set(func() { w.failing = false })
		time.Sleep(retryUpTo)
		synctest.Wait()
		if w.names() != "" || len(w.due) > 0 {
			t.Errorf("stored afterwards = %s", w.names())
		}
	})
}

// Bytes without a row and unused files are removed when they are a day old, and nothing else is.
func TestCleanerSweeps(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		now := time.Now()
		old, young := now.Add(-25*time.Hour), now.Add(-23*time.Hour)
		for name, at := range map[string]time.Time{
			"row": old, "row.preview": old, "lost": old, "lost.preview": old, "inflight": young, "untaken": old, "waiting": young,
		} {
			w.blobs[name] = at
		}
		w.rows["row"], w.rows["untaken"], w.rows["waiting"] = true, true, true
		w.untaken["untaken"], w.untaken["waiting"] = old, young
		w.run(t, nil)
		synctest.Wait()
		if got := w.names(); got != "inflight row row.preview waiting" {
			t.Errorf("at the start there remain %s, want inflight row row.preview waiting", got)
		}
		time.Sleep(2*time.Hour + time.Minute)
		synctest.Wait()
		if got := w.names(); got != "inflight row row.preview" { // the next sweep is a day later
			t.Errorf("two hours later there remain %s, want inflight row row.preview", got)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if got := w.names(); got != "row row.preview" {
			t.Errorf("a day later there remain %s, want row row.preview", got)
		}
	})
}

// A node that is not needed makes no calls.
func TestCleanerSleepsWithItsNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		w.run(t, func() bool { return false })
		time.Sleep(48 * time.Hour)
		if w.asked > 0 {
			t.Errorf("%d calls of the store, want none", w.asked)
		}
	})
}
