package program

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"tandem/testservers"
)

// manyAtOnce runs f so often at once, and counts the answers by status.
func manyAtOnce(t *testing.T, n int, f func(i int) (answer, error)) map[int]int {
	t.Helper()
	var mu sync.Mutex
	var answers []answer
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a, err := f(i)
			unknown := false // the database was too slow to say what came of it, which a retry finds out
			for tries := 1; err == nil && a.status == http.StatusServiceUnavailable && tries < 10; tries++ {
				unknown = true
				a, err = f(i)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if unknown && a.status == http.StatusConflict && a.wantProblem(409, "", "").Code == "room_exists" {
				a.status = http.StatusCreated
			}
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, a)
		})
	}
	wg.Wait()
	counts := make(map[int]int)
	for _, a := range answers {
		counts[a.status]++
		if a.status >= 400 && !strings.HasPrefix(a.wantProblem(409, "limit_reached", "").Detail, "Limit reached: ") {
			t.Errorf("%s does not say of what: %s", a.call, a.body)
		}
	}
	return counts
}

// Whatever a user makes has a bound that holds however many calls come at once; what goes makes room, and what is there
// already is never refused.
func TestWhatUsersMakeIsBounded(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) {
		cfg.Admin = "admin:correct horse of admin"
		cfg.LimitRooms, cfg.LimitMemberships, cfg.LimitBans, cfg.LimitBlocks, cfg.LimitTokens, cfg.LimitTickets = 20, 30, 3, 3, 3, 3
	})
	ada, bob, admin := p.signup(t, "ada"), p.signup(t, "bob"), p.admin(t)
	for i := range 40 {
		owner := bob
		if i >= 15 {
			owner = admin
		}
		if i < 35 {
			owner.enter(fmt.Sprintf("old%d", i))
		}
	}
	want := func(what string, got map[int]int, status, n int) {
		t.Helper()
		if got[status] != n || got[409] == 0 || len(got) != 2 {
			t.Errorf("%s: %v, want %d of %d and 409s", what, got, n, status)
		}
	}

	want("rooms", manyAtOnce(t, 60, func(i int) (answer, error) {
		if i%2 == 0 {
			return ada.try("POST", "/v1/rooms", map[string]any{"name": fmt.Sprintf("new%d", i)})
		}
		return ada.try("PUT", roomPath(fmt.Sprintf("new%d", i)), nil)
	}), 201, 20)
	var mine []string
	for _, r := range ada.names("/v1/rooms?limit=100") {
		if strings.HasPrefix(r, "new") {
			mine = append(mine, r)
		}
	}
	// A room that one has left is still there; one that is deleted is not. Nor is ownership a way around.
	ada.do("DELETE", roomPath(mine[0])+"/members/ada", nil).want(204)
	ada.do("POST", "/v1/rooms", map[string]any{"name": "more"}).wantProblem(409, "limit_reached", "")
	bob.setMember("old0", "ada", "owner").wantProblem(409, "limit_reached", "")
	ada.do("DELETE", roomPath(mine[1]), nil).want(204)
	bob.setMember("old0", "ada", "owner").want(200)
	bob.setMember("old0", "ada", "owner").want(200)
	ada.do("POST", "/v1/rooms", map[string]any{"name": "more"}).wantProblem(409, "limit_reached", "")

	// ada is in 19 rooms, owner of one of them that bob made. Others put them in no more than they could join.
	want("memberships", manyAtOnce(t, 34, func(i int) (answer, error) {
		name := fmt.Sprintf("old%d", i+1)
		if i%2 == 0 {
			return admin.try("PUT", roomPath(name)+"/members/ada", map[string]any{"role": "member"})
		}
		return ada.try("PUT", roomPath(name), nil)
	}), 200, 30-19)
	ada.enter("old0") // is one already
	ada.do("DELETE", roomPath("old0")+"/members/ada", nil).want(204)
	ada.enter("old0")

	others := make([]*client, 6)
	for i := range others {
		others[i] = p.signup(t, fmt.Sprintf("other%d", i))
	}
	name := func(i int) string { return fmt.Sprintf("other%d", i) }
	want("bans", manyAtOnce(t, 6, func(i int) (answer, error) { return bob.try("PUT", roomPath("old1")+"/bans/"+name(i), nil) }), 204, 3)
	want("blocks", manyAtOnce(t, 6, func(i int) (answer, error) { return ada.try("PUT", "/v1/me/blocks/"+name(i), nil) }), 204, 3)
	want("tokens", manyAtOnce(t, 9, func(i int) (answer, error) {
		return ada.try("POST", "/v1/tokens", map[string]any{"name": fmt.Sprint(i)})
	}), 201, 3)
	want("tickets", manyAtOnce(t, 9, func(int) (answer, error) { return ada.try("POST", "/v1/auth/ticket", nil) }), 201, 3)
	blocked := ada.names("/v1/me/blocks")
	ada.do("PUT", "/v1/me/blocks/"+blocked[0], nil).want(204) // is one already
	ada.do("DELETE", "/v1/me/blocks/"+blocked[0], nil).want(204)
	ada.do("PUT", "/v1/me/blocks/bob", nil).want(204)
	bob.do("POST", "/v1/auth/ticket", nil).want(201) // each has their own
}

// Nodes that share a database hold to one bound.
func TestBoundsHoldOverNodes(t *testing.T) {
	// Not beside the others: a database that is too slow leaves open what came of a call.
	nodes := startNodes(t, 2, testservers.NewValkey(t), func(cfg *Settings) { cfg.LimitRooms, cfg.LimitWrites = 7, 1 })
	ada := nodes[0].signup(t, "ada")
	var limited atomic.Int64
	var made atomic.Int64
	var wg sync.WaitGroup
	for i := range 40 {
		wg.Go(func() {
			// Entering makes a room too, and may be repeated where the database was too slow to say what came of it.
			enter := func() (answer, error) {
				return ada.on(nodes[i%2].testServer).try("PUT", roomPath(fmt.Sprintf("room%d", i)), nil)
			}
			a, err := enter()
			for tries := 1; err == nil && a.status == http.StatusServiceUnavailable && tries < 10; tries++ {
				a, err = enter()
			}
			switch {
			case err != nil:
				t.Error(err)
			case a.status == 201, a.status == 200:
				made.Add(1)
			case a.status == 429:
				limited.Add(1)
			default:
				a.wantProblem(409, "limit_reached", "")
			}
		})
	}
	wg.Wait()
	if made.Load() != 7 || limited.Load() == 0 {
		t.Errorf("made %d rooms, %d calls were limited", made.Load(), limited.Load())
	}
}

// One login too many ends the one that was refreshed the longest ago, and no other.
func TestTooManyLoginsEndTheOldest(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitSessions = 3 })
	first := p.signup(t, "ada")
	second := first.login()
	first = first.refresh()
	third, token := first.login(), first.token(map[string]any{"name": "bot"})
	fourth := first.login()
	second.wantDead()
	for _, c := range []*client{first, third, fourth, token} {
		c.do("GET", "/v1/me", nil).want(200)
	}
}

// Every operation of openapi.yaml that writes counts against some limit, which its answer names.
func TestEveryWriteHasALimit(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) {
		cfg.Admin = "admin:correct horse of admin"
		cfg.LimitPosts, cfg.LimitLogins, cfg.LimitSignups, cfg.LimitStreams, cfg.LimitWrites, cfg.LimitReads = 100, 100, 100, 100, 100, 100
	})
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	admin := p.admin(t)
	bodies := map[string]any{
		"signup": credentials{"carol", "correct horse"}, "login": credentials{"nobody", "correct horse"},
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
				caller = admin.withToken(admin.login().AccessToken)
			}
			target := fill.Replace(path)
			if o.OperationID == "openStreamByPost" {
				target += "?room=never-made" // the one before is entered
			}
			body := bodies[o.OperationID]
			if body == nil && o.RequestBody != nil {
				body = map[string]any{}
			}
			if a := caller.do(method, target, body); a.header.Get("RateLimit-Policy") == "" {
				t.Errorf("%s answers %d and names no limit", a.call, a.status)
			}
		}
	}
	if writes < 25 {
		t.Errorf("openapi.yaml has only %d operations that write", writes)
	}
}

// A second's writes, and costly reads, are limited by user: whichever they are, and through whichever door.
func TestWritesAndCostlyReadsAreLimited(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitWrites, cfg.LimitReads = 1, 1 })
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	ada.post("lobby", "hi")
	until := func(policy string, calls ...func() answer) {
		t.Helper()
		for i := range 1000 {
			if a := calls[i%len(calls)](); a.status == 429 {
				a.wantLimited("rate_limited", policy)
				return
			}
		}
		t.Errorf("nothing is limited by %s", policy)
	}
	call := func(method, target string, body any) func() answer {
		return func() answer { return ada.do(method, target, body) }
	}
	until("writes",
		call("PUT", "/v1/me/blocks/bob", nil), call("DELETE", "/v1/me/blocks/bob", nil), call("PUT", roomPath("lobby"), nil),
		call("DELETE", roomPath("lobby")+"/members/ada", nil), call("PUT", roomPath("lobby")+"/read", map[string]any{"message_id": 1}),
		call("POST", roomPath("lobby")+"/typing", nil), call("POST", "/v1/rooms", map[string]any{}))
	until("reads",
		call("GET", roomPath("lobby")+"/messages?q=hi", nil), call("GET", "/v1/users", nil), call("GET", "/v1/rooms", nil),
		func() answer {
			s, refusal, err := ada.dial(overSSE, how{query: "room=lobby&history=1"})
			if err != nil {
				t.Fatal(err)
			}
			if refusal != nil {
				return *refusal
			}
			s.close()
			return answer{status: 200}
		})
	socket := ada.open(overWS, "")
	for i := 0; ; i++ {
		a := socket.call("PUT", roomPath("lobby"), nil)
		if a.status == 429 {
			if a.wantProblem(429, "rate_limited", ""); a.header.Get("Retry-After") == "" {
				t.Error("a command that is limited does not say when to come back")
			}
			break
		}
		if i == 1000 {
			t.Fatal("commands are not limited")
		}
	}
	ada.post("lobby", "a post is none of these") // nor is a plain read
	ada.history("lobby", "")
	bob.enter("lobby")
	bob.do("GET", "/v1/rooms", nil).want(200)
}
