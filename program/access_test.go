package program

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
)

func (c *client) setMember(room, username, role string) answer {
	c.t.Helper()
	return c.do("PUT", roomPath(room)+"/members/"+url.PathEscape(username), map[string]string{"role": role})
}

func (c *client) privateRoom(name string) {
	c.t.Helper()
	c.do("POST", "/v1/rooms", newRoom{Name: name, Visibility: "private"}).want(201)
}

// names are the items' names of a list that has one page.
func (c *client) names(target string) []string {
	c.t.Helper()
	var page struct {
		Items []struct{ Username, Name string }
	}
	c.do("GET", target, nil).want(200).into(&page)
	all := []string{}
	for _, item := range page.Items {
		all = append(all, item.Username+item.Name)
	}
	return all
}

// Whoever has just posted is remembered as one who may; that must not outlive the right.
func TestNoPostAfterTheRightIsGone(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	for i, tt := range []struct {
		room   newRoom
		role   string // bob's; empty for none
		change func(room string)
		status int
		code   string
	}{
		{newRoom{Visibility: "private"}, "member", func(room string) { ada.do("DELETE", roomPath(room)+"/members/bob", nil).want(204) }, 404, "room_not_found"},
		{newRoom{Visibility: "private"}, "member", func(room string) { ada.do("PUT", roomPath(room)+"/bans/bob", nil).want(204) }, 404, "room_not_found"},
		{newRoom{}, "", func(room string) { ada.do("PUT", roomPath(room)+"/bans/bob", nil).want(204) }, 404, "room_not_found"},
		{newRoom{}, "", func(room string) {
			ada.do("PATCH", roomPath(room), map[string]string{"visibility": "private"}).want(200)
		}, 404, "room_not_found"},
		{newRoom{}, "member", func(room string) { ada.do("PATCH", roomPath(room), map[string]string{"posting": "admins"}).want(200) }, 403, "posting_restricted"},
		{newRoom{Posting: "admins"}, "moderator", func(room string) { ada.setMember(room, "bob", "member").want(200) }, 403, "posting_restricted"},
		{newRoom{Posting: "admins"}, "moderator", func(room string) { bob.do("DELETE", roomPath(room)+"/members/bob", nil).want(204) }, 403, "posting_restricted"},
		{newRoom{}, "", func(room string) { ada.do("DELETE", roomPath(room), nil).want(204) }, 404, "room_not_found"},
	} {
		tt.room.Name = fmt.Sprintf("room%d", i)
		ada.do("POST", "/v1/rooms", tt.room).want(201)
		if tt.role != "" {
			ada.setMember(tt.room.Name, "bob", tt.role).want(200)
		}
		bob.post(tt.room.Name, "while I may")
		tt.change(tt.room.Name)
		bob.do("POST", roomPath(tt.room.Name)+"/messages", raw("too late")).wantProblem(tt.status, tt.code, "")
	}
}

// Whoever was just refused is let in as soon as they may.
func TestARightCountsAtOnce(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.privateRoom("den")
	bob.do("POST", "/v1/rooms/den/messages", raw("x")).wantProblem(404, "room_not_found", "")
	ada.setMember("den", "bob", "member").want(200)
	bob.post("den", "in")
	ada.do("PATCH", "/v1/rooms/den", map[string]string{"posting": "admins"}).want(200)
	bob.do("POST", "/v1/rooms/den/messages", raw("x")).wantProblem(403, "posting_restricted", "")
	ada.setMember("den", "bob", "moderator").want(200)
	bob.post("den", "as a moderator")
	ada.do("PUT", "/v1/rooms/den/bans/bob", nil).want(204)
	bob.do("POST", "/v1/rooms/den/messages", raw("x")).wantProblem(404, "room_not_found", "")
	ada.setMember("den", "bob", "member").wantProblem(409, "user_banned", "")
	ada.do("DELETE", "/v1/rooms/den/bans/bob", nil).want(204)
	bob.do("GET", "/v1/rooms/den", nil).wantProblem(404, "room_not_found", "") // back is who is let in again
	ada.setMember("den", "bob", "moderator").want(200)
	bob.post("den", "again")
	ada.do("PATCH", "/v1/rooms/den", map[string]string{"visibility": "public", "posting": "everyone"}).want(200)
	p.signup(t, "carol").post("den", "open to all")
}

// Of a private room a stranger learns its name alone, and that only by making one of that name.
func TestPrivateRoomIsInvisible(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.privateRoom("den")
	ada.enter("lobby")
	ada.post("den", "secret")
	if got := bob.names("/v1/rooms"); !slices.Equal(got, []string{"lobby"}) {
		t.Errorf("bob sees %v", got)
	}
	if got := ada.names("/v1/rooms"); !slices.Equal(got, []string{"den", "lobby"}) {
		t.Errorf("ada sees %v", got)
	}
	bob.do("POST", "/v1/rooms", newRoom{Name: "DEN"}).wantProblem(409, "room_exists", "")
	bob.do("PUT", "/v1/rooms/den", nil).wantProblem(409, "room_exists", "")
	onEach(t, func(t *testing.T, over transport) {
		bob := bob.in(t)
		sameAnswer(t, bob.refused(over, "room=den"), "den", bob.refused(over, "room=nix"), "nix")
		s := bob.open(over, "room=den&room=nix&room=lobby&since=0")
		if open := s.opening(); !slices.Equal(open.Lost, []string{"den", "nix"}) || !slices.Equal(open.Rooms, []string{"lobby"}) {
			t.Errorf("resuming, bob gets %s", open.raw)
		}
		bob.post("lobby", "marker")
		for _, e := range s.untilMessage("marker") {
			if e.Room == "den" {
				t.Errorf("bob gets %s", e.raw)
			}
		}
	})
	ada.setMember("den", "bob", "member").want(200)
	if got := bob.names("/v1/rooms"); !slices.Equal(got, []string{"den", "lobby"}) {
		t.Errorf("as a member bob sees %v", got)
	}
	if got := bob.names("/v1/rooms/den/members"); !slices.Equal(got, []string{"ada", "bob"}) {
		t.Errorf("the members are %v", got)
	}
	if got := bob.history("den", "").items; len(got) != 1 || got[0].Message != "secret" {
		t.Errorf("as a member bob reads %s", show(got))
	}
}

// What is done to a room is told in it, whole and in order.
func TestRoomTellsWhatIsDoneToIt(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.privateRoom("den")
	ada.setMember("den", "bob", "member").want(200)
	ada.setMember("den", "bob", "member").want(200) // is so already: no event
	ada.setMember("den", "bob", "moderator").want(200)
	ada.do("PATCH", "/v1/rooms/den", map[string]string{"title": "Cave", "posting": "admins"}).want(200)
	ada.do("PATCH", "/v1/rooms/den", map[string]string{"title": "Cave"}).want(200) // is so already
	bob.do("DELETE", "/v1/rooms/den/members/bob", nil).want(204)
	ada.do("DELETE", "/v1/rooms/den/members/bob", nil).want(204) // is so already
	ada.do("PUT", "/v1/rooms/den/bans/bob", nil).want(204)
	ada.do("PUT", "/v1/rooms/den/bans/bob", nil).want(204) // is so already
	ada.post("den", "marker")
	var told []string
	s := ada.open(overSSE, "room=den&since=0")
	s.opening()
	for _, e := range s.untilMessage("marker") {
		told = append(told, strings.Join(slices.DeleteFunc([]string{e.Type, e.User, e.Target, e.Role}, func(s string) bool { return s == "" }), " "))
	}
	want := []string{"member_added ada ada owner", "member_added ada bob member", "member_added ada bob moderator", "room_updated ada",
		"member_removed bob bob", "member_removed ada bob", "chat_message ada"}
	if !slices.Equal(told, want) {
		t.Errorf("the room told\n%s", strings.Join(told, "\n"))
	}
	// The one concerned is told in the inbox: added, made moderator, left. A ban from a private room that one is not in
	// is not told: its name may be new to them.
	ada.send("bob", "that was all")
	inbox := bob.open(overWS, "since=0")
	inbox.opening()
	for _, want := range []string{"member_added", "member_added", "member_removed"} {
		if e := inbox.must(want); e.Target != "bob" || e.Room != "den" {
			t.Errorf("bob's inbox has %s", e.raw)
		}
	}
	inbox.must("private_message")
}

func TestPrivateRoomKeepsAnOwner(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.privateRoom("den")
	ada.setMember("den", "bob", "moderator").want(200)
	ada.do("DELETE", "/v1/rooms/den/members/ada", nil).wantProblem(409, "last_owner", "")
	ada.setMember("den", "ada", "member").wantProblem(409, "last_owner", "")
	ada.setMember("den", "bob", "owner").want(200)
	// Both go at once: one of them stays.
	statuses := make([]int, 2)
	inParallel(2, func(i int) {
		c := []*client{ada, bob}[i]
		a, err := c.try("DELETE", "/v1/rooms/den/members/"+c.User.Username, nil)
		if err != nil {
			t.Error(err)
		}
		statuses[i] = a.status
	})
	if slices.Sort(statuses); !slices.Equal(statuses, []int{204, 409}) {
		t.Errorf("two owners left with %v", statuses)
	}
	// A public room may lose its last owner, and cannot then become private.
	ada.enter("square")
	ada.do("DELETE", "/v1/rooms/square/members/ada", nil).want(204)
	if got := bob.names("/v1/rooms/square/members"); len(got) != 0 {
		t.Errorf("the square has the members %v", got)
	}
}

// A room made anew under an old name is another one.
func TestNothingOfADeletedRoomShows(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	ada.post("lobby", "old", "Idempotency-Key: k")
	bob.enter("lobby")
	ada.do("PUT", "/v1/rooms/lobby/bans/bob", nil).want(204)
	ada.do("DELETE", "/v1/rooms/lobby", nil).want(204)
	ada.do("GET", "/v1/rooms/lobby", nil).wantProblem(404, "room_not_found", "")
	ada.do("DELETE", "/v1/rooms/lobby", nil).wantProblem(404, "room_not_found", "")
	bob.do("POST", "/v1/rooms", newRoom{Name: "lobby"}).want(201) // bob, who was banned from the old one
	ada.post("lobby", "new", "Idempotency-Key: k")                // 201: the key was the old room's
	if got := bob.history("lobby", "").items; len(got) != 1 || got[0].Message != "new" {
		t.Errorf("the new room has %s", show(got))
	}
	if got := bob.names("/v1/rooms/lobby/members"); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("the new room's members are %v", got)
	}
	if got := bob.names("/v1/rooms/lobby/bans"); len(got) != 0 {
		t.Errorf("the new room's bans are %v", got)
	}
	s := bob.open(overSSE, "room=lobby&since=0")
	s.opening()
	for _, e := range s.untilMessage("new") {
		if e.Message == "old" || e.Type == "room_deleted" {
			t.Errorf("the new room tells %s", e.raw)
		}
	}
}

func TestMemberAndBanListsPage(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, name := range []string{"bob", "carol", "dan"} {
		p.signup(t, name)
		ada.setMember("lobby", name, "member").want(200)
	}
	if got := ada.names("/v1/rooms/lobby/members?limit=2&after=bob"); !slices.Equal(got, []string{"carol", "dan"}) {
		t.Errorf("behind bob come %v", got)
	}
	for _, name := range []string{"bob", "dan"} {
		ada.do("PUT", "/v1/rooms/lobby/bans/"+name, nil).want(204)
	}
	var page struct {
		Items []struct{ Username, By string }
		Next  *string
	}
	ada.do("GET", "/v1/rooms/lobby/bans?limit=1", nil).want(200).into(&page)
	if len(page.Items) != 1 || page.Items[0].Username != "bob" || page.Items[0].By != "ada" || page.Next == nil || *page.Next != "bob" {
		t.Errorf("the first page is %+v", page)
	}
	if got := ada.names("/v1/rooms/lobby/bans?after=bob"); !slices.Equal(got, []string{"dan"}) {
		t.Errorf("behind bob come %v", got)
	}
}

// Posts that are under way while their poster is thrown out are in the log before that, or refused.
func TestNoPostOvertakesItsPostersRemoval(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	for i, throwOut := range []func(room string){
		func(room string) { ada.do("DELETE", roomPath(room)+"/members/bob", nil).want(204) },
		func(room string) { ada.do("PUT", roomPath(room)+"/bans/bob", nil).want(204) },
		func(room string) {
			ada.do("PATCH", roomPath(room), map[string]string{"posting": "admins"}).want(200)
		},
	} {
		room := fmt.Sprintf("den%d", i)
		ada.privateRoom(room)
		ada.setMember(room, "bob", "member").want(200)
		bob.post(room, "first")
		posted := make([]int, 8)
		inParallel(len(posted)+1, func(i int) {
			if i == len(posted) {
				eventually(t, "some posts", func() bool { return len(ada.history(room, "").items) > 20 })
				throwOut(room)
				return
			}
			for range 2000 {
				if _, err := bob.tryPost(room, "hi"); err != nil {
					return
				}
				posted[i]++
			}
			t.Error("bob posts and posts")
		})
		ada.post(room, "marker")
		s := ada.open(overSSE, "room="+room+"&since=0")
		s.opening()
		out, stored := false, -1
		for _, e := range s.untilMessage("marker") {
			out = out || e.Type == "member_removed" || e.Type == "room_updated"
			if e.Type == "chat_message" && e.User == "bob" {
				if stored++; out {
					t.Errorf("after bob was thrown out came %s", e.raw)
				}
			}
		}
		acknowledged := 0
		for _, n := range posted {
			acknowledged += n
		}
		if stored != acknowledged {
			t.Errorf("%d of bob's posts were acknowledged, and %d are there", acknowledged, stored)
		}
		s.close()
	}
}

// What a room was a moment ago is remembered; what is asked for is compared with what it is.
func TestSettingsGoForthAndBack(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.privateRoom("den")
	for _, to := range []map[string]string{
		{"visibility": "public"}, {"visibility": "private"}, {"title": "Den"}, {"title": ""}, {"posting": "admins"}, {"posting": "everyone"},
	} {
		posted := ada.post("den", "hello")
		var changed, is room
		ada.do("PATCH", roomPath("den"), to).want(200).into(&changed)
		ada.do("GET", roomPath("den"), nil).want(200).into(&is)
		if !reflect.DeepEqual(changed, is) {
			t.Errorf("%v answers %+v, and then it is %+v", to, changed, is)
		}
		if is.LastID != posted.ID {
			t.Errorf("after %v the last message is %v, not %d", to, is.LastID, posted.ID)
		}
		status := 404
		if is.Visible == "public" {
			status = 200
		}
		bob.do("GET", roomPath("den"), nil).want(status)
	}
}

// Who moderated a private room learns nothing of it any more, not even by what would change nothing.
func TestRemovedModeratorsLearnNothing(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob, eve := p.signup(t, "ada"), p.signup(t, "bob"), p.signup(t, "eve")
	p.signup(t, "dan")
	for _, gone := range []struct{ method, path string }{{"DELETE", "/members/bob"}, {"PUT", "/bans/bob"}} {
		den := "den" + gone.path[1:2]
		ada.privateRoom(den)
		ada.setMember(den, "bob", "moderator").want(200)
		bob.setMember(den, "eve", "member").want(200)
		bob.do("PUT", roomPath(den)+"/bans/dan", nil).want(204)
		eve.post(den, "hello")
		ada.do(gone.method, roomPath(den)+gone.path, nil).want(204)
		for _, try := range []func() answer{
			func() answer { return bob.setMember(den, "eve", "member") },
			func() answer { return bob.do("DELETE", roomPath(den)+"/members/dan", nil) },
			func() answer { return bob.do("PUT", roomPath(den)+"/bans/dan", nil) },
			func() answer { return bob.do("PATCH", roomPath(den), map[string]string{"visibility": "private"}) },
		} {
			try().wantProblem(404, "room_not_found", "")
		}
	}
}

// A ban is told to members; to a stranger of a private room it would tell the name.
func TestBannedStrangersAreNotToldOfAPrivateRoom(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, eve := p.signup(t, "ada"), p.signup(t, "eve")
	ada.privateRoom("den")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		ada, eve := ada.in(t), eve.in(t)
		s := eve.open(over, "")
		s.opening()
		for _, room := range []string{"den", "lobby"} {
			ada.do("PUT", roomPath(room)+"/bans/eve", nil).want(204)
			ada.do("DELETE", roomPath(room)+"/bans/eve", nil).want(204)
		}
		if e := s.must("member_removed"); e.Room != "lobby" {
			t.Errorf("eve is told %s", e.raw)
		}
		s.close()
	})
}

// A token that reaches one room does not reach another that has got its name.
func TestLimitedTokenDoesNotReachTheNextRoomOfTheName(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("ops")
	bob.enter("ops")
	limited := bob.token(map[string]any{"name": "ops alone", "rooms": []string{"ops"}})
	limited.post("ops", "deploy done")
	limited.do("PUT", roomPath("ops"), nil).want(200)
	ada.do("DELETE", roomPath("ops"), nil).want(204)
	ada.enter("ops")
	limited.do("PUT", roomPath("ops"), nil).wantProblem(404, "room_not_found", "")
	limited.do("POST", roomPath("ops")+"/messages", raw("again")).wantProblem(404, "room_not_found", "")
	if got := bob.names("/v1/rooms/ops/members"); !slices.Equal(got, []string{"ada"}) {
		t.Errorf("members are %v", got)
	}
}
