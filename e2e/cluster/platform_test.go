package cluster

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// platform is two instances behind a door, on PostgreSQL through PgBouncer.
type platform struct {
	*cluster
	door *door
}

func startPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{cluster: newCluster(t), door: openDoor(t)}
	p.pooler = testservers.NewPgBouncer(t, p.pg)
	// Clients of any node connect through the door.
	outside := &clusterNode{Process: &harness.Process{Server: harness.NewServer(t, p.door.URL, harness.NewLogBook(t))}}
	for i := range p.nodes {
		p.nodes[i].Store(outside)
	}
	return p
}

// launch starts an instance as a platform does, with PORT.
func (p *platform) launch(env ...string) *instance {
	p.t.Helper()
	address := harness.FreeAddress(p.t)
	_, port, _ := strings.Cut(address, ":")
	cmd := exec.Command(harness.Binary(p.t))
	cmd.Env = append(harness.WithoutSettings(), "PORT="+port, "TANDEM_DATA_DIR="+p.t.TempDir(), "TANDEM_DATABASE_URL="+p.url(0),
		"TANDEM_VALKEY_URL=valkey://"+p.valkey.Addr(), "TANDEM_TRUSTED_PROXIES=127.0.0.0/8")
	cmd.Env = append(append(cmd.Env, harness.WithoutLimits...), env...)
	return p.door.admit(p.t, harness.RunUntilReady(p.t, cmd, address))
}

// users are real clients that run beside the test's own.
type users struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.Closer
	done chan struct{}

	mu     sync.Mutex
	ids    map[string][]int64
	opened map[string]int
}

// users starts the SDK on each transport and a browser's EventSource.
func (p *platform) users(c *harness.Client, room string) *users {
	p.t.Helper()
	for _, needed := range []string{"frontend/client/dist/index.js", "frontend/node_modules/playwright-core"} {
		if _, err := os.Stat(needed); err != nil {
			if os.Getenv("TANDEM_REQUIRE") == "" {
				p.t.Logf("running without the SDK and a browser: %v", err)
				return nil
			}
			p.t.Fatal(err)
		}
	}
	u := &users{t: p.t, cmd: exec.Command("node", "frontend/test/platform-clients.mjs", p.door.URL, c.User.Username, c.Password, room),
		done: make(chan struct{}), ids: map[string][]int64{}, opened: map[string]int{}}
	u.cmd.Stderr = os.Stderr
	in, err := u.cmd.StdinPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := u.cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	if u.in = in; u.cmd.Start() != nil {
		p.t.Fatal("cannot start node")
	}
	p.t.Cleanup(u.end)
	go u.read(out)
	return u
}

func (u *users) read(out io.Reader) {
	defer close(u.done)
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var line struct {
			Client, Error string
			ID            int64
			Open, Reset   bool
		}
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Error != "" || line.Reset {
			u.t.Errorf("output of the clients: got %s, want no error and no reset", lines.Text())
			continue
		}
		u.mu.Lock()
		if line.ID > 0 {
			u.ids[line.Client] = append(u.ids[line.Client], line.ID)
		}
		if line.Open {
			u.opened[line.Client]++
		}
		u.mu.Unlock()
	}
}

func (u *users) end() {
	_ = u.in.Close() // closing twice does no harm
	<-u.done
	_ = u.cmd.Wait()
}

const userClients = 5 // the SDK's four transports, and EventSource

// all reports whether each client fits.
func (u *users) all(fits func(ids []int64, opened int) bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	n := 0
	for name, opened := range u.opened {
		if fits(u.ids[name], opened) {
			n++
		}
	}
	return n == userClients
}

// finish compares what arrived with the log: from its first message on, each client has each message once and in order.
func (u *users) finish(history []harness.Event) {
	u.t.Helper()
	last := history[len(history)-1].ID
	harness.Eventually(u.t, "all clients have every message", func() bool {
		return u.all(func(ids []int64, _ int) bool { return len(ids) > 0 && ids[len(ids)-1] >= last })
	})
	u.end()
	for name, ids := range u.ids {
		var want []int64
		for _, e := range history {
			if e.ID >= ids[0] {
				want = append(want, e.ID)
			}
		}
		if !slices.Equal(ids, want) {
			u.t.Errorf("messages of %s, in %d streams: %s", name, u.opened[name], harness.Difference(ids, want))
		}
		u.t.Logf("%s got %d messages on %d streams", name, len(ids), u.opened[name])
	}
}

// watch makes c check the room's users until it is stopped: a user whose streams are cut and who reconnects must be
// present all the time.
func (p *platform) watch(c *harness.Client, name string) *running {
	r := &running{}
	lists := 0
	r.Go(func() {
		for !r.stopped.Load() {
			s, _, err := c.Dial(harness.OverSSE, harness.Dialing{Query: "room=" + faultRoom})
			if err != nil || s == nil {
				time.Sleep(writePause)
				continue
			}
			for {
				e, err := s.Next(50 * time.Millisecond)
				if err != nil && (!errors.Is(err, harness.ErrPatience) || r.stopped.Load()) {
					break
				}
				if e.Type == "user_list" {
					lists++
				}
				if e.Type == "user_list" && !slices.Contains(e.Users, name) || e.Type == "user_leave" && e.User == name {
					p.t.Errorf("presence of %s: got %s, want the user always present", name, e.Raw)
				}
			}
			s.Close()
		}
		p.t.Logf("%d user lists checked", lists)
	})
	p.t.Cleanup(r.stop)
	return r
}

// A serverless platform cuts requests, freezes idle instances, replaces instances with 10 s of notice, and sends each
// request to any of them. No event is lost or duplicated, and presence stays right.
func TestServerlessPlatform(t *testing.T) {
	harness.Slow(t, "the platform cuts long requests")
	p := startPlatform(t)
	first := []*instance{p.launch(), p.launch()}
	outside := p.node(0).Server
	ada, bob, eve := outside.Signup(t, "ada"), outside.Signup(t, "bob"), outside.Signup(t, "eve")
	ada.Enter(faultRoom)
	bob.Enter(faultRoom)
	eve.Enter(faultRoom)

	t.Log("requests are cut after 5 s of silence; pings come every 20 s")
	p.door.quiet.Store(int64(5 * time.Second))
	l := p.load(ada, []harness.Transport{harness.OverSSE, harness.OverWS, harness.OverNDJSON, harness.OverPost, harness.OverPoll}, 2)
	l.settle()
	watch := p.watch(eve, "ada")
	u := p.users(bob, faultRoom)
	if u != nil {
		harness.Eventually(t, "all clients are connected", func() bool { return u.all(func(_ []int64, opened int) bool { return opened > 0 }) })
		harness.Eventually(t, "all clients have a message", func() bool { return u.all(func(ids []int64, _ int) bool { return len(ids) > 0 }) })
	}
	l.writers.stop() // all posts have been made
	harness.Eventually(t, "every stream is cut", func() bool { return p.door.cuts.Load() >= 20 })
	if u != nil {
		harness.Eventually(t, "all clients reconnect", func() bool { return u.all(func(_ []int64, opened int) bool { return opened > 1 }) })
	}
	l.write(0)
	l.settle()

	t.Log("instances are replaced by ones that end streams after 2 s; the platform cuts them after 15 s")
	p.door.quiet.Store(int64(time.Minute))
	p.door.total.Store(int64(15 * time.Second))
	second := []*instance{p.launch("TANDEM_MAX_STREAM=2s"), p.launch("TANDEM_MAX_STREAM=2s")}
	for _, i := range first { // end the streams that began under the old settings
		p.door.dismiss(t, i)
	}
	began := l.count()
	cuts, since := p.door.cuts.Load(), time.Now()
	for time.Since(since) < 20*time.Second || l.count().connections < began.connections+3*int64(len(l.readers)) {
		l.write(0)
		time.Sleep(writePause)
	}
	if n := p.door.cuts.Load() - cuts; n > 0 {
		t.Errorf("requests cut by the platform: got %d, want 0, since streams end before", n)
	}
	watch.stop()
	l.finish()
	if u != nil {
		u.finish(ada.WholeHistory(faultRoom))
	}
	p.door.total.Store(0)
	p.launch()
	p.launch()
	for _, i := range second {
		p.door.dismiss(t, i)
	}
	p.sleeps(ada, bob)
}

// sleeps lets all clients leave, and then some come back.
func (p *platform) sleeps(ada, bob *harness.Client) {
	t := p.t
	t.Log("instances without a request are frozen")
	p.door.freeze()
	history := ada.WholeHistory(faultRoom)
	last := history[len(history)-1].ID
	harness.Eventually(t, "all instances are frozen", p.door.allFrozen)
	var want []int64
	for n := range 8 {
		e, err := ada.TryPost(faultRoom, fmt.Sprint("into the quiet ", n))
		if err != nil {
			t.Fatalf("post that thaws an instance: got %v, want nil", err)
		}
		want = append(want, e.ID)
		harness.Eventually(t, "all instances are frozen", p.door.allFrozen)
	}
	for _, i := range p.door.instances {
		if i.thawed < 4 {
			t.Errorf("times an instance was thawed: got %d, want at least 4", i.thawed)
		}
	}
	for _, over := range []harness.Transport{harness.OverSSE, harness.OverWS, harness.OverNDJSON, harness.OverPost, harness.OverPoll} {
		s := bob.Open(over, fmt.Sprintf("room=%s&since=%d", faultRoom, last))
		s.Opening()
		var got []int64
		for len(got) < len(want) {
			got = append(got, s.Must("chat_message").ID)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s from a cursor before the posts: got %v, want %v", over, got, want)
		}
		s.Close()
	}

	// Bob's instance is frozen when his last stream ends, so it cannot announce that he left. Ada's keeps running.
	harness.Eventually(t, "all instances are frozen", p.door.allFrozen)
	adas := ada.Open(harness.OverSSE, "room="+faultRoom)
	adas.Opening()
	if slices.Contains(adas.Lists[faultRoom].Users, "bob") { // his instance could not announce that he left
		adas.Until(func(e harness.Event) bool { return e.Type == "user_leave" && e.User == "bob" })
	}
	for range 4 { // on both instances
		bobs := bob.Open(harness.OverWS, "room="+faultRoom)
		bobs.Opening()
		if users := bobs.Lists[faultRoom].Users; !slices.Contains(users, "ada") {
			adasCome := bobs.Until(func(e harness.Event) bool { return e.Type == "user_join" && e.User == "ada" })
			t.Logf("a frozen instance learned of ada after the stream opened: %s", harness.Show(adasCome))
		}
		adas.Until(func(e harness.Event) bool { return e.Type == "user_join" && e.User == "bob" })
		bobs.Close()
		adas.Until(func(e harness.Event) bool { return e.Type == "user_leave" && e.User == "bob" })
	}
}
