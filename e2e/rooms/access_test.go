package rooms

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// The cache remembers that a user who has just posted may post; it must not outlast the permission.
func TestPostIsRefusedOnceTheRightIsRevoked(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	for i, tt := range []struct {
		room   harness.NewRoom
		role   string // bob's; empty for none
		change func(room string)
		status int
		code   string
	}{
		{harness.NewRoom{Visibility: "private"}, "member", func(room string) { ada.Do("DELETE", harness.RoomPath(room)+"/members/bob", nil).Want(204) }, 404, "room_not_found"},
		{harness.NewRoom{Visibility: "private"}, "member", func(room string) { ada.Do("PUT", harness.RoomPath(room)+"/bans/bob", nil).Want(204) }, 404, "room_not_found"},
		{harness.NewRoom{}, "", func(room string) { ada.Do("PUT", harness.RoomPath(room)+"/bans/bob", nil).Want(204) }, 404, "room_not_found"},
		{harness.NewRoom{}, "", func(room string) {
			ada.Do("PATCH", harness.RoomPath(room), map[string]string{"visibility": "private"}).Want(200)
		}, 404, "room_not_found"},
		{harness.NewRoom{}, "member", func(room string) {
			ada.Do("PATCH", harness.RoomPath(room), map[string]string{"posting": "admins"}).Want(200)
		}, 403, "posting_restricted"},
		{harness.NewRoom{Posting: "admins"}, "moderator", func(room string) { ada.SetMember(room, "bob", "member").Want(200) }, 403, "posting_restricted"},
		{harness.NewRoom{Posting: "admins"}, "moderator", func(room string) { bob.Do("DELETE", harness.RoomPath(room)+"/members/bob", nil).Want(204) }, 403, "posting_restricted"},
		{harness.NewRoom{}, "", func(room string) { ada.Do("DELETE", harness.RoomPath(room), nil).Want(204) }, 404, "room_not_found"},
	} {
		tt.room.Name = fmt.Sprintf("room%d", i)
		ada.Do("POST", "/v1/rooms", tt.room).Want(201)
		if tt.role != "" {
			ada.SetMember(tt.room.Name, "bob", tt.role).Want(200)
		}
		bob.Post(tt.room.Name, "while I may")
		tt.change(tt.room.Name)
		bob.Do("POST", harness.RoomPath(tt.room.Name)+"/messages", harness.Raw("too late")).WantProblem(tt.status, tt.code, "")
	}
}

// A user who was just refused is admitted as soon as they have permission.
func TestGrantedRightAppliesAtOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.PrivateRoom("den")
	bob.Do("POST", "/v1/rooms/den/messages", harness.Raw("x")).WantProblem(404, "room_not_found", "")
	ada.SetMember("den", "bob", "member").Want(200)
	bob.Post("den", "in")
	ada.Do("PATCH", "/v1/rooms/den", map[string]string{"posting": "admins"}).Want(200)
	bob.Do("POST", "/v1/rooms/den/messages", harness.Raw("x")).WantProblem(403, "posting_restricted", "")
	ada.SetMember("den", "bob", "moderator").Want(200)
	bob.Post("den", "as a moderator")
	ada.Do("PUT", "/v1/rooms/den/bans/bob", nil).Want(204)
	bob.Do("POST", "/v1/rooms/den/messages", harness.Raw("x")).WantProblem(404, "room_not_found", "")
	ada.SetMember("den", "bob", "member").WantProblem(409, "user_banned", "")
	ada.Do("DELETE", "/v1/rooms/den/bans/bob", nil).Want(204)
	bob.Do("GET", "/v1/rooms/den", nil).WantProblem(404, "room_not_found", "") // back gives the user access again
	ada.SetMember("den", "bob", "moderator").Want(200)
	bob.Post("den", "again")
	ada.Do("PATCH", "/v1/rooms/den", map[string]string{"visibility": "public", "posting": "everyone"}).Want(200)
	p.Signup(t, "carol").Post("den", "open to all")
}

// A stranger learns only the name of a private room, and only by trying to create one with that name.
func TestPrivateRoomIsInvisible(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.PrivateRoom("den")
	ada.Enter("lobby")
	ada.Post("den", "secret")
	if got := bob.Names("/v1/rooms"); !slices.Equal(got, []string{"lobby"}) {
		t.Errorf("bob's rooms = %v, want [lobby]", got)
	}
	if got := ada.Names("/v1/rooms"); !slices.Equal(got, []string{"den", "lobby"}) {
		t.Errorf("ada's rooms = %v, want [den lobby]", got)
	}
	bob.Do("POST", "/v1/rooms", harness.NewRoom{Name: "DEN"}).WantProblem(409, "room_exists", "")
	bob.Do("PUT", "/v1/rooms/den", nil).WantProblem(409, "room_exists", "")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		bob := bob.In(t)
		harness.SameAnswer(t, bob.Refused(over, "room=den"), "den", bob.Refused(over, "room=nix"), "nix")
		s := bob.Open(over, "room=den&room=nix&room=lobby&since=0")
		if open := s.Opening(); !slices.Equal(open.Lost, []string{"den", "nix"}) || !slices.Equal(open.Rooms, []string{"lobby"}) {
			t.Errorf("stream_open after resuming = %s", open.Raw)
		}
		bob.Post("lobby", "marker")
		for _, e := range s.UntilMessage("marker") {
			if e.Room == "den" {
				t.Errorf("bob got %s", e.Raw)
			}
		}
	})
	ada.SetMember("den", "bob", "member").Want(200)
	if got := bob.Names("/v1/rooms"); !slices.Equal(got, []string{"den", "lobby"}) {
		t.Errorf("bob's rooms as a member = %v, want [den lobby]", got)
	}
	if got := bob.Names("/v1/rooms/den/members"); !slices.Equal(got, []string{"ada", "bob"}) {
		t.Errorf("members = %v, want [ada bob]", got)
	}
	if got := bob.History("den", "").Items; len(got) != 1 || got[0].Message != "secret" {
		t.Errorf("bob's history as a member = %s", harness.Show(got))
	}
}

// Changes to a room are announced in it, completely and in order.
func TestRoomAnnouncesItsChanges(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.PrivateRoom("den")
	ada.SetMember("den", "bob", "member").Want(200)
	ada.SetMember("den", "bob", "member").Want(200) // no change, so no event
	ada.SetMember("den", "bob", "moderator").Want(200)
	ada.Do("PATCH", "/v1/rooms/den", map[string]string{"title": "Cave", "posting": "admins"}).Want(200)
	ada.Do("PATCH", "/v1/rooms/den", map[string]string{"title": "Cave"}).Want(200) // is so already
	bob.Do("DELETE", "/v1/rooms/den/members/bob", nil).Want(204)
	ada.Do("DELETE", "/v1/rooms/den/members/bob", nil).Want(204) // is so already
	ada.Do("PUT", "/v1/rooms/den/bans/bob", nil).Want(204)
	ada.Do("PUT", "/v1/rooms/den/bans/bob", nil).Want(204) // is so already
	ada.Post("den", "marker")
	var told []string
	s := ada.Open(harness.OverSSE, "room=den&since=0")
	s.Opening()
	for _, e := range s.UntilMessage("marker") {
		told = append(told, strings.Join(slices.DeleteFunc([]string{e.Type, e.User, e.Target, e.Role}, func(s string) bool { return s == "" }), " "))
	}
	want := []string{"member_added ada ada owner", "member_added ada bob member", "member_added ada bob moderator", "room_updated ada",
		"member_removed bob bob", "member_removed ada bob", "chat_message ada"}
	if !slices.Equal(told, want) {
		t.Errorf("events of the room =\n%s", strings.Join(told, "\n"))
	}
	// The user concerned is notified in their inbox: added, made moderator, left. A ban from a private room that they are
	// not in is not announced to them: its name may be new to them.
	ada.Send("bob", "that was all")
	inbox := bob.Open(harness.OverWS, "since=0")
	inbox.Opening()
	for _, want := range []string{"member_added", "member_added", "member_removed"} {
		if e := inbox.Must(want); e.Target != "bob" || e.Room != "den" {
			t.Errorf("bob's inbox got %s", e.Raw)
		}
	}
	inbox.Must("private_message")
}

func TestPrivateRoomKeepsAnOwner(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.PrivateRoom("den")
	ada.SetMember("den", "bob", "moderator").Want(200)
	ada.Do("DELETE", "/v1/rooms/den/members/ada", nil).WantProblem(409, "last_owner", "")
	ada.SetMember("den", "ada", "member").WantProblem(409, "last_owner", "")
	ada.SetMember("den", "bob", "owner").Want(200)
	// Both leave at once: one of them must stay.
	statuses := make([]int, 2)
	harness.InParallel(2, func(i int) {
		c := []*harness.Client{ada, bob}[i]
		a, err := c.Try("DELETE", "/v1/rooms/den/members/"+c.User.Username, nil)
		if err != nil {
			t.Error(err)
		}
		statuses[i] = a.Status
	})
	if slices.Sort(statuses); !slices.Equal(statuses, []int{204, 409}) {
		t.Errorf("statuses of two owners leaving = %v, want [204 409]", statuses)
	}
	// A public room may lose its last owner, and then cannot become private.
	ada.Enter("square")
	ada.Do("DELETE", "/v1/rooms/square/members/ada", nil).Want(204)
	if got := bob.Names("/v1/rooms/square/members"); len(got) != 0 {
		t.Errorf("members of square = %v, want none", got)
	}
}

// A recreated room is a different room.
func TestDeletedRoomIsNotVisible(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	ada.Post("lobby", "old", "Idempotency-Key: k")
	bob.Enter("lobby")
	ada.Do("PUT", "/v1/rooms/lobby/bans/bob", nil).Want(204)
	ada.Do("DELETE", "/v1/rooms/lobby", nil).Want(204)
	ada.Do("GET", "/v1/rooms/lobby", nil).WantProblem(404, "room_not_found", "")
	ada.Do("DELETE", "/v1/rooms/lobby", nil).WantProblem(404, "room_not_found", "")
	bob.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201) // bob, who was banned from the old one
	ada.Post("lobby", "new", "Idempotency-Key: k")                        // 201: the key belonged to the old room
	if got := bob.History("lobby", "").Items; len(got) != 1 || got[0].Message != "new" {
		t.Errorf("messages in the new room = %s", harness.Show(got))
	}
	if got := bob.Names("/v1/rooms/lobby/members"); !slices.Equal(got, []string{"bob"}) {
		t.Errorf("new room's members = %v, want [bob]", got)
	}
	if got := bob.Names("/v1/rooms/lobby/bans"); len(got) != 0 {
		t.Errorf("new room's bans = %v, want none", got)
	}
	s := bob.Open(harness.OverSSE, "room=lobby&since=0")
	s.Opening()
	for _, e := range s.UntilMessage("new") {
		if e.Message == "old" || e.Type == "room_deleted" {
			t.Errorf("new room's stream got %s", e.Raw)
		}
	}
}

func TestMemberAndBanListsPage(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, name := range []string{"bob", "carol", "dan"} {
		p.Signup(t, name)
		ada.SetMember("lobby", name, "member").Want(200)
	}
	if got := ada.Names("/v1/rooms/lobby/members?limit=2&after=bob"); !slices.Equal(got, []string{"carol", "dan"}) {
		t.Errorf("page after bob = %v, want [carol dan]", got)
	}
	for _, name := range []string{"bob", "dan"} {
		ada.Do("PUT", "/v1/rooms/lobby/bans/"+name, nil).Want(204)
	}
	var page struct {
		Items []struct{ Username, By string }
		Next  *string
	}
	ada.Do("GET", "/v1/rooms/lobby/bans?limit=1", nil).Want(200).Into(&page)
	if len(page.Items) != 1 || page.Items[0].Username != "bob" || page.Items[0].By != "ada" || page.Next == nil || *page.Next != "bob" {
		t.Errorf("first page = %+v", page)
	}
	if got := ada.Names("/v1/rooms/lobby/bans?after=bob"); !slices.Equal(got, []string{"dan"}) {
		t.Errorf("page after bob = %v, want [dan]", got)
	}
}

// Posts in flight when their author is removed are in the log before the removal, or refused.
func TestNoPostFollowsItsAuthorsRemoval(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	for i, throwOut := range []func(room string){
		func(room string) { ada.Do("DELETE", harness.RoomPath(room)+"/members/bob", nil).Want(204) },
		func(room string) { ada.Do("PUT", harness.RoomPath(room)+"/bans/bob", nil).Want(204) },
		func(room string) {
			ada.Do("PATCH", harness.RoomPath(room), map[string]string{"posting": "admins"}).Want(200)
		},
	} {
		room := fmt.Sprintf("den%d", i)
		ada.PrivateRoom(room)
		ada.SetMember(room, "bob", "member").Want(200)
		bob.Post(room, "first")
		posted := make([]int, 8)
		harness.InParallel(len(posted)+1, func(i int) {
			if i == len(posted) {
				harness.Eventually(t, "the room has more than 20 messages", func() bool { return len(ada.History(room, "").Items) > 20 })
				throwOut(room)
				return
			}
			for range 2000 {
				if _, err := bob.TryPost(room, "hi"); err != nil {
					return
				}
				posted[i]++
			}
			t.Error("bob still posts after his removal")
		})
		ada.Post(room, "marker")
		s := ada.Open(harness.OverSSE, "room="+room+"&since=0")
		s.Opening()
		out, stored := false, -1
		for _, e := range s.UntilMessage("marker") {
			out = out || e.Type == "member_removed" || e.Type == "room_updated"
			if e.Type == "chat_message" && e.User == "bob" {
				if stored++; out {
					t.Errorf("got %s after bob's removal", e.Raw)
				}
			}
		}
		acknowledged := 0
		for _, n := range posted {
			acknowledged += n
		}
		if stored != acknowledged {
			t.Errorf("%d of bob's posts acknowledged, %d stored", acknowledged, stored)
		}
		s.Close()
	}
}

// The cache remembers a room as it was a moment ago; conditional requests are compared with its present state.
func TestChangedSettingsAreVisibleAtOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.PrivateRoom("den")
	for _, to := range []map[string]string{
		{"visibility": "public"}, {"visibility": "private"}, {"title": "Den"}, {"title": ""}, {"posting": "admins"}, {"posting": "everyone"},
	} {
		posted := ada.Post("den", "hello")
		var changed, is harness.Room
		ada.Do("PATCH", harness.RoomPath("den"), to).Want(200).Into(&changed)
		ada.Do("GET", harness.RoomPath("den"), nil).Want(200).Into(&is)
		if !reflect.DeepEqual(changed, is) {
			t.Errorf("%v: response = %+v, room = %+v", to, changed, is)
		}
		if is.LastID != posted.ID {
			t.Errorf("last_id after %v = %v, want %d", to, is.LastID, posted.ID)
		}
		status := 404
		if is.Visible == "public" {
			status = 200
		}
		bob.Do("GET", harness.RoomPath("den"), nil).Want(status)
	}
}

// A former moderator of a private room learns nothing of it any more, not even from requests that would change nothing.
func TestRemovedModeratorsLearnNothing(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	p.Signup(t, "dan")
	for _, gone := range []struct{ method, path string }{{"DELETE", "/members/bob"}, {"PUT", "/bans/bob"}} {
		den := "den" + gone.path[1:2]
		ada.PrivateRoom(den)
		ada.SetMember(den, "bob", "moderator").Want(200)
		bob.SetMember(den, "eve", "member").Want(200)
		bob.Do("PUT", harness.RoomPath(den)+"/bans/dan", nil).Want(204)
		eve.Post(den, "hello")
		ada.Do(gone.method, harness.RoomPath(den)+gone.path, nil).Want(204)
		for _, try := range []func() harness.Answer{
			func() harness.Answer { return bob.SetMember(den, "eve", "member") },
			func() harness.Answer { return bob.Do("DELETE", harness.RoomPath(den)+"/members/dan", nil) },
			func() harness.Answer { return bob.Do("PUT", harness.RoomPath(den)+"/bans/dan", nil) },
			func() harness.Answer {
				return bob.Do("PATCH", harness.RoomPath(den), map[string]string{"visibility": "private"})
			},
		} {
			try().WantProblem(404, "room_not_found", "")
		}
	}
}

// A ban is announced to members. To a stranger of a private room it would reveal the name.
func TestBannedStrangersDoNotLearnOfAPrivateRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, eve := p.Signup(t, "ada"), p.Signup(t, "eve")
	ada.PrivateRoom("den")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, eve := ada.In(t), eve.In(t)
		s := eve.Open(over, "")
		s.Opening()
		for _, room := range []string{"den", "lobby"} {
			ada.Do("PUT", harness.RoomPath(room)+"/bans/eve", nil).Want(204)
			ada.Do("DELETE", harness.RoomPath(room)+"/bans/eve", nil).Want(204)
		}
		if e := s.Must("member_removed"); e.Room != "lobby" {
			t.Errorf("eve got %s", e.Raw)
		}
		s.Close()
	})
}

// A token for one room does not reach another that has taken over its name.
func TestLimitedTokenDoesNotReachARecreatedRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("ops")
	bob.Enter("ops")
	limited := bob.Token(map[string]any{"name": "ops alone", "rooms": []string{"ops"}})
	limited.Post("ops", "deploy done")
	limited.Do("PUT", harness.RoomPath("ops"), nil).Want(200)
	ada.Do("DELETE", harness.RoomPath("ops"), nil).Want(204)
	ada.Enter("ops")
	limited.Do("PUT", harness.RoomPath("ops"), nil).WantProblem(404, "room_not_found", "")
	limited.Do("POST", harness.RoomPath("ops")+"/messages", harness.Raw("again")).WantProblem(404, "room_not_found", "")
	if got := bob.Names("/v1/rooms/ops/members"); !slices.Equal(got, []string{"ada"}) {
		t.Errorf("members = %v, want [ada]", got)
	}
}
