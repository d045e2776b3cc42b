package realtime

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"tandem/chat"
)

// site is the state of a random run: the memberships, the rooms, and who may see them. It is the hub's Access, and
// decides by what is committed.
type site struct {
	*logbook
	members map[int64]map[int64]int64 // by room and user: the id of the member_added
	deleted map[int64]bool
	banned  map[[2]int64]bool
	onCheck func()
	onAsk   func()
}

const siteRooms, siteUsers = 4, 3

func roomName(room int64) string { return fmt.Sprint("r", room) }

func (w *site) Follow(_ context.Context, v chat.Viewer, names []string, open chat.OpenRooms) (may []chat.Room, missing []string, _ error) {
	for _, n := range names {
		if room, known := open(n); known {
			may = append(may, room)
			continue
		}
		w.mu.Lock()
		room, _ := strconv.ParseInt(n[1:], 10, 64)
		if w.deleted[room] || w.banned[[2]int64{room, v.User}] {
			missing = append(missing, n)
		} else {
			may = append(may, chat.Room{ID: room, Name: n})
		}
		w.mu.Unlock()
	}
	w.checked()
	return may, missing, nil
}

func (w *site) OpenRoom(_ context.Context, name string) (chat.Room, error) {
	defer w.asked() // changes from here on come after the answer
	w.mu.Lock()
	defer w.mu.Unlock()
	room, _ := strconv.ParseInt(name[1:], 10, 64)
	for user := range int64(siteUsers) {
		if w.deleted[room] || w.banned[[2]int64{room, 1 + user}] {
			return chat.Room{}, chat.ErrRoomNotFound
		}
	}
	return chat.Room{ID: room, Name: name}, nil
}

func (w *site) asked() {
	if w.onAsk != nil {
		w.onAsk()
	}
}

func (w *site) Memberships(_ context.Context, v chat.Viewer) (all []chat.Membership, _ error) {
	w.mu.Lock()
	for room := int64(1); room <= siteRooms; room++ {
		if since, is := w.members[room][v.User]; is {
			all = append(all, chat.Membership{Room: chat.Room{ID: room, Name: roomName(room)}, Since: since})
		}
	}
	w.mu.Unlock()
	w.checked()
	return all, nil
}

func (w *site) checked() {
	if w.onCheck != nil {
		w.onCheck()
	}
}

// write commits an event. The caller holds w.mu.
func (w *site) write(e chat.Event) chat.Event {
	e.ID = int64(len(w.events) + 1)
	w.events = append(w.events, e)
	return e
}

// step commits something at random and returns its events.
func (w *site) step(r *rand.Rand) []chat.Event {
	w.mu.Lock()
	defer w.mu.Unlock()
	room, user := 1+r.Int64N(siteRooms), 1+r.Int64N(siteUsers)
	event := func(typ string, also chat.Topic) chat.Event {
		return w.write(chat.Event{Topic: chat.RoomTopic(room), Also: also, Type: typ, Body: fmt.Sprintf(`"room":%q}`, roomName(room))})
	}
	inbox := chat.InboxTopic(user)
	_, member := w.members[room][user]
	if w.deleted[room] {
		return nil
	}
	switch n := r.IntN(40); {
	case n < 8 && !w.banned[[2]int64{room, user}]: // joins, or changes role
		e := event(chat.TypeMemberAdded, inbox)
		if !member {
			w.members[room][user] = e.ID
		}
		return []chat.Event{e}
	case n < 12 && member: // leaves
		delete(w.members[room], user)
		return []chat.Event{event(chat.TypeMemberRemoved, inbox)}
	case n < 15: // is banned
		delete(w.members[room], user)
		w.banned[[2]int64{room, user}] = true
		e := event(chat.TypeMemberRemoved, inbox)
		return []chat.Event{e, w.write(chat.ControlEvent{User: user, Room: room}.Event(user))}
	case n < 18:
		delete(w.banned, [2]int64{room, user})
	case n == 18 && r.IntN(4) == 0:
		w.deleted[room] = true
		w.members[room] = nil
		return []chat.Event{event(chat.TypeRoomDeleted, chat.NoTopic)}
	}
	return []chat.Event{event(chat.TypeChatMessage, chat.NoTopic)}
}

// model returns what a stream must be sent that resumed after since, with these rooms, each from after an id on, as of
// opened. It implements only the rules.
func (w *site) model(user, since, opened int64, after map[int64]int64, named map[int64]bool, all bool) (want []int64) {
	for _, e := range w.events[since:] {
		if e.Topic == chat.Control {
			c, _ := chat.ParseControl(e)
			if from, follows := after[c.Room]; c.User == user && e.ID > opened && follows && e.ID > from {
				delete(after, c.Room)
			}
			continue
		}
		room, mine := e.Topic.Number(), e.Also == chat.InboxTopic(user)
		from, follows := after[room]
		if mine && e.Type == chat.TypeMemberAdded && all && !follows && e.ID > opened {
			from, follows = e.ID-1, true
			after[room] = from
			named[room] = false
		}
		follows = follows && e.ID > from
		if follows || mine {
			want = append(want, e.ID)
		}
		if follows && e.ID > opened && (e.Type == chat.TypeRoomDeleted || mine && e.Type == chat.TypeMemberRemoved && !named[room]) {
			delete(after, room)
		}
	}
	return want
}

// checkRooms checks that a stream follows at its opening only rooms that it might have followed at some moment since
// opened, and all that it might have at every moment.
func (w *site) checkRooms(t *testing.T, user, opened int64, after map[int64]int64, r Request) {
	for room := int64(1); room <= siteRooms; room++ {
		asked := slices.Contains(r.Rooms, roomName(room))
		member, barred, gone := false, false, false
		sometimes, always := false, true
		for i := 0; i <= len(w.events); i++ {
			if int64(i) >= opened {
				may := !gone && (asked && !barred || r.All && member)
				sometimes, always = sometimes || may, always && may
			}
			if i == len(w.events) {
				break
			}
			e := w.events[i]
			mine := e.Topic == chat.RoomTopic(room) && e.Also == chat.InboxTopic(user)
			switch c, _ := chat.ParseControl(e); {
			case e.Topic == chat.Control:
				if c.Room == room && c.User == user {
					sometimes = sometimes || barred && asked && !gone && e.ID > opened // admitted before, without an event
					barred = true
				}
			case mine && e.Type == chat.TypeMemberAdded:
				member, barred = true, false
			case mine && e.Type == chat.TypeMemberRemoved:
				member = false
			case e.Topic == chat.RoomTopic(room) && e.Type == chat.TypeRoomDeleted:
				gone = true
			}
		}
		if asked && !w.banned[[2]int64{room, user}] && barred {
			sometimes = sometimes || !gone // admitted again without an event
		}
		if _, is := after[room]; is && !sometimes || !is && always {
			t.Errorf("user %d, opened at %d, asked for %v, all %v: follows %s = %v, allowed sometimes = %v, always = %v", user, opened, r.Rooms, r.All, roomName(room), is, sometimes, always)
		}
	}
}

// Whatever happens to memberships, a stream gets exactly what the rules say: live, behind, resumed, and while it opens.
func TestStreamsFollowPermittedRooms(t *testing.T) {
	for seed := range uint64(60) {
		for _, ring := range []int{0, 2000, bigRing} {
			t.Run(fmt.Sprintf("%d with a ring of %d", seed, ring), func(t *testing.T) {
				inBubble(t, ring, func(b *bench) { randomRun(t, b, rand.New(rand.NewPCG(seed, uint64(ring)))) })
			})
		}
	}
}

func randomRun(t *testing.T, b *bench, r *rand.Rand) {
	w := &site{logbook: b.log, members: map[int64]map[int64]int64{}, deleted: map[int64]bool{}, banned: map[[2]int64]bool{}}
	for room := int64(1); room <= siteRooms; room++ {
		w.members[room] = map[int64]int64{}
	}
	b.access = w
	step := func() {
		if events := w.step(r); len(events) > 0 && r.IntN(6) > 0 { // otherwise the bus loses them
			b.publish(events)
		}
	}
	checks := 0 // to come
	w.onCheck = func() {
		for range r.IntN(3) {
			step()
		}
		if r.IntN(2) == 0 {
			synctest.Wait() // the hub knows of it already
		}
		if checks--; checks == 0 {
			b.in.Lock() // to look at what the stream opened with
		}
	}
	w.onAsk = func() {
		if r.IntN(3) == 0 {
			step()
		}
		if r.IntN(2) == 0 {
			synctest.Wait()
		}
	}
	for range 10 {
		step()
	}
	for range 6 {
		user := 1 + r.Int64N(siteUsers)
		request := Request{All: r.IntN(4) > 0}
		for room := int64(1); room <= siteRooms; room++ {
			if r.IntN(4) == 0 {
				request.Rooms = append(request.Rooms, roomName(room))
			}
		}
		since := r.Int64N(int64(len(w.events)) + 1)
		request.Cursor = &chat.Cursor{ID: since}
		if checks = 1; request.All {
			checks = 2
		}
		head := int64(len(w.events))
		s, err := b.Open(b.ctx, chat.Viewer{User: user, Name: fmt.Sprint("u", user)}, SSE, request)
		if err != nil {
			t.Fatal(err)
		}
		opened, after, named := max(b.pos, head), map[int64]int64{}, map[int64]bool{}
		var rooms []string
		for _, f := range s.follows {
			if f.topic.key.IsRoom() {
				room := f.topic.key.Number()
				after[room], named[room] = f.after, f.named
				rooms = append(rooms, fmt.Sprintf("%s>%d", f.topic.room, f.after))
			}
		}
		w.mu.Lock()
		w.checkRooms(t, user, opened, after, request)
		w.mu.Unlock()
		b.in.Unlock()

		reads := make(chan struct{})
		c := serveAfter(s, reads)
		if r.IntN(2) == 0 {
			close(reads)
			reads = nil
		}
		for range r.IntN(30) {
			step()
			if r.IntN(3) == 0 {
				synctest.Wait()
			}
		}
		time.Sleep(2 * time.Second)
		if reads != nil {
			close(reads)
		}
		var got []int64
		for _, e := range c.seen() {
			if _, id, ok := strings.Cut(e, ":"); ok && !strings.HasPrefix(e, "user_") {
				n, _ := strconv.ParseInt(id, 10, 64)
				got = append(got, n)
			}
		}
		c.conn.Close()
		if want := w.model(user, since, opened, after, named, request.All); !slices.Equal(got, want) {
			var log []string
			for _, e := range w.events[since:] {
				log = append(log, fmt.Sprintf("%d %s r%d u%d %s", e.ID, e.Type, e.Topic.Number(), e.Also.Number(), e.Body))
			}
			t.Fatalf("user %d behind %d, opened at %d with %v, all %v:\ngot  %v\nwant %v\n%s", user, since, opened, rooms, request.All, got, want, strings.Join(log, "\n"))
		}
	}
}

// The last event of a room and the one that removes a user arrive without a later one, and end presence.
func TestStreamsSeeTheEndOfARoom(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		watch, ada := b.open("bo", Request{Rooms: []string{"lobby", "x"}}), b.open("ada", Request{Rooms: []string{"lobby", "x"}})
		watch.seen()
		ada.seen()
		write := func(e chat.Event) {
			e.ID = b.log.commit(e.Topic).ID
			b.log.events[e.ID-1] = e
			b.publish([]chat.Event{e})
		}
		write(chat.ControlEvent{User: 3, Room: 5}.Event(1))
		expect(t, ada.seen())
		expect(t, watch.seen(), "user_leave:ada")
		b.post(lobby)
		expect(t, watch.seen(), "chat_message:2")
		write(chat.Event{Topic: chat.RoomTopic(1), Type: chat.TypeRoomDeleted, Body: `"room":"x"}`})
		b.post(chat.RoomTopic(1))
		expect(t, ada.seen(), "room_deleted:3")
		expect(t, watch.seen(), "room_deleted:3")
		write(chat.ControlEvent{Room: 5}.Event(1))
		b.post(lobby)
		expect(t, watch.seen(), "stream_close", "end")
		if n := b.Online(1, 0); n != 0 {
			t.Errorf("%d users in a deleted room", n)
		}
		ada.conn.Close()
		time.Sleep(20 * time.Second)
		if b.UserOnline(3, 0) || b.UserOnline(2, 0) || len(b.UsersOnline(0)) != 0 {
			t.Errorf("UsersOnline = %v, want none", b.UsersOnline(0))
		}
	})
}

// A user whose stream was asked to reconnect stays present until they have had time to.
func TestRestartSendsNoLeaves(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		watch := b.open("bo", Request{Rooms: []string{"lobby"}})
		s, err := b.Open(b.ctx, chat.Viewer{User: 3, Name: "ada"}, SSE, Request{Rooms: []string{"lobby"}})
		if err != nil {
			t.Fatal(err)
		}
		ada := serve(s)
		watch.seen()
		s.Close(chat.CloseRestart, 2*time.Second)
		expect(t, ada.seen()[2:], "stream_close", "end")
		time.Sleep(6 * time.Second)
		expect(t, watch.seen())
		time.Sleep(3 * time.Second)
		expect(t, watch.seen(), "user_leave:ada")
	})
}

func TestAnonymousReadersAreNotCounted(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		s, err := b.Open(b.ctx, chat.Viewer{}, SSE, Request{Rooms: []string{"lobby"}})
		if err != nil {
			t.Fatal(err)
		}
		c := serve(s)
		expect(t, c.seen(), "stream_open", "user_list:[]")
		b.post(lobby)
		b.post(chat.Control) // its topic is what an inbox of user 0 would have
		expect(t, c.seen(), "chat_message:1")
		if len(b.UsersOnline(0)) != 0 || b.Online(5, 0) != 0 {
			t.Error("users with an anonymous stream: got it counted, want none")
		}
		for _, r := range []Request{{All: true}, {Site: true}} {
			if _, err := b.Open(b.ctx, chat.Viewer{}, SSE, r); err != ErrAnonymous {
				t.Errorf("%+v: got %v, want ErrAnonymous", r, err)
			}
		}
	})
}
