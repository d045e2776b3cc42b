package rooms

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// A muted user can read, and cannot post in any way; others can.
func TestMutedUserCanReadButNotPost(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	posted := bob.Post("lobby", "while I may")
	bob.React("PUT", "lobby", posted.ID, "👍").Want(204)
	file := bob.Upload(harness.RoomPath("lobby"), "a.txt", "hello")
	page := bob.Tutorial("/ws/chat/lobby/", bob.BearerHeader())
	s := bob.Open(harness.OverWS, "room=lobby")
	s.Opening()

	var m struct{ Until time.Time }
	ada.Mute("lobby", "bob", 3600).Want(200).Into(&m)
	path := harness.RoomPath("lobby")
	messages := path + "/messages"
	message := fmt.Sprint(messages, "/", posted.ID)
	for _, call := range []struct {
		method, target string
		body           any
	}{
		{"POST", messages, harness.Raw("plain")},
		{"POST", messages, harness.Fields{"message": "json"}},
		{"POST", messages, harness.Fields{"message": "in a thread", "thread": posted.ID}},
		{"POST", messages, harness.Fields{"message": "with a file", "files": []string{file.ID}}},
		{"POST", messages, harness.Fields{"data": harness.Fields{"a": 1}}},
		{"PATCH", message, harness.Fields{"message": "edited"}},
		{"PUT", message + "/reactions/" + url.PathEscape("🎉"), nil},
		{"POST", path + "/events", harness.Fields{"name": "x"}},
		{"POST", path + "/events", harness.Fields{"name": "x", "ephemeral": true}},
		{"POST", path + "/typing", nil},
		{"POST", path + "/files?name=b.txt", harness.Raw("hello")},
	} {
		if until := bob.Do(call.method, call.target, call.body).Until(403, "muted"); !until.Equal(m.Until) {
			t.Errorf("%s %s is refused until %v, want %v", call.method, call.target, until, m.Until)
		}
		if !strings.HasPrefix(call.target, path+"/files") { // not over the socket
			s.Call(call.method, call.target, call.body).WantProblem(403, "muted", "")
		}
	}
	for _, frame := range []string{
		`{"type":"chat_message","message":"hi"}`, `{"type":"user_typing"}`, `{"type":"custom_event","name":"x"}`,
	} {
		s.Ask(frame).WantProblem(403, "muted", "")
	}
	for page.Say(`{"message":"from the tutorial's page"}`); ; {
		frame := <-page.Frames
		if r, err := harness.ParseReply(frame); err == nil {
			if r.Status != 403 {
				t.Errorf("reply to the tutorial page = %s", r.Raw)
			}
			break
		}
	}
	if e := ada.Post("lobby", "others are heard"); e.Message == "" {
		t.Error("another member's message is empty")
	}
	if got := bob.History("lobby", ""); len(got.Items) != 2 || got.Items[0].Message != "while I may" {
		t.Errorf("history of the muted user = %s", harness.Show(got.Items))
	}
	s.Until(func(e harness.Event) bool { return e.Type == "chat_message" && e.Message == "others are heard" })
	// Reading and other actions that reach nobody remain allowed.
	bob.Do("PUT", path+"/read", harness.Fields{"id": posted.ID}).Want(204)
	bob.React("DELETE", "lobby", posted.ID, "👍").Want(204)
	bob.Send("ada", "elsewhere I am heard")
	bob.Do("DELETE", path+"/members/bob", nil).Want(204)
	bob.Enter("lobby")
	bob.Do("POST", messages, harness.Raw("back again")).Until(403, "muted")
	bob.Do("DELETE", message, nil).Want(204)

	ada.Do("DELETE", path+"/mutes/bob", nil).Want(204)
	bob.Post("lobby", "heard again")
}

// A mute ends by itself, and the user can post from then on.
func TestMuteExpires(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	bob.Post("lobby", "one")
	ada.Mute("lobby", "bob", 3600).Want(200)
	bob.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("x")).Until(403, "muted")
	ada.Mute("lobby", "bob", 1).Want(200) // again
	harness.Eventually(t, "the mute ends", func() bool {
		a := bob.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("two"))
		if a.Status != 201 {
			a.Until(403, "muted")
		}
		return a.Status == 201
	})
	if got := ada.Names("/v1/rooms/lobby/mutes"); len(got) != 0 {
		t.Errorf("muted = %v, want none", got)
	}
	var r struct {
		MutedUntil *time.Time `json:"muted_until"`
	}
	bob.Do("GET", "/v1/rooms/lobby", nil).Want(200).Into(&r)
	if r.MutedUntil != nil {
		t.Errorf("muted_until = %v, want none", r.MutedUntil)
	}
	ada.Do("DELETE", "/v1/rooms/lobby/mutes/bob", nil).Want(204)
}

// A mute survives a restart, and applies on all nodes as soon as it is acknowledged.
func TestMuteOutlastsARestart(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	ada.Mute("lobby", "bob", 3600).Want(200)
	p.Stop(t)
	p = p.Again(t)
	bob.On(p.Server).Do("POST", "/v1/rooms/lobby/messages", harness.Raw("x")).Until(403, "muted")
}

func TestMutesAndSlowModeAcrossNodes(t *testing.T) {
	t.Parallel()
	nodes := harness.StartNodes(t, 2, nil)
	ada, bob := nodes[0].Signup(t, "ada"), nodes[1].Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	for range 5 {
		bob.Post("lobby", "remembered there as one who may")
		ada.Mute("lobby", "bob", 3600).Want(200)
		bob.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("x")).Until(403, "muted")
		ada.Do("DELETE", "/v1/rooms/lobby/mutes/bob", nil).Want(204)
	}
	bob.Post("lobby", "and before slow mode")
	ada.SlowMode("lobby", 21600).Want(200)
	answers := make([]harness.Answer, 16)
	harness.InParallel(len(answers), func(i int) {
		answers[i], _ = bob.On(nodes[i%2].Server).Try("POST", "/v1/rooms/lobby/messages", harness.Raw(fmt.Sprint("at once ", i)))
	})
	posted := 0
	for _, a := range answers {
		if a.Status == 201 {
			posted++
		} else {
			a.Until(429, "slow_mode")
		}
	}
	if posted != 1 {
		t.Errorf("%d of 16 concurrent messages on two nodes posted, want 1", posted)
	}
}

// Muting follows the rules of banning.
func TestWhoMayMuteWhom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	users := map[string]*harness.Client{"root": p.Admin(t)}
	for _, name := range []string{"owner", "other-owner", "mod", "other-mod", "member", "stranger"} {
		users[name] = p.Signup(t, name)
	}
	users["owner"].Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	for name, role := range map[string]string{"other-owner": "owner", "mod": "moderator", "other-mod": "moderator", "member": "member"} {
		users["owner"].SetMember("lobby", name, role).Want(200)
	}
	may := map[string][]string{
		"stranger": {}, "member": {},
		"mod":   {"member", "stranger"},
		"owner": {"other-owner", "mod", "other-mod", "member", "stranger"},
		"root":  {"owner", "other-owner", "mod", "other-mod", "member", "stranger"},
	}
	for who, whom := range may {
		for target := range users {
			name, want := target, 403
			if target == "root" {
				name = "admin"
			}
			if slices.Contains(whom, target) {
				want = 200
			}
			if a := users[who].Mute("lobby", name, 60); a.Status != want {
				t.Errorf("%s mutes %s: %d, want %d", who, target, a.Status, want)
			}
		}
		if a := users[who].Mute("lobby", "nobody-at-all", 60); len(whom) > 0 {
			a.WantProblem(404, "user_not_found", "username")
		} else {
			a.WantProblem(403, "forbidden", "")
		}
	}
	// A user muted by an owner cannot end the mute, unless they are an owner.
	users["mod"].Do("DELETE", "/v1/rooms/lobby/mutes/mod", nil).WantProblem(403, "forbidden", "")
	users["mod"].Do("POST", "/v1/rooms/lobby/messages", harness.Raw("x")).Until(403, "muted")
	users["other-owner"].Do("DELETE", "/v1/rooms/lobby/mutes/mod", nil).Want(204)
	users["mod"].Post("lobby", "heard again")
	users["member"].Do("GET", "/v1/rooms/lobby/mutes", nil).WantProblem(403, "forbidden", "")
	if got := users["mod"].Names("/v1/rooms/lobby/mutes?limit=2"); len(got) != 2 || got[0] != "member" {
		t.Errorf("first two muted users = %v", got)
	}
	for _, seconds := range []int{0, -1, 31536001} {
		users["owner"].Mute("lobby", "member", seconds).WantProblem(400, "invalid_request", "seconds")
	}
}

// Everybody in the room sees a mute, on every transport, live and later. The muted user sees it without following the
// room too.
func TestMuteEvents(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		room, inbox := ada.Open(over, "room=lobby"), bob.Open(over, "")
		start := room.Opening()
		inbox.Opening()
		ada.Mute("lobby", "bob", 60).Want(200)
		ada.Do("DELETE", "/v1/rooms/lobby/mutes/bob", nil).Want(204)
		ada.Do("DELETE", "/v1/rooms/lobby/mutes/bob", nil).Want(204) // no event
		end := ada.Post("lobby", "the end")
		late := ada.Open(over, "room=lobby&since="+start.Since)
		late.Opening()
		for _, s := range []*harness.Stream{room, inbox, late} {
			e := s.Must("member_muted")
			if e.User != "ada" || e.Target != "bob" || e.Room != "lobby" {
				t.Errorf("event = %s", e.Raw)
			}
			e = s.Must("member_unmuted")
			if e.User != "ada" || e.Target != "bob" || e.Room != "lobby" {
				t.Errorf("event = %s", e.Raw)
			}
		}
		for _, s := range []*harness.Stream{room, late} {
			if e := s.Must("chat_message"); e.ID != end.ID {
				t.Errorf("message after the mute events: got %s, want %d", e.Raw, end.ID)
			}
		}
	})
}

// Only members know the name of a private room: a stranger who is muted there is not notified.
func TestMutingAStrangerIsSilent(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.PrivateRoom("den")
	s := bob.Open(harness.OverSSE, "")
	s.Opening()
	ada.Mute("den", "bob", 3600).Want(200)
	ada.Send("bob", "hello")
	s.Must("private_message")
	ada.SetMember("den", "bob", "member").Want(200)
	bob.Do("POST", "/v1/rooms/den/messages", harness.Raw("x")).Until(403, "muted")
}

// In slow mode each user posts once per interval, in whatever way. Moderators are exempt.
func TestSlowMode(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	root := p.Admin(t)
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	ada.SetMember("lobby", "eve", "moderator").Want(200)
	const messages = "/v1/rooms/lobby/messages"
	bob.Post("lobby", "before")
	file := bob.Upload(harness.RoomPath("lobby"), "a.txt", "hello")
	s := bob.Open(harness.OverWS, "room=lobby")
	s.Opening()
	ada.SlowMode("lobby", 21600).Want(200)
	if e := s.Must("room_updated"); e.SlowMode != 21600 {
		t.Errorf("event = %s", e.Raw)
	}
	first := bob.Do("POST", messages, harness.Fields{"message": "one"}, "Idempotency-Key: k").Want(201).Event()
	now := time.Now()
	if until := bob.Do("POST", messages, harness.Raw("two")).Until(429, "slow_mode"); until.Sub(now) < 5*time.Hour || until.Sub(now) > 7*time.Hour {
		t.Errorf("next post allowed in %v, want about 6 h", until.Sub(now))
	}
	for _, body := range []any{
		harness.Fields{"message": "json"}, harness.Fields{"message": "in a thread", "thread": first.ID}, harness.Fields{"message": "@ada"},
		harness.Fields{"message": "with a file", "files": []string{file.ID}}, harness.Fields{"data": harness.Fields{"a": 1}},
	} {
		bob.Do("POST", messages, body).Until(429, "slow_mode")
		s.Call("POST", messages, body).WantProblem(429, "slow_mode", "")
	}
	s.Ask(`{"type":"chat_message","message":"hi"}`).WantProblem(429, "slow_mode", "")
	page := bob.Tutorial("/ws/chat/lobby/", bob.BearerHeader())
	for page.Say(`{"message":"from the tutorial's page"}`); ; {
		if r, err := harness.ParseReply(<-page.Frames); err == nil {
			if r.Status != 429 {
				t.Errorf("reply to the tutorial page = %s", r.Raw)
			}
			break
		}
	}
	// A retry counts as the same post, and another body under its key is a mismatch as always.
	if again := bob.Do("POST", messages, harness.Fields{"message": "one"}, "Idempotency-Key: k").Want(200).Event(); again.ID != first.ID {
		t.Errorf("retry = %s", again.Raw)
	}
	bob.Do("POST", messages, harness.Fields{"message": "other"}, "Idempotency-Key: k").WantProblem(422, "idempotency_mismatch", "")
	// A refused post does not use up its key.
	bob.Do("POST", messages, harness.Fields{"message": "later"}, "Idempotency-Key: later").Until(429, "slow_mode")
	// Only messages count, per user.
	bob.Edit("lobby", first.ID, "edited")
	bob.React("PUT", "lobby", first.ID, "👍").Want(204)
	bob.Do("POST", harness.RoomPath("lobby")+"/events", harness.Fields{"name": "x"}).Want(201)
	for _, c := range []*harness.Client{ada, eve, root} {
		c.Post("lobby", "once")
		c.Post("lobby", "and again")
	}
	bob.Enter("elsewhere")
	bob.Post("elsewhere", "one")
	bob.Post("elsewhere", "two")
	// Slow mode applies as soon as it is acknowledged, until it is turned off.
	ada.SetMember("lobby", "eve", "member").Want(200)
	eve.Post("lobby", "one")
	eve.Do("POST", messages, harness.Raw("two")).Until(429, "slow_mode")
	ada.SlowMode("lobby", 0).Want(200)
	bob.Do("POST", messages, harness.Fields{"message": "later"}, "Idempotency-Key: later").Want(201)
	bob.Post("lobby", "two")
	bob.Post("lobby", "three")
}

// Moderators may set slow mode, and no other setting of the room.
func TestWhoMaySetSlowMode(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	ada.Do("POST", "/v1/rooms", harness.Fields{"name": "lobby", "slow_mode": 7}).Want(201)
	ada.SetMember("lobby", "bob", "moderator").Want(200)
	var r struct {
		SlowMode int `json:"slow_mode"`
	}
	if eve.Do("GET", "/v1/rooms/lobby", nil).Want(200).Into(&r); r.SlowMode != 7 {
		t.Errorf("slow mode = %d", r.SlowMode)
	}
	if bob.SlowMode("lobby", 30).Want(200).Into(&r); r.SlowMode != 30 {
		t.Errorf("slow mode = %d", r.SlowMode)
	}
	bob.Do("PATCH", "/v1/rooms/lobby", harness.Fields{"slow_mode": 5, "title": "Mine"}).WantProblem(403, "forbidden", "")
	eve.SlowMode("lobby", 0).WantProblem(403, "forbidden", "")
	for _, seconds := range []int{-1, 21601} {
		ada.SlowMode("lobby", seconds).WantProblem(400, "invalid_request", "slow_mode")
	}
	ada.Do("PATCH", "/v1/rooms/lobby", harness.Fields{"title": "Another"}).Want(200).Into(&r)
	if r.SlowMode != 30 {
		t.Errorf("slow mode after a change of the title = %d, want 30", r.SlowMode)
	}
}

// Once the interval has passed, the next message is accepted.
func TestSlowModeLetsTheNextThrough(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.Fields{"name": "lobby", "slow_mode": 1}).Want(201)
	bob.Post("lobby", "one")
	for i := range 3 {
		harness.Eventually(t, "the next message is accepted", func() bool {
			return bob.Do("POST", "/v1/rooms/lobby/messages", harness.Raw(fmt.Sprint("next ", i))).Status == 201
		})
	}
	var before time.Time
	for _, e := range bob.History("lobby", "").Items {
		at, err := time.Parse(time.RFC3339, e.SentAt)
		if err != nil {
			t.Fatal(err)
		}
		// The decision was made a moment before the check.
		if !before.IsZero() && at.Sub(before) < 900*time.Millisecond {
			t.Errorf("only %v between two messages, want at least 900 ms", at.Sub(before))
		}
		before = at
	}
}
