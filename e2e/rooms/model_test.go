package rooms

import (
	"flag"
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"tandem/e2e/harness"
)

// modelMessage is a message in the model.
type modelMessage struct {
	id        int64
	author    string
	text      string // current text
	posted    string // original text; "" once deleted
	edited    bool
	deleted   bool
	replyTo   int64
	reactions []modelReaction // in order of arrival
}

type modelReaction struct{ emoji, user string }

// seenAs returns the message as history shows it to a viewer.
func (m *modelMessage) seenAs(viewer string) (reactions []harness.Reaction) {
	for _, r := range m.reactions {
		i := slices.IndexFunc(reactions, func(k harness.Reaction) bool { return k.Emoji == r.emoji })
		if i < 0 {
			i, reactions = len(reactions), append(reactions, harness.Reaction{Emoji: r.emoji})
		}
		reactions[i].Count++
		reactions[i].Me = reactions[i].Me || r.user == viewer
		reactions[i].Users = append(reactions[i].Users, r.user)
	}
	return reactions
}

// modelEvent is an event that a replay must have. Its text is that of its message now.
type modelEvent struct {
	id      int64
	typ     string
	user    string
	message *modelMessage // nil for events of membership
	text    string        // for a post or an edit
	emoji   string
	target  string
}

// roomModel is a room and its model. rapid calls its methods in random order.
type roomModel struct {
	name     string
	users    []*harness.Client // the first owns the room
	start    int64
	head     int64
	messages []*modelMessage
	events   []modelEvent
	markers  map[string]int64
	roles    map[string]string
}

var modelEmoji = []string{"👍", "❤️", "🇪🇪"}

func (r *roomModel) happened(e modelEvent) {
	r.head++
	e.id = r.head
	r.events = append(r.events, e)
}

func (r *roomModel) user(t *rapid.T) *harness.Client {
	return r.users[rapid.IntRange(0, len(r.users)-1).Draw(t, "user")]
}

// message picks a message of the room, or skips the action.
func (r *roomModel) message(t *rapid.T) *modelMessage {
	if len(r.messages) == 0 {
		t.Skip("no messages")
	}
	return r.messages[rapid.IntRange(0, len(r.messages)-1).Draw(t, "message")]
}

func (r *roomModel) Post(t *rapid.T) {
	c := r.user(t)
	m := &modelMessage{author: c.User.Username, text: rapid.SampledFrom([]string{"alpha", "beta gamma", "Γ δ", "小明 beta"}).Draw(t, "text")}
	m.posted = m.text
	body := map[string]any{"message": m.text}
	if len(r.messages) > 0 && rapid.Bool().Draw(t, "reply") { // also to a deleted message
		m.replyTo = r.message(t).id
		body["reply_to"] = m.replyTo
	}
	key := fmt.Sprint("Idempotency-Key: ", len(r.messages))
	for _, status := range []int{201, 200} {
		m.id = c.Do("POST", harness.RoomPath(r.name)+"/messages", body, key).Want(status).Event().ID
	}
	r.messages = append(r.messages, m)
	r.happened(modelEvent{typ: "chat_message", user: m.author, message: m, text: m.text})
}

func (r *roomModel) Edit(t *rapid.T) {
	c, m := r.user(t), r.message(t)
	text := rapid.SampledFrom([]string{"delta", "alpha beta", "ё"}).Draw(t, "text")
	a := c.Do("PATCH", harness.MessagePath(r.name, m.id), harness.NewMessage{Message: text})
	switch {
	case m.author != c.User.Username:
		a.WantProblem(403, "forbidden", "")
	case m.deleted:
		a.WantProblem(404, "message_not_found", "id")
	default:
		a.Want(200)
		m.text, m.edited = text, true
		r.happened(modelEvent{typ: "message_edited", user: m.author, message: m, text: text})
	}
}

func (r *roomModel) Delete(t *rapid.T) {
	c, m := r.user(t), r.message(t)
	a := c.Do("DELETE", harness.MessagePath(r.name, m.id), nil)
	if m.author != c.User.Username && r.roles[c.User.Username] != "owner" {
		a.WantProblem(403, "forbidden", "")
		return
	}
	a.Want(204)
	if !m.deleted {
		m.deleted, m.edited, m.text, m.posted, m.reactions = true, false, "", "", nil
		r.happened(modelEvent{typ: "message_deleted", user: c.User.Username, message: m})
	}
}

func (r *roomModel) React(t *rapid.T) {
	c, m := r.user(t), r.message(t)
	r.react(c, m, rapid.SampledFrom(modelEmoji).Draw(t, "emoji"), rapid.Bool().Draw(t, "on"))
}

// ReactAll makes all users react to one message, in a fixed order.
func (r *roomModel) ReactAll(t *rapid.T) {
	m := r.message(t)
	emoji := rapid.SampledFrom(modelEmoji).Draw(t, "emoji")
	for _, c := range rapid.Permutation(r.users).Draw(t, "users") {
		r.react(c, m, emoji, true)
	}
}

func (r *roomModel) react(c *harness.Client, m *modelMessage, emoji string, on bool) {
	does := modelReaction{emoji, c.User.Username}
	method, typ := "PUT", "reaction_added"
	if !on {
		method, typ = "DELETE", "reaction_removed"
	}
	a := c.Do(method, harness.MessagePath(r.name, m.id)+"/reactions/"+url.PathEscape(does.emoji), nil)
	if m.deleted {
		a.WantProblem(404, "message_not_found", "id")
		return
	}
	a.Want(204)
	at := slices.Index(m.reactions, does)
	if (at >= 0) == on {
		return
	}
	if on {
		m.reactions = append(m.reactions, does)
	} else {
		m.reactions = slices.Delete(m.reactions, at, at+1)
	}
	r.happened(modelEvent{typ: typ, user: does.user, message: m, emoji: does.emoji})
}

func (r *roomModel) Read(t *rapid.T) {
	c := r.user(t)
	id := rapid.Int64Range(0, r.head+5).Draw(t, "id")
	c.Do("PUT", harness.RoomPath(r.name)+"/read", map[string]int64{"id": id}).Want(204)
	for _, m := range r.messages {
		if m.id <= id {
			r.markers[c.User.Username] = max(r.markers[c.User.Username], m.id)
		}
	}
}

func (r *roomModel) Join(t *rapid.T) {
	c := r.user(t)
	c.Enter(r.name)
	if name := c.User.Username; r.roles[name] == "" {
		r.roles[name] = "member"
		r.happened(modelEvent{typ: "member_added", user: name, target: name})
	}
}

func (r *roomModel) Leave(t *rapid.T) {
	c := r.users[1+rapid.IntRange(0, len(r.users)-2).Draw(t, "who")] // leaving as an owner is tested elsewhere
	name := c.User.Username
	c.Do("DELETE", harness.RoomPath(r.name)+"/members/"+name, nil)
	if r.roles[name] != "" {
		r.roles[name] = ""
		r.happened(modelEvent{typ: "member_removed", user: name, target: name})
	}
}

// Check compares everything observable with the model.
func (r *roomModel) Check(t *rapid.T) {
	c := r.users[len(r.events)%len(r.users)] // one after the other: the others must see the same except for their own state
	viewer := c.User.Username
	history := c.WholeHistory(r.name)
	if len(history) != len(r.messages) {
		t.Fatalf("history = %s, want %d messages", harness.Show(history), len(r.messages))
	}
	unread := 0
	var found []int64
	for i, m := range r.messages {
		e := history[i]
		if e.ID != m.id || e.User != m.author || e.Message != m.text || (e.EditedAt != "") != m.edited || e.Deleted != m.deleted || e.ReplyTo != m.replyTo ||
			!reflect.DeepEqual(e.Reactions, m.seenAs(viewer)) {
			t.Fatalf("%s got %s, want %+v", viewer, e.Raw, m)
		}
		if m.author != viewer && !m.deleted && m.id > r.markers[viewer] {
			unread++
		}
		if slices.Contains([]string{"beta gamma", "小明 beta", "alpha beta"}, m.text) {
			found = append(found, m.id)
		}
	}
	var is harness.Room
	c.Do("GET", harness.RoomPath(r.name), nil).Want(200).Into(&is)
	if role := r.roles[viewer]; is.Unread != unread || (is.Role == nil) != (role == "") || is.Role != nil && *is.Role != role {
		t.Fatalf("%s: room = %+v, want unread %d, role %q", viewer, is, unread, role)
	}
	if got := harness.IDs(c.History(r.name, "limit=100&q=BETA").Items); !slices.Equal(got, found) {
		t.Fatalf("the search found %v, want %v", got, found)
	}
}

// replay compares a stream from a cursor with the model.
func (r *roomModel) replay(t *rapid.T, c *harness.Client, over harness.Transport, since int64) {
	s := c.Open(over, fmt.Sprintf("room=%s&since=%d", url.QueryEscape(r.name), since))
	defer s.Close()
	s.Opening()
	for _, want := range r.events {
		if want.id <= since {
			continue
		}
		e := s.Until(func(e harness.Event) bool { return e.ID != 0 })
		got := e[len(e)-1]
		fits := got.ID == want.id && got.Type == want.typ && got.User == want.user && got.Emoji == want.emoji && got.Target == want.target
		if m := want.message; m != nil && fits {
			hasText := want.text != ""
			text := want.text
			if m.deleted {
				text = ""
			}
			about := got.MessageID
			if got.Type == "chat_message" {
				about = got.ID
			}
			fits = about == m.id && got.Message == text && got.Deleted == (hasText && m.deleted) && got.EditedAt == "" && got.Reactions == nil
		}
		if !fits {
			t.Fatalf("%s from %d: got %s, want %+v", over, since, got.Raw, want)
		}
	}
}

// newRoomModel creates a room owned by ada, the first of users.
func newRoomModel(name string, users []*harness.Client) *roomModel {
	r := &roomModel{name: name, users: users, markers: map[string]int64{}, roles: map[string]string{"ada": "owner"}}
	users[0].Enter(name)
	r.start = users[0].Head()
	r.head = r.start
	return r
}

// boundedChecks limits rapid to what a suite can afford; go test ./e2e/rooms -run Model -rapid.checks=1000 does more.
// It sets rapid's flags once, since parallel tests share them.
var boundedChecks = sync.OnceFunc(func() {
	_ = flag.Set("rapid.nofailfile", "true") // the seed is in the failure's text; a file would be left in the source tree
	if checks := flag.Lookup("rapid.checks"); checks.Value.String() == checks.DefValue {
		_ = checks.Value.Set("25")
	}
})

// Several users make random calls in a room. History, unread counts, search and replays must match the model.
func TestRoomMatchesItsModel(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	users := []*harness.Client{p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")}
	boundedChecks()
	rooms := 0
	rapid.Check(t, func(rt *rapid.T) {
		rooms++
		r := newRoomModel(fmt.Sprint("room", rooms), users)
		actions := rapid.StateMachineActions(r)
		rt.Repeat(actions)
		for _, over := range harness.Transports {
			since := rapid.Int64Range(r.start, r.head).Draw(rt, "since")
			r.replay(rt, r.user(rt), over, since)
		}
	})
}
