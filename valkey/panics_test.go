package valkey

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"tandem/panics"
	"tandem/realtime"
)

// A message that panics only makes the node check the log. It is read in one of valkey-go's goroutines, which we could
// not restart.
func TestPanicInALetterTriggersACheckOfTheLog(t *testing.T) {
	t.Parallel()
	b := NewBus(nil, "a", []byte("secret"), slog.New(slog.DiscardHandler))
	before := panics.Total()
	memory := b.Memory
	b.Memory = nil // the first message panics
	func() {
		defer func() { _ = recover() }() // the call to check the log panics too
		b.take(string(sign(b.key, []byte(`{"From":"b","Messages":[{}]}`))))
	}()
	b.Memory = memory
	if panics.Total() == before {
		t.Error("panics.Total after a letter that panics: got no increase, want one")
	}
}

// Each of the bus's own goroutines panics, since it has no client, and is restarted; the hub gets what this node sends.
func TestPanicsOfTheBusAreContained(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := NewBus(nil, "a", []byte("secret"), slog.New(slog.DiscardHandler))
		ctx, cancel := context.WithCancel(t.Context())
		got := make(chan realtime.Message, 8)
		ended := make(chan struct{})
		before := panics.Total()
		go func() { defer close(ended); b.Receive(ctx, func(m realtime.Message) { got <- m }) }()
		for range 2 {
			b.Send(realtime.Message{Notice: &realtime.Notice{}})
			<-got
			time.Sleep(3 * time.Second)
		}
		if n := panics.Total() - before; n < 4 {
			t.Errorf("panics of publishing and subscribing: got %d, want at least 4", n)
		}
		cancel()
		<-ended
	})
}

func TestPanicInAskingValkey(t *testing.T) {
	t.Parallel()
	_, err := within(t.Context(), time.Minute, slog.New(slog.DiscardHandler), func(context.Context) (int, error) { panic("asking") })
	if !errors.Is(err, errAskFailed) {
		t.Errorf("within: got %v, want %v", err, errAskFailed)
	}
}
