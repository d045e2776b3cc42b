package cluster

import (
	"context"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem/e2e/harness"
)

func lasting(whole, short time.Duration) time.Duration {
	if harness.Long {
		return whole
	}
	return short
}

// fault is a fault under load. It is over when do returns.
type fault struct {
	name string
	do   func(t *testing.T, l *load)
	// felt reports whether users or the operator noticed the fault. A fault that nobody notices tested nothing.
	felt func(w window) bool
	// streams means that streams must have stayed open, and aside that posts must not have become slower.
	streams, aside bool
}

var (
	broughtLate = func(w window) bool { return w.caughtUp > 0 }
	refused     = func(w window) bool { return w.failed > 0 }
)

var clusterFaults = []fault{
	{"a node is killed (SIGKILL)", func(t *testing.T, l *load) {
		l.node(0).Kill()
		time.Sleep(lasting(3*time.Second, 500*time.Millisecond))
		l.start(0)
	}, func(w window) bool { return w.failed > 0 && w.reconnected > 0 }, false, false},

	{"a rolling restart (SIGTERM in turn)", func(t *testing.T, l *load) {
		for i := range l.nodes {
			old := l.node(i)
			old.Terminate(t)
			l.start(i)
		}
	}, func(w window) bool { return w.reconnected > 0 }, false, false},

	{"Valkey is killed, and comes back empty", func(t *testing.T, l *load) {
		l.valkey.Kill()
		time.Sleep(lasting(5*time.Second, time.Second))
		if err := l.valkey.Start(); err != nil {
			t.Fatal(err)
		}
	}, broughtLate, true, true},

	{"Valkey is frozen (SIGSTOP)", func(t *testing.T, l *load) {
		l.valkey.Freeze()
		time.Sleep(lasting(10*time.Second, 3*time.Second))
		l.valkey.Thaw()
	}, broughtLate, true, true},

	{"Valkey answers 2 s late", func(t *testing.T, l *load) {
		l.slow.Delay(2 * time.Second)
		time.Sleep(lasting(10*time.Second, 3*time.Second))
		l.slow.Delay(0)
	}, broughtLate, true, true},

	{"PostgreSQL stops at once (immediate), and starts again", func(t *testing.T, l *load) {
		l.pg.Crash()
		for i := range l.nodes {
			for _, call := range [][2]string{{"POST", harness.RoomPath(faultRoom) + "/messages"}, {"GET", harness.RoomPath(faultRoom) + "/messages"}} {
				began := time.Now()
				a := l.at(i).In(t).Do(call[0], call[1], harness.Raw("into the void"))
				took := time.Since(began)
				a.WantProblem(503, "unavailable", "")
				if a.Header.Get("Retry-After") == "" {
					t.Errorf("Retry-After of %s without PostgreSQL: got none, want one", call[0])
				}
				if harness.Long && took > attemptFor/2 { // the documented 2 s, and a margin
					t.Errorf("%s without PostgreSQL: took %s, want at most %s", call[0], took, attemptFor/2)
				}
				t.Logf("without PostgreSQL %s %s got 503 after %s", call[0], call[1], took.Round(time.Millisecond))
			}
		}
		time.Sleep(lasting(5*time.Second, time.Second))
		if err := l.pg.Start(); err != nil {
			t.Fatal(err)
		}
	}, refused, true, false},

	{"PostgreSQL is frozen (SIGSTOP)", func(t *testing.T, l *load) {
		l.pg.Freeze()
		defer l.pg.Thaw()
		for range 3 {
			for _, call := range [][2]string{{"POST", harness.RoomPath(faultRoom) + "/messages"}, {"GET", harness.RoomPath(faultRoom) + "/messages"}} {
				began := time.Now()
				a := l.at(0).In(t).Do(call[0], call[1], harness.Raw("into the void"))
				a.WantProblem(503, "unavailable", "")
				t.Logf("with PostgreSQL frozen %s %s answered %d after %s", call[0], call[1], a.Status, time.Since(began).Round(time.Millisecond))
			}
		}
	}, refused, true, false},

	{"a node is frozen while it holds the log's head (SIGSTOP)", freezeHolder, func(w window) bool { return w.failed > 0 || w.slowest > time.Second }, false, false},

	{"PostgreSQL only reads", func(t *testing.T, l *load) {
		readOnly := func(value string) {
			if err := l.pg.Exec("postgres", `ALTER SYSTEM SET default_transaction_read_only = `+value, `SELECT pg_reload_conf()`); err != nil {
				t.Fatal(err)
			}
		}
		readOnly("on")
		harness.Eventually(t, "a post is refused", func() bool {
			a, err := l.at(0).Try("POST", harness.RoomPath(faultRoom)+"/messages", harness.Raw("refused"))
			return err == nil && a.Status == 503
		})
		l.at(1).In(t).Do("GET", harness.RoomPath(faultRoom)+"/messages", nil).Want(200)
		time.Sleep(lasting(5*time.Second, time.Second))
		readOnly("off")
	}, refused, true, false},

	{"other clients hold all of PostgreSQL's connections", func(t *testing.T, l *load) {
		held := l.takeConnections(t)
		harness.Eventually(t, "a post is refused", func() bool {
			a, err := l.at(0).Try("POST", harness.RoomPath(faultRoom)+"/messages", harness.Raw("refused"))
			return err == nil && a.Status == 503
		})
		time.Sleep(lasting(5*time.Second, time.Second))
		for _, c := range held {
			_ = c.Close(context.Background())
		}
	}, refused, true, false},
}

// freezeHolder freezes node 0 in the middle of a transaction that holds the head's lock, while the server waits for it.
func freezeHolder(t *testing.T, l *load) {
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() { // creating a room takes a transaction of several statements, and so several round trips
		defer close(done)
		harness.InParallel(4, func(i int) {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					_, _ = l.at(0).Try("PUT", harness.RoomPath("r"+strconv.Itoa(i)+"-"+strconv.Itoa(n)), nil) // fails while the node is frozen
				}
			}
		})
	}()
	defer func() {
		l.node(0).signal(syscall.SIGCONT)
		close(stop)
		<-done
	}()
	const holder = `SELECT count(*) FROM pg_stat_activity a JOIN pg_locks k USING (pid)
		WHERE a.application_name = 'node0' AND a.state = 'idle in transaction' AND k.locktype = 'advisory' AND k.granted`
	harness.Eventually(t, "node 0 is frozen while it holds the lock", func() bool {
		l.node(0).signal(syscall.SIGSTOP)
		time.Sleep(20 * time.Millisecond)
		if l.query(holder) > 0 {
			return true
		}
		l.node(0).signal(syscall.SIGCONT)
		time.Sleep(10 * time.Millisecond)
		return false
	})
	began := time.Now()
	harness.Eventually(t, "the other node posts", func() bool {
		_, err := l.at(1).TryPost(faultRoom, "while node 0 is frozen")
		return err == nil
	})
	t.Logf("the other node posted %s after node 0 froze with the lock", time.Since(began).Round(time.Millisecond))
	time.Sleep(lasting(5*time.Second, 0))
}

// takeConnections ends the nodes' connections and takes all that the server allows, faster than the nodes can
// reconnect.
func (l *load) takeConnections(t *testing.T) (held []*pgx.Conn) {
	t.Helper()
	connect := func() (*pgx.Conn, error) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return pgx.Connect(ctx, l.pg.URL(l.database))
	}
	first, err := connect()
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	held = append(held, first)
	ctx, cancel := context.WithCancel(t.Context())
	var takers sync.WaitGroup
	for range 8 {
		takers.Go(func() {
			for ctx.Err() == nil {
				if conn, err := connect(); err == nil {
					mu.Lock()
					held = append(held, conn)
					mu.Unlock()
				}
			}
		})
	}
	harness.Eventually(t, "the test holds all connections", func() bool {
		var others, room int
		if err := first.QueryRow(t.Context(), `SELECT count(*) FILTER (WHERE application_name LIKE 'node%'),
			current_setting('max_connections')::int - count(*) FILTER (WHERE backend_type = 'client backend') FROM pg_stat_activity`).Scan(&others, &room); err != nil {
			t.Fatal(err)
		}
		if _, err := first.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'node%'`); err != nil {
			t.Fatal(err)
		}
		return others == 0 && room <= 0
	})
	cancel()
	takers.Wait()
	return held
}

// TestFaults causes one fault after another below two nodes that are under load on every transport. Nothing that was
// acknowledged may be lost, duplicated or reordered.
func TestFaults(t *testing.T) {
	harness.Slow(t, "each fault takes its time")
	c := startCluster(t)
	ada := c.node(0).Signup(t, "ada")
	ada.Enter(faultRoom)
	l := c.load(ada, harness.Transports, 2)
	l.settle()

	l.suffer(t, clusterFaults)
	l.finish()
	for _, r := range l.readers {
		if n := r.resets.Load(); n > 0 {
			t.Errorf("resets of the %s reader of node %d: got %d, want 0", r.over, r.node, n)
		}
	}
}

// suffer runs the faults one after another.
func (l *load) suffer(t *testing.T, faults []fault) {
	t.Helper()
	began := l.begin()
	time.Sleep(lasting(5*time.Second, 2*time.Second))
	calm := l.felt(began)
	t.Logf("calm: %s", calm)

	for _, f := range faults {
		ok := t.Run(f.name, func(t *testing.T) {
			began := l.begin()
			f.do(t, l)
			over := l.felt(began)
			posts, readers := l.settle()
			w := l.felt(began)
			t.Logf("%s", w)
			t.Logf("afterwards both nodes answered posts and history after %s, and every reader had those after %s",
				posts.Round(time.Millisecond), readers.Round(time.Millisecond))
			if !f.felt(w) {
				t.Errorf("the fault: got no visible effect, want one: %s", w)
			}
			if f.streams && w.reconnected > 0 {
				t.Errorf("streams that reconnected: got %d, want 0", w.reconnected)
			}
			if f.aside {
				t.Logf("posts had p99 %s, slowest %s before, and p99 %s, slowest %s meanwhile", calm.p99, calm.slowest, over.p99, over.slowest)
				// The documented bound is 50 ms for p99; a machine that is busy with other tests adds to it.
				if harness.Long && (over.p99 > calm.p99+250*time.Millisecond || over.slowest > calm.slowest+time.Second) {
					t.Errorf("posts during the fault: got p99 %s, slowest %s, want near p99 %s, slowest %s", over.p99, over.slowest, calm.p99, calm.slowest)
				}
			}
		})
		if !ok {
			break // the next would start from an unknown state
		}
	}
}
