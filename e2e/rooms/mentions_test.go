package rooms

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// Mentions follow from the text: the user whose name follows an @, if they may read it.
func TestMentions(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	for _, name := range []string{"bo", "bob.b", "eve_x", "marija", "мария", "小明", "小明明", "علی\u200cرضا"} {
		p.Signup(t, name)
	}
	banned := p.Signup(t, "banned")
	ada.Enter("lobby")
	ada.Do("PUT", harness.RoomPath("lobby")+"/bans/banned", nil).Want(204)
	_ = banned
	for text, want := range map[string]string{
		"hi @bob": "bob", "@bob @ada,@bob!": "bob ada", "(@bob)": "bob", "@BOB": "bob", "@Ｂｏｂ": "bob", "\n@bob:": "bob",
		"@bob.": "bob", "@bob.b.": "bob.b", "@bob.c": "bob", "@bob-": "bob", "@bobby": "", "@bob_": "bob", "@eve_x_y": "eve_x",
		"a@bob": "", "1@bob": "", "é@bob": "", "@@bob": "bob", "@ bob": "", "@": "", "@nobody": "", "@banned": "", "bob": "",
		"@Мария!": "мария", "@小明你好": "小明", "@小明明": "小明明", "你好@小明": "", "@علی\u200cرضا سلام": "علی\u200cرضا", "me@bob.b": "",
		"@bob" + strings.Repeat("x", 4000-4): "", strings.Repeat("@", 3996) + "@bob": "bob", strings.Repeat("@小", 2000): "",
	} {
		e := ada.Post("lobby", text)
		if got := strings.Join(e.Mentions, " "); got != want || e.MentionsAll {
			t.Errorf("%q mentions %q, want %q", harness.Clip([]byte(text)), got, want)
		}
	}
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "den", Visibility: "private"}).Want(201)
	if e := ada.Post("den", "@bob @ada"); strings.Join(e.Mentions, " ") != "ada" {
		t.Errorf("mentions in a private room include a non-member: %s", e.Raw)
	}
	ada.Do("PUT", harness.RoomPath("den")+"/members/bob", harness.Fields{"role": "member"}).Want(200)
	if e := ada.Post("den", "@bob"); strings.Join(e.Mentions, " ") != "bob" {
		t.Errorf("mention of the member missing: %s", e.Raw)
	}
	if e := ada.Send("bob", "@bob @marija @ada"); strings.Join(e.Mentions, " ") != "bob ada" {
		t.Errorf("mentions in a conversation = %s", e.Raw)
	}
	var many []string
	for i := range 60 {
		name := fmt.Sprint("user", i)
		p.Signup(t, name)
		many = append(many, "@"+name)
	}
	if e := bob.Post("lobby", strings.Join(many, " ")); len(e.Mentions) != 50 || e.Mentions[49] != "user49" {
		t.Errorf("%d users mentioned, want 50", len(e.Mentions))
	}
}

func TestMentionsAll(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, cara := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "cara")
	ada.Enter("lobby")
	bob.Enter("lobby")
	for range 2 { // allowed for everybody in a small room
		for _, c := range []*harness.Client{ada, bob} {
			if e := c.Post("lobby", "@ALL, look"); !e.MentionsAll || e.Mentions != nil {
				t.Errorf("message = %s", e.Raw)
			}
		}
	}
	if n := ada.Mentions("lobby"); n != 2 {
		t.Errorf("ada: mentions = %d, want 2", n)
	}
	if n := cara.Mentions("lobby"); n != 0 { // not a member
		t.Errorf("cara: mentions = %d, want 0", n)
	}
	for i := range 99 {
		p.Signup(t, fmt.Sprint("member", i)).Enter("lobby")
	}
	if e := bob.Post("lobby", "@all"); e.MentionsAll {
		t.Errorf("@all of a member of a large room accepted: %s", e.Raw)
	}
	if e := ada.Post("lobby", "@all"); !e.MentionsAll {
		t.Errorf("@all of the owner ignored: %s", e.Raw)
	}
	if e := ada.Send("bob", "@all"); e.MentionsAll {
		t.Errorf("@all in a conversation accepted: %s", e.Raw)
	}
}

// Mentions after the read marker are counted, in threads too, and listed for the rooms that the user may read.
func TestMentionsAreListedAndCounted(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "den", Visibility: "private"}).Want(201)
	ada.Do("PUT", harness.RoomPath("den")+"/members/bob", harness.Fields{"role": "member"}).Want(200)
	bob.Enter("lobby")
	root := ada.Post("lobby", "about this")
	var want []int64
	for _, post := range []func() harness.Event{
		func() harness.Event { return ada.Post("lobby", "@bob") },
		func() harness.Event { return ada.Post("den", "@bob and @bob") },
		func() harness.Event {
			return ada.PostJSON("lobby", harness.Fields{"message": "@bob", "thread": root.ID})
		},
		func() harness.Event { return ada.Post("lobby", "@all @bob") },
	} {
		ada.Post("lobby", "between")
		want = append(want, post().ID)
	}
	bob.Post("lobby", "@bob @all myself")
	if got, prev := bob.Mentioning(""); !slices.Equal(got, want) || prev != nil {
		t.Errorf("bob is mentioned in %v, want %v", got, want)
	}
	got, prev := bob.Mentioning("limit=3")
	if !slices.Equal(got, want[1:]) || prev == nil || *prev != want[1] {
		t.Fatalf("latest = %v, next %v", got, prev)
	}
	if got, prev := bob.Mentioning(fmt.Sprint("limit=3&before=", *prev)); !slices.Equal(got, want[:1]) || prev != nil {
		t.Errorf("page before = %v, next %v", got, prev)
	}
	if n := bob.Mentions("lobby"); n != 3 {
		t.Errorf("bob: mentions in the lobby = %d, want 3", n)
	}
	bob.Do("PUT", harness.RoomPath("lobby")+"/read", harness.Fields{"id": want[0]}).Want(204)
	if n := bob.Mentions("lobby"); n != 2 {
		t.Errorf("mentions after reading the first = %d, want 2", n)
	}
	bob.Do("PUT", harness.RoomPath("lobby")+"/read", harness.Fields{"id": want[2]}).Want(204) // the one in the thread
	if n := bob.Mentions("lobby"); n != 1 {
		t.Errorf("mentions after reading the one in the thread = %d, want 1", n)
	}
	// Edited to mention someone else, deleted, and in a room that the user has left.
	ada.Edit("lobby", want[0], "@ada")
	ada.Do("DELETE", harness.MessagePath("lobby", want[3]), nil).Want(204)
	if got, _ := bob.Mentioning(""); !slices.Equal(got, want[1:3]) {
		t.Errorf("bob is mentioned in %v, want %v", got, want[1:3])
	}
	if n := bob.Mentions("lobby"); n != 0 {
		t.Errorf("a deleted mention counts: %d, want 0", n)
	}
	ada.Do("DELETE", harness.RoomPath("den")+"/members/bob", nil).Want(204)
	if got, _ := bob.Mentioning(""); !slices.Equal(got, want[2:3]) {
		t.Errorf("bob's mentions after leaving the den = %v", got)
	}
	now := ada.Do("PATCH", harness.MessagePath("lobby", want[0]), harness.Fields{"message": "@bob again"}).Want(200).Event()
	if strings.Join(now.Mentions, " ") != "bob" {
		t.Errorf("message after the edit = %s", now.Raw)
	}
	if got, _ := bob.Mentioning(""); !slices.Equal(got, []int64{want[0], want[2]}) {
		t.Errorf("bob's mentions = %v", got)
	}
	kept := ada.Do("PATCH", harness.MessagePath("lobby", want[0]), harness.Fields{"data": harness.Fields{"a": 1}}).Want(200).Event()
	if strings.Join(kept.Mentions, " ") != "bob" {
		t.Errorf("message after an edit of its data = %s", kept.Raw)
	}
	ada.Do("DELETE", harness.RoomPath("lobby"), nil).Want(204)
	if got, _ := bob.Mentioning(""); len(got) != 0 {
		t.Errorf("bob's mentions after leaving the lobby = %v, want none", got)
	}
}

// A read marker beyond the last message includes threads, and a change of the room answers with the counts of a GET.
func TestMentionsInThreadsAreReadWithEverythingElse(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	bob.Enter("lobby")
	root := ada.Post("lobby", "about this")
	bob.PostJSON("lobby", harness.Fields{"message": "@ada", "thread": root.ID})
	var changed struct{ Mentions int }
	ada.Do("PATCH", harness.RoomPath("lobby"), harness.Fields{"title": "Lobby"}).Want(200).Into(&changed)
	if changed.Mentions != 1 || ada.Mentions("lobby") != 1 {
		t.Errorf("mentions in the answer to a change of the room: got %d, and %d by GET, want 1", changed.Mentions, ada.Mentions("lobby"))
	}
	ada.Do("PUT", harness.RoomPath("lobby")+"/read", harness.Fields{"id": int64(1)<<53 - 1}).Want(204)
	if n := ada.Mentions("lobby"); n != 0 {
		t.Errorf("mentions after reading everything: got %d, want 0", n)
	}
}
