package program

import (
	"fmt"
	"net/url"
	"reflect"
	"testing"
)

func (c *client) react(method, room string, id int64, emoji string) answer {
	c.t.Helper()
	return c.do(method, messagePath(room, id)+"/reactions/"+url.PathEscape(emoji), nil)
}

func TestReactionsAreCountedInTheOrderOfFirstUse(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		ada, bob := ada.in(t), bob.in(t)
		m := ada.post("lobby", "hi")
		s := ada.open(over, "room=lobby")
		s.opening()
		for range 2 { // the second time changes nothing
			ada.react("PUT", "lobby", m.ID, "❤️").want(204)
			bob.react("PUT", "lobby", m.ID, "👍🏽").want(204)
			bob.react("PUT", "lobby", m.ID, "❤️").want(204)
		}
		for _, want := range []string{"ada ❤️", "bob 👍🏽", "bob ❤️"} {
			if e := s.must("reaction_added"); e.User+" "+e.Emoji != want || e.MessageID != m.ID || e.Room != "lobby" {
				t.Errorf("instead of %s came %s", want, e.raw)
			}
		}
		if got, want := bob.history("lobby", "limit=1").items[0].Reactions, []reaction{{"❤️", 2, true, []string{"ada", "bob"}}, {"👍🏽", 1, true, []string{"bob"}}}; !reflect.DeepEqual(got, want) {
			t.Errorf("bob sees %v, not %v", got, want)
		}
		for range 2 {
			ada.react("DELETE", "lobby", m.ID, "❤️").want(204)
		}
		ada.react("DELETE", "lobby", m.ID, "👍🏽").want(204) // not hers
		if e := s.must("reaction_removed"); e.User != "ada" || e.Emoji != "❤️" || e.MessageID != m.ID {
			t.Errorf("taking back is told as %s", e.raw)
		}
		if got, want := ada.history("lobby", "limit=1").items[0].Reactions, []reaction{{"👍🏽", 1, false, []string{"bob"}}, {"❤️", 1, false, []string{"bob"}}}; !reflect.DeepEqual(got, want) {
			t.Errorf("ada sees %v, not %v", got, want)
		}
		ada.do("DELETE", messagePath("lobby", m.ID), nil).want(204)
		s.must("message_deleted")
		bob.react("PUT", "lobby", m.ID, "👍").wantProblem(404, "message_not_found", "id")
		bob.react("DELETE", "lobby", m.ID, "👍🏽").wantProblem(404, "message_not_found", "id")
	})
}

func TestReactionIsOneEmoji(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, emoji := range []string{"👍", "👍🏽", "❤️", "👩‍👩‍👧‍👦", "🏳️‍🌈", "🇪🇪", "#️⃣", "1️⃣", "🏴󠁧󠁢󠁥󠁮󠁧󠁿", "👩🏿‍❤️‍💋‍👨🏻", "🧑🏽‍🚀", "☺️", "🫠", "©️"} {
		m := ada.post("lobby", emoji)
		ada.react("PUT", "lobby", m.ID, emoji).want(204)
		if got := ada.history("lobby", "limit=1").items[0].Reactions; len(got) != 1 || got[0].Emoji != emoji {
			t.Errorf("%q became %v", emoji, got)
		}
	}
	m := ada.post("lobby", "none")
	for _, no := range []string{"a", "ok", "1", "#", "+1", ":+1:", "👍👍", "👍 ", "👍a", "🇪", "🇪🇪🇪", "\u200d", "\ufe0f", "é", "你", "👍\u200d", "👍\x00", "<b>", "%", "/", "🏽🏽🏽"} {
		ada.react("PUT", "lobby", m.ID, no).wantProblem(400, "", "emoji")
		ada.react("DELETE", "lobby", m.ID, no).wantProblem(400, "", "emoji")
	}
	for i := range 20 {
		ada.react("PUT", "lobby", m.ID, string(rune(0x1f600+i))).want(204)
	}
	ada.react("PUT", "lobby", m.ID, "👍").wantProblem(409, "too_many_reactions", "emoji")
	ada.react("PUT", "lobby", m.ID, string(rune(0x1f600))).want(204) // it is there
	ada.react("DELETE", "lobby", m.ID, string(rune(0x1f600))).want(204)
	ada.react("PUT", "lobby", m.ID, "👍").want(204)
	ada.enter("dev")
	ada.react("PUT", "dev", m.ID, "👍").wantProblem(404, "message_not_found", "id")
	ada.react("PUT", "nowhere", m.ID, "👍").wantProblem(404, "room_not_found", "room")
}

// However they are typed, with variation selectors or without, they are one; events and history have the qualified form.
func TestEmojiThatLookTheSameAreOneReaction(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	s := ada.open(overSSE, "room=lobby")
	s.opening()
	for _, forms := range [][2]string{{"❤️", "❤"}, {"1️⃣", "1⃣"}, {"🏳️‍🌈", "🏳‍🌈"}, {"🏋️‍♂️", "🏋‍♂"}, {"👍", "👍️"}} {
		m := ada.post("lobby", "hi")
		s.must("chat_message")
		ada.react("PUT", "lobby", m.ID, forms[1]).want(204)
		ada.react("PUT", "lobby", m.ID, forms[0]).want(204)
		bob.react("PUT", "lobby", m.ID, forms[0]).want(204)
		for _, who := range []string{"ada", "bob"} {
			if e := s.must("reaction_added"); e.User != who || e.Emoji != forms[0] {
				t.Errorf("%+q of %s is told as %s", forms, who, e.raw)
			}
		}
		if got, want := ada.history("lobby", "limit=1").items[0].Reactions, []reaction{{forms[0], 2, true, []string{"ada", "bob"}}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%+q are %v, not %v", forms, got, want)
		}
		bob.react("DELETE", "lobby", m.ID, forms[1]).want(204)
		if e := s.must("reaction_removed"); e.User != "bob" || e.Emoji != forms[0] {
			t.Errorf("taking %+q back is told as %s", forms, e.raw)
		}
		if got, want := ada.history("lobby", "limit=1").items[0].Reactions, []reaction{{forms[0], 1, true, []string{"ada"}}}; !reflect.DeepEqual(got, want) {
			t.Errorf("%+q are %v, not %v", forms, got, want)
		}
	}
}

func TestUnreadCountsWhatOthersPosted(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	bob.enter("lobby")
	onPushing(t, func(t *testing.T, over transport) {
		ada, bob := ada.in(t), bob.in(t)
		unread := func(c *client, want int) {
			t.Helper()
			var r room
			c.do("GET", roomPath("lobby"), nil).want(200).into(&r)
			var page struct{ Items []room }
			c.do("GET", "/v1/rooms", nil).want(200).into(&page)
			if r.Unread != want || page.Items[0].Unread != want || c.enter("lobby").Unread != want {
				t.Errorf("%s has %d unread, %d in the list; not %d", c.User.Username, r.Unread, page.Items[0].Unread, want)
			}
		}
		read := func(id int64) { bob.do("PUT", roomPath("lobby")+"/read", map[string]int64{"id": id}).want(204) }
		own, other := bob.open(over, ""), bob.open(over, "room=lobby")
		adas := ada.open(over, "room=lobby")
		own.opening()
		other.opening()
		adas.opening()
		var posted []event
		for i := range 5 {
			posted = append(posted, ada.post("lobby", fmt.Sprint(i)))
			bob.post("lobby", "mine")
		}
		unread(bob, 5)
		read(posted[2].ID + 1) // his own, behind hers
		unread(bob, 2)
		if e := own.must("message_read"); e.MessageID != posted[2].ID+1 || e.Room != "lobby" || e.User != "" {
			t.Errorf("reading is told as %s", e.raw)
		}
		read(posted[0].ID)
		unread(bob, 2)
		ada.do("DELETE", messagePath("lobby", posted[4].ID), nil).want(204)
		unread(bob, 1)
		read(9007199254740991)
		unread(bob, 0)
		if e := own.must("message_read"); e.MessageID != posted[4].ID+1 { // going back was not told
			t.Errorf("reading is told as %s", e.raw)
		}
		ada.post("lobby", "end")
		for _, e := range adas.untilMessage("end") {
			if e.Type == "message_read" {
				t.Errorf("ada hears %s", e.raw)
			}
		}
		told := 0
		for _, e := range other.untilMessage("end") {
			if e.Type == "message_read" {
				told++
			}
		}
		if told != 2 {
			t.Errorf("another device heard of reading %d times", told)
		}
		unread(bob, 1)
		read(9007199254740991)
		ada.do("PUT", roomPath("lobby")+"/read", map[string]int64{"id": 9007199254740991}).want(204)
	})
	ada.do("PUT", roomPath("lobby")+"/read", map[string]int64{"id": -1}).wantProblem(400, "", "id")
	ada.do("PUT", roomPath("lobby")+"/read", map[string]any{}).wantProblem(400, "", "id")
	ada.do("PUT", roomPath("nowhere")+"/read", map[string]int64{"id": 1}).wantProblem(404, "room_not_found", "room")
}
