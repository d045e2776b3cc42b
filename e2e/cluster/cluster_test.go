package cluster

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// cluster is two nodes as separate processes, one PostgreSQL and one Valkey, all of which a test may damage.
type cluster struct {
	t        *testing.T
	pg       *testservers.Postgres
	database string
	standby  *testservers.Postgres  // nil if there is none
	pooler   *testservers.PgBouncer // between the nodes and PostgreSQL; nil if there is none
	valkey   *testservers.Valkey
	slow     *testservers.Proxy // in front of Valkey
	nodes    [2]atomic.Pointer[clusterNode]
	binaries [2]string // of another version; empty for this one
}

type clusterNode struct {
	*harness.Process
	metrics string // its address
}

// startCluster starts the servers and both nodes.
func startCluster(t *testing.T) *cluster {
	t.Helper()
	c := newCluster(t)
	for i := range c.nodes {
		c.start(i)
	}
	return c
}

// newCluster returns a cluster whose nodes have not been started.
func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{t: t, pg: testservers.NewPostgres(t, "max_connections=60"), valkey: testservers.NewValkey(t)}
	c.slow = testservers.NewProxy(t, c.valkey.Addr())
	var err error
	if c.database, err = c.pg.NewDatabase(); err != nil {
		t.Fatal(err)
	}
	return c
}

// url returns the database URL for node i. A standby is the second host. PostgreSQL knows the nodes as node0 and node1.
func (c *cluster) url(i int) string {
	url := c.pg.URL(c.database)
	if c.pooler != nil {
		url = c.pooler.URL(c.database)
	}
	url += "&application_name=node" + strconv.Itoa(i)
	if c.standby != nil {
		primary := fmt.Sprint("127.0.0.1:", c.pg.Port)
		url = strings.Replace(url, primary, fmt.Sprint(primary, ",127.0.0.1:", c.standby.Port), 1)
	}
	return url
}

// start starts a node on a new address.
func (c *cluster) start(i int) {
	c.t.Helper()
	n := &clusterNode{metrics: harness.FreeAddress(c.t)}
	address := harness.FreeAddress(c.t)
	executable := c.binaries[i]
	if executable == "" {
		executable = harness.Binary(c.t)
	}
	cmd := exec.Command(executable)
	cmd.Env = append(harness.WithoutSettings(), "TANDEM_ADDR="+address, "TANDEM_METRICS_ADDR="+n.metrics, "TANDEM_DATA_DIR="+c.t.TempDir(),
		"TANDEM_DATABASE_URL="+c.url(i), "TANDEM_VALKEY_URL=valkey://"+c.slow.Addr(), "TANDEM_HOOKS_ALLOW=127.0.0.1",
		// Limits are on, as in production: counting must not wait for Valkey either.
		"TANDEM_LIMIT_POSTS=100000", "TANDEM_LIMIT_LOGINS=100000", "TANDEM_LIMIT_SIGNUPS=100000", "TANDEM_LIMIT_STREAMS=100", "TANDEM_LIMIT_WRITES=100000", "TANDEM_LIMIT_READS=100000")
	n.Process = harness.RunUntilReady(c.t, cmd, address)
	c.nodes[i].Store(n)
}

func (c *cluster) node(i int) *clusterNode { return c.nodes[i].Load() }

func (n *clusterNode) signal(s syscall.Signal) { _ = n.Cmd.Process.Signal(s) }

// caughtUp returns how many events the node has read from the log since it started because the bus did not deliver
// them.
func (n *clusterNode) caughtUp() (count float64) {
	resp, err := http.Get("http://" + n.metrics + "/metrics")
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), "tandem_log_caught_up_total "); ok {
			count, _ = strconv.ParseFloat(value, 64)
		}
	}
	return count
}

// query asks the database for a single number.
func (c *cluster) query(sql string) (n int64) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), harness.Patience)
	defer cancel()
	conn, err := pgx.Connect(ctx, c.pg.URL(c.database))
	if err == nil {
		defer conn.Close(ctx)
		err = conn.QueryRow(ctx, sql).Scan(&n)
	}
	if err != nil {
		c.t.Fatalf("%s: %v", sql, err)
	}
	return n
}

// load is the traffic during a fault: writers that retry until they get an answer, and readers on every transport and
// each node that reconnect with their cursors.
type load struct {
	*cluster
	user    *harness.Client
	writers running
	tails   running
	readers []*tail

	serial atomic.Int64

	mu           sync.Mutex
	acknowledged map[string]int64
	failures     map[string]int // attempts without a 200 or 201, by outcome
	failed       int
	took         []time.Duration // of the successful attempts since the last reset
}

// running is a group of goroutines that run until stop is called.
type running struct {
	sync.WaitGroup
	stopped atomic.Bool
}

func (r *running) stop() {
	r.stopped.Store(true)
	r.Wait()
}

const (
	faultRoom = "lobby"
	// writePause is the pause between a writer's posts and between its attempts.
	writePause = 20 * time.Millisecond
	// attemptFor is how long a writer waits for an answer.
	attemptFor = 5 * time.Second
)

func (c *cluster) load(user *harness.Client, transports []harness.Transport, writers int) *load {
	l := &load{cluster: c, user: user, acknowledged: make(map[string]int64), failures: make(map[string]int)}
	for i := range c.nodes {
		for _, over := range transports {
			r := &tail{load: l, over: over, node: i}
			l.readers = append(l.readers, r)
			l.tails.Go(r.run)
		}
		for range writers {
			l.writers.Go(func() {
				for n := i; !l.writers.stopped.Load(); time.Sleep(writePause) {
					n = l.write(n)
				}
			})
		}
	}
	c.t.Cleanup(func() {
		l.writers.stop()
		l.tails.stop()
	})
	harness.Eventually(c.t, "all readers are connected", func() bool {
		for _, r := range l.readers {
			if r.connections.Load() == 0 {
				return false
			}
		}
		return true
	})
	return l
}

// at returns the user at a node.
func (l *load) at(node int) *harness.Client {
	c := l.user.On(l.node(node).Server)
	c.HTTP.Timeout = attemptFor
	return c
}

// write posts once: it retries with the same key, alternating between the nodes after each failure, until it gets an
// answer. It returns the node that answered.
func (l *load) write(node int) int {
	text := fmt.Sprint("post ", l.serial.Add(1))
	for attempts := 0; ; attempts++ {
		began := time.Now()
		e, err := l.at(node).TryPost(faultRoom, text, "Idempotency-Key: "+text)
		l.mu.Lock()
		if err == nil {
			l.acknowledged[text] = e.ID
			l.took = append(l.took, time.Since(began))
			l.mu.Unlock()
			return node
		}
		l.failed++
		l.failures[failureName(err)]++
		l.mu.Unlock()
		node = 1 - node
		time.Sleep(writePause)
		if attempts > 1000 {
			l.t.Errorf("posting %q: got %v after 1000 attempts, want an answer", text, err)
			return node
		}
	}
}

func failureName(err error) string {
	text := err.Error()
	switch {
	case os.IsTimeout(err) || errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case strings.Contains(text, "answered 503"):
		return "503"
	case strings.Contains(text, "answered"):
		return text
	}
	return "no connection"
}

// window is what users noticed in a period.
type window struct {
	failed      int
	failures    map[string]int
	p50, p99    time.Duration // of the posts, as below
	slowest     time.Duration
	posts       int
	reconnected int64
	caughtUp    float64
}

func (w window) String() string {
	return fmt.Sprintf("%d posts, p50 %s, p99 %s, slowest %s; %d attempts failed %v; readers came back %d times; %.0f events read from the log",
		w.posts, w.p50.Round(100*time.Microsecond), w.p99.Round(100*time.Microsecond), w.slowest.Round(100*time.Microsecond), w.failed, w.failures, w.reconnected, w.caughtUp)
}

// felt returns what happened since the counts in since.
func (l *load) felt(since count) window {
	now := l.count()
	l.mu.Lock()
	defer l.mu.Unlock()
	w := window{failed: l.failed, failures: l.failures, posts: len(l.took), reconnected: now.connections - since.connections}
	slices.Sort(l.took)
	if len(l.took) > 0 {
		w.p50, w.p99, w.slowest = l.took[len(l.took)/2], l.took[len(l.took)*99/100], l.took[len(l.took)-1]
	}
	for i := range l.nodes {
		if now.process[i] == since.process[i] {
			w.caughtUp += now.caughtUp[i] - since.caughtUp[i]
		}
	}
	return w
}

// count holds the counters.
type count struct {
	connections int64
	process     [2]*clusterNode
	caughtUp    [2]float64
}

func (l *load) count() (c count) {
	for _, r := range l.readers {
		if r.over != harness.OverPoll { // a poll reconnects all the time
			c.connections += r.connections.Load()
		}
	}
	for i := range l.nodes {
		c.process[i] = l.node(i)
		c.caughtUp[i] = c.process[i].caughtUp()
	}
	return c
}

// begin starts a window.
func (l *load) begin() count {
	c := l.count()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failed, l.failures, l.took = 0, make(map[string]int), nil
	return c
}

// settle returns how long it takes until each node answers a post and a history request, and until every reader has
// those posts.
func (l *load) settle() (posts, readers time.Duration) {
	l.t.Helper()
	began := time.Now()
	var last int64
	for i := range l.nodes {
		text := fmt.Sprint("settled ", l.serial.Add(1))
		harness.Eventually(l.t, fmt.Sprintf("node %d answers", i), func() bool {
			e, err := l.at(i).TryPost(faultRoom, text, "Idempotency-Key: "+text)
			if err != nil {
				return false
			}
			a, err := l.at(i).Try("GET", harness.RoomPath(faultRoom)+"/messages", nil)
			last = max(last, e.ID)
			return err == nil && a.Status == 200
		})
	}
	posts = time.Since(began)
	for _, r := range l.readers {
		harness.Eventually(l.t, fmt.Sprintf("the %s reader of node %d has event %d", r.over, r.node, last), func() bool { return r.last.Load() >= last })
	}
	return posts, time.Since(began)
}

// finish ends the load and compares everything with the log.
func (l *load) finish() {
	l.t.Helper()
	l.writers.stop()
	l.settle()
	l.tails.stop()
	history := l.at(0).WholeHistory(faultRoom)
	kept := make(map[string][]int64)
	for _, e := range history {
		kept[e.Message] = append(kept[e.Message], e.ID)
	}
	for text, id := range l.acknowledged {
		if len(kept[text]) != 1 || kept[text][0] != id {
			l.t.Errorf("ids of %q in the history: got %v, want [%d] as acknowledged", text, kept[text], id)
		}
	}
	for _, r := range l.readers {
		var want []int64
		for _, e := range history {
			if e.ID > r.start && e.ID <= r.last.Load() {
				want = append(want, e.ID)
			}
		}
		if !slices.Equal(r.seen, want) {
			l.t.Errorf("events of the %s reader of node %d, from %d on, in %d connections: %s", r.over, r.node, r.start, r.connections.Load(), harness.Difference(r.seen, want))
		}
	}
	if holes := l.query(`SELECT max(id) - count(*) FROM events`); holes != 0 {
		l.t.Errorf("ids missing in the log: got %d, want none", holes)
	}
	l.t.Logf("%d posts acknowledged, %d messages in the log, %d readers", len(l.acknowledged), len(history), len(l.readers))
}

// tail is a reader that reconnects with its cursor, at its own node or, if that is gone, at the other.
type tail struct {
	*load
	over        harness.Transport
	node        int
	connections atomic.Int64
	last        atomic.Int64
	resets      atomic.Int64 // stream_reset events; a test that expects none would notice missing events

	cursor string // "" before the first stream_open
	start  int64
	seen   []int64
}

func (r *tail) run() {
	for n := r.node; !r.tails.stopped.Load(); n = 1 - n {
		query := "room=" + faultRoom
		if r.cursor != "" {
			query += "&since=" + r.cursor
		}
		s, refusal, err := r.at(n).Dial(r.over, harness.Dialing{Query: query})
		switch {
		case err != nil || refusal != nil && refusal.Status == 503:
			time.Sleep(writePause)
		case refusal != nil:
			r.t.Errorf("%s reader: got %d %s, want a stream or 503", r.over, refusal.Status, refusal.Body)
			return
		default:
			r.read(s)
			s.Close()
		}
	}
}

// read reads a connection to its end.
func (r *tail) read(s *harness.Stream) {
	for {
		e, err := s.Next(50 * time.Millisecond)
		if errors.Is(err, harness.ErrPatience) && !r.tails.stopped.Load() {
			continue
		}
		if err != nil {
			return
		}
		switch {
		case e.Type == "stream_open":
			if r.cursor == "" {
				r.start = e.Position(r.t)
			}
			r.cursor = e.Since
			r.connections.Add(1)
		case e.Type == "ping":
			r.cursor = e.Since
		case e.Type == "stream_reset":
			r.resets.Add(1)
			r.last.Store(e.Head)
			r.cursor = fmt.Sprintf("%d.%s", e.Head, s.Open.Log)
		case e.ID != 0:
			if e.Type == "chat_message" {
				r.seen = append(r.seen, e.ID)
			}
			r.cursor = fmt.Sprintf("%d.%s", e.ID, s.Open.Log)
			r.last.Store(e.ID)
		}
	}
}
