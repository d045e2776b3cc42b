package streams

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"tandem/conformance/suite"
	"tandem/e2e/harness"
	"tandem/program"
)

// base is the path below which these tests' programs serve.
const base = "/team/chat"

// startBelow starts a program below base. Its clients know that.
func startBelow(t *testing.T, change ...func(*program.Settings)) *harness.Program {
	t.Helper()
	p := harness.StartProgram(t, append(change, func(cfg *program.Settings) { cfg.BasePath = base + "/" })...)
	p.URL += base
	return p
}

// The whole contract holds below a path.
func TestConformanceBelowAPath(t *testing.T) {
	t.Parallel()
	p := startBelow(t, func(cfg *program.Settings) { cfg.Admin = "root:" + adminPassword })
	conform(t, suite.Config{URL: p.URL, Accounts: &suite.Accounts{}, AdminToken: p.Login(t, "root", adminPassword)})
}

func TestEverythingIsBelowTheBasePath(t *testing.T) {
	t.Parallel()
	p := startBelow(t)
	origin := strings.TrimSuffix(p.URL, base)
	get := func(path string) (status int, to, body string) { // directly, since the harness checks answers for paths below the base only
		resp, err := p.HTTP.RoundTrip(httptest.NewRequest("GET", origin+path, nil))
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, resp.Header.Get("Location"), string(text)
	}
	for _, path := range []string{"/", "/docs", "/v1/me", "/v1/events", "/openapi.yaml", "/.well-known/jwks.json", base + "x/healthz", "/team"} {
		if got, _, _ := get(path); got != 404 {
			t.Errorf("%s got status %d, want 404", path, got)
		}
	}
	for _, path := range []string{"/healthz", "/readyz", base + "/healthz", base + "/readyz", base + "/", base + "/openapi.yaml", base + "/.well-known/jwks.json"} {
		if got, _, _ := get(path); got != 200 {
			t.Errorf("%s got status %d, want 200", path, got)
		}
	}
	if status, to, _ := get(base + "?a=b"); status != 301 || to != base+"/?a=b" {
		t.Errorf("base path without a slash: got status %d, Location %q", status, to)
	}
	if _, _, page := get(base + "/"); strings.Contains(page, `="/`) {
		t.Errorf("the page links to the root: %s", page)
	}

	// Cookies and links.
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	a := ada.Do("POST", "/v1/auth/login", map[string]any{"username": "ada", "password": ada.Password, "cookie": true}).Want(200)
	cookie := harness.CookieOf(t, a.Header)
	if cookie == nil || cookie.Path != base {
		t.Fatalf("cookie = %v", cookie)
	}
	p.Logs.KeepSecret(cookie.Value)
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		s := p.Visitor(t).Open(over, "room=lobby", "Cookie: tandem_stream="+cookie.Value, "Origin: "+origin)
		if s.Opening().User != "ada" {
			t.Error("no stream opened with the cookie")
		}
	})
	in := ada.Inlet("lobby", "ci")
	if !strings.HasPrefix(in.URL, p.URL+"/in/") {
		t.Errorf("inlet URL = %s", in.URL)
	}
	s := ada.Open(harness.OverSSE, "room=lobby")
	s.Opening()
	resp, err := http.Post(in.URL, "text/plain", strings.NewReader("by the inlet"))
	if err != nil || resp.StatusCode != 200 {
		t.Fatalf("posting to the inlet: %v, %v", resp, err)
	}
	resp.Body.Close()
	s.Message("by the inlet")
	var file struct{ ID string }
	ada.Do("POST", "/v1/rooms/lobby/files?name=a.txt", harness.Raw("the file"), "Content-Type: text/plain").Want(201).Into(&file)
	ada.Do("POST", "/v1/rooms/lobby/messages", harness.Fields{"files": []string{file.ID}}).Want(201)
	var link struct{ URL string }
	ada.Do("POST", "/v1/files/"+file.ID+"/link", nil).Want(200).Into(&link)
	if _, _, got := get(link.URL); got != "the file" {
		t.Errorf("%s leads to %s, want the file", link.URL, got)
	}
	p.Logs.KeepSecret(in.Secret())

	// Commands over the WebSocket use the paths of openapi.yaml, and the served openapi.yaml names the base.
	ws := ada.Open(harness.OverWS, "room=lobby")
	ws.Opening()
	ws.Call("GET", "/v1/rooms/l%6Fbby", nil).Want(200)
	written, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, _, spec := get(base + "/openapi.yaml")
	if want := strings.Replace(string(written), "  - url: /\n", "  - url: "+base+"\n", 1); spec != want {
		t.Error("served openapi.yaml differs from the file in more than servers")
	}
}

// The command line accepts a server address with a path.
func TestTerminalAndDoctorKnowPaths(t *testing.T) {
	t.Parallel()
	p := startBelow(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	s := ada.LoggedIn(p.URL + "/")
	tail := s.Tail("tail", "lobby", "--json")
	s.Run("post", "lobby", "hello").Want(0)
	for {
		var e struct{ Message string }
		if line := tail.Line(); json.Unmarshal([]byte(line), &e) == nil && e.Message == "hello" {
			break
		}
	}
	got := s.Examine(0, p.URL)
	for _, check := range []string{"reachable", "WebSocket", "SSE by GET", "SSE by POST", "NDJSON", "long poll", "cookie", "Origin", "uploads"} {
		if got[check].Result != "good" {
			t.Errorf("check %s: got %+v, want good", check, got[check])
		}
	}
	if got := harness.NewShell(t).Run("doctor", strings.TrimSuffix(p.URL, base), "--json", "--idle", "0s", "--wait", "3s"); got.Code == 0 {
		t.Errorf("doctor accepted a wrong path: %s", got.Out)
	}
	address := strings.TrimSuffix(p.URL, base)
	health := harness.NewShell(t, fmt.Sprint("TANDEM_HEALTH_URL=", address)).Run("health")
	below := harness.NewShell(t, fmt.Sprint("TANDEM_HEALTH_URL=", p.URL)).Run("health")
	if codes := []int{health.Code, below.Code}; !slices.Equal(codes, []int{0, 0}) {
		t.Errorf("tandem health ends with %v, want [0 0]", codes)
	}
}
