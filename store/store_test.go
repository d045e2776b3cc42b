package store

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tandem/auth"
	"tandem/chat"
	"tandem/followers"
	"tandem/testservers"
)

// place is a test's database; each Open opens the same one.
type place Config

func (p place) try(cfg Config) (*Store, error) {
	cfg.URL, cfg.Pooler, cfg.Dir = p.URL, p.Pooler, p.Dir
	cfg.PostgresWait = cmp.Or(p.PostgresWait, 20*time.Second) // a busy machine needs longer than the default
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return Open(context.Background(), cfg)
}

func (p place) open(t testing.TB, cfg Config) *Store {
	t.Helper()
	s, err := p.try(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// runFollowers runs a store's followers until the test ends.
func runFollowers(t *testing.T, s *Store, log followers.Log) {
	t.Helper()
	r := followers.New(log, s, followers.Config{Logger: s.logger})
	s.Follow(r)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); r.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
}

// onBoth runs a test on SQLite and on PostgreSQL.
func onBoth(t *testing.T, test func(t *testing.T, p place)) {
	t.Parallel()
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		test(t, place{Dir: t.TempDir()})
	})
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		test(t, postgresPlace(t))
	})
}

// postgresPlace returns a new database with a copied schema: migrating each database took a third of the time of this
// package's tests.
func postgresPlace(t *testing.T) place {
	return place{URL: testservers.Prepared(t, func(url string) error {
		s, err := place{URL: url}.try(Config{})
		if err != nil {
			return err
		}
		_, err = s.write.Exec(`DELETE FROM log`) // the copy's first start names its log
		return errors.Join(err, s.Close())
	})}
}

// atOnce is how many tests run in parallel at least: many wait, for locks and servers.
const atOnce = 4

func TestMain(m *testing.M) {
	if os.Getenv(followerNodeEnv) != "" {
		runFollowerNode()
		return
	}
	flag.Parse()
	_ = flag.Set("test.parallel", strconv.Itoa(max(runtime.GOMAXPROCS(0), atOnce))) // cannot fail
	code := m.Run()
	testservers.Close()
	os.Exit(code)
}

// world is a store with one user and one room.
func world(t testing.TB, p place, committed func(string, []chat.Event)) (*Store, chat.User, chat.Room) {
	t.Helper()
	s := p.open(t, Config{Committed: committed})
	u := addUser(t, s, "ada")
	return s, u, makeRoom(t, s, u, "lobby")
}

func addUser(t testing.TB, s *Store, name string) chat.User {
	t.Helper()
	a, _, err := s.CreateUser(t.Context(), name, "hash", nil)
	if err != nil {
		t.Fatal(err)
	}
	u, err := s.User(t.Context(), a.ID)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func makeRoom(t testing.TB, s *Store, u chat.User, name string) chat.Room {
	t.Helper()
	r, err := s.CreateRoom(t.Context(), chat.Guard{User: u.ID, UserVersion: u.Version},
		chat.Room{Name: name, Visibility: chat.Public, Posting: chat.PostingEveryone, CreatedAt: time.Now()},
		func(chat.Room) []chat.Event { return nil })
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func message(u chat.User, r chat.Room, text string) chat.Message {
	return chat.Message{Event: chat.Event{Topic: chat.RoomTopic(r.ID), Type: chat.TypeChatMessage, Author: u.ID, Body: fmt.Sprintf(`"message":%q}`, text)}}
}

func guardOf(u chat.User, r chat.Room) chat.Guard {
	return chat.Guard{User: u.ID, UserVersion: u.Version, Room: r.ID, RoomVersion: r.Version}
}

func ids(events []chat.Event) (list []int64) {
	for _, e := range events {
		list = append(list, e.ID)
	}
	return list
}

// Whatever fails or is retried in a batch, the stored events have consecutive ids.
func TestIDsStayDenseAfterFailures(t *testing.T) { onBoth(t, testIDsStayDenseAfterFailures) }

func testIDsStayDenseAfterFailures(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	var wg sync.WaitGroup
	var mu sync.Mutex
	stored := 0
	for i := range 400 {
		wg.Go(func() {
			ctx := context.Background()
			var err error
			fresh := true
			switch i % 5 {
			case 0:
				_, fresh, err = s.Post(ctx, guardOf(u, r), message(u, r, "plain"), nil)
			case 1: // one per key counts
				_, fresh, err = s.Post(ctx, guardOf(u, r), message(u, r, "keyed"), &chat.Key{Name: fmt.Sprint(i % 7), Fingerprint: []byte("f")})
			case 2: // decided from an old row
				g := guardOf(u, r)
				g.RoomVersion++
				if _, _, err = s.Post(ctx, g, message(u, r, "stale"), nil); !errors.Is(err, chat.ErrStale) {
					t.Errorf("a stale post: got %v, want chat.ErrStale", err)
				}
				return
			case 3: // appends, then fails: it is undone, and the other jobs are not
				err = s.log.do(ctx, func(tx *tx) error {
					if _, err := tx.append(message(u, r, "undone").Event); err != nil {
						return err
					}
					return chat.ErrRoomExists
				})
				if !errors.Is(err, chat.ErrRoomExists) {
					t.Errorf("a failing job: got %v, want chat.ErrRoomExists", err)
				}
				return
			case 4:
				_, _, err = s.Post(ctx, guardOf(u, r), message(u, r, "other"), &chat.Key{Name: "taken", Fingerprint: fmt.Append(nil, i)})
				if errors.Is(err, chat.ErrKeyMismatch) {
					return
				}
			}
			if err != nil {
				t.Error(err)
			} else if fresh {
				mu.Lock()
				stored++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	events, err := s.ReadAll(t.Context(), 0, chat.MaxID, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != stored || stored != 80+7+1 {
		t.Errorf("%d events are stored, %d were acknowledged, want 88", len(events), stored)
	}
	for i, e := range events {
		if e.ID != int64(i+1) {
			t.Fatalf("event %d has id %d", i+1, e.ID)
		}
	}
	if state, _ := s.Head(t.Context()); state.Head != int64(stored) {
		t.Errorf("head = %d after %d events", state.Head, stored)
	}
}

// Events are published only when a crash can no longer lose them: another connection, which sees only what is
// committed, finds them at that time.
func TestPublishedEventsAreCommitted(t *testing.T) { onBoth(t, testPublishedEventsAreCommitted) }

func testPublishedEventsAreCommitted(t *testing.T, p place) {
	var s *Store
	var u chat.User
	var r chat.Room
	published := 0
	s, u, r = world(t, p, func(_ string, batch []chat.Event) {
		for _, e := range batch {
			// the writer has its own connection
			if found, err := s.ReadAll(context.Background(), e.ID-1, e.ID, 1); err != nil || len(found) != 1 {
				t.Errorf("event %d published but not committed: %v, %v", e.ID, found, err)
			}
			published++
		}
	})
	for range 10 {
		e, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if published != int(e.ID) {
			t.Errorf("event %d acknowledged before it was published", e.ID)
		}
	}
}

func TestRetryReturnsTheFirstEvent(t *testing.T) { onBoth(t, testRetryReturnsTheFirstEvent) }

func testRetryReturnsTheFirstEvent(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	other := makeRoom(t, s, u, "other")
	key := &chat.Key{Name: "k", Fingerprint: []byte("one")}
	first, fresh, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), key)
	if err != nil || !fresh {
		t.Fatal(fresh, err)
	}
	again, fresh, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), key)
	if err != nil || fresh || again != first {
		t.Errorf("a retry gives %+v, %v, %v; want %+v", again, fresh, err, first)
	}
	if _, _, err = s.Post(t.Context(), guardOf(u, r), message(u, r, "x"), &chat.Key{Name: "k", Fingerprint: []byte("two")}); !errors.Is(err, chat.ErrKeyMismatch) {
		t.Errorf("another body: got %v, want chat.ErrKeyMismatch", err)
	}
	if e, fresh, err := s.Post(t.Context(), guardOf(u, other), message(u, other, "hi"), key); err != nil || !fresh || e.ID != 2 {
		t.Errorf("same key in another room = %+v, %v, %v", e, fresh, err)
	}
}

func TestReadMergesTopicsAndPages(t *testing.T) { onBoth(t, testReadMergesTopicsAndPages) }

func testReadMergesTopicsAndPages(t *testing.T, p place) {
	s, u, a := world(t, p, nil)
	b := makeRoom(t, s, u, "b")
	other := makeRoom(t, s, u, "other")
	for i := range 60 {
		if _, _, err := s.Post(t.Context(), guardOf(u, []chat.Room{a, b, other}[i%3]), message(u, []chat.Room{a, b, other}[i%3], "x"), nil); err != nil {
			t.Fatal(err)
		}
	}
	// An event in two of the topics is returned once.
	if err := s.SetMember(t.Context(), guardOf(u, a), a.ID, u.ID, chat.RoleOwner, chat.RoleMember, chat.Event{Topic: chat.RoomTopic(a.ID), Also: chat.InboxTopic(u.ID), Type: chat.TypeMemberAdded, Body: `"x":1}`}); err != nil {
		t.Fatal(err)
	}
	var want []int64
	for id := int64(11); id <= 60; id++ {
		if inA, inB := id%3 == 1, id%3 == 2; inA || inB && id > 30 {
			want = append(want, id)
		}
	}
	want = append(want, 61)
	from := []chat.TopicSince{{Topic: chat.RoomTopic(a.ID), After: 10}, {Topic: chat.RoomTopic(b.ID), After: 30}, {Topic: chat.InboxTopic(u.ID), After: 10}}
	var got []int64
	for len(got) < 100 {
		page, err := s.Read(t.Context(), from, 61, 7)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		got = append(got, ids(page)...)
		for i := range from {
			from[i].After = max(from[i].After, page[len(page)-1].ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
	if page, _ := s.Read(t.Context(), []chat.TopicSince{{Topic: chat.RoomTopic(a.ID)}}, 10, 100); !slices.Equal(ids(page), []int64{1, 4, 7, 10}) {
		t.Errorf("events up to 10 = %v", ids(page))
	}
	if start, err := s.Start(t.Context(), chat.RoomTopic(b.ID), 3); err != nil || start != 52 {
		t.Errorf("the third last message of b is after %d, %v; want 52", start, err)
	}
	if start, err := s.Start(t.Context(), chat.RoomTopic(b.ID), 21); err != nil || start != 0 {
		t.Errorf("more messages than exist start after %d, %v; want 0", start, err)
	}
}

func TestReopeningKeepsTheLog(t *testing.T) { onBoth(t, testReopeningKeepsTheLog) }

func testReopeningKeepsTheLog(t *testing.T, p place) {
	s := p.open(t, Config{})
	before, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	a, _, err := s.CreateUser(t.Context(), "ada", "hash", nil)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := s.User(t.Context(), a.ID)
	r := makeRoom(t, s, u, "lobby")
	if _, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), nil); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "late"), nil); !errors.Is(err, chat.ErrUnavailable) {
		t.Errorf("posting into a closed store: got %v, want chat.ErrUnavailable", err)
	}
	s = p.open(t, Config{})
	after, err := s.Head(t.Context())
	if err != nil || after.Name != before.Name || after.Head != 1 {
		t.Errorf("state after reopening = %+v, %v; before = %+v", after, err, before)
	}
}

func TestCloseAnswersWaitingPosts(t *testing.T) { onBoth(t, testCloseAnswersWaitingPosts) }

func testCloseAnswersWaitingPosts(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	var wg sync.WaitGroup
	acknowledged := make(chan int64, 500)
	for range cap(acknowledged) {
		wg.Go(func() {
			e, _, err := s.Post(context.Background(), guardOf(u, r), message(u, r, "hi"), nil)
			if err == nil {
				acknowledged <- e.ID
			} else if !errors.Is(err, chat.ErrUnavailable) {
				t.Error(err)
			}
		})
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	wg.Wait() // every job gets an answer
	close(acknowledged)
	s = p.open(t, Config{})
	state, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for id := range acknowledged {
		if id > state.Head {
			t.Errorf("event %d acknowledged, but head = %d", id, state.Head)
		}
	}
}

func TestDamagedLogIsNotServed(t *testing.T) { onBoth(t, testDamagedLogIsNotServed) }

func testDamagedLogIsNotServed(t *testing.T, p place) {
	s := p.open(t, Config{})
	err := s.log.do(t.Context(), func(tx *tx) error { tx.head = 7; return nil })
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	if s.file != "" { // a clean end has stored the head; now events are missing after it
		db := open(s.file)
		if _, err := db.Exec(`UPDATE log SET head = 7`); err != nil {
			t.Fatal(err)
		}
		db.Close()
	}
	if s, err := p.try(Config{}); err == nil {
		t.Error("opened a log whose head is not its last event", s.Close())
	}
}

func TestConnectionsAreSetUp(t *testing.T) {
	t.Parallel()
	s, err := Open(t.Context(), Config{Dir: t.TempDir(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, tt := range []struct{ pragma, want string }{
		{"journal_mode", "wal"}, {"synchronous", "2"}, {"foreign_keys", "1"},
	} {
		var got string
		err := s.log.do(t.Context(), func(tx *tx) error { return tx.queryRow(`PRAGMA ` + tt.pragma).Scan(&got) })
		if err != nil || got != tt.want {
			t.Errorf("the writer's %s is %q, %v; want %q", tt.pragma, got, err, tt.want)
		}
	}
	if _, err := s.reads.Exec(`DELETE FROM events`); err == nil {
		t.Error("read connection can write")
	}
}

func TestSweepRemovesExpiredRows(t *testing.T) { onBoth(t, testSweepRemovesExpiredRows) }

func testSweepRemovesExpiredRows(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	ctx := t.Context()
	now := time.Now()
	for i, age := range []time.Duration{0, 23 * time.Hour, 26 * time.Hour} {
		s.log.now = func() time.Time { return now.Add(-age) }
		if _, _, err := s.Post(ctx, guardOf(u, r), message(u, r, "x"), &chat.Key{Name: fmt.Sprint(i), Fingerprint: []byte("f")}); err != nil {
			t.Fatal(err)
		}
	}
	s.log.now = time.Now
	for _, life := range []time.Duration{-time.Second, time.Hour} {
		id, err := s.CreateSession(ctx, auth.Session{User: u.ID, Seed: []byte("s"), CreatedAt: now, RotatedAt: now, ExpiresAt: now.Add(life)})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.CreateTicket(ctx, fmt.Append(nil, life), auth.Identity{User: u.ID, Session: id, Expires: now}, now.Add(life)); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.log.do(ctx, s.log.sweep); err != nil {
		t.Fatal(err)
	}
	for table, want := range map[string]int{"idempotency": 2, "sessions": 1, "tickets": 1, "events": 3} {
		var n int
		if err := s.reads.QueryRow(`SELECT count(*) FROM ` + table).Scan(&n); err != nil || n != want {
			t.Errorf("%s has %d rows, %v; want %d", table, n, err, want)
		}
	}
}

// A sweep continues until everything expired is deleted, however busy the writer is.
func TestSweepContinuesUnderLoad(t *testing.T) { onBoth(t, testSweepContinuesUnderLoad) }

func testSweepContinuesUnderLoad(t *testing.T, p place) {
	s := p.open(t, Config{Now: func() time.Time { return time.Now().Add(-48 * time.Hour) }})
	a, _, err := s.CreateUser(t.Context(), "ada", "hash", nil)
	if err != nil {
		t.Fatal(err)
	}
	u, _ := s.User(t.Context(), a.ID)
	r := makeRoom(t, s, u, "lobby")
	err = s.log.do(t.Context(), func(tx *tx) error {
		_, err := tx.exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO idempotency (event_id, user_id, topic, key, fingerprint, created_at) SELECT i, 1, 2, CAST(i AS text), ?, 0 FROM n`, 20*sweepStep, []byte("f"))
		return err
	})
	if err = errors.Join(err, s.Close()); err != nil {
		t.Fatal(err)
	}
	s = p.open(t, Config{sweepEvery: time.Second}) // with a pause after each step, 20 steps would take too long
	stop := make(chan struct{})
	var posters sync.WaitGroup
	for range 4 {
		posters.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					if _, _, err := s.Post(context.Background(), guardOf(u, r), message(u, r, "busy"), nil); err != nil {
						t.Error(err)
						return
					}
				}
			}
		})
	}
	left := -1
	for end := time.Now().Add(10 * time.Second); left != 0 && time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if err := s.reads.QueryRow(`SELECT count(*) FROM idempotency`).Scan(&left); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	posters.Wait()
	if left != 0 {
		t.Errorf("%d expired keys left", left)
	}
}

func TestCancelledPostIsNotWritten(t *testing.T) { onBoth(t, testCancelledPostIsNotWritten) }

func testCancelledPostIsNotWritten(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	busy, free, done := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		done <- s.log.do(context.Background(), func(*tx) error {
			close(busy)
			<-free
			return nil
		})
	}()
	<-busy
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, _, err := s.Post(ctx, guardOf(u, r), message(u, r, "too late"), nil); !errors.Is(err, chat.ErrUnavailable) {
		t.Errorf("a post whose turn does not come: got %v, want chat.ErrUnavailable", err)
	}
	close(free)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	e, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "in time"), nil)
	if err != nil || e.ID != 1 {
		t.Errorf("the next post has the id %d, %v; want 1", e.ID, err)
	}
}
