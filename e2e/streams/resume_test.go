package streams

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

const (
	resumeRooms   = 4
	resumeClients = 12
	resumePosters = 4
	resumePosts   = 150 // by each poster
)

// TestResumeAfterCutsSeesEachEventOnce tests the promise that everything else relies on: a client that continues from a
// cursor sees each of its events exactly once and in order, wherever the connection broke and whatever transport is next.
//
// The smaller the ring of recent events, the more of the catching up reads the log while new events arrive, where attaching
// and replaying could race.
func TestResumeAfterCutsSeesEachEventOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		ring func(*program.Settings)
	}{
		{"default ring", func(*program.Settings) {}},
		{"no ring", func(cfg *program.Settings) { cfg.RingBytes = 0 }},
		{"tiny ring", func(cfg *program.Settings) { cfg.RingBytes = 2000 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			testResume(t, test.ring)
		})
	}
}

func testResume(t *testing.T, ring func(*program.Settings)) {
	seed := resumeSeed(t)
	p := harness.StartProgram(t, ring)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	var rooms []string
	for i := range resumeRooms {
		rooms = append(rooms, fmt.Sprint("room", i))
		ada.Enter(rooms[i])
	}
	followers := make([]*follower, resumeClients)
	for i := range followers {
		followers[i] = newFollower(ada, i, rand.New(rand.NewPCG(seed, uint64(i))), rooms)
	}
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		harness.InParallel(resumePosters, func(i int) { postForResume(t, bob, i, seed, rooms) })
	}()
	var following sync.WaitGroup
	for _, f := range followers {
		following.Go(func() { f.follow(posted) })
	}
	<-posted
	// The last event of each room tells a follower that it has seen everything.
	ends := map[string]int64{}
	for _, name := range rooms {
		ends[name] = bob.Post(name, "the end").ID
	}
	for _, f := range followers {
		f.ends <- ends
	}
	following.Wait()

	truth := wholeLog(ada, rooms, ends)
	for _, name := range rooms { // the log and the history have the same messages
		var inLog, inHistory []int64
		for _, e := range truth {
			if e.Room == name && e.Type == "chat_message" {
				inLog = append(inLog, e.ID)
			}
		}
		if inHistory = harness.IDs(bob.WholeHistory(name)); !slices.Equal(inLog, inHistory) {
			t.Fatalf("history differs from the log in %s: %s", name, harness.Difference(inLog, inHistory))
		}
	}
	cuts := 0
	for _, f := range followers {
		f.compare(truth)
		cuts += f.connections - 1
	}
	t.Logf("%d events, %d cuts", len(truth), cuts)
	if cuts < 3*resumeClients {
		t.Errorf("only %d connections broke: this run tests too little", cuts)
	}
}

// resumeSeed is random; TANDEM_TEST_SEED repeats a run.
func resumeSeed(t *testing.T) uint64 {
	seed := rand.Uint64()
	if given := os.Getenv("TANDEM_TEST_SEED"); given != "" {
		var err error
		if seed, err = strconv.ParseUint(given, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("TANDEM_TEST_SEED=%d", seed)
	return seed
}

// postForResume posts in bursts, so that streams are sometimes far behind and sometimes up to date. One of the posters
// also joins rooms, since events other than messages must not get lost either.
func postForResume(t *testing.T, c *harness.Client, poster int, seed uint64, rooms []string) {
	random := rand.New(rand.NewPCG(seed, 1000+uint64(poster)))
	for n := range resumePosts {
		name := rooms[random.IntN(len(rooms))]
		if poster == 0 && n%100 == 50 {
			if _, err := c.Try("PUT", harness.RoomPath(name), nil); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.TryPost(name, fmt.Sprintf("%d of %d", n, poster)); err != nil {
			t.Error(err)
			return
		}
		if random.IntN(10) == 0 {
			time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond) // paces the load; not a wait
		}
	}
}

// wholeLog reads all events of the rooms with a stream from the beginning.
func wholeLog(c *harness.Client, rooms []string, ends map[string]int64) []harness.Event {
	c.T.Helper()
	s := c.Open(harness.OverSSE, url.Values{"room": rooms, "since": {"0"}}.Encode())
	defer s.Close()
	s.Opening()
	last := slices.Max(slices.Collect(maps.Values(ends)))
	return s.Until(func(e harness.Event) bool { return e.ID == last })
}
