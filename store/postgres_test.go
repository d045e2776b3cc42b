package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tandem/chat"
	"tandem/testservers"
)

// ownPostgres returns a server that a test may damage, which the store notices after 5 s.
func ownPostgres(t *testing.T, settings ...string) (*testservers.Postgres, place) {
	t.Helper()
	pg := testservers.NewPostgres(t, settings...)
	name, err := pg.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	return pg, place{URL: pg.URL(name), PostgresWait: 5 * time.Second}
}

// While PostgreSQL is down every call fails soon, and afterwards the same store continues with everything acknowledged
// and no gaps.
func TestStoreSurvivesPostgresRestart(t *testing.T) {
	t.Parallel()
	pg, p := ownPostgres(t)
	s, u, r := world(t, p, nil)
	var acknowledged []int64
	post := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		e, _, err := s.Post(ctx, guardOf(u, r), message(u, r, "hi"), nil)
		if err == nil {
			acknowledged = append(acknowledged, e.ID)
		}
		return err
	}
	for range 3 {
		if err := post(); err != nil {
			t.Fatal(err)
		}
		pg.Crash()
		began := time.Now()
		if err := post(); !errors.Is(err, chat.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded) && time.Since(began) > 9*time.Second {
			t.Fatalf("post without a database: got %v after %s", err, time.Since(began))
		}
		if _, err := s.Messages(t.Context(), chat.RoomTopic(r.ID), chat.Page{Limit: 10}); !errors.Is(err, chat.ErrUnavailable) {
			t.Fatalf("history without a database: got %v, want chat.ErrUnavailable", err)
		}
		t.Logf("both failed within %s", time.Since(began).Round(time.Millisecond))
		if err := pg.Start(); err != nil {
			t.Fatal(err)
		}
		began = time.Now()
		for post() != nil {
			if time.Since(began) > 20*time.Second {
				t.Fatal("posts still fail after the database is back")
			}
		}
		if _, err := s.Messages(t.Context(), chat.RoomTopic(r.ID), chat.Page{Limit: 10}); err != nil {
			t.Errorf("reads still fail after the database is back: %v", err)
		}
		t.Logf("posts succeeded again within %s", time.Since(began).Round(time.Millisecond))
	}
	events, err := s.ReadAll(t.Context(), 0, chat.MaxID, 100)
	if err != nil || len(events) < len(acknowledged) {
		t.Fatalf("%d events, %v; want %d, as acknowledged", len(events), err, len(acknowledged))
	}
	for i, e := range events {
		if e.ID != int64(i+1) {
			t.Errorf("event %d has id %d", i+1, e.ID)
		}
	}
}

// A node that is frozen while it holds the head's lock loses it: the others wait, and continue.
func TestFrozenNodeLosesTheHeadLock(t *testing.T) {
	t.Parallel()
	_, p := ownPostgres(t)
	frozen, u, r := world(t, p, nil)
	other := p.open(t, Config{})
	locked, thaw := make(chan struct{}), make(chan struct{})
	ended := make(chan error)
	go func() {
		ended <- frozen.log.do(context.Background(), func(tx *tx) error {
			close(locked)
			<-thaw
			_, err := tx.append(message(u, r, "from the grave").Event)
			return err
		})
	}()
	<-locked
	var err error
	for began := time.Now(); time.Since(began) < 30*time.Second; {
		if _, _, err = other.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), nil); err == nil {
			t.Logf("the other node posted after %s", time.Since(began).Round(time.Millisecond))
			break
		} else if !errors.Is(err, chat.ErrUnavailable) {
			t.Fatal(err)
		}
	}
	if err != nil {
		t.Error("timed out waiting for the other node to get the head")
	}
	close(thaw)
	if err := <-ended; !errors.Is(err, chat.ErrUnavailable) {
		t.Errorf("work of the frozen node that the server had given up: got %v, want chat.ErrUnavailable", err)
	}
	if _, _, err := frozen.Post(t.Context(), guardOf(u, r), message(u, r, "awake"), nil); err != nil {
		t.Errorf("post of the thawed node: %v", err)
	}
	if events, err := other.ReadAll(t.Context(), 0, chat.MaxID, 10); err != nil || len(events) != 2 || events[1].ID != 2 {
		t.Errorf("log = %v, %v", events, err)
	}
}

// Two nodes that write at once share one numbering.
func TestNodesShareTheLog(t *testing.T) {
	t.Parallel()
	_, p := ownPostgres(t)
	a, u, r := world(t, p, nil)
	b := p.open(t, Config{})
	errs := make(chan error)
	const each = 200
	for _, s := range []*Store{a, b, a, b} {
		go func() {
			for range each {
				if _, _, err := s.Post(context.Background(), guardOf(u, r), message(u, r, "hi"), nil); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}()
	}
	for range 4 {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
	events, err := b.ReadAll(t.Context(), 0, chat.MaxID, 10*each)
	if err != nil || len(events) != 4*each || events[len(events)-1].ID != 4*each {
		t.Errorf("%d events, %v; want %d", len(events), err, 4*each)
	}
	// A decision of one node is checked against changes by the other.
	if err := a.SetAdmin(t.Context(), u.ID, true); err != nil {
		t.Fatal(err)
	}
	if _, _, err := b.Post(t.Context(), guardOf(u, r), message(u, r, "stale"), nil); !errors.Is(err, chat.ErrStale) {
		t.Errorf("post authorized before the other node's change: got %v, want chat.ErrStale", err)
	}
}

func TestReadOnlyPostgresIsReported(t *testing.T) {
	t.Parallel()
	pg, p := ownPostgres(t)
	s, u, r := world(t, p, nil)
	if err := pg.Exec("postgres", `ALTER SYSTEM SET default_transaction_read_only = on`, `SELECT pg_reload_conf()`); err != nil {
		t.Fatal(err)
	}
	var err error
	for range 100 { // reloading takes a moment
		if _, _, err = s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), nil); err != nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	if !errors.Is(err, chat.ErrUnavailable) {
		t.Errorf("a post into a database that only reads: got %v, want chat.ErrUnavailable", err)
	}
	if _, err := s.Messages(t.Context(), chat.RoomTopic(r.ID), chat.Page{Limit: 10}); err != nil {
		t.Errorf("reading a read-only database: %v", err)
	}
}

// A standby that takes over without the last commits starts a new name for the log, and records up to which id it is
// the old log. So does one that lost nothing: it cannot tell.
func TestFailoverRenamesTheLog(t *testing.T) {
	t.Parallel()
	pg, p := ownPostgres(t)
	s, u, r := world(t, p, nil)
	post := func(text string) chat.Event {
		t.Helper()
		e, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, text), nil)
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	post("before")
	kept := post("kept")
	before, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	standby, err := pg.Standby()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(standby.Remove)
	if err := standby.Lag(); err != nil {
		t.Fatal(err)
	}
	post("lost")
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	pg.Crash()
	if err := standby.Promote(); err != nil {
		t.Fatal(err)
	}
	p.URL = strings.Replace(p.URL, fmt.Sprint(pg.Port), fmt.Sprint(standby.Port), 1)
	s = p.open(t, Config{})
	after, err := s.Head(t.Context())
	if err != nil || after.Name == before.Name {
		t.Fatalf("log after the failover = %+v, %v; before it was %+v", after, err, before)
	}
	if upto, err := s.Shared(t.Context(), before.Name); err != nil || upto != after.Head || upto != kept.ID {
		t.Errorf("the logs share ids up to %d, %v; want %d", upto, err, kept.ID)
	}
	if upto, err := s.Shared(t.Context(), "unknown"); err != nil || upto != 0 {
		t.Errorf("Shared(unknown) = %d, %v, want 0", upto, err)
	}
	if again := p.open(t, Config{}); again != nil {
		if state, err := again.Head(t.Context()); err != nil || state.Name != after.Name {
			t.Errorf("log of a second node = %+v, %v", state, err)
		}
	}
	post("anew")
}

// Planning the statement that posts takes longer than running it, so PostgreSQL has to keep its plan.
func TestPostsReuseTheirQueryPlan(t *testing.T) {
	t.Parallel()
	s, u, r := world(t, postgresPlace(t), nil)
	for range 20 {
		if _, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), nil); err != nil {
			t.Fatal(err)
		}
	}
	var kept, each int
	if err := s.log.do(t.Context(), func(tx *tx) error {
		return tx.queryRow(`SELECT sum(generic_plans), sum(custom_plans) FROM pg_prepared_statements WHERE statement LIKE '%judged%'`).Scan(&kept, &each)
	}); err != nil {
		t.Fatal(err)
	}
	if each > 5 || kept < 15 { // PostgreSQL plans five before it decides
		t.Errorf("%d of 20 posts were planned and %d used the cached plan, want at most 5 and at least 15", each, kept)
	}
}
