package security

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tandem/e2e/harness"
	"tandem/program"
	"tandem/testservers"
)

// Everything that users create has a limit, which concurrent calls cannot exceed. Deleting makes room, and updating
// what exists is never refused.
func TestWhatUsersCreateIsBounded(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) {
		cfg.Admin = "admin:correct horse of admin"
		cfg.LimitRooms, cfg.LimitMemberships, cfg.LimitBans, cfg.LimitBlocks, cfg.LimitTokens, cfg.LimitTickets = 20, 30, 3, 3, 3, 3
	})
	ada, bob, admin := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Admin(t)
	for i := range 40 {
		owner := bob
		if i >= 15 {
			owner = admin
		}
		if i < 35 {
			owner.Enter(fmt.Sprintf("old%d", i))
		}
	}
	want := func(what string, got map[int]int, status, n int) {
		t.Helper()
		if got[status] != n || got[409] == 0 || len(got) != 2 {
			t.Errorf("%s: %v, want %d of %d and 409s", what, got, n, status)
		}
	}

	want("rooms", harness.ManyAtOnce(t, 60, func(i int) (harness.Answer, error) {
		if i%2 == 0 {
			return ada.Try("POST", "/v1/rooms", map[string]any{"name": fmt.Sprintf("new%d", i)})
		}
		return ada.Try("PUT", harness.RoomPath(fmt.Sprintf("new%d", i)), nil)
	}), 201, 20)
	var mine []string
	for _, r := range ada.Names("/v1/rooms?limit=100") {
		if strings.HasPrefix(r, "new") {
			mine = append(mine, r)
		}
	}
	// A room that one has left still counts for its owner; a deleted one does not. Transferring ownership does not
	// evade the limit.
	ada.Do("DELETE", harness.RoomPath(mine[0])+"/members/ada", nil).Want(204)
	ada.Do("POST", "/v1/rooms", map[string]any{"name": "more"}).WantProblem(409, "limit_reached", "")
	bob.SetMember("old0", "ada", "owner").WantProblem(409, "limit_reached", "")
	ada.Do("DELETE", harness.RoomPath(mine[1]), nil).Want(204)
	bob.SetMember("old0", "ada", "owner").Want(200)
	bob.SetMember("old0", "ada", "owner").Want(200)
	ada.Do("POST", "/v1/rooms", map[string]any{"name": "more"}).WantProblem(409, "limit_reached", "")

	// ada is in 19 rooms; she owns one that bob created. Others cannot add her to more rooms than she could join.
	want("memberships", harness.ManyAtOnce(t, 34, func(i int) (harness.Answer, error) {
		name := fmt.Sprintf("old%d", i+1)
		if i%2 == 0 {
			return admin.Try("PUT", harness.RoomPath(name)+"/members/ada", map[string]any{"role": "member"})
		}
		return ada.Try("PUT", harness.RoomPath(name), nil)
	}), 200, 30-19)
	ada.Enter("old0") // is a member already
	ada.Do("DELETE", harness.RoomPath("old0")+"/members/ada", nil).Want(204)
	ada.Enter("old0")

	others := make([]*harness.Client, 6)
	for i := range others {
		others[i] = p.Signup(t, fmt.Sprintf("other%d", i))
	}
	name := func(i int) string { return fmt.Sprintf("other%d", i) }
	want("bans", harness.ManyAtOnce(t, 6, func(i int) (harness.Answer, error) {
		return bob.Try("PUT", harness.RoomPath("old1")+"/bans/"+name(i), nil)
	}), 204, 3)
	want("blocks", harness.ManyAtOnce(t, 6, func(i int) (harness.Answer, error) { return ada.Try("PUT", "/v1/me/blocks/"+name(i), nil) }), 204, 3)
	want("tokens", harness.ManyAtOnce(t, 9, func(i int) (harness.Answer, error) {
		return ada.Try("POST", "/v1/tokens", map[string]any{"name": fmt.Sprint(i)})
	}), 201, 3)
	want("tickets", harness.ManyAtOnce(t, 9, func(int) (harness.Answer, error) { return ada.Try("POST", "/v1/auth/ticket", nil) }), 201, 3)
	blocked := ada.Names("/v1/me/blocks")
	ada.Do("PUT", "/v1/me/blocks/"+blocked[0], nil).Want(204) // is a member already
	ada.Do("DELETE", "/v1/me/blocks/"+blocked[0], nil).Want(204)
	ada.Do("PUT", "/v1/me/blocks/bob", nil).Want(204)
	bob.Do("POST", "/v1/auth/ticket", nil).Want(201) // each has a separate limit
}

// Nodes that share a database share the limit.
func TestBoundsHoldAcrossNodes(t *testing.T) {
	// Not parallel: a database that is too slow leaves the outcome of a call unknown.
	nodes := harness.StartNodes(t, 2, testservers.NewValkey(t), func(cfg *program.Settings) { cfg.LimitRooms, cfg.LimitWrites = 7, 1 })
	ada := nodes[0].Signup(t, "ada")
	var limited atomic.Int64
	var made atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			// A join that creates a room counts too. It may be repeated if the database was too slow to confirm the
			// outcome.
			enter := func() (harness.Answer, error) {
				return ada.On(nodes[i%2].Server).Try("PUT", harness.RoomPath(fmt.Sprintf("room%d", i)), nil)
			}
			a, err := enter()
			for tries := 1; err == nil && a.Status == http.StatusServiceUnavailable && tries < 10; tries++ {
				a, err = enter()
			}
			switch {
			case err != nil:
				t.Error(err)
			case a.Status == 201, a.Status == 200:
				made.Add(1)
			case a.Status == 429:
				limited.Add(1)
			default:
				a.WantProblem(409, "limit_reached", "")
			}
		})
	}
	wg.Wait()
	if made.Load() != 7 || limited.Load() == 0 {
		t.Errorf("%d rooms created, %d calls limited; want 7 rooms", made.Load(), limited.Load())
	}
}

// One login too many ends the session that was refreshed the longest ago, and no other.
func TestTooManyLoginsEndTheOldest(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitSessions = 3 })
	first := p.Signup(t, "ada")
	second := first.Login()
	first = first.Refresh()
	third, token := first.Login(), first.Token(map[string]any{"name": "bot"})
	fourth := first.Login()
	second.WantDead()
	for _, c := range []*harness.Client{first, third, fourth, token} {
		c.Do("GET", "/v1/me", nil).Want(200)
	}
}

// Every operation in openapi.yaml that writes counts against some limit, which its answer names.
func TestEveryWriteHasALimit(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) {
		cfg.Admin = "admin:correct horse of admin"
		cfg.LimitPosts, cfg.LimitLogins, cfg.LimitSignups, cfg.LimitStreams, cfg.LimitWrites, cfg.LimitReads = 100, 100, 100, 100, 100, 100
		cfg.LimitEphemeral = 100
	})
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	admin, backend := p.Backend(t)
	bodies := map[string]any{
		"createSession": harness.Fields{"username": "nobody"},
		"signup":        harness.Credentials{Username: "carol", Password: "correct horse"}, "login": harness.Credentials{Username: "nobody", Password: "correct horse"},
		"emit": harness.Fields{"name": "x"}, "emitPrivate": harness.Fields{"name": "x"},
	}
	fill := strings.NewReplacer("{room}", "nowhere", "{username}", "nobody", "{id}", "7", "{emoji}", "%E2%9D%A4%EF%B8%8F")
	writes := 0
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			if method == http.MethodGet {
				continue
			}
			writes++
			caller := admin
			if o.OperationID == "logout" {
				caller = admin.WithToken(admin.Login().AccessToken)
			}
			if o.OperationID == "createSession" {
				caller = backend
			}
			target := fill.Replace(path)
			if o.OperationID == "openStreamByPost" {
				target += "?room=never-made" // the one before has been recorded
			}
			body := bodies[o.OperationID]
			if body == nil && o.RequestBody != nil {
				body = map[string]any{}
			}
			if a := caller.Do(method, target, body); a.Header.Get("RateLimit-Policy") == "" {
				t.Errorf("%s: got %d without RateLimit-Policy", a.Call, a.Status)
			}
		}
	}
	if writes < 25 {
		t.Errorf("openapi.yaml has only %d operations that write", writes)
	}
}

// Writes per second and expensive reads are limited per user, whatever the operation and transport.
func TestWritesAndCostlyReadsAreLimited(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.StillLimits, func(cfg *program.Settings) { cfg.LimitWrites, cfg.LimitReads = 1, 1 })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	ada.Post("lobby", "hi")
	until := func(policy string, calls ...func() harness.Answer) {
		t.Helper()
		for i := range 1000 {
			if a := calls[i%len(calls)](); a.Status == 429 {
				a.WantLimited("rate_limited", policy)
				return
			}
		}
		t.Errorf("no call was limited by the policy %s", policy)
	}
	call := func(method, target string, body any) func() harness.Answer {
		return func() harness.Answer { return ada.Do(method, target, body) }
	}
	until("writes",
		call("PUT", "/v1/me/blocks/bob", nil), call("DELETE", "/v1/me/blocks/bob", nil), call("PUT", harness.RoomPath("lobby"), nil),
		call("DELETE", harness.RoomPath("lobby")+"/members/ada", nil), call("PUT", harness.RoomPath("lobby")+"/read", map[string]any{"message_id": 1}),
		call("POST", harness.RoomPath("lobby")+"/typing", nil), call("POST", "/v1/rooms", map[string]any{}))
	until("reads",
		call("GET", harness.RoomPath("lobby")+"/messages?q=hi", nil), call("GET", "/v1/users", nil), call("GET", "/v1/rooms", nil),
		func() harness.Answer {
			s, refusal, err := ada.Dial(harness.OverSSE, harness.Dialing{Query: "room=lobby&history=1"})
			if err != nil {
				t.Fatal(err)
			}
			if refusal != nil {
				return *refusal
			}
			s.Close()
			return harness.Answer{Status: 200}
		})
	socket := ada.Open(harness.OverWS, "")
	for i := 0; ; i++ {
		a := socket.Call("PUT", harness.RoomPath("lobby"), nil)
		if a.Status == 429 {
			if a.WantProblem(429, "rate_limited", ""); a.Header.Get("Retry-After") == "" {
				t.Error("limited command without Retry-After")
			}
			break
		}
		if i == 1000 {
			t.Fatal("none of 1,000 commands was limited")
		}
	}
	ada.Post("lobby", "a post is none of these") // nor is a cheap read
	ada.History("lobby", "")
	bob.Enter("lobby")
	bob.Do("GET", "/v1/rooms", nil).Want(200)
}
