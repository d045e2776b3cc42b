package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem/chat"
	"tandem/testservers"
)

// otherNode is a session that takes the head's lock, as another node would.
type otherNode struct {
	t    *testing.T
	conn *pgx.Conn
}

// slowCommits makes every post take much longer than a round trip.
func slowCommits(t *testing.T, pg *testservers.Postgres, name string) {
	t.Helper()
	if err := pg.Exec(name, `CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_sleep(0.2); RETURN NULL; END $$`,
		`CREATE TRIGGER slow AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION slow()`); err != nil {
		t.Fatal(err)
	}
}

func lockingNode(t *testing.T, pg *testservers.Postgres, name string) *otherNode {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), pg.URL(name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	n := &otherNode{t, conn}
	n.exec(`SET lock_timeout = '30s'`)
	return n
}

func (n *otherNode) exec(statements ...string) {
	n.t.Helper()
	for _, s := range statements {
		if _, err := n.conn.Exec(n.t.Context(), s); err != nil {
			n.t.Fatal(err)
		}
	}
}

func (n *otherNode) lock()   { n.t.Helper(); n.exec(`BEGIN`, lockHead) }
func (n *otherNode) unlock() { n.t.Helper(); n.exec(`COMMIT`) }

// awaitWaiter waits until a session waits for the head's lock.
func (n *otherNode) awaitWaiter() {
	n.t.Helper()
	eventually(n.t, "a session that waits for the head", func() bool {
		var waits bool
		err := n.conn.QueryRow(n.t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)`).Scan(&waits)
		return err == nil && waits
	})
}

// A batch that waits for another node's commit includes everything that arrives meanwhile. The first turn only teaches
// the writer that this is worthwhile.
func TestBatchIsCollectedUnderTheLock(t *testing.T) {
	t.Parallel()
	for _, pooled := range []bool{false, true} {
		t.Run(fmt.Sprint("behind a pooler: ", pooled), func(t *testing.T) {
			pg := testservers.NewPostgres(t)
			name, err := pg.NewDatabase()
			if err != nil {
				t.Fatal(err)
			}
			p := place{URL: pg.URL(name)}
			if pooled {
				p.URL = testservers.NewPgBouncer(t, pg).URL(name)
			}
			var mu sync.Mutex
			var commits [][]int64
			s, u, r := world(t, p, func(_ string, events []chat.Event) {
				mu.Lock()
				defer mu.Unlock()
				commits = append(commits, ids(events))
			})
			slowCommits(t, pg, name)
			other := lockingNode(t, pg, name)
			var wg sync.WaitGroup
			post := func(key *chat.Key) {
				wg.Go(func() {
					if _, _, err := s.Post(context.Background(), guardOf(u, r), message(u, r, "hi"), key); err != nil {
						t.Error(err)
					}
				})
			}
			queued := func(n int) {
				eventually(t, fmt.Sprint(n, " jobs that wait"), func() bool { return len(s.log.jobs) == n })
			}
			for _, next := range []func(){
				func() {},
				func() {
					for range 5 {
						post(nil)
					}
					queued(5)
					post(&chat.Key{Name: "again", Fingerprint: []byte{1}})
					queued(6)
				},
				func() { // with a different write in the batch, whose transaction uses the lock; the posts follow
					post(&chat.Key{Name: "again", Fingerprint: []byte{1}})
					wg.Go(func() {
						err := s.log.do(context.Background(), func(tx *tx) error {
							_, err := tx.append(message(u, r, "hi").Event)
							return err
						})
						if err != nil {
							t.Error(err)
						}
					})
					queued(2)
				},
			} {
				other.lock()
				post(nil)
				other.awaitWaiter()
				next()
				other.unlock()
				wg.Wait()
			}
			mu.Lock()
			defer mu.Unlock()
			if want := [][]int64{{1}, {2, 3, 4, 5, 6, 7, 8}, {9, 10}}; !slices.EqualFunc(commits, want, slices.Equal) {
				t.Errorf("commits = %v, want %v", commits, want)
			}
		})
	}
}

// A node that fails between the lock and the batch releases the lock, so that the other nodes and its writer continue.
func TestLockAheadIsReleased(t *testing.T) {
	t.Parallel()
	pg := testservers.NewPostgres(t)
	name, err := pg.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	p := place{URL: pg.URL(name)}
	s, u, r := world(t, p, nil)
	frozen := p.open(t, Config{})
	try := func(s *Store) error {
		_, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), nil)
		return err
	}
	goesOn := func(s *Store) {
		t.Helper()
		var err error
		for end := time.Now().Add(time.Minute); time.Now().Before(end); {
			if err = try(s); err == nil {
				return
			} else if !errors.Is(err, chat.ErrUnavailable) {
				break
			}
		}
		t.Fatal(err)
	}
	// A node freezes there. Its loop has ended, so only this test uses its connection.
	frozen.log.stop()
	if err := frozen.log.lock(); err != nil {
		t.Fatal(err)
	}
	goesOn(s)
	// The node wakes up, but its transaction is over.
	j := &job{post: &post{guard: guardOf(u, r), message: message(u, r, "from the grave")}, done: make(chan struct{})}
	frozen.log.commitBatch([]*job{j}, time.Now())
	if !errors.Is(j.err, chat.ErrUnavailable) {
		t.Errorf("a batch whose lock was lost: got %v, want chat.ErrUnavailable", j.err)
	}
	// A batch with nothing but a stale post stores nothing and releases the lock.
	if err := frozen.log.lock(); err != nil {
		t.Fatal(err)
	}
	stale := guardOf(u, r)
	stale.RoomVersion++
	j = &job{post: &post{guard: stale, message: message(u, r, "stale")}, done: make(chan struct{})}
	frozen.log.commitBatch([]*job{j}, time.Now())
	if !errors.Is(j.err, chat.ErrStale) {
		t.Errorf("a stale post in such a batch: got %v, want chat.ErrStale", j.err)
	}
	if err := try(s); err != nil {
		t.Error(err)
	}
	// The session ends while the writer waits for the lock.
	other := lockingNode(t, pg, name)
	other.lock()
	frozen.log.turn = turn{trip: time.Millisecond, waited: time.Second, took: time.Second}
	j = &job{post: &post{guard: guardOf(u, r), message: message(u, r, "never")}, done: make(chan struct{})}
	locked := make(chan bool)
	go func() { locked <- frozen.log.lockAhead([]*job{j}) }()
	other.awaitWaiter()
	other.exec(`SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted`)
	if <-locked || !errors.Is(j.err, chat.ErrUnavailable) {
		t.Errorf("job whose session ended: got %v, want chat.ErrUnavailable", j.err)
	}
	other.unlock()
	goesOn(s)
	// The writer continues with a new connection, without the lock.
	j = &job{post: &post{guard: guardOf(u, r), message: message(u, r, "hi")}, done: make(chan struct{})}
	if frozen.log.commitBatch([]*job{j}, time.Now()); j.err != nil {
		t.Errorf("next batch: %v", j.err)
	}
	frozen.log.drop()
	events, err := s.ReadAll(t.Context(), 0, chat.MaxID, 100)
	if err != nil {
		t.Fatal(err)
	}
	for i, e := range events {
		if e.ID != int64(i+1) || e.Body != message(u, r, "hi").Body {
			t.Errorf("event %d = %+v", i+1, e)
		}
	}
}

// The extra round trip is not worth it if it costs as much as the commit, or if no other node commits.
func TestWhenTheHeadIsLockedAhead(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	for _, c := range []struct {
		turn turn
		want bool
	}{
		{turn{trip: ms / 5, waited: 6 * ms, took: 2 * ms}, true},
		{turn{trip: ms / 5, waited: 0, took: 2 * ms}, false},
		{turn{trip: 2 * ms, waited: 6 * ms, took: 3 * ms}, false},
		{turn{trip: 2 * ms, waited: ms, took: 5 * ms}, false},
	} {
		if got := c.turn.worthWaiting(); got != c.want {
			t.Errorf("worthWaiting of %+v: got %t, want %t", c.turn, got, c.want)
		}
	}
}

// A step of retention uses a lock that was taken ahead, and leaves none behind: the next post takes its own.
func TestRetentionStepUsesTheLockAhead(t *testing.T) {
	t.Parallel()
	pg := testservers.NewPostgres(t)
	name, err := pg.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	s, u, r := world(t, place{URL: pg.URL(name)}, nil)
	other := lockingNode(t, pg, name)
	s.inTx(t, func(tx *tx) error {
		tx.w.turn = turn{trip: 1, waited: time.Second, took: time.Second}
		return nil
	})
	x, err := s.planExpiry(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	j := &job{done: make(chan struct{}), apart: func(w *writer) ([]chat.Event, error) {
		told, _, err := pipelineExpiry(w, x, statement{`UPDATE log SET swept = swept`, nil})
		w.turn = turn{}
		return told, err
	}}
	if err := s.log.submit(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	other.lock()
	posted := make(chan error)
	go func() {
		_, _, err := s.Post(context.Background(), guardOf(u, r), message(u, r, "hi"), nil)
		posted <- err
	}()
	other.awaitWaiter()
	other.unlock()
	if err := <-posted; err != nil {
		t.Error(err)
	}
}
