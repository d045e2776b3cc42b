package program

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
)

const (
	resumeRooms   = 4
	resumeClients = 12
	resumePosters = 4
	resumePosts   = 150 // by each poster
)

// TestResumeAfterCutsSeesEachEventOnce is the promise that all else stands on: whoever goes on from a cursor sees
// every event of theirs exactly once and in order, wherever the connection broke and whichever transport
// comes next.
//
// The smaller the ring of recent events, the more of the catching up comes from the log, while new events
// arrive: there the races between attaching and replaying are.
func TestResumeAfterCutsSeesEachEventOnce(t *testing.T) {
	for _, test := range []struct {
		name string
		ring func(*Settings)
	}{
		{"default ring", func(*Settings) {}},
		{"no ring", func(cfg *Settings) { cfg.RingBytes = 0 }},
		{"tiny ring", func(cfg *Settings) { cfg.RingBytes = 2000 }},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			testResume(t, test.ring)
		})
	}
}

func testResume(t *testing.T, ring func(*Settings)) {
	seed := resumeSeed(t)
	p := startProgram(t, ring)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	var rooms []string
	for i := range resumeRooms {
		rooms = append(rooms, fmt.Sprint("room", i))
		ada.enter(rooms[i])
	}
	followers := make([]*follower, resumeClients)
	for i := range followers {
		followers[i] = newFollower(ada, i, rand.New(rand.NewPCG(seed, uint64(i))), rooms)
	}
	posted := make(chan struct{})
	go func() {
		defer close(posted)
		inParallel(resumePosters, func(i int) { postForResume(t, bob, i, seed, rooms) })
	}()
	var following sync.WaitGroup
	for _, f := range followers {
		following.Go(func() { f.follow(posted) })
	}
	<-posted
	// The last event of each room tells a follower that it has seen everything.
	ends := map[string]int64{}
	for _, name := range rooms {
		ends[name] = bob.post(name, "the end").ID
	}
	for _, f := range followers {
		f.ends <- ends
	}
	following.Wait()

	truth := wholeLog(ada, rooms, ends)
	for _, name := range rooms { // the log and the history agree on messages
		var inLog, inHistory []int64
		for _, e := range truth {
			if e.Room == name && e.Type == "chat_message" {
				inLog = append(inLog, e.ID)
			}
		}
		if inHistory = ids(bob.wholeHistory(name)); !slices.Equal(inLog, inHistory) {
			t.Fatalf("history and log differ in %s: %s", name, difference(inLog, inHistory))
		}
	}
	cuts := 0
	for _, f := range followers {
		f.compare(truth)
		cuts += f.connections - 1
	}
	t.Logf("%d events, %d cuts", len(truth), cuts)
	if cuts < 3*resumeClients {
		t.Errorf("only %d connections broke: this run tried little", cuts)
	}
}

// resumeSeed is new in every run; TANDEM_TEST_SEED repeats one.
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

// postForResume posts in bursts, so that streams are now far behind and now up to date. One of the posters
// enters rooms too: other events than messages must not get lost either.
func postForResume(t *testing.T, c *client, poster int, seed uint64, rooms []string) {
	random := rand.New(rand.NewPCG(seed, 1000+uint64(poster)))
	for n := range resumePosts {
		name := rooms[random.IntN(len(rooms))]
		if poster == 0 && n%100 == 50 {
			if _, err := c.try("PUT", roomPath(name), nil); err != nil {
				t.Error(err)
			}
		}
		if _, err := c.tryPost(name, fmt.Sprintf("%d of %d", n, poster)); err != nil {
			t.Error(err)
			return
		}
		if random.IntN(10) == 0 {
			time.Sleep(time.Duration(random.IntN(60)) * time.Millisecond) // the pace of the load, not a wait for anything
		}
	}
}

// wholeLog reads all events of the rooms by a stream from the beginning.
func wholeLog(c *client, rooms []string, ends map[string]int64) []event {
	c.t.Helper()
	s := c.open(overSSE, url.Values{"room": rooms, "since": {"0"}}.Encode())
	defer s.close()
	s.opening()
	last := slices.Max(slices.Collect(maps.Values(ends)))
	return s.until(func(e event) bool { return e.ID == last })
}
