package security

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// TestBadInputIsRefusedAndChangesNothing checks that bad input gets a problem that names the field and never a 500
// (which is checked for every answer of the suite), and changes neither the log's head nor the rooms.
func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Post("lobby", "before")
	head, rooms := ada.Head(), ada.Do("GET", "/v1/rooms", nil).Body
	for _, group := range []struct {
		name  string
		calls []badCall
	}{
		{"json", badJSON()}, {"messages", badMessages()}, {"accounts", badAccounts()}, {"rooms", badRooms()},
		{"queries", badQueries()}, {"names", badNames()}, {"routes", badRoutes()},
	} {
		for _, call := range group.calls {
			t.Run(group.name+"/"+call.name, func(t *testing.T) {
				ada := ada.In(t)
				got := ada.Do(call.method, call.target, call.body, call.headers...)
				if now := ada.Head(); now != head {
					t.Errorf("log head moved from %d to %d", head, now)
					head = now
				}
				if now := ada.Do("GET", "/v1/rooms", nil).Body; !bytes.Equal(now, rooms) {
					t.Errorf("rooms changed from %s\nto %s", rooms, now)
					rooms = now
				}
				got.WantProblem(call.status, call.code, call.field)
			})
		}
	}
	p.Signup(t, "mallory")                          // no failed signup has taken this name
	if e := ada.Post("lobby", "after"); e.ID != 3 { // ada's join, before, after
		t.Errorf("next id = %d, want 3", e.ID)
	}
}

func TestWrongMethodListsTheAllowedOnes(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	got := p.Signup(t, "ada").Do("DELETE", "/v1/rooms", nil).Want(405)
	if allow := got.Header.Get("Allow"); !strings.Contains(allow, "GET") || !strings.Contains(allow, "POST") { // RFC 9110 §15.5.6
		t.Errorf("Allow = %q", allow)
	}
}

// Input that is just valid is accepted, which proves that the refusals above have the stated reason.
func TestLargestInputsAreAccepted(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	body := `{"message":"hi"` + strings.Repeat(" ", 64<<10-len(`{"message":"hi"}`)) + "}"
	ada.Do("POST", harness.Posting, harness.Raw(body), harness.AsJSON).Want(201)
	ada.Do("POST", harness.Posting, harness.OnlyReader(body), harness.AsJSON).Want(201)
	ada.Do("POST", harness.Posting, harness.Raw("hi"), "Idempotency-Key: "+strings.Repeat("~", 128)).Want(201)
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "titled", Title: strings.Repeat("ü", 200)}).Want(201)
	ada.Do("GET", harness.Posting+"?limit=100&after=0", nil).Want(200)
	ada.Do("GET", harness.Posting+"?limit=1&before=1", nil).Want(200)
}

// A form or script on another site gets no answer that it can read.
func TestOtherOriginsAreRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	got := ada.Do("GET", "/v1/me", nil, "Origin: https://evil.example").Want(200)
	if allowed := got.Header.Get("Access-Control-Allow-Origin"); allowed != "" {
		t.Errorf("Access-Control-Allow-Origin = %q, want none", allowed)
	}
}

func TestRequestIDsDiffer(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	seen := map[string]bool{}
	for _, target := range []string{"/", "/healthz", "/readyz", "/openapi.yaml", "/v1/me", "/nothing"} {
		id := p.Visitor(t).Do(http.MethodGet, target, nil).Header.Get("X-Request-Id") // its presence is checked for every answer
		if seen[id] {
			t.Errorf("%s: request id used twice", target)
		}
		seen[id] = true
	}
}
