package api

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"tandem/auth"
	"tandem/chat"
)

// The stream ends at the next tick of the clock; commands end with the token.
func TestCommandEndsWithItsToken(t *testing.T) {
	s := &Server{}
	v := chat.Viewer{User: 1, Session: 1, Expires: time.Now()}
	r := (&http.Request{}).WithContext(context.WithValue(t.Context(), socketKey{}, v))
	if _, err := s.caller(r, ""); !errors.Is(err, auth.ErrTokenExpired) {
		t.Errorf("an expired token's command: got %v, want auth.ErrTokenExpired", err)
	}
}

func TestThrottle(t *testing.T) {
	start := time.Unix(0, 0)
	th := newThrottle(10) // bursts of twenty
	allowed, refused := 0, 0
	for {
		wait, flood := th.take(start)
		if flood {
			break
		}
		if wait > 0 {
			refused++
		} else {
			allowed++
		}
	}
	if allowed != 20 || refused != 20 {
		t.Errorf("%d allowed and %d refused before the close, want 20 and 20", allowed, refused)
	}
	th = newThrottle(10)
	for range 21 {
		th.take(start)
	}
	// The 21st was told to wait for 100 ms. It counts, so the next is allowed at 200 ms.
	if wait, _ := th.take(start.Add(100 * time.Millisecond)); wait != 100*time.Millisecond {
		t.Errorf("wait at 100 ms = %v, want 100ms", wait)
	}
	if wait, _ := th.take(start.Add(300 * time.Millisecond)); wait != 0 {
		t.Errorf("wait at 300 ms = %v, want 0", wait)
	}
	none := newThrottle(0)
	for range 1000 {
		if wait, flood := none.take(start); wait != 0 || flood {
			t.Fatal("frame refused without a limit")
		}
	}
}
