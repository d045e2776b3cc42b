package rooms

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// Texts that do harm if something interprets them.
var hostile = []string{
	"a\nlevel=ERROR msg=forged", "a\r\nX-Forged: yes", `"},{"forged":true,"x":"`, "=cmd|'/c calc'!A1", "<script>alert(1)</script>",
	"\x1b]0;forged\x07\x1b[2J", "a\u202egnp.exe", "event: forged\ndata: {}\n\n", "\u2028{\"type\":\"forged\"}",
}

// Whatever a client sends, a log record stays one line, in text and in JSON, with no fields other than ours.
func TestLogLinesCannotBeForged(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var mu sync.Mutex
		var out bytes.Buffer
		var handler slog.Handler = slog.NewTextHandler(&locked{&mu, &out}, &slog.HandlerOptions{Level: slog.LevelDebug})
		if format == "json" {
			handler = slog.NewJSONHandler(&locked{&mu, &out}, &slog.HandlerOptions{Level: slog.LevelDebug})
		}
		cfg := harness.Defaults()
		cfg.Addr, cfg.DataDir = "127.0.0.1:0", t.TempDir()
		cfg.DatabaseURL = harness.DatabaseOf(t, cfg.DataDir)
		cfg.LimitPosts, cfg.LimitLogins, cfg.LimitSignups, cfg.LimitStreams = 0, 0, 0, 0
		running, err := program.Start(context.Background(), cfg, harness.ReadSpec(t), slog.New(handler))
		if err != nil {
			t.Fatal(err)
		}
		p := &harness.Program{Server: harness.NewServer(t, running.URL(), harness.NewLogBook(t)), Settings: cfg, Running: running}
		ada := p.Signup(t, "ada")
		ada.Enter("lobby")
		for _, text := range hostile {
			path := "/v1/rooms/" + url.PathEscape(text)
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				ada.Do(method, path, nil)
			}
			ada.Do("GET", "/nowhere/"+url.PathEscape(text), nil)
			oneLine := strings.NewReplacer("\r", "", "\n", "", "\x1b", "", "\x07", "").Replace(text)
			for _, name := range []string{"X-Request-Id", "Origin", "Last-Event-ID", "User-Agent", "Referer", "X-Forwarded-For"} {
				ada.Do("GET", "/v1/me", nil, name+": "+oneLine)
			}
			ada.Post("lobby", text)
		}
		p.Stop(t)
		mu.Lock()
		for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n"), "\n") {
			begins := "time="
			if format == "json" {
				begins = "{"
				if !json.Valid([]byte(line)) {
					t.Errorf("invalid JSON record: %q", line)
				}
			}
			if !strings.HasPrefix(line, begins) || strings.ContainsAny(line, "\r\x1b\x07\u2028\u202e") {
				t.Errorf("%s record = %q", format, line)
			}
		}
		mu.Unlock()
	}
}

type locked struct {
	mu  *sync.Mutex
	out *bytes.Buffer
}

func (l *locked) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.out.Write(p)
}

// Headers from a client are not repeated in ours, except for a well-formed request id.
func TestHeadersAreNotReflected(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Origins = []string{"https://app.example"} })
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, text := range []string{"https://evil.example", "null", `"><script>`, "https://app.example.evil.example", "https://app.example\u202e"} {
		for _, name := range []string{"Origin", "X-Request-Id", "Last-Event-ID", "Accept"} {
			a := ada.Do("GET", "/v1/me", nil, name+": "+text)
			for header, values := range a.Header {
				plain := header == "X-Request-Id" && text == "null" // a valid id
				if !plain && strings.Contains(strings.Join(values, " "), text) {
					t.Errorf("%s: %s repeated in header %s: %s", name, text, header, values)
				}
			}
			if strings.Contains(string(a.Body), text) {
				t.Errorf("%s: %s repeated in %s", name, text, a.Body)
			}
		}
	}
	// An invalid cursor causes a reset and is not repeated.
	s := ada.Open(harness.OverSSE, "room=lobby", "Last-Event-ID: \"><script>alert(1)</script>")
	if open := s.Opening(); strings.Contains(string(open.Raw), "script") {
		t.Errorf("stream_open = %s", open.Raw)
	}
}

// An export has one JSON value per line, even of hostile texts.
func TestExportOfHostileTextsIsJSONLines(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, text := range hostile {
		ada.Post("lobby", text)
	}
	p.Stop(t)
	var out bytes.Buffer
	admin, err := program.OpenAdmin(t.Context(), p.Settings)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	if err := admin.Export(t.Context(), &out, true); err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n"), "\n") {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Errorf("%q is not JSON: %v", line, err)
		}
		if record["forged"] != nil {
			t.Errorf("forged log record: %s", line)
		}
		for _, text := range hostile {
			if record["message"] == text {
				found++
			}
		}
	}
	if found != len(hostile) {
		t.Errorf("export contains %d of %d messages unchanged:\n%.2000s", found, len(hostile), &out)
	}
}
