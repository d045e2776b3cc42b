package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"tandem/chat"
	"tandem/followers"
	"tandem/panics"
)

// wantDense checks that the log has exactly n events with consecutive ids, and that another post follows them.
func wantDense(t *testing.T, s *Store, u chat.User, r chat.Room, n int64) {
	t.Helper()
	e, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "after all"), nil)
	if err != nil || e.ID != n+1 {
		t.Errorf("a post after all has id %d, %v; want %d", e.ID, err, n+1)
	}
	events, err := s.ReadAll(t.Context(), 0, chat.MaxID, 1000)
	if err != nil || int64(len(events)) != n+1 {
		t.Errorf("%d events are in the log, %v; want %d", len(events), err, n+1)
	}
}

// together puts jobs into one batch.
func together(s *Store, jobs ...func() error) (errs []error) {
	hold, held := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		_ = s.log.do(context.Background(), func(*tx) error { close(held); <-hold; return nil })
	})
	<-held
	errs = make([]error, len(jobs))
	for i, job := range jobs {
		all.Go(func() { errs[i] = job() })
	}
	for len(s.log.jobs) < len(jobs) {
		time.Sleep(time.Millisecond)
	}
	close(hold)
	all.Wait()
	return errs
}

// A job that panics after writing fails alone; the other jobs in its batch succeed.
func TestPanicInAWriteFailsOnlyThatWrite(t *testing.T) {
	onBoth(t, testPanicInAWriteFailsOnlyThatWrite)
}

func testPanicInAWriteFailsOnlyThatWrite(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	post := func() error {
		_, _, err := s.Post(context.Background(), guardOf(u, r), message(u, r, "beside it"), nil)
		return err
	}
	before := panics.Total()
	errs := together(s, post, func() error {
		return s.log.do(context.Background(), func(tx *tx) error {
			if _, err := tx.append(message(u, r, "undone").Event); err != nil {
				return err
			}
			panic("a write")
		})
	}, post)
	if errs[0] != nil || errs[2] != nil || !errors.Is(errs[1], chat.ErrUnavailable) {
		t.Errorf("the writes returned %v; want only the middle one to be unavailable", errs)
	}
	if panics.Total() == before {
		t.Error("panic not counted")
	}
	wantDense(t, s, u, r, 2)
}

// If something else panics, the batch is rolled back and its jobs run one by one on a new connection.
func TestPanickedBatchIsRetriedOneByOne(t *testing.T) {
	t.Parallel()
	s, u, r := world(t, place{Dir: t.TempDir()}, nil)
	if err := s.log.do(t.Context(), func(t *tx) error { // looking for a key panics
		t.w.prepared[`SELECT fingerprint, event_id FROM idempotency WHERE user_id = ? AND topic = ? AND key = ?`] = &sql.Stmt{}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	post := func(key *chat.Key) func() error {
		return func() error {
			_, _, err := s.Post(context.Background(), guardOf(u, r), message(u, r, "one"), key)
			return err
		}
	}
	errs := together(s, post(nil), post(&chat.Key{Name: "k", Fingerprint: []byte("f")}), post(nil))
	if err := errors.Join(errs...); err != nil {
		t.Errorf("the posts returned %v; want all to succeed", errs)
	}
	wantDense(t, s, u, r, 3)
}

// If the commit itself panics, its jobs get ErrUnavailable and the next batch gets a new connection.
func TestPanicInACommitAnswersItsPosters(t *testing.T) {
	onBoth(t, testPanicInACommitAnswersItsPosters)
}

func testPanicInACommitAnswersItsPosters(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	var broken atomic.Bool
	if err := s.log.do(t.Context(), func(t *tx) error {
		t.w.now = func() time.Time {
			if broken.Load() {
				panic("the clock")
			}
			return time.Now()
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	broken.Store(true)
	for _, write := range []func() error{
		func() error {
			_, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "lost"), nil)
			return err
		},
		func() error { return s.log.do(t.Context(), func(*tx) error { return nil }) },
	} {
		if err := write(); !errors.Is(err, chat.ErrUnavailable) {
			t.Errorf("a write whose commit panics gives %v, want unavailable", err)
		}
	}
	broken.Store(false)
	wantDense(t, s, u, r, 0)
}

// A durable post is acknowledged even if publishing it panics.
func TestPanicInPublishingACommit(t *testing.T) { onBoth(t, testPanicInPublishingACommit) }

func testPanicInPublishingACommit(t *testing.T, p place) {
	told := 0
	s, u, r := world(t, p, func(string, []chat.Event) {
		if told++; told == 1 {
			panic("publishing")
		}
	})
	if e, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "durable"), nil); err != nil || e.ID != 1 {
		t.Errorf("Post = %d, %v", e.ID, err)
	}
	wantDense(t, s, u, r, 1)
	if told != 2 {
		t.Errorf("published %d times, want the next commit to be published too", told)
	}
}

// The writer's connection check may panic; the writer continues.
func TestPanicInKeepingTheConnection(t *testing.T) {
	t.Parallel()
	s, _, _ := world(t, place{Dir: t.TempDir()}, nil)
	kept := make(chan struct{}, 64)
	lose := func(tx *tx) error {
		d := *tx.w.dialect
		d.reconnect = true
		d.connected = func(context.Context, *sql.Conn) error { kept <- struct{}{}; panic("a new connection") }
		tx.w.dialect = &d
		tx.broken = errors.New("the connection is lost")
		return tx.broken
	}
	if err := s.log.do(t.Context(), lose); !errors.Is(err, chat.ErrUnavailable) {
		t.Fatal(err)
	}
	<-kept
	<-kept // real time again
	if err := s.log.do(t.Context(), func(*tx) error { return nil }); !errors.Is(err, chat.ErrUnavailable) {
		t.Errorf("a write without a connection: got %v, want chat.ErrUnavailable", err)
	}
}

// A message that panics in the indexer is skipped; later ones are found.
func TestPanicInTheIndexSkipsOnlyThatMessage(t *testing.T) {
	t.Parallel()
	s := place{Dir: t.TempDir()}.open(t, Config{Search: true, takeWords: func(ctx context.Context, tx *wordsTx, e chat.Event) error {
		if strings.Contains(e.Body, "poison") {
			panic("taking words")
		}
		return indexEvent(ctx, tx, e)
	}})
	runFollowers(t, s, s)
	a, _, err := s.CreateUser(t.Context(), "ada", "hash", nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.User(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	r := makeRoom(t, s, u, "lobby")
	for i, text := range []string{"before", "poison", "behind"} {
		if _, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, fmt.Sprint(text, " word", i)), nil); err != nil {
			t.Fatal(err)
		}
	}
	for text, want := range map[string]int{"before": 1, "poison": 0, "behind": 1} {
		page, err := s.Messages(t.Context(), chat.RoomTopic(r.ID), chat.Page{Query: &chat.Query{Words: []string{text}}, Limit: 10})
		if err != nil || len(page.Events) != want {
			t.Errorf("%q finds %d messages, %v; want %d", text, len(page.Events), err, want)
		}
	}
}

// Other panics in the indexer are retried, and searches report that the index is behind.
func TestPanicInFollowingTheLogIsRetried(t *testing.T) {
	t.Parallel()
	s := place{Dir: t.TempDir()}.open(t, Config{Search: true})
	runFollowers(t, s, brokenLog{s})
	before := panics.Total()
	err := s.index.reach(t.Context(), 1)
	if !errors.Is(err, chat.ErrUnavailable) || !errors.Is(err, followers.ErrPanicked) || panics.Total() < before+2 {
		t.Errorf("a search returns %v after %d panics; want several panics, and an error that says why", err, panics.Total()-before)
	}
}

// brokenLog panics when it is read.
type brokenLog struct{ *Store }

func (brokenLog) ReadAll(context.Context, int64, int64, int) ([]chat.Event, error) {
	panic("reading the log")
}
