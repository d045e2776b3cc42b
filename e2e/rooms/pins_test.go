package rooms

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

func messagesOf(events []harness.Event) (all []string) {
	for _, e := range events {
		all = append(all, e.Message)
	}
	return all
}

// A pin is announced to the room once. Pinned messages are listed in their current state, latest first, and leave the
// list with the message.
func TestPinsOfARoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob, eve := ada.In(t), bob.In(t), eve.In(t)
		place := "pins-over-" + string(over)
		ada.Enter(place)
		bob.Enter(place)
		ada.SetMember(place, "bob", "moderator").Want(200)
		first, second := eve.Post(place, "first"), eve.Post(place, "second")
		eve.Edit(place, first.ID, "first, edited")
		s := eve.Open(over, "room="+place)
		start := s.Opening().Since
		for range 2 { // the second call changes nothing
			bob.Do("PUT", harness.MessagePath(place, first.ID)+"/pin", nil).Want(204)
			ada.Do("PUT", harness.MessagePath(place, second.ID)+"/pin", nil).Want(204)
		}
		eve.Do("PUT", harness.MessagePath(place, first.ID)+"/pin", nil).WantProblem(403, "forbidden", "")
		eve.Do("DELETE", harness.MessagePath(place, first.ID)+"/pin", nil).WantProblem(403, "forbidden", "")
		for range 2 {
			ada.Do("DELETE", harness.MessagePath(place, first.ID)+"/pin", nil).Want(204)
		}
		bob.Do("PUT", harness.MessagePath(place, first.ID)+"/pin", nil).Want(204)
		told := []string{fmt.Sprint("message_pinned bob ", first.ID), fmt.Sprint("message_pinned ada ", second.ID),
			fmt.Sprint("message_unpinned ada ", first.ID), fmt.Sprint("message_pinned bob ", first.ID)}
		again := eve.Open(over, "room="+place+"&since="+start)
		again.Opening()
		for _, s := range []*harness.Stream{s, again} {
			for _, want := range told {
				e := s.Must("message_pinned", "message_unpinned")
				if got := fmt.Sprint(e.Type, " ", e.User, " ", e.MessageID); got != want || e.Room != place || e.ID == 0 || e.Target != "" {
					t.Errorf("want %s, got %s", want, e.Raw)
				}
			}
		}
		if got := messagesOf(eve.Pins(harness.RoomPath(place))); !slices.Equal(got, []string{"first, edited", "second"}) {
			t.Errorf("pins = %q, want [\"first, edited\" \"second\"]", got)
		}

		ada.Do("DELETE", harness.MessagePath(place, first.ID), nil).Want(204)
		if got := messagesOf(eve.Pins(harness.RoomPath(place))); !slices.Equal(got, []string{"second"}) {
			t.Errorf("pins after the deletion of the first = %q, want [\"second\"]", got)
		}
		for _, method := range []string{"PUT", "DELETE"} {
			bob.Do(method, harness.MessagePath(place, first.ID)+"/pin", nil).WantProblem(404, "message_not_found", "id")
			bob.Do(method, harness.MessagePath(place, 1<<40)+"/pin", nil).WantProblem(404, "message_not_found", "id")
			bob.Do(method, harness.RoomPath(place)+"/messages/first/pin", nil).WantProblem(400, "invalid_request", "id")
		}
		s.Must("message_deleted") // and no more events about pins
		ada.Post(place, "the end")
		s.Message("the end")
	})
}

// Only a message of the room can be pinned, and a recreated room has no pins.
func TestPinsAreSeparateByRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Enter("dev")
	m := ada.Post("lobby", "hi")
	ada.Do("PUT", harness.MessagePath("dev", m.ID)+"/pin", nil).WantProblem(404, "message_not_found", "id")
	ada.Do("PUT", harness.MessagePath("lobby", m.ID)+"/pin", nil).Want(204)
	if got := ada.Pins(harness.RoomPath("dev")); len(got) != 0 {
		t.Errorf("another room has the pins %v, want none", harness.Show(got))
	}
	ada.Do("DELETE", harness.RoomPath("lobby"), nil).Want(204)
	ada.Enter("lobby")
	if got := ada.Pins(harness.RoomPath("lobby")); len(got) != 0 {
		t.Errorf("the recreated room has the pins %v, want none", harness.Show(got))
	}
}

// A room has at most 50 pins, however many calls come at once. Pinning a pinned message is never refused, and unpinning
// makes room.
func TestPinsAreBounded(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	messages := make([]harness.Event, 60)
	for i := range messages {
		messages[i] = ada.Post("lobby", fmt.Sprint("message ", i))
	}
	private := bob.Send("ada", "elsewhere")
	pin := func(i int) (harness.Answer, error) {
		return ada.Try("PUT", harness.MessagePath("lobby", messages[i].ID)+"/pin", nil)
	}
	if got := harness.ManyAtOnce(t, 60, pin); got[204] != 50 || got[409] != 10 {
		t.Errorf("statuses of 60 concurrent pins = %v, want 50 times 204 and 10 times 409", got)
	}
	pinned := ada.Pins(harness.RoomPath("lobby"))
	if len(pinned) != 50 {
		t.Fatalf("room has %d pins, want 50", len(pinned))
	}
	ada.Do("PUT", harness.MessagePath("lobby", pinned[0].ID)+"/pin", nil).Want(204)
	ada.Do("DELETE", harness.MessagePath("lobby", pinned[7].ID)+"/pin", nil).Want(204)
	another := slices.IndexFunc(messages, func(m harness.Event) bool {
		return !slices.ContainsFunc(pinned, func(e harness.Event) bool { return e.ID == m.ID })
	})
	ada.Do("PUT", harness.MessagePath("lobby", messages[another].ID)+"/pin", nil).Want(204)
	ada.Do("PUT", harness.MessagePath("lobby", pinned[7].ID)+"/pin", nil).WantProblem(409, "limit_reached", "")
	bob.Do("PUT", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", private.ID, "/pin"), nil).Want(204)
}

// In a conversation both users can pin, and one event reaches both inboxes. If one blocks the other, the blocked user
// cannot pin.
func TestPinsOfAConversation(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	pinPath := func(with string, id int64) string {
		return fmt.Sprint(harness.PrivatePath(with), "/messages/", id, "/pin")
	}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob, eve := ada.In(t), bob.In(t), eve.In(t)
		m, other := ada.Send("bob", "psst"), ada.Send("eve", "not bob's")
		of, at := ada.Open(over, ""), bob.Open(over, "")
		of.Opening()
		at.Opening()
		bob.Do("PUT", pinPath("ada", m.ID), nil).Want(204)
		ada.Do("PUT", pinPath("bob", m.ID), nil).Want(204) // is pinned
		ada.Do("DELETE", pinPath("bob", m.ID), nil).Want(204)
		pinned, unpinned := of.Must("message_pinned"), of.Must("message_pinned", "message_unpinned")
		if pinned.User != "bob" || pinned.Target != "ada" || pinned.MessageID != m.ID || pinned.Room != "" ||
			unpinned.Type != "message_unpinned" || unpinned.User != "ada" || unpinned.Target != "bob" {
			t.Errorf("ada got %s and %s", pinned.Raw, unpinned.Raw)
		}
		for _, want := range []harness.Event{pinned, unpinned} {
			if e := at.Must(want.Type); string(e.Raw) != string(want.Raw) {
				t.Errorf("bob got %s, and ada %s", e.Raw, want.Raw)
			}
		}
		bob.Do("PUT", pinPath("ada", other.ID), nil).WantProblem(404, "message_not_found", "id")
		eve.Do("PUT", pinPath("ada", m.ID), nil).WantProblem(404, "message_not_found", "id")
		bob.Do("PUT", pinPath("ada", m.ID), nil).Want(204)
		for _, c := range []*harness.Client{ada, bob} {
			with := map[string]string{"ada": "bob", "bob": "ada"}[c.User.Username]
			if got := c.Pins(harness.PrivatePath(with)); len(got) != 1 || got[0].ID != m.ID || got[0].Message != "psst" {
				t.Errorf("%s: pins = %s", c.User.Username, harness.Show(got))
			}
		}
		if got := eve.Pins(harness.PrivatePath("ada")); len(got) != 0 {
			t.Errorf("eve sees the pins %s, want none", harness.Show(got))
		}
		bob.Do("PUT", "/v1/me/blocks/ada", nil).Want(204)
		ada.Do("DELETE", pinPath("bob", m.ID), nil).WantProblem(403, "blocked", "")
		ada.Do("PUT", pinPath("bob", m.ID), nil).WantProblem(403, "blocked", "")
		bob.Do("DELETE", pinPath("ada", m.ID), nil).Want(204)
		bob.Do("DELETE", "/v1/me/blocks/ada", nil).Want(204)
		ada.Do("PUT", pinPath("bob", m.ID), nil).Want(204)
		ada.Do("DELETE", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", m.ID), nil).Want(204)
		if got := bob.Pins(harness.PrivatePath("ada")); len(got) != 0 {
			t.Errorf("pins after the deletion = %s, want none", harness.Show(got))
		}
	})
}

// Pins are deleted with the message and with the room, as notification levels are: no row is left.
func TestPinsOfDeletedMessagesAreRemoved(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	m, private := ada.Post("lobby", "secret"), ada.Send("bob", "secret too")
	ada.Do("PUT", harness.MessagePath("lobby", m.ID)+"/pin", nil).Want(204)
	bob.Do("PUT", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", private.ID, "/pin"), nil).Want(204)
	ada.Enter("dev")
	ada.Do("PUT", harness.MessagePath("dev", ada.Post("dev", "hi").ID)+"/pin", nil).Want(204)
	ada.Notify(harness.RoomPath("dev"), "none").Want(204)
	db := harness.OpenDatabase(t, p.Settings.DataDir)
	count := func() (n int) {
		t.Helper()
		if err := db.QueryRow(`SELECT (SELECT count(*) FROM pins) + (SELECT count(*) FROM notify_levels)`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 4 {
		t.Fatalf("got %d rows, want 4", n)
	}
	ada.Do("DELETE", harness.MessagePath("lobby", m.ID), nil).Want(204)
	ada.Do("DELETE", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", private.ID), nil).Want(204)
	ada.Do("DELETE", harness.RoomPath("dev"), nil).Want(204)
	if n := count(); n != 0 {
		t.Errorf("%d rows left", n)
	}
}

// With anonymous-read, anonymous readers of a public room see its pins.
func TestPinsAreReadWithTheRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.AnonymousRead = true })
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Do("PUT", harness.MessagePath("lobby", ada.Post("lobby", "welcome").ID)+"/pin", nil).Want(204)
	if got := messagesOf(p.Visitor(t).Pins(harness.RoomPath("lobby"))); strings.Join(got, ",") != "welcome" {
		t.Errorf("pins as an anonymous reader sees them = %q", got)
	}
}
