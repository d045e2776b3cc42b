package hooks

import (
	"bytes"
	"crypto/ecdh"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// A subscription belongs to the session that created it, ends with it, and has one user at a time.
func TestPushSubscriptions(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	has := func(c *harness.Client, want ...string) {
		t.Helper()
		if got := c.Subscriptions(); !slices.Equal(got, want) {
			t.Errorf("%s has the subscriptions %q, want %q", c.User.Username, got, want)
		}
	}
	phone, laptop := harness.NewBrowser(), harness.NewBrowser()
	has(ada)
	ada.Subscribe("phone", phone.Subscription("https://127.0.0.1:9/1"))
	ada.Subscribe("phone", phone.Subscription("https://127.0.0.1:9/1"))
	has(ada, "phone")
	onLaptop := ada.Login()
	withTime := laptop.Subscription("https://127.0.0.1:9/2?x=y")
	withTime["expirationTime"] = nil
	onLaptop.Subscribe("laptop", withTime)
	has(ada, "laptop", "phone")
	has(bob)
	ada.Subscribe("phone", phone.Subscription("https://127.0.0.1:9/3")) // the browser has made a new one
	has(ada, "laptop", "phone")

	// The same browser, now with another user.
	bob.Subscribe("laptop", laptop.Subscription("https://127.0.0.1:9/2?x=y"))
	has(bob, "laptop")
	has(ada, "phone")
	bob.Do("DELETE", "/v1/me/push/phone", nil).Want(204)
	has(ada, "phone")
	bob.Do("DELETE", "/v1/me/push/laptop", nil).Want(204)
	has(bob)

	onLaptop.Subscribe("laptop", laptop.Subscription("https://127.0.0.1:9/2"))
	onLaptop.Do("POST", "/v1/auth/logout", nil).Want(204)
	has(ada, "phone")
	other := ada.Login()
	other.Subscribe("other", harness.NewBrowser().Subscription("https://127.0.0.1:9/4"))
	ada.Do("PATCH", "/v1/me", map[string]any{"current_password": ada.Password, "password": ada.Password}).Want(200)
	has(ada, "phone") // all other sessions have ended

	for i := range 51 {
		ada.Subscribe(fmt.Sprintf("n%02d", i), harness.NewBrowser().Subscription(fmt.Sprint("https://127.0.0.1:9/n/", i)))
	}
	if got := ada.Subscriptions(); len(got) != 50 || slices.Contains(got, "phone") || slices.Contains(got, "n00") {
		t.Errorf("%d of 52 subscriptions exist: %q", len(got), got)
	}
}

// Subscriptions that could not be served are refused, and the field is named.
func TestBadPushSubscriptions(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.HooksAllow = []string{"127.0.0.9"} })
	ada := p.Signup(t, "ada")
	b := harness.NewBrowser()
	const endpoint = "https://127.0.0.9/1"
	notOnCurve := base64.RawURLEncoding.EncodeToString(append([]byte{4}, make([]byte, 64)...))
	for field, bodies := range map[string][]harness.Fields{
		"kind": {{"kind": "fcm", "token": "abc"}, {"kind": "apns", "token": "abcd"}, {"kind": "smoke"}, {}},
		"endpoint": {b.Subscription("nonsense"), b.Subscription("http://192.0.2.1.example/1"), b.Subscription("http://8.8.8.8/1"), b.Subscription("ftp://127.0.0.9/1"), b.Subscription("https://127.0.0.1/1"), b.Subscription("https://[::1]/1"),
			b.Subscription("https://169.254.169.254/latest"), b.Subscription("https://user:secret@127.0.0.9/1"), {"kind": "webpush", "keys": b.Keys()}},
		"keys.p256dh": {
			{"kind": "webpush", "endpoint": endpoint},
			{"kind": "webpush", "endpoint": endpoint, "keys": harness.Fields{"p256dh": notOnCurve, "auth": b.Keys()["auth"]}},
			{"kind": "webpush", "endpoint": endpoint, "keys": harness.Fields{"p256dh": strings.Repeat("!", 87), "auth": b.Keys()["auth"]}},
		},
		"keys.auth": {{"kind": "webpush", "endpoint": endpoint, "keys": harness.Fields{"p256dh": b.Keys()["p256dh"], "auth": strings.Repeat("A", 21)}}},
	} {
		for _, body := range bodies {
			ada.Do("PUT", "/v1/me/push/x", body).WantProblem(400, "", field)
		}
	}
	for _, id := range []string{".x", "a%2Fb", "-x", strings.Repeat("x", 65), "%20"} {
		if a := ada.Do("PUT", "/v1/me/push/"+id, b.Subscription(endpoint)); a.Status != 400 {
			t.Errorf("id %q: got status %d", id, a.Status)
		}
	}
	if got := ada.Subscriptions(); len(got) > 0 {
		t.Errorf("subscriptions exist: %q, want none", got)
	}
}

// The key never changes: browsers that subscribed with it accept no other.
func TestPushKeyStays(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	var was, is struct {
		Key   string
		Kinds []string
	}
	p.Visitor(t).Do("GET", "/v1/push/key", nil).Want(200).Into(&was)
	point, err := base64.RawURLEncoding.DecodeString(was.Key)
	if err == nil {
		_, err = ecdh.P256().NewPublicKey(point)
	}
	if err != nil || !slices.Equal(was.Kinds, []string{"webpush"}) {
		t.Errorf("the key is %+v: %v", was, err)
	}
	p.Stop(t)
	p.Again(t).Visitor(t).Do("GET", "/v1/push/key", nil).Want(200).Into(&is)
	if is.Key != was.Key || bytes.Equal(point, make([]byte, 65)) {
		t.Errorf("key changed from %s to %s", was.Key, is.Key)
	}
}

// An endpoint that was accepted while its address was allowed is not called once it is not: the address is checked when
// the connection is made.
func TestPushCallsNoForbiddenAddress(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AllowLoopback, shortGrace)
	service := newPushService(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	service.subscribe(bob, "phone")
	p.Stop(t)
	p.Settings.HooksAllow = nil
	next := p.Again(t)
	ada.On(next.Server).Send("bob", "hi")
	harness.Eventually(t, "the notification fails", func() bool {
		var page struct{ Items []harness.PushSubscription }
		bob.On(next.Server).Do("GET", "/v1/me/push", nil).Want(200).Into(&page)
		return page.Items[0].LastError == "the push service could not be reached"
	})
	if got := service.to(bob, "phone"); len(got) > 0 {
		t.Errorf("request to a forbidden address: %s", got[0].brief())
	}
}
