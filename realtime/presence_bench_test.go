package realtime

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"tandem/chat"
)

// silent is a bus that nobody listens to.
type silent struct{}

func (silent) Send(Message)                                 {}
func (silent) Receive(ctx context.Context, _ func(Message)) { <-ctx.Done() }

// presentHub returns a hub that knows n users, spread over that many other nodes: each is in the site and in two rooms of
// perRoom users. A stream follows the first rooms.
func presentHub(b *testing.B, n, perRoom, nodes, followed int) *Hub {
	b.Helper()
	acc := &rooms{}
	h, err := New(b.Context(), &logbook{}, acc, silent{}, Config{Plain: true, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		b.Fatal(err)
	}
	for node := range nodes {
		var people []Presence
		for user := node; user < n; user += nodes {
			// Names arrive as strings of their own.
			for room := range 2 {
				people = append(people, Presence{chat.RoomTopic(int64(1 + 2*(user/perRoom) + room)), int64(user + 1), fmt.Sprintf("user%07d", user)})
			}
			people = append(people, Presence{siteTopic, int64(user + 1), fmt.Sprintf("user%07d", user)})
		}
		rand.New(rand.NewPCG(1, uint64(node))).Shuffle(len(people), func(i, j int) { people[i], people[j] = people[j], people[i] })
		for page := range slices.Chunk(people, pageOf) {
			h.receivePresence(&PresenceUpdate{Node: fmt.Sprint("node", node), Kind: came, People: page})
		}
	}
	for room := range followed {
		acc.members = append(acc.members, chat.Membership{Room: chat.Room{ID: int64(1 + room), Name: fmt.Sprint("room", room)}})
	}
	s, err := h.Open(b.Context(), chat.Viewer{User: int64(n + 1), Name: "reader"}, SSE, Request{All: true})
	if err != nil {
		b.Fatal(err)
	}
	s.opening = nil // as if it had been sent
	return h
}

// heapOf returns the memory that what is made uses.
func heapOf[T any](make func() T) (made T, bytes float64) {
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	made = make()
	runtime.GC()
	runtime.ReadMemStats(&after)
	return made, float64(after.HeapAlloc) - float64(before.HeapAlloc)
}

// BenchmarkPresenceMemory measures what a user who is present on another node costs a node whose streams follow one room
// in a hundred, or all of them.
func BenchmarkPresenceMemory(b *testing.B) {
	const people, perRoom, rooms = 100_000, 20, 10_000
	for _, nodes := range []int{1, 19} {
		for _, followed := range []int{rooms / 100, rooms} {
			b.Run(fmt.Sprintf("nodes=%d/followed=%d%%", nodes, 100*followed/rooms), func(b *testing.B) {
				for b.Loop() {
					h, bytes := heapOf(func() *Hub { return presentHub(b, people, perRoom, nodes, followed) })
					b.ReportMetric(bytes/people, "B/user")
					runtime.KeepAlive(h)
				}
			})
		}
	}
}

// BenchmarkPresence measures what the users who are present cost every node (docs/scaling.md).
func BenchmarkPresence(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("users=", n), func(b *testing.B) {
			h, bytes := heapOf(func() *Hub { return presentHub(b, n, 10, 1, 0) })
			one := []Presence{{siteTopic, int64(n + 1), fmt.Sprintf("user%07d", n/2) + "x"}}
			for b.Loop() { // someone comes and leaves, in the middle of the site's list
				h.receivePresence(&PresenceUpdate{Node: "node0", Kind: came, People: one})
				h.receivePresence(&PresenceUpdate{Node: "node0", Kind: left, People: one})
			}
			b.ReportMetric(bytes/float64(n), "B/user")
			runtime.KeepAlive(h)
		})
	}
}

// BenchmarkPresencePage measures a page of a list: its bytes on the bus, and what sender and receiver spend on it.
func BenchmarkPresencePage(b *testing.B) {
	st := PresenceUpdate{Node: "two", Kind: came, List: 1}
	for user := range pageOf {
		st.People = append(st.People, Presence{chat.RoomTopic(int64(1 + user%100)), int64(1_000_000 + user), fmt.Sprintf("user%07d", user)})
	}
	text, err := json.Marshal(Message{Presence: &st})
	if err != nil {
		b.Fatal(err)
	}
	b.Run("send", func(b *testing.B) {
		for b.Loop() {
			if _, err := json.Marshal(Message{Presence: &st}); err != nil {
				b.Fatal(err)
			}
		}
		b.ReportMetric(float64(len(text))/pageOf, "B/user")
	})
	for _, news := range []bool{true, false} {
		b.Run(fmt.Sprint("receive/news=", news), func(b *testing.B) {
			h := presentHub(b, 1000, 10, 1, 0)
			for b.Loop() {
				var m Message
				if err := json.Unmarshal(text, &m); err != nil {
					b.Fatal(err)
				}
				h.receivePresence(m.Presence)
				if news {
					b.StopTimer()
					h.receivePresence(&PresenceUpdate{Node: "two", Kind: left, People: st.People})
					b.StartTimer()
				}
			}
		})
	}
}

// BenchmarkUserList measures the user_list of a large room after a change: its bytes and what it costs to make.
func BenchmarkUserList(b *testing.B) {
	h := presentHub(b, 10_000, 10_000, 1, 2)
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[chat.RoomTopic(1)]
	for b.Loop() {
		t.list.Store(nil)
		t.userList(0)
	}
	b.ReportMetric(float64(len(t.userList(0).json)), "B")
}

// BenchmarkUnfollowedRoom measures what it costs to look at a room that nobody here follows, with people on four nodes:
// to count them, and to list them, as for its first stream.
func BenchmarkUnfollowedRoom(b *testing.B) {
	for _, n := range []int{10, 1_000, 100_000} {
		h := presentHub(b, n, n, 4, 0)
		b.Run(fmt.Sprint("count/users=", n), func(b *testing.B) {
			for b.Loop() {
				h.Online(1, 0)
			}
		})
		b.Run(fmt.Sprint("list/users=", n), func(b *testing.B) {
			for b.Loop() {
				h.Users(1, 0)
			}
		})
	}
}
