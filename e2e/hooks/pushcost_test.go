package hooks

import (
	"fmt"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

// Without subscriptions the log is not followed for notifications. With subscriptions, posts that concern no subscriber
// create no notices, however many members a room has.
func TestPushCostsNothingWithoutSubscriptions(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback, shortGrace)
	service := newPushService(t)
	db := harness.OpenDatabase(t, p.Settings.DataDir)
	count := func(query string) (n int) {
		t.Helper()
		if err := db.QueryRow(query).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	const follows, notices = `SELECT count(*) FROM followers WHERE name = 'push'`, `SELECT count(*) FROM push_notices`
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	bob.Enter("lobby")
	ada.Post("lobby", "@bob nobody hears this")
	if n := count(follows); n != 0 {
		t.Errorf("%d followers without subscriptions, want none", n)
	}
	service.subscribe(bob, "phone")
	for i := range 20 {
		ada.Post("lobby", fmt.Sprint("nobody is meant ", i))
	}
	last := ada.Post("lobby", "@bob hi")
	if got := service.await(bob, "phone", 1); got[0].MessageID != last.ID {
		t.Errorf("bob got %s", got[0].brief())
	}
	if f, n := count(follows), count(notices); f != 1 || n != 1 {
		t.Errorf("%d followers, %d notices for one message", f, n)
	}
	bob.Do("DELETE", "/v1/me/push/phone", nil).Want(204)
	if n := count(notices); n != 0 {
		t.Errorf("%d notices left for an unregistered device", n)
	}
}

// A node stays awake during the grace, and while a notification is to be retried within a minute.
func TestPushKeepsTheNodeAwake(t *testing.T) {
	harness.Slow(t, "a node is silent half a minute after the last request")
	p := harness.StartProgram(t, harness.AllowLoopback, func(cfg *program.Settings) { cfg.PushGrace = 20 * time.Second })
	service := newPushService(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	service.subscribe(bob, "phone")
	sent := time.Now()
	e := ada.Send("bob", "hi")
	got := service.await(bob, "phone", 1)[0]
	if got.MessageID != e.ID || got.at.Sub(sent) < 20*time.Second {
		t.Errorf("bob got %s after %s", got.brief(), got.at.Sub(sent))
	}
}
