package accounts

import (
	"io"
	"net/http"
	"regexp"
	"slices"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestDisablingEndsEverything(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	root, ada := p.Admin(t), p.Signup(t, "ada")
	ada.Enter("lobby")
	var made struct{ Token string }
	ada.Do("POST", "/v1/tokens", map[string]any{"name": "bot"}).Want(201).Into(&made)
	bot := ada.WithToken(made.Token)
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		s, byToken := ada.In(t).Open(over, "room=lobby"), bot.In(t).Open(over, "room=lobby")
		s.Opening()
		byToken.Opening()
		root.ChangeAccount("ada", map[string]any{"disabled": true}).Want(200)
		for _, s := range []*harness.Stream{s, byToken} {
			if e, _ := s.Ending(); e.Type != "stream_close" || e.Reason != "disabled" {
				t.Errorf("last event of the stream = %s", e.Raw)
			}
		}
		for _, c := range []*harness.Client{ada, bot} {
			c.Do("GET", "/v1/me", nil).WantProblem(401, "invalid_token", "")
			c.Do("POST", "/v1/rooms/lobby/messages", harness.Raw("still here")).WantProblem(401, "invalid_token", "")
		}
		ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).WantProblem(401, "bad_credentials", "")
		root.ChangeAccount("ada", map[string]any{"disabled": false}).Want(200)
		ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).Want(200).Into(&ada.Session)
		ada.Do("POST", "/v1/tokens", map[string]any{"name": "bot"}).Want(201).Into(&made)
		bot = ada.WithToken(made.Token)
	})
}

// Roles are read from the database: a change applies to the next call with the same access token.
func TestRoleAppliesFromTheNextRequest(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	root, ada, bob := p.Admin(t), p.Signup(t, "ada"), p.Signup(t, "bob")
	bob.Do("POST", "/v1/rooms", harness.NewRoom{Name: "news", Posting: "admins"}).Want(201)
	ada.Do("GET", "/v1/admin/stats", nil).WantProblem(403, "forbidden", "")
	ada.Do("POST", "/v1/rooms/news/messages", harness.Raw("x")).WantProblem(403, "posting_restricted", "")
	root.ChangeAccount("ada", map[string]any{"role": "admin"}).Want(200)
	ada.Do("GET", "/v1/admin/stats", nil).Want(200)
	ada.Post("news", "as an admin")
	root.ChangeAccount("ada", map[string]any{"role": "user"}).Want(200)
	ada.Do("GET", "/v1/admin/stats", nil).WantProblem(403, "forbidden", "")
	ada.Do("POST", "/v1/rooms/news/messages", harness.Raw("x")).WantProblem(403, "posting_restricted", "")
	ada.Do("PATCH", "/v1/rooms/news", map[string]string{"title": "x"}).WantProblem(403, "forbidden", "")

	// The command line is another process; the hub sees its change at the next poll.
	a, err := program.OpenAdmin(t.Context(), p.Settings)
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	if err := a.SetAdmin(t.Context(), "ada", true); err != nil {
		t.Fatal(err)
	}
	ada.Do("GET", "/v1/admin/stats", nil).Want(200)
	ada.Post("news", "again")
}

func TestLastAdminCannotBeRemoved(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	root, ada := p.Admin(t), p.Signup(t, "ada")
	root.ChangeAccount("admin", map[string]any{"role": "user"}).WantProblem(409, "last_admin", "")
	root.ChangeAccount("admin", map[string]any{"disabled": true}).WantProblem(409, "last_admin", "")
	root.Do("DELETE", "/v1/me", map[string]string{"current_password": root.Password}).WantProblem(409, "last_admin", "")
	root.ChangeAccount("admin", map[string]any{"disabled": false}).Want(200)
	root.ChangeAccount("unheard-of", map[string]any{"disabled": true}).WantProblem(404, "user_not_found", "")
	root.ChangeAccount("ada", map[string]any{}).WantProblem(400, "invalid_request", "")
	root.ChangeAccount("ada", map[string]any{"role": "king"}).WantProblem(400, "invalid_request", "role")
	root.ChangeAccount("ada", map[string]any{"role": "admin"}).Want(200)
	statuses := make([]int, 2)
	harness.InParallel(2, func(i int) { // each demotes themselves
		c := []*harness.Client{root, ada}[i]
		a, err := c.Try("PATCH", "/v1/admin/users/"+c.User.Username, map[string]any{"role": "user"})
		if err != nil {
			t.Error(err)
		}
		statuses[i] = a.Status
	})
	if slices.Sort(statuses); !slices.Equal(statuses, []int{200, 409}) {
		t.Errorf("statuses of two concurrent resignations = %v, want [200 409]", statuses)
	}
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	root, ada := p.Admin(t), p.Signup(t, "ada")
	for _, name := range []string{"adam", "b_b", "bxb", "мария"} {
		p.Signup(t, name)
	}
	s := ada.Open(harness.OverSSE, "")
	s.Opening()
	root.ChangeAccount("bxb", map[string]any{"disabled": true}).Want(200)
	for query, want := range map[string][]string{
		"":                          {"ada", "adam", "admin", "b_b", "мария"},
		"?q=AD":                     {"ada", "adam", "admin"},
		"?q=_":                      {"b_b"}, // not a wildcard
		"?q=%25":                    {},
		"?q=%D0%90%D0%A0":           {"мария"},
		"?q=a+b":                    {},
		"?limit=2&after=adam":       {"admin", "b_b"},
		"?online=true":              {"ada"},
		"?online=false&limit=2":     {"adam", "admin"},
		"?online=true&q=m":          {},
		"?online=false&after=admin": {"b_b", "мария"},
	} {
		if got := ada.Names("/v1/users" + query); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", query, got, want)
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
	root.Do("GET", "/v1/admin/users?q=b&limit=1", nil).Want(200).Into(&page)
	if len(page.Items) != 1 || page.Items[0].Username != "b_b" || page.Next == nil || *page.Next != "b_b" {
		t.Errorf("first page = %+v", page)
	}
	root.Do("GET", "/v1/admin/users?after=b_b&limit=1", nil).Want(200).Into(&page)
	if len(page.Items) != 1 || page.Items[0].Username != "bxb" || !page.Items[0].Disabled || page.Items[0].Role != "user" {
		t.Errorf("second page = %+v", page)
	}
	s.Close()
	harness.Eventually(t, "ada is offline", func() bool { return len(ada.Names("/v1/users?online=true")) == 0 })
}

func TestStatsAndMetrics(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin, func(cfg *program.Settings) { cfg.MetricsAddr = "127.0.0.1:0" })
	root, ada := p.Admin(t), p.Signup(t, "ada")
	ada.Enter("lobby")
	sse, ws := ada.Open(harness.OverSSE, "room=lobby"), root.Open(harness.OverWS, "room=lobby")
	sse.Opening()
	ws.Opening()
	for range 3 {
		ada.Post("lobby", "hi")
		sse.Must("user_join", "chat_message")
	}
	ws.UntilMessage("hi")
	var stats struct {
		Users, Rooms, Head, Online, Uptime int
		Streams                            map[string]int
		Posts                              float64 `json:"posts_per_second"`
		Deliveries                         float64 `json:"deliveries_per_second"`
	}
	root.Do("GET", "/v1/admin/stats", nil).Want(200).Into(&stats)
	if stats.Users != 2 || stats.Rooms != 1 || stats.Online != 2 || stats.Streams["sse"] != 1 || stats.Streams["ws"] != 1 ||
		int64(stats.Head) < 4 || stats.Posts <= 0 || stats.Deliveries < stats.Posts {
		t.Errorf("stats = %+v", stats)
	}
	resp, err := http.Get("http://" + p.Running.MetricsAddr().String() + "/metrics")
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
	root.Do("GET", "/metrics", nil).Want(404) // only on its own port
}
