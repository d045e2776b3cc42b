package rooms

import (
	"fmt"
	"slices"
	"testing"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// seenOf returns the message_seen events among events.
func seenOf(events []harness.Event) (all []string) {
	for _, e := range events {
		if e.Type == "message_seen" {
			all = append(all, fmt.Sprint(e.Room, " ", e.User, " ", e.MessageID))
		}
	}
	return all
}

// In a conversation the other user sees what was read, unless either has turned receipts off or blocks the other.
func TestReceiptsOfAConversation(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob, eve := ada.In(t), bob.In(t), eve.In(t)
		of, others, own := ada.Open(over, ""), eve.Open(over, ""), bob.Open(over, "")
		of.Opening()
		others.Opening()
		own.Opening()
		last := int64(0)
		reads := func() int64 {
			t.Helper()
			last = ada.Send("bob", "psst").ID
			bob.Read(harness.PrivatePath("ada"), last)
			bob.Read(harness.PrivatePath("ada"), last) // does not move it
			return last
		}
		untilMark := func(s *harness.Stream, c *harness.Client) []string {
			t.Helper()
			mark := fmt.Sprint("mark ", last, c.User.Username)
			c.Send(c.User.Username, mark)
			return seenOf(s.Until(func(e harness.Event) bool { return e.Type == "private_message" && e.Message == mark }))
		}
		reads()
		if got, want := untilMark(of, ada), []string{fmt.Sprint(" bob ", last)}; !slices.Equal(got, want) {
			t.Errorf("ada got %q, want %q", got, want)
		}
		if got, want := ada.Seen(harness.PrivatePath("bob")), []string{fmt.Sprint("bob ", last)}; !slices.Equal(got, want) {
			t.Errorf("ada sees %q, want %q", got, want)
		}
		if got := bob.Seen(harness.PrivatePath("ada")); len(got) != 0 {
			t.Errorf("receipts for bob = %q, want none: ada has read nothing", got)
		}
		silent := func(why string) {
			t.Helper()
			reads()
			if got := untilMark(of, ada); len(got) != 0 {
				t.Errorf("%s ada got %q, want none", why, got)
			}
			if got := ada.Seen(harness.PrivatePath("bob")); len(got) != 0 {
				t.Errorf("%s receipts for ada = %q, want none", why, got)
			}
		}
		for _, c := range []*harness.Client{ada, bob} {
			c.ChangeMe(harness.Fields{"receipts": false})
			silent("without the receipts of " + c.User.Username)
			c.ChangeMe(harness.Fields{"receipts": true})
		}
		// A block refuses messages in one direction, and receipts in both.
		ada.Do("PUT", "/v1/me/blocks/bob", nil).Want(204)
		silent("blocking bob")
		ada.Do("DELETE", "/v1/me/blocks/bob", nil).Want(204)
		m := ada.Send("bob", "before the block")
		bob.Do("PUT", "/v1/me/blocks/ada", nil).Want(204)
		bob.Read(harness.PrivatePath("ada"), m.ID)
		if got := ada.Seen(harness.PrivatePath("bob")); len(got) != 0 {
			t.Errorf("receipts for ada, whom bob blocks = %q, want none", got)
		}
		bob.Do("DELETE", "/v1/me/blocks/ada", nil).Want(204)
		bob.Read(harness.PrivatePath("ada"), m.ID)
		if got := untilMark(of, ada); len(got) != 0 {
			t.Errorf("events for ada, whom bob blocks = %q, want none", got)
		}
		if got, want := ada.Seen(harness.PrivatePath("bob")), []string{fmt.Sprint("bob ", m.ID)}; !slices.Equal(got, want) {
			t.Errorf("ada sees %q, want %q", got, want)
		}
		bob.Send("bob", "to myself")
		if got := append(untilMark(others, eve), untilMark(own, bob)...); len(got) != 0 {
			t.Errorf("eve and bob got %q, want none", got)
		}
	})
}

// In a private room with receipts all members are notified, except the reader and members who turned receipts off.
func TestReceiptsOfARoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, carol, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "carol"), p.Signup(t, "eve")
	eve.ChangeMe(harness.Fields{"receipts": false})
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob, carol, eve := ada.In(t), bob.In(t), carol.In(t), eve.In(t)
		den := "den-over-" + string(over)
		ada.Do("POST", "/v1/rooms", harness.Fields{"name": den, "visibility": "private", "receipts": true}).Want(201)
		people := map[string]*harness.Client{"ada": ada, "bob": bob, "carol": carol, "eve": eve}
		streams := map[string]*harness.Stream{}
		for name, c := range people {
			if name != "ada" {
				ada.SetMember(den, name, "member").Want(200)
			}
			streams[name] = c.Open(over, "room="+den)
			streams[name].Opening()
		}
		told := func(want map[string][]string) {
			t.Helper()
			mark := ada.Post(den, fmt.Sprint("mark ", len(want)))
			for name, s := range streams {
				got := seenOf(s.Until(func(e harness.Event) bool { return e.ID == mark.ID }))
				if slices.Sort(got); !slices.Equal(got, want[name]) {
					t.Errorf("%s got %q, want %q", name, got, want[name])
				}
			}
		}
		m := ada.Post(den, "hi")
		for _, c := range []*harness.Client{bob, carol, eve, bob} {
			c.Read(harness.RoomPath(den), m.ID)
		}
		ofBob, ofCarol := fmt.Sprint(den, " bob ", m.ID), fmt.Sprint(den, " carol ", m.ID)
		told(map[string][]string{"ada": {ofBob, ofCarol}, "bob": {ofCarol}, "carol": {ofBob}})
		for name, want := range map[string][]string{"ada": {"bob", "carol"}, "bob": {"carol"}, "carol": {"bob"}, "eve": nil} {
			var expected []string
			for _, other := range want {
				expected = append(expected, fmt.Sprint(other, " ", m.ID))
			}
			if got := people[name].Seen(harness.RoomPath(den)); !slices.Equal(got, expected) {
				t.Errorf("%s sees %q, want %q", name, got, expected)
			}
		}
		// A user without receipts is not notified, and their reading is not shown.
		var r harness.Room
		ada.Do("PATCH", harness.RoomPath(den), harness.Fields{"receipts": false}).Want(200).Into(&r)
		m = ada.Post(den, "again")
		bob.Read(harness.RoomPath(den), m.ID)
		told(nil)
		if got := ada.Seen(harness.RoomPath(den)); r.Receipts || len(got) != 0 {
			t.Errorf("room without receipts %+v: receipts = %q", r, got)
		}
	})
}

// Receipts are for private rooms: making a room public turns them off.
func TestReceiptsExistOnlyInPrivateRooms(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.Fields{"name": "hall", "receipts": true}).WantProblem(400, "", "receipts")
	ada.Do("POST", "/v1/rooms", harness.Fields{"name": "hall", "receipts": "yes", "visibility": "private"}).WantProblem(400, "", "receipts")
	ada.Enter("hall")
	ada.Do("PATCH", harness.RoomPath("hall"), harness.Fields{"receipts": true}).WantProblem(400, "", "receipts")
	bob.Do("PATCH", harness.RoomPath("hall"), harness.Fields{"receipts": true}).WantProblem(403, "forbidden", "")
	var r harness.Room
	ada.Do("PATCH", harness.RoomPath("hall"), harness.Fields{"visibility": "private", "receipts": true}).Want(200).Into(&r)
	if !r.Receipts {
		t.Errorf("room = %+v", r)
	}
	s := ada.Open(harness.OverSSE, "room=hall") // the earlier ones are gone
	s.Opening()
	change := func(change harness.Fields, receipts bool) {
		t.Helper()
		ada.Do("PATCH", harness.RoomPath("hall"), change).Want(200).Into(&r)
		if e := s.Must("room_updated"); r.Receipts != receipts || e.Receipts != receipts {
			t.Errorf("%v: room = %+v, event %s", change, r, e.Raw)
		}
	}
	change(harness.Fields{"title": "another"}, true)
	change(harness.Fields{"receipts": false}, false)
	change(harness.Fields{"receipts": true}, true)
	ada.Do("PATCH", harness.RoomPath("hall"), harness.Fields{"visibility": "public", "receipts": true}).WantProblem(400, "", "receipts")
	change(harness.Fields{"visibility": "public"}, false)
	m := ada.Post("hall", "hi")
	bob.Read(harness.RoomPath("hall"), m.ID)
	if got := ada.Seen(harness.RoomPath("hall")); len(got) != 0 {
		t.Errorf("receipts of a public room = %q, want none", got)
	}
	bob.Do("GET", harness.RoomPath("nowhere")+"/seen", nil).WantProblem(404, "room_not_found", "room")
}

// A room with more than a hundred members has no receipts.
func TestReceiptsOfLargeRooms(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.Fields{"name": "den", "visibility": "private", "receipts": true}).Want(201)
	ada.SetMember("den", "bob", "member").Want(200)
	extra := make([]string, 98)
	for i := range extra {
		extra[i] = fmt.Sprint("extra", i)
	}
	p.AddUsers(t, append(extra, "onemore")...)
	for _, name := range extra {
		ada.SetMember("den", name, "member").Want(200)
	}
	m := ada.Post("den", "hi")
	bob.Read(harness.RoomPath("den"), m.ID)
	if got := ada.Seen(harness.RoomPath("den")); len(got) != 1 {
		t.Errorf("receipts of a room of 100 = %q", got)
	}
	ada.SetMember("den", "onemore", "member").Want(200)
	if got := ada.Seen(harness.RoomPath("den")); len(got) != 0 {
		t.Errorf("receipts of a room of 101 = %q, want none", got)
	}
	s := ada.Open(harness.OverSSE, "room=den")
	s.Opening()
	m = ada.Post("den", "again")
	bob.Read(harness.RoomPath("den"), m.ID)
	ada.Post("den", "the end")
	if got := seenOf(s.UntilMessage("the end")); len(got) != 0 {
		t.Errorf("events of a room of 101 = %q, want none", got)
	}
}

func TestReceiptsAcrossNodes(t *testing.T) {
	t.Parallel()
	nodes := harness.StartNodes(t, 2, testservers.NewValkey(t))
	ada, bob := nodes[0].Signup(t, "ada"), nodes[1].Signup(t, "bob")
	s := ada.Open(harness.OverSSE, "")
	s.Opening()
	harness.Eventually(t, "the other node delivers message_seen", func() bool { // the bus may not be connected yet
		m := ada.Send("bob", "psst")
		bob.Read(harness.PrivatePath("ada"), m.ID)
		for {
			e, err := s.Next(1e9)
			if err != nil {
				return false
			}
			if e.Type == "message_seen" {
				return e.User == "bob" && e.MessageID == m.ID
			}
		}
	})
}
