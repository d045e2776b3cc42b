package operate

import (
	"bytes"
	"compress/gzip"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestDoctorFindsNoProblemInAGoodSetup(t *testing.T) {
	t.Parallel()
	_, ada, s := terminalTest(t)
	head := ada.Head()
	got := s.Examine(0, ada.Server.URL)
	for _, check := range []string{
		"reachable", "clock", "login", "WebSocket", "SSE by GET", "SSE by POST", "NDJSON", "long poll", "buffering", "idle WebSocket", "idle NDJSON",
		"cookie", "Origin", "CORS", "messages", "uploads",
	} {
		if got[check].Result != "good" {
			t.Errorf("check %s: got %+v, want good", check, got[check])
		}
	}
	if now := ada.Head(); now != head {
		t.Errorf("doctor left %d events behind", now-head)
	}
	if all, _ := ada.Conversations(""); len(all) != 0 {
		t.Errorf("the doctor has left conversations: %v, want none", all)
	}
	if got := s.Run("doctor", ada.Server.URL, "--idle", "0s").Want(0).Out; !strings.Contains(got, "good     WebSocket       first event after ") || !strings.Contains(got, "All is good.") {
		t.Errorf("table =\n%s", got)
	}
}

func TestDoctorReportsProxyProblems(t *testing.T) {
	harness.Slow(t, "the doctor waits for what does not come")
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	quiet := map[string]*harness.Client{"cuts the quiet": p.Signup(t, "bob"), "cuts the long": p.Signup(t, "eve")} // no other doctor writes to them
	is := func(method string) func(*http.Request) bool {
		return func(r *http.Request) bool { return r.URL.Path == "/v1/events" && (method == "" || r.Method == method) }
	}
	for name, test := range map[string]struct {
		faults faults
		args   []string
		want   map[string]string // the outcome of a check, and a word from its message
	}{
		"no WebSocket": {faults: faults{noSocket: true}, want: map[string]string{"WebSocket": "trouble 403", "SSE by GET": "good", "buffering": "good"}},
		"buffers all": {faults: faults{buffer: is("")}, want: map[string]string{
			"WebSocket": "good", "SSE by GET": "trouble no event", "SSE by POST": "trouble no event", "NDJSON": "trouble", "long poll": "good", "buffering": "trouble held back"}},
		"buffers GET": {faults: faults{buffer: is("GET")}, want: map[string]string{"SSE by GET": "trouble", "SSE by POST": "good", "buffering": "trouble"}},
		"packs":       {faults: faults{change: pack}, want: map[string]string{"SSE by GET": "trouble", "buffering": "trouble gzip", "WebSocket": "good"}},
		"cuts the quiet": {faults: faults{quiet: time.Second}, args: []string{"--idle", "4s"}, want: map[string]string{
			"idle WebSocket": "trouble without an event", "idle SSE by GET": "trouble cut after", "long poll": "trouble a waiting one is cut"}},
		"cuts the long": {faults: faults{cut: 23 * time.Second}, args: []string{"--idle", "26s"}, want: map[string]string{
			"idle WebSocket": "note pings until then", "idle SSE by GET": "note pings until then", "long poll": "trouble is cut after"}},
		"takes small files":    {faults: faults{maxBody: 1 << 20}, want: map[string]string{"uploads": "trouble 413", "messages": "good"}},
		"takes small messages": {faults: faults{maxBody: 32 << 10}, want: map[string]string{"messages": "trouble 413"}},
		"another Host":         {faults: faults{host: "tandem.internal"}, want: map[string]string{"Origin": "trouble a Host other than"}},
		"no cookies":           {faults: faults{change: func(r *http.Response) { r.Header.Del("Set-Cookie") }}, want: map[string]string{"cookie": "trouble none is set"}},
		"wide cookies": {faults: faults{change: func(r *http.Response) {
			for i, c := range r.Header["Set-Cookie"] {
				r.Header["Set-Cookie"][i] = strings.Replace(c, "HttpOnly", "Domain=example.com", 1)
			}
		}}, want: map[string]string{"cookie": "trouble HttpOnly is missing; Domain is example.com"}},
		"any origin": {faults: faults{change: func(r *http.Response) { r.Header.Set("Access-Control-Allow-Origin", "*") }}, want: map[string]string{"CORS": "trouble *"}},
		"no origin": {faults: faults{intercept: func(_ http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Origin") != "" {
				r.Header.Del("Origin")
				r.Header.Set("Sec-Fetch-Site", "same-origin")
			}
			return false
		}}, want: map[string]string{"Origin": "trouble can open a stream"}},
		"no Authorization": {faults: faults{intercept: func(_ http.ResponseWriter, r *http.Request) bool {
			r.Header.Del("Authorization")
			return false
		}}, want: map[string]string{"login": "trouble does not reach the server"}},
		"its own clock": {faults: faults{change: func(r *http.Response) {
			r.Header.Set("Date", time.Now().Add(-5*time.Minute).UTC().Format(http.TimeFormat))
		}}, want: map[string]string{"clock": "trouble -"}},
		"says who it is": {faults: faults{change: func(r *http.Response) { r.Header.Set("Via", "1.1 squid") }}, want: map[string]string{"proxy": "note 1.1 squid"}},
		"moved": {faults: faults{intercept: func(w http.ResponseWriter, r *http.Request) bool {
			http.Redirect(w, r, "https://chat.example.com"+r.URL.Path, http.StatusMovedPermanently)
			return true
		}}, want: map[string]string{"reachable": "trouble https://chat.example.com"}},
		"no upstream": {faults: faults{intercept: func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(http.StatusBadGateway)
			return true
		}}, want: map[string]string{"reachable": "trouble 502"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			proxy := startBadProxy(t, p.URL, test.faults)
			status := 1
			if !strings.Contains(fmt.Sprint(test.want), "trouble") {
				status = 0
			}
			who := ada
			if alone := quiet[name]; alone != nil {
				who = alone
			}
			shell := harness.NewShell(t, "TANDEM_TOKEN="+who.AccessToken)
			got := shell.Examine(status, proxy.URL, test.args...)
			// A ping may fall into the second that should be quiet; then watch another second.
			for again := 0; test.faults.quiet > 0 && again < 3 && pinged(got); again++ {
				got = shell.Examine(status, proxy.URL, test.args...)
			}
			for check, want := range test.want {
				result, word, _ := strings.Cut(want, " ")
				if f := got[check]; f.Result != result || !strings.Contains(f.Detail, word) {
					t.Errorf("%s: %+v, want %s", check, f, want)
				}
				if f := got[check]; f.Result == "trouble" && f.Advice == "" && check != "buffering" && check != "login" {
					t.Errorf("%s: advice missing", check)
				}
			}
		})
	}
}

// pinged reports whether a watched stream got a ping.
func pinged(got map[string]harness.Finding) bool {
	for check, f := range got {
		if strings.HasPrefix(check, "idle ") && strings.Contains(f.Detail, "pings until then") {
			return true
		}
	}
	return false
}

// pack compresses an answer as a whole, as proxies do that do not handle streams.
func pack(r *http.Response) {
	if !strings.Contains(r.Request.Header.Get("Accept-Encoding"), "gzip") || r.Request.URL.Path != "/v1/events" || r.StatusCode != 200 {
		return
	}
	r.Header.Set("Content-Encoding", "gzip")
	r.Header.Del("Content-Length")
	from := r.Body
	in, out := io.Pipe()
	go func() {
		zip := gzip.NewWriter(out)
		_, _ = io.Copy(zip, from) // at the end of the stream
		_ = out.CloseWithError(zip.Close())
	}()
	r.Body = struct {
		io.Reader
		io.Closer
	}{in, from}
}

func TestDoctorChecksTLS(t *testing.T) {
	t.Parallel()
	cert, key, _ := harness.WriteCertificate(t, time.Now().Add(5*24*time.Hour))
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.TLSCert, cfg.TLSKey = cert, key })
	s := harness.NewShell(t, "SSL_CERT_FILE="+cert)
	got := s.Examine(1, p.URL, "--signup")
	for check, want := range map[string]string{
		"TLS": "trouble", "HTTP/2": "good", "WebSocket": "good", "SSE by GET, HTTP/1.1": "good", "SSE by GET, HTTP/2": "good", "SSE by POST, HTTP/2": "good", "cookie": "good",
	} {
		if got[check].Result != want {
			t.Errorf("%s: %+v, want %s", check, got[check], want)
		}
	}
	if f := got["TLS"]; !strings.Contains(f.Detail, "TLS 1.3") || !strings.Contains(f.Advice, "expires in 4 days") {
		t.Errorf("TLS: %+v", f)
	}
	if f := harness.NewShell(t).Examine(1, p.URL)["reachable"]; !strings.Contains(f.Advice, "whole chain") {
		t.Errorf("unknown certificate authority: %+v", f)
	}
	plain := harness.StartProgram(t)
	proxy := startBadProxy(t, plain.URL, faults{tls: true, noHTTP2: true})
	trust := filepath.Join(t.TempDir(), "proxy.pem")
	if err := os.WriteFile(trust, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	got = harness.NewShell(t, "SSL_CERT_FILE="+trust).Examine(0, proxy.URL, "--signup")
	if got["HTTP/2"].Result != "note" || got["TLS"].Result != "good" || got["cookie"].Result != "good" || !strings.Contains(got["cookie"].Detail, "Secure") {
		t.Errorf("behind TLS: %+v", got)
	}
}

func TestDoctorReportsWhatItCannotCheck(t *testing.T) {
	t.Parallel()
	p, ada, s := terminalTest(t)
	if got := harness.NewShell(t).Examine(2, p.URL); got["login"].Result != "unknown" || got["WebSocket"].Check != "" {
		t.Errorf("without a login: %+v", got)
	}
	var made struct{ Token string }
	ada.Do("POST", "/v1/tokens", harness.Fields{"name": "script"}).Want(201).Into(&made)
	if got := harness.NewShell(t, "TANDEM_TOKEN="+made.Token).Examine(2, p.URL); got["WebSocket"].Result != "good" || got["cookie"].Result != "unknown" {
		t.Errorf("with an API token: %+v", got)
	}
	if f := s.Examine(1, p.URL+"/chat")["reachable"]; !strings.Contains(f.Advice, "without the path /chat") {
		t.Errorf("with a path: %+v", f)
	}
	closed := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Signup = "closed" })
	if got := harness.NewShell(t).Examine(2, closed.URL, "--signup"); got["login"].Result != "unknown" {
		t.Errorf("sign-up closed: %+v", got)
	}
	name := harness.NewShell(t).Examine(0, p.URL, "--signup")["login"].Detail
	name = name[strings.LastIndexByte(name, ' ')+1:]
	if !strings.HasPrefix(name, "doctor-") || slices.Contains(ada.Names("/v1/users"), name) {
		t.Errorf("doctor's account still exists: %s", name)
	}
	s.Run("doctor", "ftp://nonsense").Want(1)
}

// TestDoctorBehindNginx examines a tandem behind a real nginx: first with the configuration that most people write,
// then with ours.
func TestDoctorBehindNginx(t *testing.T) {
	harness.Slow(t, "the doctor waits for what does not come")
	p := harness.StartProgram(t)
	ours, err := os.ReadFile("deploy/nginx.conf")
	if err != nil {
		t.Fatal(err)
	}
	first := `events {} http { server { listen 80; location / { proxy_pass http://tandem; ` +
		`proxy_ignore_headers X-Accel-Buffering; proxy_set_header Host $host; } } upstream tandem { server tandem-1:8080; } }`
	got := harness.NewShell(t).Examine(1, startNginx(t, p, first), "--signup")
	for check, want := range map[string]string{
		"WebSocket": "trouble", "SSE by GET": "trouble", "NDJSON": "trouble", "buffering": "trouble", "uploads": "trouble", "Origin": "trouble", "long poll": "good", "messages": "good",
	} {
		if got[check].Result != want {
			t.Errorf("%s: %+v, want %s", check, got[check], want)
		}
	}
	if !strings.Contains(got["proxy"].Detail, "nginx") || !strings.Contains(got["buffering"].Detail, "nginx") {
		t.Errorf("report does not name nginx: %+v", got)
	}
	harness.NewShell(t).Examine(0, startNginx(t, p, string(ours)), "--signup")
}

// startNginx runs nginx in front of p with a configuration in which it replaces the listener and the nodes.
func startNginx(t *testing.T, p *harness.Program, config string) (url string) {
	t.Helper()
	dir, address := t.TempDir(), harness.FreeAddress(t)
	config = strings.NewReplacer("listen 80;", "listen "+address+";", "server tandem-1:8080", "server "+p.Host(t),
		"server tandem-2:8080", "server "+p.Host(t), "worker_rlimit_nofile 65536;", "", "http {", "http { access_log off; "+
			"client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;").Replace(config)
	path := filepath.Join(dir, "nginx.conf")
	if err := os.WriteFile(path, []byte("daemon off; master_process off; pid nginx.pid; error_log stderr;\n"+config), 0o600); err != nil {
		t.Fatal(err)
	}
	nginx, err := exec.LookPath("nginx")
	if err != nil {
		nginx = "/usr/sbin/nginx" // may not be in PATH
	}
	cmd := exec.Command(nginx, "-p", dir, "-c", path)
	var logs bytes.Buffer
	cmd.Stderr = &logs
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(os.Interrupt)
		<-ended
	})
	for deadline := time.Now().Add(harness.Patience); ; time.Sleep(5 * time.Millisecond) {
		if resp, err := http.Get("http://" + address + "/healthz"); err == nil {
			resp.Body.Close()
			return "http://" + address
		}
		if time.Now().After(deadline) || len(ended) > 0 {
			t.Fatalf("nginx does not respond: %s", logs.String())
		}
	}
}
