package program

import (
	"bytes"
	"net/http"
	"strings"
	"testing"
)

// TestBadInputIsRefusedAndChangesNothing: a problem that names the field, never a 500 (which every answer
// of the suite is checked for), and neither the log's head nor the rooms are others afterwards.
func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	ada.post("lobby", "before")
	head, rooms := ada.head(), ada.do("GET", "/v1/rooms", nil).body
	for _, group := range []struct {
		name  string
		calls []badCall
	}{
		{"json", badJSON()}, {"messages", badMessages()}, {"accounts", badAccounts()}, {"rooms", badRooms()},
		{"queries", badQueries()}, {"names", badNames()}, {"routes", badRoutes()},
	} {
		for _, call := range group.calls {
			t.Run(group.name+"/"+call.name, func(t *testing.T) {
				ada := ada.in(t)
				got := ada.do(call.method, call.target, call.body, call.headers...)
				if now := ada.head(); now != head {
					t.Errorf("the log's head was %d and is %d", head, now)
					head = now
				}
				if now := ada.do("GET", "/v1/rooms", nil).body; !bytes.Equal(now, rooms) {
					t.Errorf("the rooms were %s\nand are %s", rooms, now)
					rooms = now
				}
				got.wantProblem(call.status, call.code, call.field)
			})
		}
	}
	p.signup(t, "mallory")                          // whose name nobody has got by a bad sign-up
	if e := ada.post("lobby", "after"); e.ID != 3 { // ada's entry, before, after
		t.Errorf("the next id is %d, not 3", e.ID)
	}
}

func TestWrongMethodSaysWhichAreRight(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	got := p.signup(t, "ada").do("DELETE", "/v1/rooms", nil).want(405)
	if allow := got.header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") { // RFC 9110 §15.5.6
		t.Errorf("Allow is %q", allow)
	}
}

// What is just good enough passes, so that the refusals above are for what they say.
func TestTheLargestInputsAreAccepted(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	body := `{"message":"hi"` + strings.Repeat(" ", 64<<10-len(`{"message":"hi"}`)) + "}"
	ada.do("POST", posting, raw(body), asJSON).want(201)
	ada.do("POST", posting, onlyReader(body), asJSON).want(201)
	ada.do("POST", posting, raw("hi"), "Idempotency-Key: "+strings.Repeat("~", 128)).want(201)
	ada.do("POST", "/v1/rooms", newRoom{Name: "titled", Title: strings.Repeat("ü", 200)}).want(201)
	ada.do("GET", posting+"?limit=100&after=0", nil).want(200)
	ada.do("GET", posting+"?limit=1&before=1", nil).want(200)
}

// A foreign site's form or script gets no answer that it could read.
func TestOtherOriginsAreNotLetIn(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	got := ada.do("GET", "/v1/me", nil, "Origin: https://evil.example").want(200)
	if allowed := got.header.Get("Access-Control-Allow-Origin"); allowed != "" {
		t.Errorf("Access-Control-Allow-Origin is %q, though no other origin is allowed", allowed)
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	seen := map[string]bool{}
	for _, target := range []string{"/", "/healthz", "/readyz", "/openapi.yaml", "/v1/me", "/nothing"} {
		id := p.visitor(t).do(http.MethodGet, target, nil).header.Get("X-Request-Id") // that there is one is checked for every answer
		if seen[id] {
			t.Errorf("%s has the id of another request", target)
		}
		seen[id] = true
	}
}
