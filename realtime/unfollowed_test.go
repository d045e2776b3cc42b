package realtime

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"tandem/chat"
)

// holdsLobby reports whether h holds the lobby's list.
func (h *Hub) holdsLobby() bool {
	h.mu.RLock()
	defer h.mu.RUnlock()
	t := h.topics[lobby]
	return t != nil && (len(t.people) > 0 || t.names.count > 0)
}

// presence is seen without pings.
func (c *client) presence() []string {
	return slices.DeleteFunc(c.seen(), func(e string) bool { return e == "ping" })
}

// A node lists a room's users whether or not a stream follows it there, but only holds a list while one does. Making and
// dropping the list is not announced; each join and leave is, once.
func TestListsAreHeldOnlyWhileFollowed(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		defer killOne()
		ada := serve(enter(c.t, two, 1, "ada"))
		wantUsers(c.t, "before", []string{"ada"}, one)
		expect(c.t, ada.presence(), "stream_open", "user_list:[ada]")
		for range 2 {
			if one.holdsLobby() {
				c.t.Error("node one holds the users of a room that no stream follows")
			}
			cyd := serve(enter(c.t, one, 3, "cyd"))
			expect(c.t, cyd.presence(), "stream_open", "user_list:[ada cyd]")
			expect(c.t, ada.presence(), "user_join:cyd")
			bob := enter(c.t, two, 2, "bob")
			expect(c.t, cyd.presence(), "user_join:bob")
			expect(c.t, ada.presence(), "user_join:bob")
			bob.Drop()
			time.Sleep(2 * grace)
			expect(c.t, cyd.presence(), "user_leave:bob")
			expect(c.t, ada.presence(), "user_leave:bob")
			cyd.conn.Close()
			time.Sleep(grace - time.Second)
			if !one.holdsLobby() {
				c.t.Error("node one dropped the users of a room that one of its own is still in")
			}
			bob = enter(c.t, two, 2, "bob") // nobody follows, and a user has not left yet
			wantUsers(c.t, "within the grace", []string{"ada", "bob", "cyd"}, one, two)
			bob.Drop()
			time.Sleep(2 * grace)
			wantUsers(c.t, "after it", []string{"ada"}, one, two)
			expect(c.t, ada.presence(), "user_join:bob", "user_leave:cyd", "user_leave:bob")
		}
		ada.conn.Close()
		time.Sleep(2 * grace)
		wantUsers(c.t, "at the end", nil, one, two)
	})
}

// A user of two nodes counts once on a third, and leaves there when the last of the two announces it.
func TestUserOfTwoNodesCountsOnceOnAThird(t *testing.T) {
	for _, followed := range []bool{false, true} {
		inCluster(t, func(c *cluster) {
			one, killOne := c.node("one")
			two, killTwo := c.node("two")
			three, killThree := c.node("three")
			defer killThree()
			defer killTwo()
			defer killOne()
			var reader *Stream
			if followed {
				var err error // without an account, so that it is in no list
				if reader, err = three.Open(c.t.Context(), chat.Viewer{}, SSE, Request{Rooms: []string{"lobby"}}); err != nil {
					c.t.Fatal(err)
				}
				defer reader.Drop()
			}
			first, second := enter(c.t, one, 1, "ada"), enter(c.t, two, 1, "ada")
			wantUsers(c.t, "with both", []string{"ada"}, three)
			if n := three.Online(lobby.Number(), 0); n != 1 {
				c.t.Errorf("Online of the third node, room followed %t: got %d, want 1", followed, n)
			}
			first.Drop()
			time.Sleep(2 * grace)
			wantUsers(c.t, "with one", []string{"ada"}, three)
			second.Drop()
			time.Sleep(2 * grace)
			wantUsers(c.t, "with neither", nil, three)
		})
	}
}

// A new node learns who was on a stopped node, also in rooms that it does not follow yet.
func TestByeIsRepeatedForUnfollowedRooms(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		_, killTwo := c.node("two")
		defer killTwo()
		time.Sleep(time.Second) // they are connected, with nothing outstanding
		ada := enter(c.t, one, 1, "ada")
		go ada.Drop()
		one.Drain(c.t.Context())
		synctest.Wait()
		killOne()
		three, killThree := c.node("three")
		defer killThree()
		wantUsers(c.t, "the new node", []string{"ada"}, three)
		bob := serve(enter(c.t, three, 2, "bob"))
		expect(c.t, bob.seen(), "stream_open", "user_list:[ada bob]")
		time.Sleep(12 * time.Second)
		expect(c.t, bob.seen(), "user_leave:ada")
		bob.conn.Close()
	})
}

// Nodes of earlier versions send their whole list in one message.
func TestListsOfEarlierVersions(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		defer killOne()
		say := func(text string) (asked bool) {
			c.t.Helper()
			var m Message
			if err := json.Unmarshal([]byte(`{"Statement":{"Node":"old",`+text+`}}`), &m); err != nil {
				c.t.Fatal(err)
			}
			return one.note(m.Presence, time.Now())
		}
		person := func(user int64) string {
			return fmt.Sprintf(`{"Topic":%d,"User":%d,"Name":"user%d"}`, lobby, user, user)
		}
		say(`"Kind":"all","People":[` + person(1) + `,` + person(2) + `]`)
		wantUsers(c.t, "of the list", []string{"user1", "user2"}, one)
		bob := serve(enter(c.t, one, 9, "zoe"))
		expect(c.t, bob.seen(), "stream_open", "user_list:[user1 user2 zoe]")
		say(`"Kind":"came","People":[` + person(3) + `]`)
		expect(c.t, bob.seen(), "user_join:user3")
		sum := Presence{Topic: lobby, User: 2}.hash() + Presence{Topic: lobby, User: 3}.hash()
		if !say(fmt.Sprintf(`"Kind":"alive","Sum":%d`, sum)) {
			c.t.Error("alive with a different checksum: did not ask for the list")
		}
		say(`"Kind":"all","People":[` + person(2) + `,` + person(3) + `]`)
		expect(c.t, bob.seen(), "user_leave:user1")
		if say(fmt.Sprintf(`"Kind":"alive","Sum":%d`, sum)) {
			c.t.Error("alive with the right checksum: asked for the list")
		}
		bob.conn.Close()
	})
}

// model is a hub, and what it should know from the random updates of three other nodes.
type model struct {
	*bench
	random    *rand.Rand
	when      string // for messages of the test
	lists     int64
	others    map[string]map[Presence]bool
	followers []*follower
}

var modelRooms = []string{"lobby", "den"}

// people returns up to most people at random.
func (m *model) people(most int) (some []Presence) {
	for range 1 + m.random.IntN(most) {
		room, user := modelRooms[m.random.IntN(2)], 1+m.random.Int64N(6)
		some = append(some, Presence{chat.RoomTopic(int64(len(room))), user, fmt.Sprint("user", user)})
	}
	return some
}

// say delivers an update once or twice.
func (m *model) say(st PresenceUpdate) {
	for range 1 + m.random.IntN(2) {
		m.note(&st, time.Now())
	}
}

// step makes something happen.
func (m *model) step() {
	node, people := []string{"two", "three", "four"}[m.random.IntN(3)], m.people(3)
	known := m.others[node]
	switch m.random.IntN(10) {
	case 0, 1, 2:
		m.say(PresenceUpdate{Node: node, Kind: came, People: people})
		for _, p := range people {
			known[p] = true
		}
	case 3, 4:
		m.say(PresenceUpdate{Node: node, Kind: left, People: people})
		for _, p := range people {
			delete(known, p)
		}
	case 5: // a list that differs from its updates, some of which were lost
		people = m.people(8)
		clear(known)
		for _, p := range people {
			known[p] = true
		}
		if m.random.IntN(2) == 0 {
			m.say(PresenceUpdate{Node: node, Kind: all, People: people})
			break
		}
		m.lists++
		pages := slices.Collect(slices.Chunk(people, 3))
		for _, page := range pages {
			m.note(&PresenceUpdate{Node: node, Kind: came, People: page, List: m.lists}, time.Now())
		}
		m.say(PresenceUpdate{Node: node, Kind: listed, List: m.lists, Pages: len(pages)})
	case 6:
		user := 1 + m.random.Int64N(6)
		m.mu.Lock()
		m.hide(user, !m.invisible[user])
		m.unlockAndWake()
	case 7, 8:
		if len(m.followers) < 4 {
			m.follow()
			break
		}
		i := m.random.IntN(len(m.followers))
		m.followers[i].conn.Close()
		m.followers = slices.Delete(m.followers, i, i+1)
	case 9:
		time.Sleep(time.Duration(m.random.IntN(4000)) * time.Millisecond)
	}
	synctest.Wait()
}

// follower is a stream that keeps the lists of its rooms as a client does.
type follower struct {
	*client
	name  string
	lists map[string]map[string]bool
}

// follow opens a stream of one or both rooms, for a user or without an account.
func (m *model) follow() {
	m.t.Helper()
	user, from := m.random.Int64N(7), m.random.IntN(2)
	f := &follower{name: fmt.Sprint("user", user), lists: make(map[string]map[string]bool)}
	rooms := modelRooms[from : from+1+m.random.IntN(2-from)]
	s, err := m.Open(m.ctx, chat.Viewer{User: user, Name: f.name}, SSE, Request{Rooms: rooms})
	if err != nil {
		m.t.Fatal(err)
	}
	f.client = serve(s)
	m.followers = append(m.followers, f)
}

// read applies what f was sent. A join of a user who is there, or a leave of one who is not, is an error.
func (m *model) read(f *follower) {
	m.t.Helper()
	f.seen()
	for len(f.raw) > 0 {
		e := <-f.raw
		room, _ := e["room"].(string)
		name, _ := e["user"].(string)
		switch joined := e["type"] == "user_join"; e["type"] {
		case "user_list":
			f.lists[room] = make(map[string]bool)
			for _, name := range e["users"].([]any) {
				f.lists[room][name.(string)] = true
			}
		case "user_join", "user_leave":
			if f.lists[room][name] == joined {
				m.t.Errorf("%s: %s got a second %s of %s in %s", m.when, f.name, e["type"], name, room)
			}
			f.lists[room][name] = joined
		}
	}
}

// check compares the hub with the model.
func (m *model) check() {
	m.t.Helper()
	m.mu.RLock()
	people, sum := m.here(), uint64(0)
	for _, p := range people {
		sum += p.hash()
	}
	if sum != m.sum {
		m.t.Errorf("%s: checksum: got %x, want %x", m.when, m.sum, sum)
	}
	m.mu.RUnlock()
	for _, other := range m.others {
		people = slices.AppendSeq(people, maps.Keys(other))
	}
	for _, f := range m.followers {
		m.read(f)
	}
	for _, room := range modelRooms {
		number := int64(len(room))
		var want []string
		for _, p := range people {
			if p.Topic == chat.RoomTopic(number) {
				want = append(want, p.Name)
			}
		}
		slices.Sort(want)
		want = slices.Compact(want)
		names, _ := m.Users(number, 0)
		if count := m.Online(number, 0); count != len(want) || !slices.Equal(names, want) {
			m.t.Errorf("%s: users of %s: got %v, count %d, want %v", m.when, room, names, count, want)
		}
		for _, f := range m.followers {
			list, follows := f.lists[room]
			if !follows {
				continue
			}
			var got []string
			for name, there := range list {
				if there && name != f.name { // who sees themselves whatever others see
					got = append(got, name)
				}
			}
			slices.Sort(got)
			if want := slices.DeleteFunc(slices.Clone(want), func(name string) bool { return name == f.name }); !slices.Equal(got, want) {
				m.t.Errorf("%s: list of %s that %s was sent: got %v, want %v", m.when, room, f.name, got, want)
			}
		}
	}
}

// Three nodes announce joins and leaves, with messages doubled and lost, and send lists, while streams open and end here
// and users hide. The hub's lists and counts, and what its streams were sent, always match.
func TestListsMatchTheUpdates(t *testing.T) {
	for seed := range uint64(20) {
		inBubble(t, bigRing, func(b *bench) {
			m := &model{bench: b, random: rand.New(rand.NewPCG(seed, 0)), others: make(map[string]map[Presence]bool)}
			for _, node := range []string{"two", "three", "four"} {
				m.others[node] = make(map[Presence]bool)
			}
			for step := range 300 {
				m.when = fmt.Sprintf("seed %d, step %d", seed, step)
				if m.step(); !t.Failed() { // one difference brings more
					m.check()
				}
			}
			for _, f := range m.followers {
				f.conn.Close()
			}
			time.Sleep(2 * grace)
			synctest.Wait()
			b.mu.RLock()
			defer b.mu.RUnlock()
			for key, topic := range b.topics {
				if topic != b.site && (len(topic.people) > 0 || topic.names.count > 0) {
					b.t.Errorf("seed %d: users of topic %d after everyone left: got %d, want 0", seed, key, len(topic.people))
				}
			}
		})
	}
}
