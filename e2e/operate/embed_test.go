package operate

import (
	"bufio"
	"encoding/json"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
	"tandem/testservers"
)

const embedded = "frontend/examples/embed"

// shop is a running backend from docs/embed.md, as its page sees it.
type shop struct {
	t    *testing.T
	url  string
	http *http.Client
}

// startShop runs one variant of the backend, written in Go or for Node.
func startShop(t *testing.T, language, way string, env ...string) *shop {
	t.Helper()
	var cmd *exec.Cmd
	if language == "Go" {
		file := filepath.Join(t.TempDir(), way)
		if err := harness.Build("./"+embedded+"/"+way, file); err != nil {
			t.Fatal(err)
		}
		cmd = exec.Command(file)
	} else {
		cmd = exec.Command(testservers.NeedProgram(t, "node"), embedded+"/"+way+"/server.mjs")
	}
	cmd.Env = append(os.Environ(), append(env, "PORT=0")...)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the backend says %q: %v", line, err)
	}
	jar, _ := cookiejar.New(nil) // only fails for bad options
	return &shop{t, strings.TrimSpace(line), &http.Client{Jar: jar, Timeout: harness.Patience}}
}

// call makes a request as the page does. It decodes the answer into value unless that is nil.
func (s *shop) call(method, path, body string, status int, value any) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	resp, err := s.http.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != status {
		s.t.Fatalf("%s %s of the shop answered %d, want %d", method, path, resp.StatusCode, status)
	}
	if value != nil {
		if err := json.NewDecoder(resp.Body).Decode(value); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *shop) login(name string) {
	s.t.Helper()
	s.call("POST", "/login", `{"name":"`+name+`","password":"wrong"}`, 401, nil)
	s.call("POST", "/login", `{"name":"`+name+`","password":"correct horse"}`, 200, nil)
}

// The three variants in docs/embed.md, with the backends printed there.
func TestBackendsOfTheEmbeddingGuide(t *testing.T) {
	t.Parallel()
	for _, language := range []string{"Go", "Node"} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			t.Run("own accounts", func(t *testing.T) {
				t.Parallel()
				p := harness.StartProgram(t)
				ada, orders := p.Signup(t, "ada"), p.Signup(t, "orders")
				ada.Enter("lobby")
				bot := orders.Token(map[string]any{"name": "orders", "rooms": []string{"lobby"}})
				s := startShop(t, language, "accounts", "TANDEM_URL="+p.URL, "TANDEM_TOKEN="+bot.AccessToken)
				stream := ada.Open(harness.OverWS, "room=lobby")
				stream.Opening()
				s.call("POST", "/orders", `{"number":7,"item":"a <ship>"}`, 201, nil)
				s.call("POST", "/orders", `{"number":7,"item":"a <ship>"}`, 200, nil) // sent twice
				if e := stream.Message("Order 7: a <ship>"); e.User != "orders" {
					t.Errorf("author of the message = %s", e.User)
				}
				if n := len(ada.WholeHistory("lobby")); n != 1 {
					t.Errorf("order posted %d times, want once", n)
				}
			})
			t.Run("your backend asks for sessions", func(t *testing.T) {
				t.Parallel()
				p := harness.StartProgram(t, harness.WithAdmin, func(cfg *program.Settings) { cfg.Signup = "closed" })
				_, backend := p.Backend(t)
				s := startShop(t, language, "sessions", "TANDEM_URL="+p.URL, "TANDEM_TOKEN="+backend.AccessToken)
				s.call("POST", "/chat-session", "", 401, nil)
				s.login("ada")
				ada, again := p.Visitor(t), p.Visitor(t)
				s.call("POST", "/chat-session", "", 201, &ada.Session)
				s.call("POST", "/chat-session", "", 200, &again.Session)
				p.Logs.KeepSecret(ada.AccessToken, ada.RefreshToken, again.AccessToken, again.RefreshToken)
				ada.Enter("lobby")
				stream := again.Refresh().Open(harness.OverSSE, "room=lobby")
				stream.Opening()
				ada.Post("lobby", "hi")
				stream.Message("hi")
				if person := ada.LookUp("ada"); person.DisplayName != "ada of the shop" {
					t.Errorf("user ada = %+v", person)
				}
			})
			t.Run("your identity provider's tokens", func(t *testing.T) {
				t.Parallel()
				s := startShop(t, language, "issuer")
				p := harness.StartProgram(t, func(cfg *program.Settings) {
					cfg.JWKSURL, cfg.JWTIssuer, cfg.JWTAudience = s.url+"/jwks.json", "shop", "chat"
				})
				s.call("GET", "/token", "", 401, nil)
				s.login("ada")
				var given struct{ Token string }
				s.call("GET", "/token", "", 200, &given)
				ada := p.Visitor(t).WithToken(given.Token)
				if me := ada.Me(); me.Username != "ada" {
					t.Errorf("user of the token = %+v", me)
				}
				ada.Enter("lobby")
				stream := ada.Open(harness.OverSSE, "room=lobby")
				stream.Opening()
				ada.Post("lobby", "hi")
				stream.Message("hi")
			})
		})
	}
}
