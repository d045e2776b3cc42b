package program

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/url"
	"strings"
	"sync"
	"testing"
)

// Texts that would do harm if anything took them for more than text.
var hostile = []string{
	"a\nlevel=ERROR msg=forged", "a\r\nX-Forged: yes", `"},{"forged":true,"x":"`, "=cmd|'/c calc'!A1", "<script>alert(1)</script>",
	"\x1b]0;forged\x07\x1b[2J", "a\u202egnp.exe", "event: forged\ndata: {}\n\n", "\u2028{\"type\":\"forged\"}",
}

// Whatever a client sends where it ends up in the log, a record is a line, in text and in JSON, and says no more than we do.
func TestLogLinesCannotBeForged(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"text", "json"} {
		var mu sync.Mutex
		var out bytes.Buffer
		var handler slog.Handler = slog.NewTextHandler(&locked{&mu, &out}, &slog.HandlerOptions{Level: slog.LevelDebug})
		if format == "json" {
			handler = slog.NewJSONHandler(&locked{&mu, &out}, &slog.HandlerOptions{Level: slog.LevelDebug})
		}
		cfg := Defaults()
		cfg.Addr, cfg.DataDir = "127.0.0.1:0", t.TempDir()
		cfg.DatabaseURL = databaseOf(t, cfg.DataDir)
		cfg.LimitPosts, cfg.LimitLogins, cfg.LimitSignups, cfg.LimitStreams = 0, 0, 0, 0
		running, err := Start(context.Background(), cfg, readSpec(t), slog.New(handler))
		if err != nil {
			t.Fatal(err)
		}
		p := &testProgram{testServer: newTestServer(t, running.URL(), newLogBook(t)), settings: cfg, running: running}
		ada := p.signup(t, "ada")
		ada.enter("lobby")
		for _, text := range hostile {
			path := "/v1/rooms/" + url.PathEscape(text)
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				ada.do(method, path, nil)
			}
			ada.do("GET", "/nowhere/"+url.PathEscape(text), nil)
			oneLine := strings.NewReplacer("\r", "", "\n", "", "\x1b", "", "\x07", "").Replace(text)
			for _, name := range []string{"X-Request-Id", "Origin", "Last-Event-ID", "User-Agent", "Referer", "X-Forwarded-For"} {
				ada.do("GET", "/v1/me", nil, name+": "+oneLine)
			}
			ada.post("lobby", text)
		}
		p.stop(t)
		mu.Lock()
		for line := range strings.SplitSeq(strings.TrimSuffix(out.String(), "\n"), "\n") {
			begins := "time="
			if format == "json" {
				begins = "{"
				if !json.Valid([]byte(line)) {
					t.Errorf("not a JSON record: %q", line)
				}
			}
			if !strings.HasPrefix(line, begins) || strings.ContainsAny(line, "\r\x1b\x07\u2028\u202e") {
				t.Errorf("a record of format %s is %q", format, line)
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

// Headers that a client sends come back in none of ours, but for a request id that is plain.
func TestHeadersAreNotReflected(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.Origins = []string{"https://app.example"} })
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, text := range []string{"https://evil.example", "null", `"><script>`, "https://app.example.evil.example", "https://app.example\u202e"} {
		for _, name := range []string{"Origin", "X-Request-Id", "Last-Event-ID", "Accept"} {
			a := ada.do("GET", "/v1/me", nil, name+": "+text)
			for header, values := range a.header {
				plain := header == "X-Request-Id" && text == "null" // is what an id may be
				if !plain && strings.Contains(strings.Join(values, " "), text) {
					t.Errorf("%s: %s comes back in %s: %s", name, text, header, values)
				}
			}
			if strings.Contains(string(a.body), text) {
				t.Errorf("%s: %s comes back in %s", name, text, a.body)
			}
		}
	}
	// A cursor that is none is reset, and not repeated.
	s := ada.open(overSSE, "room=lobby", "Last-Event-ID: \"><script>alert(1)</script>")
	if open := s.opening(); strings.Contains(string(open.raw), "script") {
		t.Errorf("stream_open says %s", open.raw)
	}
}

// An export is a JSON value a line, whatever was written.
func TestExportOfHostileTextsIsJSONLines(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, text := range hostile {
		ada.post("lobby", text)
	}
	p.stop(t)
	var out bytes.Buffer
	admin, err := OpenAdmin(t.Context(), p.settings)
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
			t.Errorf("%q is no JSON: %v", line, err)
		}
		if record["forged"] != nil {
			t.Errorf("a record was forged: %s", line)
		}
		for _, text := range hostile {
			if record["message"] == text {
				found++
			}
		}
	}
	if found != len(hostile) {
		t.Errorf("%d of %d messages are in the export as they were written:\n%.2000s", found, len(hostile), &out)
	}
}
