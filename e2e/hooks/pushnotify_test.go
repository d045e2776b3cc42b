package hooks

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

// shortGrace makes notifications wait only briefly.
func shortGrace(cfg *program.Settings) { cfg.PushGrace = 300 * time.Millisecond }

// A message notifies those whom it concerns, and nobody else, with the documented content.
func TestPushNotifiesThoseConcerned(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback, shortGrace)
	service := newPushService(t)
	users := map[string]*harness.Client{}
	for _, name := range []string{"ada", "bob", "cyd", "dan", "eve", "fay"} {
		users[name] = p.Signup(t, name)
		users[name].Enter("lobby")
		service.subscribe(users[name], "phone")
	}
	ada, bob, cyd, dan, eve, fay := users["ada"], users["bob"], users["cyd"], users["dan"], users["eve"], users["fay"]
	service.subscribe(bob, "laptop")
	cyd.Notify(harness.RoomPath("lobby"), "all").Want(204)
	dan.Notify(harness.RoomPath("lobby"), "none").Want(204)
	ada.Notify(harness.RoomPath("lobby"), "all").Want(204)
	eve.Do("PUT", "/v1/me/blocks/ada", nil).Want(204)

	e := ada.Post("lobby", "hello @bob @dan @eve")
	want := fmt.Sprintf(`mention room=lobby user=ada %d "hello @bob @dan @eve" unread=1`, e.ID)
	for _, device := range []string{"phone", "laptop"} {
		got := service.await(bob, device, 1)[0]
		if got.brief() != want || got.urgency != "high" {
			t.Errorf("bob's %s got %s with urgency %s, want %s", device, got.brief(), got.urgency, want)
		}
		if exact := fmt.Sprintf(`{"type":"mention","room":"lobby","user":"ada","message_id":%d,"text":"hello @bob @dan @eve","unread":1}`, e.ID); string(got.raw) != exact {
			t.Errorf("payload = %s\nwant      %s", got.raw, exact)
		}
	}
	got := service.await(cyd, "phone", 1)[0]
	if want := fmt.Sprintf(`chat_message room=lobby user=ada %d "hello @bob @dan @eve" unread=1`, e.ID); got.brief() != want || got.urgency != "normal" {
		t.Errorf("cyd got %s with urgency %s, want %s", got.brief(), got.urgency, want)
	}

	all := cyd.Post("lobby", "@all look")
	for _, c := range []*harness.Client{eve, fay} {
		if got, want := service.await(c, "phone", 1)[0].brief(), fmt.Sprintf(`mention room=lobby user=cyd %d "@all look" unread=1`, all.ID); got != want {
			t.Errorf("%s got %s, want %s", c.User.Username, got, want)
		}
	}
	sent := eve.Send("dan", strings.Repeat("ю", 300))
	if got, want := service.await(dan, "phone", 1)[0].brief(), fmt.Sprintf(`private_message room= user=eve %d %q unread=1`, sent.ID, strings.Repeat("ю", 200)); got != want {
		t.Errorf("dan got %s, want %s", got, want)
	}
	// By now any wrong notification would have arrived. Ada and Bob were also notified of @all.
	for name, want := range map[string]int{"ada": 1, "bob": 2, "cyd": 1, "dan": 1, "eve": 1, "fay": 1} {
		if got := service.await(users[name], "phone", want); len(got) != want {
			t.Errorf("%s got %d notifications: %+v", name, len(got), got)
		}
	}
	longest := slices.MaxFunc(service.to(dan, "phone"), func(a, b pushed) int { return a.length - b.length })
	if shortest := service.to(fay, "phone")[0]; longest.length != shortest.length {
		t.Errorf("payloads of %d and %d bytes reveal the length of a message", shortest.length, longest.length)
	}
	eve.Send("eve", "to myself")
	fay.Post("lobby", "nobody is meant")
	after := bob.Send("eve", "last")
	if got := service.await(eve, "phone", 2); got[1].MessageID != after.ID {
		t.Errorf("eve got a notification of her own message: %s", got[1].brief())
	}
}

// Inlets post under a name that no user has. Those who want all messages of the room are notified of theirs too.
func TestPushNotifiesOfInlets(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback, shortGrace, func(cfg *program.Settings) { cfg.PushContact = "mailto:ops@example.com" })
	service := newPushService(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("ops")
	bob.Enter("ops")
	service.subscribe(bob, "phone")
	bob.Notify(harness.RoomPath("ops"), "all").Want(204)
	p.Deliver(t, ada.Inlet("ops", "CI"), "built", asText).Want(200)
	posted := bob.WholeHistory("ops")[0]
	if got, want := service.await(bob, "phone", 1)[0].brief(), fmt.Sprintf(`chat_message room=ops user=CI[bot] %d "built" unread=1`, posted.ID); got != want {
		t.Errorf("bob got %s, want %s", got, want)
	}
}

// Several messages in one place are one notification with a count, which later ones replace. Reading elsewhere
// withdraws it, and so do the level none and deleting the message.
func TestPushCountsAndWithdrawsNotifications(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback, func(cfg *program.Settings) { cfg.PushGrace = 2 * time.Second })
	service := newPushService(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	service.subscribe(bob, "phone")
	bob.Enter("lobby")
	var last harness.Event
	for i := range 3 {
		last = ada.Send("bob", fmt.Sprint("message ", i))
	}
	tell := func(n int, want string) pushed {
		t.Helper()
		got := service.await(bob, "phone", n)
		if len(got) != n || got[n-1].brief() != want {
			t.Fatalf("notification %d of %d is %s, want %s", n, len(got), got[n-1].brief(), want)
		}
		return got[n-1]
	}
	first := tell(1, fmt.Sprintf(`private_message room= user=ada %d "message 2" unread=3`, last.ID))
	last = ada.Send("bob", "one more")
	if next := tell(2, fmt.Sprintf(`private_message room= user=ada %d "one more" unread=4`, last.ID)); next.topic != first.topic {
		t.Errorf("one conversation has two topics, %s and %s", first.topic, next.topic)
	}
	inRoom := ada.Post("lobby", "@bob hi")
	if other := tell(3, fmt.Sprintf(`mention room=lobby user=ada %d "@bob hi" unread=1`, inRoom.ID)); other.topic == first.topic {
		t.Error("a room and a conversation share a topic")
	}
	bob.Read(harness.PrivatePath("ada"), last.ID-1) // the last one is still unread
	bob.Read(harness.PrivatePath("ada"), last.ID)
	if back := tell(4, fmt.Sprintf(`read room= user=ada %d "-" unread=0`, last.ID)); back.topic != first.topic {
		t.Errorf("the withdrawal has the topic %s, want %s", back.topic, first.topic)
	}
	ada.Do("DELETE", fmt.Sprint(harness.RoomPath("lobby"), "/messages/", inRoom.ID), nil).Want(204)
	tell(5, fmt.Sprintf(`read room=lobby user= %d "-" unread=0`, inRoom.ID))

	// A message that is read, deleted or refused within the grace is not notified.
	read := ada.Send("bob", "read at once")
	bob.Read(harness.PrivatePath("ada"), read.ID)
	gone := ada.Post("lobby", "@bob deleted at once")
	ada.Do("DELETE", fmt.Sprint(harness.RoomPath("lobby"), "/messages/", gone.ID), nil).Want(204)
	ada.Enter("other")
	bob.Enter("other")
	ada.Post("other", "@bob in a room that bob is banned from at once")
	ada.Do("PUT", harness.RoomPath("other")+"/bans/bob", nil).Want(204)
	ada.Enter("quiet")
	ada.Post("quiet", "@bob who wants to hear of nothing here")
	bob.Notify(harness.RoomPath("quiet"), "none").Want(204)
	cyd := p.Signup(t, "cyd")
	after := cyd.Send("bob", "after that")
	tell(6, fmt.Sprintf(`private_message room= user=cyd %d "after that" unread=1`, after.ID))

	// An edit that adds a mention notifies that user; a user who was notified is not notified again.
	edited := ada.Post("lobby", "nobody")
	ada.Do("PATCH", fmt.Sprint(harness.RoomPath("lobby"), "/messages/", edited.ID), harness.NewMessage{Message: "now @bob"}).Want(200)
	tell(7, fmt.Sprintf(`mention room=lobby user=ada %d "now @bob" unread=1`, edited.ID))
	ada.Do("PATCH", fmt.Sprint(harness.RoomPath("lobby"), "/messages/", edited.ID), harness.NewMessage{Message: "still @bob"}).Want(200)
	end := cyd.Send("bob", "the end")
	tell(8, fmt.Sprintf(`private_message room= user=cyd %d "the end" unread=2`, end.ID))
}

// With push-content=off no message text leaves the server.
func TestPushWithoutContent(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback, shortGrace, func(cfg *program.Settings) { cfg.PushContent = "off" })
	service := newPushService(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	service.subscribe(bob, "phone")
	e := ada.Send("bob", "a secret")
	if got, want := service.await(bob, "phone", 1)[0], fmt.Sprintf(`{"type":"private_message","user":"ada","message_id":%d,"unread":1}`, e.ID); string(got.raw) != want {
		t.Errorf("payload = %s, want %s", got.raw, want)
	}
}

// 404 and 410 end a subscription. A failing service is retried, after its Retry-After if it sends one.
func TestPushObeysTheService(t *testing.T) {
	harness.Slow(t, "failures are tried again 5 s later")
	p := harness.StartProgram(t, harness.AllowLoopback, shortGrace)
	service := newPushService(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	for _, device := range []string{"fine", "gone", "unknown", "busy", "refused"} {
		service.subscribe(bob, device)
	}
	var asked atomic.Int32
	refusedAt := make(chan time.Time, 1)
	service.answers(func(path string, w http.ResponseWriter) bool {
		switch path {
		case "/push/bob/gone":
			w.WriteHeader(http.StatusGone)
		case "/push/bob/unknown":
			w.WriteHeader(http.StatusNotFound)
		case "/push/bob/refused":
			w.WriteHeader(http.StatusForbidden)
		case "/push/bob/busy":
			if asked.Add(1) > 1 {
				return false
			}
			w.Header().Set("Retry-After", "8")
			w.WriteHeader(http.StatusTooManyRequests)
			refusedAt <- time.Now()
		default:
			return false
		}
		return true
	})
	ada.Send("bob", "hi")
	service.await(bob, "fine", 1)
	harness.Eventually(t, "the expired subscriptions are deleted", func() bool {
		return slices.Equal(bob.Subscriptions(), []string{"busy", "fine", "refused"})
	})
	was, got := <-refusedAt, service.await(bob, "busy", 1)[0]
	if wait := got.at.Sub(was); wait < 8*time.Second {
		t.Errorf("service that asked for 8 s was called again after %s", wait)
	}
	harness.Eventually(t, "each device shows its latest error", func() bool {
		var page struct{ Items []harness.PushSubscription }
		bob.Do("GET", "/v1/me/push", nil).Want(200).Into(&page)
		return !slices.ContainsFunc(page.Items, func(s harness.PushSubscription) bool {
			return s.LastError != map[string]string{"refused": "the push service answered 403"}[s.ID]
		})
	})
}

// A push service that hangs delays its own subscriptions only.
func TestHangingPushServiceDelaysNoOther(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback, shortGrace)
	hanging, service := newPushService(t), newPushService(t)
	release := make(chan struct{})
	t.Cleanup(func() { close(release) })
	hanging.answers(func(string, http.ResponseWriter) bool { <-release; return true })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	for i := range 40 {
		hanging.subscribe(bob, fmt.Sprint("h", i))
	}
	service.subscribe(bob, "phone")
	for i := range 3 {
		ada.Send("bob", "hi")
		if got := service.await(bob, "phone", i+1); got[i].Unread != i+1 {
			t.Errorf("notification %d = %s", i, got[i].brief())
		}
	}
	if n := len(hanging.to(bob, "h0")); n > 0 {
		t.Errorf("hanging service: got %d requests", n)
	}
}
