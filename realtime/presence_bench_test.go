package realtime

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"runtime"
	"testing"

	"tandem/chat"
)

// silent is a bus that nobody listens to.
type silent struct{}

func (silent) Send(Message)                                 {}
func (silent) Receive(ctx context.Context, _ func(Message)) { <-ctx.Done() }

// presentHub returns a hub that knows n users of another node: each in the site and in two rooms of perRoom users.
func presentHub(b *testing.B, n, perRoom int) *Hub {
	b.Helper()
	h, err := New(b.Context(), &logbook{}, &rooms{}, silent{}, Config{Plain: true, Logger: slog.New(slog.DiscardHandler), Node: "one"})
	if err != nil {
		b.Fatal(err)
	}
	for first := 0; first < n; first += pageOf {
		st := PresenceUpdate{Node: "two", Kind: came}
		for user := first; user < min(n, first+pageOf); user++ {
			name := fmt.Sprintf("user%07d", user)
			for room := range 2 {
				st.People = append(st.People, Presence{chat.RoomTopic(int64(1 + 2*(user/perRoom) + room)), int64(user + 1), name})
			}
			st.People = append(st.People, Presence{siteTopic, int64(user + 1), name})
		}
		h.receivePresence(&st)
	}
	return h
}

// BenchmarkPresence measures what the users who are present cost every node (docs/scaling.md).
func BenchmarkPresence(b *testing.B) {
	for _, n := range []int{1_000, 10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("users=", n), func(b *testing.B) {
			var before, after runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&before)
			h := presentHub(b, n, 10)
			runtime.GC()
			runtime.ReadMemStats(&after)
			one := []Presence{{siteTopic, int64(n + 1), fmt.Sprintf("user%07d", n/2) + "x"}}
			for b.Loop() { // someone comes and leaves, in the middle of the site's list
				h.receivePresence(&PresenceUpdate{Node: "two", Kind: came, People: one})
				h.receivePresence(&PresenceUpdate{Node: "two", Kind: left, People: one})
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(n), "B/user")
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
			h := presentHub(b, 1000, 10)
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
	h := presentHub(b, 10_000, 10_000)
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.topics[chat.RoomTopic(1)]
	for b.Loop() {
		t.list.Store(nil)
		t.userList(0)
	}
	b.ReportMetric(float64(len(t.userList(0).json)), "B")
}
