package store

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/chat"
	"tandem/followers"
	"tandem/testservers"
)

// followerNodeEnv makes a process of the test a node that runs followers. It holds the configuration as JSON.
const followerNodeEnv = "TANDEM_TEST_FOLLOWER_NODE"

type nodeSpec struct {
	Name, URL, Dir string
	Diary          string // the file in which it records its batches
}

// noted is a batch that a node has handled.
type noted struct {
	Follower, Node string
	IDs            []int64
}

const (
	nodeLease = 1500 * time.Millisecond
	nodeBatch = 10
)

// runFollowerNode runs a node whose followers take some time for each batch, and record it half way.
func runFollowerNode() {
	var spec nodeSpec
	must := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	must(json.Unmarshal([]byte(os.Getenv(followerNodeEnv)), &spec))
	diary, err := os.OpenFile(spec.Diary, os.O_APPEND|os.O_WRONLY|os.O_CREATE, 0o600)
	must(err)
	p := place{URL: spec.URL, Dir: spec.Dir, PostgresWait: 5 * time.Second}
	s, err := p.try(Config{})
	for tries := 1; err != nil && tries < 20; tries++ { // the database is slow on a busy machine
		s, err = p.try(Config{})
	}
	must(err)
	r := followers.New(s, s, followers.Config{Lease: nodeLease})
	r.AddKind(followers.Kind{Name: "test", Load: func(_ context.Context, names []string) (all []followers.Follower, _ error) {
		for _, name := range names {
			all = append(all, followers.Follower{Name: name, Batch: nodeBatch, Handle: func(_ context.Context, b followers.Batch) error {
				time.Sleep(5 * time.Millisecond)
				line, err := json.Marshal(noted{name, spec.Name, ids(b.Events)})
				if err != nil {
					return err
				}
				if _, err := diary.Write(append(line, '\n')); err != nil {
					return err
				}
				time.Sleep(5 * time.Millisecond)
				return nil
			}})
		}
		return all, nil
	}})
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	go func() { // as a hub does
		var at int64
		for ; ; time.Sleep(20 * time.Millisecond) {
			state, err := s.Head(ctx)
			if err != nil || state.Head == at {
				continue
			}
			if events, err := s.ReadAll(ctx, at, state.Head, 1000); err == nil {
				upto := state.Head
				if len(events) == 1000 {
					upto = events[999].ID
				}
				r.Tell(state.Name, events, upto)
				at = upto
			}
		}
	}()
	r.Run(ctx)
	must(s.Close())
}

// followerNode is such a process.
type followerNode struct {
	*exec.Cmd
	spec  nodeSpec
	proxy *testservers.Proxy // in front of its database; nil for SQLite
}

func (n *followerNode) start(t *testing.T) {
	t.Helper()
	spec, err := json.Marshal(n.spec)
	if err != nil {
		t.Fatal(err)
	}
	n.Cmd = exec.Command(os.Args[0])
	n.Env = append(os.Environ(), followerNodeEnv+"="+string(spec))
	n.Stdout, n.Stderr = os.Stdout, os.Stderr
	if err := n.Start(); err != nil {
		t.Fatal(err)
	}
}

// freeze stops the process while it does not hold the log's head: with SQLite it would hold that until it is thawed.
func (n *followerNode) freeze(t *testing.T, s *Store) {
	t.Helper()
	eventually(t, "it is frozen without the head's lock", func() bool {
		n.signal(t, syscall.SIGSTOP)
		time.Sleep(10 * time.Millisecond) // signals take time
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if s.log.do(ctx, func(*tx) error { return nil }) == nil {
			return true
		}
		n.signal(t, syscall.SIGCONT)
		return false
	})
}

func (n *followerNode) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	if err := n.Process.Signal(s); err != nil {
		t.Error(err)
	}
}

// Whatever happens to the node that holds a follower, another takes over: the follower gets every event in order, and
// at most one batch twice per takeover.
func TestFollowersSurviveTheirNodes(t *testing.T) {
	t.Parallel()
	const cut = "it is cut off its database"
	for fault, do := range map[string]func(t *testing.T, s *Store, n *followerNode, tookOver func()){
		"it is killed in mid-work": func(t *testing.T, s *Store, n *followerNode, tookOver func()) {
			n.signal(t, syscall.SIGKILL)
			_ = n.Wait()
			tookOver()
			n.start(t)
		},
		"it is frozen in mid-work": func(t *testing.T, s *Store, n *followerNode, tookOver func()) {
			n.freeze(t, s)
			tookOver()
			n.signal(t, syscall.SIGCONT)
		},
		"it is frozen for a moment": func(t *testing.T, s *Store, n *followerNode, _ func()) {
			n.freeze(t, s)
			time.Sleep(nodeLease / 2)
			n.signal(t, syscall.SIGCONT)
		},
		cut: func(t *testing.T, s *Store, n *followerNode, tookOver func()) {
			n.proxy.Refuse(true)
			tookOver()
			time.Sleep(nodeLease) // it keeps trying
			n.proxy.Refuse(false)
		},
		"it stops": func(t *testing.T, s *Store, n *followerNode, tookOver func()) {
			n.signal(t, syscall.SIGTERM)
			_ = n.Wait()
			tookOver()
			n.start(t)
		},
	} {
		t.Run(fault, func(t *testing.T) {
			if fault == cut { // only PostgreSQL has a connection to cut
				t.Parallel()
				testFollowersSurviveTheirNodes(t, place{URL: testservers.Database(t)}, do)
				return
			}
			onBoth(t, func(t *testing.T, p place) { testFollowersSurviveTheirNodes(t, p, do) })
		})
	}
}

func testFollowersSurviveTheirNodes(t *testing.T, p place, fault func(t *testing.T, s *Store, n *followerNode, tookOver func())) {
	const count = 5
	s, u, lobby := world(t, p, nil)
	s.inTx(t, func(tx *tx) error {
		for i := range count {
			if err := tx.addFollower(fmt.Sprint("test:", i), 0); err != nil {
				return err
			}
		}
		return nil
	})
	diary := filepath.Join(t.TempDir(), "diary")
	var nodes []*followerNode
	for i := range 3 {
		n := &followerNode{spec: nodeSpec{Name: fmt.Sprint("node ", i), URL: p.URL, Dir: p.Dir, Diary: diary}}
		if p.URL != "" {
			server := p.URL[strings.Index(p.URL, "@")+1:]
			server = server[:strings.Index(server, "/")]
			n.proxy = testservers.NewProxy(t, server)
			n.spec.URL = strings.Replace(p.URL, server, n.proxy.Addr(), 1)
		}
		n.start(t)
		nodes = append(nodes, n)
		t.Cleanup(func() { _ = n.Process.Kill(); _ = n.Wait() })
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(2 * time.Millisecond):
			}
			// This must fail while a frozen node holds the head.
			if _, _, err := s.Post(context.Background(), guardOf(u, lobby), message(u, lobby, "x"), nil); err != nil && !errors.Is(err, chat.ErrUnavailable) {
				t.Error(err)
			}
		}
	}()
	var holder string
	eventually(t, "a node has the first follower", func() bool {
		for _, b := range readDiary(t, diary) {
			if b.Follower == "test:0" {
				holder = b.Node
			}
		}
		return holder != ""
	})
	time.Sleep(200 * time.Millisecond)
	n := nodes[slices.IndexFunc(nodes, func(n *followerNode) bool { return n.spec.Name == holder })]
	fault(t, s, n, func() {
		t.Helper()
		eventually(t, "another node has the follower", func() bool {
			return slices.ContainsFunc(readDiary(t, diary), func(b noted) bool { return b.Follower == "test:0" && b.Node != holder })
		})
	})
	time.Sleep(300 * time.Millisecond)
	close(stop)
	<-stopped
	posted, err := s.Read(t.Context(), []chat.TopicSince{{Topic: chat.RoomTopic(lobby.ID)}}, chat.MaxID, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	want := ids(posted)
	for i := range count {
		name := fmt.Sprint("test:", i)
		eventually(t, "the follower reaches the end of the log", func() bool { return s.follower(t, name).Cursor >= want[len(want)-1] })
		seen := make(map[int64]bool)
		var first []int64
		twice := 0
		for _, b := range readDiary(t, diary) {
			if b.Follower != name {
				continue
			}
			for _, id := range b.IDs {
				if seen[id] {
					twice++
				} else {
					first = append(first, id)
				}
				seen[id] = true
			}
		}
		if !slices.Equal(first, want) {
			t.Errorf("%s was given %d events, in order: %v; want %d", name, len(first), slices.IsSorted(first), len(want))
		}
		var epoch int // 1 before it is claimed, and one more with each claim; on a slow machine nodes lose leases by themselves
		if err := s.queryRow(t.Context(), `SELECT epoch FROM followers WHERE name = ?`, name).Scan(&epoch); err != nil {
			t.Fatal(err)
		}
		if takeovers := epoch - 2; twice > takeovers*nodeBatch {
			t.Errorf("%s got %d events twice, with %d takeovers and %d events per batch", name, twice, takeovers, nodeBatch)
		}
		t.Logf("%s: %d events, %d twice, epoch %d", name, len(first), twice, epoch)
	}
}

func readDiary(t *testing.T, file string) (all []noted) {
	t.Helper()
	text, err := os.ReadFile(file)
	if os.IsNotExist(err) {
		return nil
	}
	if err != nil {
		t.Fatal(err)
	}
	text = text[:bytes.LastIndexByte(text, '\n')+1] // the last line may be incomplete
	for line := range bytes.Lines(text) {
		var b noted
		if err := json.Unmarshal(line, &b); err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}
