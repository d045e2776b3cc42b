package program

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"
)

func withAdmin(cfg *Settings) { cfg.Admin = "admin:correct horse of admin" }

func (c *client) changeAccount(name string, change map[string]any) answer {
	c.t.Helper()
	return c.do("PATCH", "/v1/admin/users/"+name, change)
}

func TestDisablingEndsEverything(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withAdmin)
	root, ada := p.admin(t), p.signup(t, "ada")
	ada.enter("lobby")
	var made struct{ Token string }
	ada.do("POST", "/v1/tokens", map[string]any{"name": "bot"}).want(201).into(&made)
	bot := ada.withToken(made.Token)
	onPushing(t, func(t *testing.T, over transport) {
		s, byToken := ada.in(t).open(over, "room=lobby"), bot.in(t).open(over, "room=lobby")
		s.opening()
		byToken.opening()
		root.changeAccount("ada", map[string]any{"disabled": true}).want(200)
		for _, s := range []*stream{s, byToken} {
			if e, _ := s.ending(); e.Type != "stream_close" || e.Reason != "disabled" {
				t.Errorf("the stream ended with %s", e.raw)
			}
		}
		for _, c := range []*client{ada, bot} {
			c.do("GET", "/v1/me", nil).wantProblem(401, "invalid_token", "")
			c.do("POST", "/v1/rooms/lobby/messages", raw("still here")).wantProblem(401, "invalid_token", "")
		}
		ada.do("POST", "/v1/auth/login", credentials{"ada", ada.password}).wantProblem(401, "bad_credentials", "")
		root.changeAccount("ada", map[string]any{"disabled": false}).want(200)
		ada.do("POST", "/v1/auth/login", credentials{"ada", ada.password}).want(200).into(&ada.session)
		ada.do("POST", "/v1/tokens", map[string]any{"name": "bot"}).want(201).into(&made)
		bot = ada.withToken(made.Token)
	})
}

// Roles are the database's: they count from the next call on, with the same access token.
func TestARoleCountsFromTheNextCall(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withAdmin)
	root, ada, bob := p.admin(t), p.signup(t, "ada"), p.signup(t, "bob")
	bob.do("POST", "/v1/rooms", newRoom{Name: "news", Posting: "admins"}).want(201)
	ada.do("GET", "/v1/admin/stats", nil).wantProblem(403, "forbidden", "")
	ada.do("POST", "/v1/rooms/news/messages", raw("x")).wantProblem(403, "posting_restricted", "")
	root.changeAccount("ada", map[string]any{"role": "admin"}).want(200)
	ada.do("GET", "/v1/admin/stats", nil).want(200)
	ada.post("news", "as an admin")
	root.changeAccount("ada", map[string]any{"role": "user"}).want(200)
	ada.do("GET", "/v1/admin/stats", nil).wantProblem(403, "forbidden", "")
	ada.do("POST", "/v1/rooms/news/messages", raw("x")).wantProblem(403, "posting_restricted", "")
	ada.do("PATCH", "/v1/rooms/news", map[string]string{"title": "x"}).wantProblem(403, "forbidden", "")

	// From the command line it is another process, and takes the hub's next look.
	a, err := OpenAdmin(t.Context(), p.settings)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.SetAdmin(t.Context(), "ada", true); err != nil {
		t.Fatal(err)
	}
	ada.do("GET", "/v1/admin/stats", nil).want(200)
	ada.post("news", "again")
}

func TestAnAdminIsLeft(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withAdmin)
	root, ada := p.admin(t), p.signup(t, "ada")
	root.changeAccount("admin", map[string]any{"role": "user"}).wantProblem(409, "last_admin", "")
	root.changeAccount("admin", map[string]any{"disabled": true}).wantProblem(409, "last_admin", "")
	root.do("DELETE", "/v1/me", map[string]string{"current_password": root.password}).wantProblem(409, "last_admin", "")
	root.changeAccount("admin", map[string]any{"disabled": false}).want(200)
	root.changeAccount("unheard-of", map[string]any{"disabled": true}).wantProblem(404, "user_not_found", "")
	root.changeAccount("ada", map[string]any{}).wantProblem(400, "invalid_request", "")
	root.changeAccount("ada", map[string]any{"role": "king"}).wantProblem(400, "invalid_request", "role")
	root.changeAccount("ada", map[string]any{"role": "admin"}).want(200)
	statuses := make([]int, 2)
	inParallel(2, func(i int) { // each takes the role from themselves
		c := []*client{root, ada}[i]
		a, err := c.try("PATCH", "/v1/admin/users/"+c.User.Username, map[string]any{"role": "user"})
		if err != nil {
			t.Error(err)
		}
		statuses[i] = a.status
	})
	if slices.Sort(statuses); !slices.Equal(statuses, []int{200, 409}) {
		t.Errorf("both admins resigned: %v", statuses)
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withAdmin)
	root, ada := p.admin(t), p.signup(t, "ada")
	for _, name := range []string{"adam", "b_b", "bxb", "мария"} {
		p.signup(t, name)
	}
	s := ada.open(overSSE, "")
	s.opening()
	root.changeAccount("bxb", map[string]any{"disabled": true}).want(200)
	for query, want := range map[string][]string{
		"":                          {"ada", "adam", "admin", "b_b", "мария"},
		"?q=AD":                     {"ada", "adam", "admin"},
		"?q=_":                      {"b_b"}, // no wildcard
		"?q=%25":                    {},
		"?q=%D0%90%D0%A0":           {"мария"},
		"?q=a+b":                    {},
		"?limit=2&after=adam":       {"admin", "b_b"},
		"?online=true":              {"ada"},
		"?online=false&limit=2":     {"adam", "admin"},
		"?online=true&q=m":          {},
		"?online=false&after=admin": {"b_b", "мария"},
	} {
		if got := ada.names("/v1/users" + query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, not %v", query, got, want)
		}
	}
	var page struct {
		Items []struct {
			Username         string
			Disabled, Online bool
			Role             string
		}
		Next *string
	}
	root.do("GET", "/v1/admin/users?q=b&limit=1", nil).want(200).into(&page)
	if len(page.Items) != 1 || page.Items[0].Username != "b_b" || page.Next == nil || *page.Next != "b_b" {
		t.Errorf("the first page is %+v", page)
	}
	root.do("GET", "/v1/admin/users?after=b_b&limit=1", nil).want(200).into(&page)
	if len(page.Items) != 1 || page.Items[0].Username != "bxb" || !page.Items[0].Disabled || page.Items[0].Role != "user" {
		t.Errorf("the second page is %+v", page)
	}
	s.close()
	eventually(t, "ada to be offline", func() bool { return len(ada.names("/v1/users?online=true")) == 0 })
}

func TestStatsAndMetrics(t *testing.T) {
	t.Parallel()
	p := startProgram(t, withAdmin, func(cfg *Settings) { cfg.MetricsAddr = "127.0.0.1:0" })
	root, ada := p.admin(t), p.signup(t, "ada")
	ada.enter("lobby")
	sse, ws := ada.open(overSSE, "room=lobby"), root.open(overWS, "room=lobby")
	sse.opening()
	ws.opening()
	for range 3 {
		ada.post("lobby", "hi")
		sse.must("user_join", "chat_message")
	}
	ws.untilMessage("hi")
	var stats struct {
		Users, Rooms, Head, Online, Uptime int
		Streams                            map[string]int
		Posts                              float64 `json:"posts_per_second"`
		Deliveries                         float64 `json:"deliveries_per_second"`
	}
	root.do("GET", "/v1/admin/stats", nil).want(200).into(&stats)
	if stats.Users != 2 || stats.Rooms != 1 || stats.Online != 2 || stats.Streams["sse"] != 1 || stats.Streams["ws"] != 1 ||
		int64(stats.Head) < 4 || stats.Posts <= 0 || stats.Deliveries < stats.Posts {
		t.Errorf("the stats are %+v", stats)
	}
	resp, err := http.Get("http://" + p.running.metrics.listener.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{`tandem_streams\{transport="sse"\} 1`, `tandem_streams\{transport="ws"\} 1`, `tandem_users_online 2`, `tandem_messages_total 3`,
		`tandem_deliveries_total [1-9]`, `tandem_log_head [1-9]`, `go_goroutines [1-9]`} {
		if !regexp.MustCompile(`(?m)^` + line).Match(text) {
			t.Errorf("/metrics has no line %s", line)
		}
	}
	root.do("GET", "/metrics", nil).want(404) // on its own port alone
}
