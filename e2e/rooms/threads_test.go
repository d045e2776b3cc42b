package rooms

import (
	"fmt"
	"slices"
	"testing"

	"tandem/e2e/harness"
)

// thread is the state of a thread in its root message.
func threadOf(e harness.Event) string { return string(e.Thread) }

// A thread is separate from the main line of its room or conversation: streams send both, history one or the other.
func TestThreads(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	for _, path := range []string{harness.RoomPath("lobby") + "/messages", harness.PrivatePath("bob") + "/messages"} {
		harness.OnEach(t, func(t *testing.T, over harness.Transport) {
			ada, bob := ada.In(t), bob.In(t)
			inRoom := path == harness.RoomPath("lobby")+"/messages"
			bobs, kind, query := path, "chat_message", "room=lobby"
			if !inRoom {
				bobs, kind, query = harness.PrivatePath("ada")+"/messages", "private_message", ""
			}
			post := func(c *harness.Client, body harness.Fields) harness.Event {
				c.T.Helper()
				to := path
				if c == bob {
					to = bobs
				}
				return c.Do("POST", to, body).Want(201).Event()
			}
			s := bob.Open(over, query)
			s.Opening()
			root := post(ada, harness.Fields{"message": "root"})
			reply := post(ada, harness.Fields{"message": "one", "thread": root.ID})
			if threadOf(reply) != fmt.Sprint(root.ID) {
				t.Errorf("reply = %s", reply.Raw)
			}
			main := post(ada, harness.Fields{"message": "main"})
			for _, want := range []harness.Event{root, reply, main} {
				if e := s.Must(kind); string(e.Raw) != string(want.Raw) {
					t.Errorf("got %[2]s, want %[1]s", want.Raw, e.Raw)
				}
			}
			second := post(bob, harness.Fields{"message": "two", "thread": root.ID, "reply_to": reply.ID})
			third := post(ada, harness.Fields{"message": "three", "thread": root.ID})
			state := fmt.Sprintf(`{"count":3,"last_id":%d,"users":["ada","bob"]}`, third.ID)
			page := bob.Page(bobs, "limit=2")
			if got := harness.IDs(page.Items); !slices.Equal(got, []int64{root.ID, main.ID}) {
				t.Fatalf("main line = %s", harness.Show(page.Items))
			}
			if got := threadOf(page.Items[0]); got != state {
				t.Errorf("the thread has %s, want %s", got, state)
			}
			of := fmt.Sprint("thread=", root.ID)
			whole := []int64{root.ID, reply.ID, second.ID, third.ID}
			for _, c := range []struct {
				query      string
				want       []int64
				prev, next bool
			}{
				{"", whole, false, false}, {"&limit=2", whole[2:], true, false}, {fmt.Sprint("&limit=2&before=", whole[2]), whole[:2], false, true},
				{"&after=0&limit=2", whole[:2], false, true}, {fmt.Sprint("&after=", whole[1]), whole[2:], true, false},
				{fmt.Sprint("&after=", whole[3]), nil, true, false},
			} {
				page := bob.Page(bobs, of+c.query)
				if got := harness.IDs(page.Items); !slices.Equal(got, c.want) || (page.Prev != nil) != c.prev || (page.Next != nil) != c.next {
					t.Errorf("%s%s is %v with edges %v and %v, want %v", of, c.query, got, page.Prev, page.Next, c.want)
				}
			}
			// A deleted reply is no longer counted. A deleted root has no counts, and its thread cannot be continued.
			ada.Do("DELETE", fmt.Sprint(path, "/", third.ID), nil).Want(204)
			ada.Do("DELETE", fmt.Sprint(path, "/", third.ID), nil).Want(204)
			if got, want := threadOf(bob.Page(bobs, of).Items[0]), fmt.Sprintf(`{"count":2,"last_id":%d,"users":["bob","ada"]}`, second.ID); got != want {
				t.Errorf("thread after the deletion = %s, want %s", got, want)
			}
			for id, want := range map[int64]string{reply.ID: "thread", root.ID + 1_000_000: "thread"} {
				ada.Do("POST", path, harness.Fields{"message": "x", "thread": id}).WantProblem(400, "invalid_request", want)
			}
			bob.Do("GET", fmt.Sprint(bobs, "?thread=", reply.ID), nil).WantProblem(400, "invalid_request", "thread")
			bob.Do("GET", fmt.Sprint(bobs, "?thread=", root.ID+1_000_000), nil).WantProblem(404, "message_not_found", "id")
			bob.Do("GET", fmt.Sprint(bobs, "?q=x&thread=", root.ID), nil).WantProblem(400, "invalid_request", "thread")
			ada.Do("DELETE", fmt.Sprint(path, "/", root.ID), nil).Want(204)
			ada.Do("POST", path, harness.Fields{"message": "x", "thread": root.ID}).WantProblem(400, "invalid_request", "thread")
			items := bob.Page(bobs, of).Items
			if got := harness.IDs(items); !slices.Equal(got, whole) || items[0].Thread != nil || !items[0].Deleted {
				t.Errorf("thread of a deleted message = %s", harness.Show(items))
			}
		})
	}
	// A message cannot start a thread in another room.
	here, there := ada.Post("lobby", "here"), ada.Send("bob", "there")
	ada.Enter("elsewhere")
	for path, id := range map[string]int64{harness.RoomPath("elsewhere") + "/messages": here.ID, harness.RoomPath("lobby") + "/messages": there.ID, harness.PrivatePath("bob") + "/messages": here.ID} {
		ada.Do("POST", path, harness.Fields{"message": "x", "thread": id}).WantProblem(400, "invalid_request", "thread")
		ada.Do("GET", fmt.Sprint(path, "?thread=", id), nil).WantProblem(404, "message_not_found", "id")
	}
}

// Unread counts and the latest message are of the main line; a search finds threads too.
func TestThreadsDoNotCountAsUnread(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	bob.Enter("lobby")
	root := ada.Post("lobby", "root")
	for range 3 {
		ada.PostJSON("lobby", harness.Fields{"message": "needle", "thread": root.ID})
	}
	var r struct {
		Unread int   `json:"unread"`
		LastID int64 `json:"last_id"`
	}
	bob.Do("GET", harness.RoomPath("lobby"), nil).Want(200).Into(&r)
	if r.Unread != 1 || r.LastID != root.ID {
		t.Errorf("bob: unread = %d, last_id = %d", r.Unread, r.LastID)
	}
	if found := bob.History("lobby", "q=needle").Items; len(found) != 3 {
		t.Errorf("search finds %s", harness.Show(found))
	}
	again := ada.Do("POST", harness.RoomPath("lobby")+"/messages", harness.Fields{"message": "x", "thread": root.ID}, "Idempotency-Key: k").Want(201).Event()
	if e := ada.Do("POST", harness.RoomPath("lobby")+"/messages", harness.Fields{"message": "x", "thread": root.ID}, "Idempotency-Key: k").Want(200).Event(); e.ID != again.ID {
		t.Errorf("retry of %d returned %d", again.ID, e.ID)
	}
	ada.Do("POST", harness.RoomPath("lobby")+"/messages", harness.Fields{"message": "x"}, "Idempotency-Key: k").WantProblem(422, "idempotency_mismatch", "Idempotency-Key")
}
