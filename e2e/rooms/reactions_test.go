package rooms

import (
	"fmt"
	"reflect"
	"testing"

	"tandem/e2e/harness"
)

func TestReactionsAreCountedInOrderOfFirstUse(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		m := ada.Post("lobby", "hi")
		s := ada.Open(over, "room=lobby")
		s.Opening()
		for range 2 { // the second call changes nothing
			ada.React("PUT", "lobby", m.ID, "❤️").Want(204)
			bob.React("PUT", "lobby", m.ID, "👍🏽").Want(204)
			bob.React("PUT", "lobby", m.ID, "❤️").Want(204)
		}
		for _, want := range []string{"ada ❤️", "bob 👍🏽", "bob ❤️"} {
			if e := s.Must("reaction_added"); e.User+" "+e.Emoji != want || e.MessageID != m.ID || e.Room != "lobby" {
				t.Errorf("got %[2]s, want %[1]s", want, e.Raw)
			}
		}
		if got, want := bob.History("lobby", "limit=1").Items[0].Reactions, []harness.Reaction{{Emoji: "❤️", Count: 2, Me: true, Users: []string{"ada", "bob"}}, {Emoji: "👍🏽", Count: 1, Me: true, Users: []string{"bob"}}}; !reflect.DeepEqual(got, want) {
			t.Errorf("bob sees %v, want %v", got, want)
		}
		for range 2 {
			ada.React("DELETE", "lobby", m.ID, "❤️").Want(204)
		}
		ada.React("DELETE", "lobby", m.ID, "👍🏽").Want(204) // not hers
		if e := s.Must("reaction_removed"); e.User != "ada" || e.Emoji != "❤️" || e.MessageID != m.ID {
			t.Errorf("removal event = %s", e.Raw)
		}
		if got, want := ada.History("lobby", "limit=1").Items[0].Reactions, []harness.Reaction{{Emoji: "👍🏽", Count: 1, Me: false, Users: []string{"bob"}}, {Emoji: "❤️", Count: 1, Me: false, Users: []string{"bob"}}}; !reflect.DeepEqual(got, want) {
			t.Errorf("ada sees %v, want %v", got, want)
		}
		ada.Do("DELETE", harness.MessagePath("lobby", m.ID), nil).Want(204)
		s.Must("message_deleted")
		bob.React("PUT", "lobby", m.ID, "👍").WantProblem(404, "message_not_found", "id")
		bob.React("DELETE", "lobby", m.ID, "👍🏽").WantProblem(404, "message_not_found", "id")
	})
}

func TestReactionIsOneEmoji(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, emoji := range []string{"👍", "👍🏽", "❤️", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇪🇪", "#️⃣", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👩🏿‍❤️‍💋‍👨🏻", "🧑🏽‍🚀", "☺️", "🫠", "©️"} {
		m := ada.Post("lobby", emoji)
		ada.React("PUT", "lobby", m.ID, emoji).Want(204)
		if got := ada.History("lobby", "limit=1").Items[0].Reactions; len(got) != 1 || got[0].Emoji != emoji {
			t.Errorf("%q saved as %v", emoji, got)
		}
	}
	m := ada.Post("lobby", "none")
	for _, no := range []string{"a", "ok", "1", "#", "+1", ":+1:", "👍👍", "👍 ", "👍a", "🇪", "🇪🇪🇪", "\u200d", "\ufe0f", "é", "你", "👍\u200d", "👍\x00", "<b>", "%", "/", "🏽🏽🏽"} {
		ada.React("PUT", "lobby", m.ID, no).WantProblem(400, "", "emoji")
		ada.React("DELETE", "lobby", m.ID, no).WantProblem(400, "", "emoji")
	}
	for i := range 20 {
		ada.React("PUT", "lobby", m.ID, string(rune(0x1f600+i))).Want(204)
	}
	ada.React("PUT", "lobby", m.ID, "👍").WantProblem(409, "too_many_reactions", "emoji")
	ada.React("PUT", "lobby", m.ID, string(rune(0x1f600))).Want(204) // it is there
	ada.React("DELETE", "lobby", m.ID, string(rune(0x1f600))).Want(204)
	ada.React("PUT", "lobby", m.ID, "👍").Want(204)
	ada.Enter("dev")
	ada.React("PUT", "dev", m.ID, "👍").WantProblem(404, "message_not_found", "id")
	ada.React("PUT", "nowhere", m.ID, "👍").WantProblem(404, "room_not_found", "room")
}

// Emoji with and without variation selectors are the same. Events and history have the qualified form.
func TestEquivalentEmojiAreOneReaction(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	s := ada.Open(harness.OverSSE, "room=lobby")
	s.Opening()
	for _, forms := range [][2]string{{"❤️", "❤"}, {"1️⃣", "1⃣"}, {"🏳️‍🌈", "🏳‍🌈"}, {"🏋️‍♂️", "🏋‍♂"}, {"👍", "👍️"}} {
		m := ada.Post("lobby", "hi")
		s.Must("chat_message")
		ada.React("PUT", "lobby", m.ID, forms[1]).Want(204)
		ada.React("PUT", "lobby", m.ID, forms[0]).Want(204)
		bob.React("PUT", "lobby", m.ID, forms[0]).Want(204)
		for _, who := range []string{"ada", "bob"} {
			if e := s.Must("reaction_added"); e.User != who || e.Emoji != forms[0] {
				t.Errorf("event for %+q of %s = %s", forms, who, e.Raw)
			}
		}
		if got, want := ada.History("lobby", "limit=1").Items[0].Reactions, []harness.Reaction{{Emoji: forms[0], Count: 2, Me: true, Users: []string{"ada", "bob"}}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%+q: reactions = %v, want %v", forms, got, want)
		}
		bob.React("DELETE", "lobby", m.ID, forms[1]).Want(204)
		if e := s.Must("reaction_removed"); e.User != "bob" || e.Emoji != forms[0] {
			t.Errorf("removal event of %+q = %s", forms, e.Raw)
		}
		if got, want := ada.History("lobby", "limit=1").Items[0].Reactions, []harness.Reaction{{Emoji: forms[0], Count: 1, Me: true, Users: []string{"ada"}}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%+q: reactions = %v, want %v", forms, got, want)
		}
	}
}

func TestUnreadCountsWhatOthersPosted(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	bob.Enter("lobby")
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		unread := func(c *harness.Client, want int) {
			t.Helper()
			var r harness.Room
			c.Do("GET", harness.RoomPath("lobby"), nil).Want(200).Into(&r)
			var page struct{ Items []harness.Room }
			c.Do("GET", "/v1/rooms", nil).Want(200).Into(&page)
			if r.Unread != want || page.Items[0].Unread != want || c.Enter("lobby").Unread != want {
				t.Errorf("%s: unread = %d, %d in the list; want %d", c.User.Username, r.Unread, page.Items[0].Unread, want)
			}
		}
		read := func(id int64) { bob.Do("PUT", harness.RoomPath("lobby")+"/read", map[string]int64{"id": id}).Want(204) }
		own, other := bob.Open(over, ""), bob.Open(over, "room=lobby")
		adas := ada.Open(over, "room=lobby")
		own.Opening()
		other.Opening()
		adas.Opening()
		var posted []harness.Event
		for i := range 5 {
			posted = append(posted, ada.Post("lobby", fmt.Sprint(i)))
			bob.Post("lobby", "mine")
		}
		unread(bob, 5)
		read(posted[2].ID + 1) // his own, after hers
		unread(bob, 2)
		if e := own.Must("message_read"); e.MessageID != posted[2].ID+1 || e.Room != "lobby" || e.User != "" {
			t.Errorf("read event = %s", e.Raw)
		}
		read(posted[0].ID)
		unread(bob, 2)
		ada.Do("DELETE", harness.MessagePath("lobby", posted[4].ID), nil).Want(204)
		unread(bob, 1)
		read(9007199254740991)
		unread(bob, 0)
		if e := own.Must("message_read"); e.MessageID != posted[4].ID+1 { // the move back was not announced
			t.Errorf("read event = %s", e.Raw)
		}
		ada.Post("lobby", "end")
		for _, e := range adas.UntilMessage("end") {
			if e.Type == "message_read" {
				t.Errorf("ada got %s", e.Raw)
			}
		}
		told := 0
		for _, e := range other.UntilMessage("end") {
			if e.Type == "message_read" {
				told++
			}
		}
		if told != 2 {
			t.Errorf("message_read events on another device = %d, want 2", told)
		}
		unread(bob, 1)
		read(9007199254740991)
		ada.Do("PUT", harness.RoomPath("lobby")+"/read", map[string]int64{"id": 9007199254740991}).Want(204)
		adas.Must("message_read") // now, rather than on the next transport's stream
	})
	ada.Do("PUT", harness.RoomPath("lobby")+"/read", map[string]int64{"id": -1}).WantProblem(400, "", "id")
	ada.Do("PUT", harness.RoomPath("lobby")+"/read", map[string]any{}).WantProblem(400, "", "id")
	ada.Do("PUT", harness.RoomPath("nowhere")+"/read", map[string]int64{"id": 1}).WantProblem(404, "room_not_found", "room")
}
