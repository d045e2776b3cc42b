package store

import (
	"errors"
	"testing"
	"time"

	"tandem/chat"
)

// A key with an expiry can be used again after it; one without cannot. A deleted inlet cannot post.
func TestPostByInlet(t *testing.T) { onBoth(t, testPostByInlet) }

func testPostByInlet(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	ctx := t.Context()
	now := time.Now()
	s.log.now = func() time.Time { return now }
	in, err := s.CreateInlet(ctx, guardOf(u, r), chat.Inlet{Room: r, Name: "x", CreatedAt: now}, []byte("hash"))
	if err != nil {
		t.Fatal(err)
	}
	m := message(u, r, "down")
	m.Author = -in.ID
	post := func(key string, within time.Duration) (chat.Event, bool) {
		t.Helper()
		e, fresh, err := s.PostByInlet(ctx, in.ID, m, &chat.Key{Name: key, Fingerprint: []byte("f")}, within)
		if err != nil {
			t.Fatal(err)
		}
		return e, fresh
	}
	const within = 2 * time.Minute
	first, fresh := post("alert", within)
	if !fresh || first.ID == 0 {
		t.Fatalf("first = %+v, %v", first, fresh)
	}
	post("for ever", 0)
	for _, step := range []struct {
		later       time.Duration
		alert, ever bool
	}{{0, false, false}, {within - time.Millisecond, false, false}, {time.Millisecond, true, false}, {time.Minute, false, false}, {24 * time.Hour, true, false}} {
		now = now.Add(step.later)
		e, fresh := post("alert", within)
		if fresh != step.alert {
			t.Errorf("after another %v: alert posted = %v, id %d", step.later, fresh, e.ID)
		}
		if _, fresh := post("for ever", 0); fresh != step.ever {
			t.Errorf("after another %v: key without an expiry posted again", step.later)
		}
	}
	if err := s.DeleteInlet(ctx, guardOf(u, r), r.ID, in.ID); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.PostByInlet(ctx, in.ID, m, nil, 0); !errors.Is(err, chat.ErrNoInlet) {
		t.Errorf("post by a deleted inlet: got %v, want chat.ErrNoInlet", err)
	}
	if _, err := s.InletOf(ctx, []byte("hash")); !errors.Is(err, chat.ErrNoInlet) {
		t.Errorf("InletOf a deleted inlet: got %v, want chat.ErrNoInlet", err)
	}
}
