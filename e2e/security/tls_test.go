package security

import (
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// Every transport works over TLS: a poll and a POST over HTTP/1.1, a stream over HTTP/2, a WebSocket.
func TestStreamsOverTLS(t *testing.T) {
	t.Parallel()
	p := harness.StartTLS(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	if !strings.HasPrefix(p.URL, "https://") {
		t.Errorf("URL = %s, want https", p.URL)
	}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		s := ada.Open(over, "room=lobby&history=1")
		s.Opening()
		first := bob.Post("lobby", "one over "+string(over))
		s.UntilMessage(first.Message)
		s.Close()
		missed := bob.Post("lobby", "missed")
		again := ada.Open(over, fmt.Sprintf("room=lobby&since=%d.%s", first.ID, s.Open.Log))
		again.Opening()
		if got := again.Message("missed"); got.ID != missed.ID {
			t.Errorf("missed message: got %s, want id %d", got.Raw, missed.ID)
		}
	})
	// Several streams share one connection: each ends separately, and a stop ends all.
	shared := p.Transport(harness.OverH2)
	defer shared.CloseIdleConnections()
	for range 3 {
		req, _ := http.NewRequest("GET", p.URL+"/v1/events?room=lobby", nil)
		req.Header.Set("Authorization", "Bearer "+ada.AccessToken)
		resp, err := shared.RoundTrip(req)
		if err != nil || resp.ProtoMajor != 2 {
			t.Fatalf("stream on the shared connection: got %v, %v, want HTTP/2", resp, err)
		}
		next := harness.SSEEvents(resp.Body)
		if e, err := next(); err != nil || e.Type != "stream_open" {
			t.Fatalf("first event: got %s, %v, want stream_open", e.Raw, err)
		}
		resp.Body.Close()
	}
	watch := ada.Open(harness.OverH2, "room=lobby")
	watch.Opening()
	p.Stop(t)
	watch.AssertClosed("restart", 0)
}

func TestCurlFollowsOverHTTP2(t *testing.T) {
	t.Parallel()
	curl, err := exec.LookPath("curl")
	if err != nil {
		testservers.Need(t, fmt.Errorf("curl %w", testservers.ErrMissing))
	}
	p := harness.StartTLS(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Post("lobby", "by curl")
	cmd := exec.Command(curl, "-sS", "-N", "-k", "--http2", "--max-time", "3", "-w", "version %{http_version}", "-H", "Accept: application/x-ndjson",
		"-H", "Authorization: Bearer "+ada.AccessToken, p.URL+"/v1/events?room=lobby&history=1")
	out, _ := cmd.Output() // it ends when its time is over
	if !strings.Contains(string(out), `"message":"by curl"`) || !strings.HasSuffix(string(out), "version 2") {
		t.Errorf("curl got %s", out)
	}
}

func TestMismatchedCertificateIsReported(t *testing.T) {
	t.Parallel()
	cert, key, _ := harness.WriteCertificate(t, time.Now().Add(time.Hour))
	old, oldKey, _ := harness.WriteCertificate(t, time.Now().Add(-time.Hour))
	for name, test := range map[string]struct{ cert, key, want string }{
		"no key":      {cert, "", "tls-key"},
		"no cert":     {"", key, "tls-cert"},
		"no such":     {cert + "x", key, "tls-cert: "},
		"no such key": {cert, key + "x", "tls-key: "},
		"not a pair":  {cert, oldKey, "tls-cert and tls-key: "},
		"expired":     {old, oldKey, "tls-cert: it expired"},
	} {
		cfg := harness.Defaults()
		cfg.DataDir, cfg.TLSCert, cfg.TLSKey = t.TempDir(), test.cert, test.key
		wrong := cfg.Check(harness.ReadSpec(t))
		if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), test.want) {
			t.Errorf("%s: Check: got %v, want one error with %q", name, wrong, test.want)
		}
	}
	cfg := harness.Defaults()
	cfg.DataDir, cfg.TLSCert, cfg.TLSKey = t.TempDir(), cert, key
	if wrong := cfg.Check(harness.ReadSpec(t)); len(wrong) != 0 {
		t.Errorf("a good pair: %v, want none", wrong)
	}
}
