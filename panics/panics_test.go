package panics

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestPanicIsCountedAndLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&out, nil))
		before := Total()
		for range 3 {
			if Do(logger, "once a minute", func() { panic("boom") }) {
				t.Error("Do = true for a function that panicked")
			}
		}
		if n := Total() - before; n != 3 {
			t.Errorf("%d panics are counted, want 3", n)
		}
		if n := strings.Count(out.String(), "once a minute"); n != 1 || !strings.Contains(out.String(), "panics_test.go") {
			t.Errorf("logged %d times, want once and with the stack:\n%s", n, &out)
		}
		time.Sleep(logEvery)
		Do(logger, "once a minute", func() { panic("boom") })
		if n := strings.Count(out.String(), "boom"); n < 2 {
			t.Error("panic not logged again after a minute")
		}
		if !Do(logger, "calm", func() {}) {
			t.Error("Do = false for a function that returned")
		}
	})
}

func TestLoopContinuesAfterAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logger := slog.New(slog.DiscardHandler)
		runs := 0
		start := time.Now()
		Keep(t.Context(), logger, "a loop", func() {
			if runs++; runs < 3 {
				panic(runs)
			}
		})
		if took := time.Since(start); runs != 3 || took != 2*again {
			t.Errorf("%d runs in %v, want 3 with a rest after each panic", runs, took)
		}
		ctx, cancel := context.WithCancel(t.Context())
		Keep(ctx, logger, "a loop that ends", func() { cancel(); panic("last") })
	})
}
