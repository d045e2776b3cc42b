package realtime

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tandem/chat"
)

// doors is Access to public rooms with bans. Its answers take a while.
type doors struct {
	mu      sync.Mutex
	banned  map[string][]int64
	onAsk   func() // runs when OpenRoom has its answer
	asked   atomic.Int64
	viewers atomic.Int64 // questions about a user and a room
}

func (d *doors) ban(room string, user int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.banned[room] = append(d.banned[room], user)
}

func (d *doors) OpenRoom(_ context.Context, name string) (chat.Room, error) {
	d.asked.Add(1)
	d.mu.Lock()
	banned := len(d.banned[name])
	d.mu.Unlock()
	time.Sleep(10 * time.Millisecond)
	if d.onAsk != nil {
		d.onAsk()
	}
	if banned > 0 {
		return chat.Room{}, chat.ErrRoomNotFound
	}
	return chat.Room{ID: int64(len(name)), Name: name}, nil
}

func (d *doors) Follow(_ context.Context, v chat.Viewer, names []string, open chat.OpenRooms) (may []chat.Room, missing []string, _ error) {
	for _, n := range names {
		if room, known := open(n); known {
			may = append(may, room)
			continue
		}
		d.viewers.Add(1)
		time.Sleep(10 * time.Millisecond)
		d.mu.Lock()
		if slices.Contains(d.banned[n], v.User) {
			missing = append(missing, n)
		} else {
			may = append(may, chat.Room{ID: int64(len(n)), Name: n})
		}
		d.mu.Unlock()
	}
	return may, missing, nil
}

func (*doors) Memberships(context.Context, chat.Viewer) ([]chat.Membership, error) { return nil, nil }

// bar commits a ban in a room with five letters.
func (l *logbook) bar(user int64) []chat.Event {
	e := chat.ControlEvent{User: user, Room: lobby.Number()}.Event(user)
	e.ID = l.commit(e.Topic).ID
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events[e.ID-1] = e
	return []chat.Event{e}
}

// follows reports whether user's new stream follows the lobby.
func (b *bench) follows(user int64) bool {
	b.t.Helper()
	s, err := b.Open(b.ctx, chat.Viewer{User: user, Name: "ada"}, SSE, Request{Rooms: []string{"lobby"}, Cursor: &chat.Cursor{}})
	if err != nil {
		b.t.Fatal(err)
	}
	defer s.Drop()
	return slices.ContainsFunc(s.follows, func(f follow) bool { return f.topic.key == lobby })
}

// When many streams reconnect, each public room is looked up once; a room with bans once per user.
func TestReconnectStormChecksEachRoomOnce(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		d := &doors{banned: map[string][]int64{}}
		b.access = d
		crowd := func() {
			var all sync.WaitGroup
			for i := range 300 {
				all.Go(func() {
					name := []string{"lobby", "kitchen", "attic"}[i%3]
					s, err := b.Open(b.ctx, chat.Viewer{User: int64(i + 10), Name: "ada"}, SSE, Request{Rooms: []string{name}})
					if err != nil {
						t.Error(err)
						return
					}
					s.Drop()
				})
			}
			all.Wait()
		}
		crowd()
		crowd()
		if asked, viewers := d.asked.Load(), d.viewers.Load(); asked != 3 || viewers != 0 {
			t.Errorf("600 streams of 3 rooms: %d room queries and %d viewer queries, want 3 and 0", asked, viewers)
		}
		d.ban("lobby", 3)
		b.publish(b.log.bar(3))
		synctest.Wait()
		crowd()
		if viewers := d.viewers.Load(); viewers != 100 {
			t.Errorf("100 streams of a room with a ban: %d viewer queries, want 100", viewers)
		}
	})
}

// A banned user finds the room gone, even if the hub has cached it as open and has not heard of the ban.
func TestBanUnseenByTheHubIsEnforced(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		d := &doors{banned: map[string][]int64{}}
		b.access = d
		if !b.follows(3) {
			t.Fatal("user 3 does not follow the room before the ban")
		}
		d.ban("lobby", 3)
		b.log.bar(3) // the bus has not delivered it
		if b.follows(3) {
			t.Error("banned user follows the room")
		}
	})
}

// An answer overtaken by a ban is not cached.
func TestBanDuringTheAccessCheck(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		d := &doors{banned: map[string][]int64{}}
		b.access = d
		d.onAsk = func() {
			d.onAsk = nil
			d.ban("lobby", 3)
			b.publish(b.log.bar(3))
			synctest.Wait()
		}
		for range 2 {
			if b.follows(3) {
				t.Error("banned user follows the room")
			}
		}
		if !b.follows(4) {
			t.Error("another user does not follow the room")
		}
	})
}

// Events that clients missed during a restart are in the ring again.
func TestHubStartsAtTheEndOfTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &countedLog{logbook: &logbook{}}
		inbox := chat.InboxTopic(3)
		for range recalled + 10 {
			log.commit(inbox)
		}
		h, err := New(t.Context(), log, noRooms{}, NewMemory(), Config{RingBytes: 10 << 20, Plain: true, Logger: slog.New(slog.DiscardHandler)})
		if err != nil {
			t.Fatal(err)
		}
		s, err := h.Open(t.Context(), chat.Viewer{User: 3, Name: "ada"}, NDJSON, Request{Cursor: &chat.Cursor{ID: recalled, Log: "test"}})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Drop()
		out, _, err := s.Next(t.Context(), nil)
		if lines := strings.Count(string(out), "\n"); err != nil || lines != 1+10 || log.reads.Load() != 0 {
			t.Errorf("resumed with %d lines and %d topic reads, %v", lines, log.reads.Load(), err)
		}
		if got := h.Stats(); got.Posts != 0 || got.Head != recalled+10 {
			t.Errorf("stats of a new hub = %+v", got)
		}
	})
}
