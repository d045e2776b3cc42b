package security

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

// The metrics listener times out slow headers and bodies as the main one does.
func TestMetricsListenerTimesOut(t *testing.T) {
	harness.Slow(t, "its timeouts are 5 and 10 s")
	p := harness.StartProgram(t, harness.WithMetrics)
	for name, begin := range map[string]string{
		"nothing":       "",
		"half a header": "GET /metrics HTTP/1.1\r\nHost: x\r\n",
		"half a body":   "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
		"half a chunk":  "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := p.MetricsSocket(t)
			if _, err := io.WriteString(s, begin); err != nil {
				t.Fatal(err)
			}
			_ = s.SetReadDeadline(time.Now().Add(harness.Patience))
			if _, err := io.Copy(io.Discard, s); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("connection still open after %v", harness.Patience)
			}
		})
	}
	t.Run("a long header", func(t *testing.T) {
		t.Parallel()
		s := p.MetricsSocket(t)
		_, _ = io.WriteString(s, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 20<<10)+"\r\n\r\n")
		_ = s.SetReadDeadline(time.Now().Add(harness.Patience))
		text, _ := io.ReadAll(s)
		if !strings.HasPrefix(string(text), "HTTP/1.1 431") {
			t.Errorf("20 KiB of headers: response = %.40q, want 431", text)
		}
	})
}

// URLs and headers are limited in size, over HTTP/1 and HTTP/2.
func TestLongURLsAndHeadersAreRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartTLS(t)
	path := "/v1/rooms?x=" + strings.Repeat("x", 64<<10)
	for _, over := range []harness.Transport{harness.OverSSE, harness.OverH2} {
		own := p.Transport(over)
		defer own.CloseIdleConnections()
		r, _ := http.NewRequest("GET", p.URL+path, nil)
		resp, err := own.RoundTrip(r)
		if err != nil && over == harness.OverH2 && (strings.Contains(err.Error(), "GOAWAY") || strings.Contains(err.Error(), "advertised limit")) {
			continue // such a field ends the connection; a client that knows the limit does not send it
		}
		if err != nil {
			t.Fatalf("over %s: %v", over, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a URL of 64 KiB over %s got status %d", over, resp.StatusCode)
		}
	}
}

// A stream may name at most 200 rooms, so that one URL cannot ask for thousands of histories.
func TestRoomsPerOpeningAreBounded(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AnonymousRead)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	nobody := p.Visitor(t)
	for n, field := range map[int]string{201: "room", 2000: "query"} {
		nobody.Refused(harness.OverSSE, "history=100"+strings.Repeat("&room=lobby", n)).WantProblem(400, "invalid_request", field)
	}
	nobody.Open(harness.OverSSE, "history=100"+strings.Repeat("&room=lobby", 200)).Opening()
}

// Endless fragments and pings cannot keep the server busy.
func TestFloodsOfFramesWithoutMessages(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	for name, flood := range map[string]struct {
		first, each string
		code        int
	}{
		"pings":                          {"", harness.WireFrame(harness.Fin|harness.OpPing, "x"), 1008},
		"pongs":                          {"", harness.WireFrame(harness.Fin|harness.OpPong, ""), 1008},
		"empty fragments":                {harness.WireFrame(harness.OpText, ""), harness.WireFrame(harness.OpContinue, ""), 1008},
		"fragments of a byte, and pings": {harness.WireFrame(harness.OpText, "x"), harness.WireFrame(harness.OpContinue, "x") + harness.WireFrame(harness.Fin|harness.OpPing, ""), 1008},
		"long fragments":                 {harness.WireFrame(harness.OpText, "x"), harness.WireFrame(harness.OpContinue, strings.Repeat("x", 16<<10)), 1009},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := p.Socket(t)
			ada.In(t).Upgrade(w)
			go func() {
				if _, err := io.WriteString(w, flood.first); err != nil {
					return
				}
				for range 100_000 {
					if _, err := io.WriteString(w, flood.each); err != nil {
						return
					}
				}
			}()
			for {
				opcode, payload, err := w.Frame()
				if err != nil {
					t.Fatalf("the connection ended without a close frame: %v", err)
				}
				if opcode != harness.OpClose {
					continue
				}
				if code := int(payload[0])<<8 | int(payload[1]); code != flood.code {
					t.Errorf("the socket was closed with %d, want %d", code, flood.code)
				}
				return
			}
		})
	}
	p.StillServes(t)
}

// What a client sends to an SSE stream, or after the end of a WebSocket, is not read as fast as it arrives.
func TestUnwantedBytesAreReadSlowly(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	for name, begin := range map[string]func(*testing.T, *harness.Socket){
		"SSE": func(_ *testing.T, s *harness.Socket) {
			s.Send("", "GET /v1/events HTTP/1.1", "Host: x", ada.Bearer(), "")
		},
		"an ended WebSocket": func(t *testing.T, s *harness.Socket) {
			ada.In(t).Upgrade(s)
			_, _ = io.WriteString(s, harness.WireFrame(harness.Fin|harness.OpBinary, "x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := p.Socket(t)
			begin(t, s)
			go func() { _, _ = io.Copy(io.Discard, s.Reader) }()
			_ = s.SetWriteDeadline(time.Now().Add(5 * time.Second))
			if n, err := s.Write(make([]byte, 64<<20)); err == nil {
				t.Errorf("server accepted all %d MiB", n>>20)
			}
		})
	}
}

// A response that is read very slowly is given up after a minute. The kernel itself gives up on a client that reads
// nothing, so this one requests more than the kernel buffers, and reads a byte now and then.
func TestSlowReadersOfResponsesAreCutOff(t *testing.T) {
	harness.Slow(t, "an answer has a minute")
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for range 100 {
		ada.Post("lobby", strings.Repeat("😀", 4000))
	}
	const asked = 6
	s := p.Socket(t)
	_ = s.Conn.(*net.TCPConn).SetReadBuffer(4 << 10)
	for range asked {
		s.Send("", "GET /v1/rooms/lobby/messages?limit=100 HTTP/1.1", "Host: x", ada.Bearer(), "")
	}
	for deadline := time.Now().Add(program.AnswerTimeout + 10*time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if _, err := io.CopyN(io.Discard, s, 512); err != nil {
			return // the connection was cut
		}
	}
	// What the kernel had buffered still arrives.
	_ = s.Conn.(*net.TCPConn).SetReadBuffer(1 << 20)
	_ = s.SetReadDeadline(time.Now().Add(harness.Patience))
	if n, err := io.CopyN(io.Discard, s, asked<<20); err == nil {
		t.Errorf("all %d responses readable %v after the requests, want the connection closed", asked, program.AnswerTimeout+10*time.Second)
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("connection still open, got %d more bytes", n)
	}
}

// Anonymous streams are counted by address, behind a trusted proxy too.
func TestAnonymousStreamsAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.AnonymousRead, func(cfg *program.Settings) {
		cfg.LimitStreams = 2
		cfg.TrustedProxies = []string{"127.0.0.1"}
	})
	p.Signup(t, "ada").Enter("lobby")
	nobody := p.Visitor(t)
	from := func(address string) string { return "X-Forwarded-For: " + address }
	for i := range 2 {
		nobody.Open(harness.OverSSE, "room=lobby", from(fmt.Sprintf("2001:db8::%d", i))).Opening()
	}
	nobody.Refused(harness.OverSSE, "room=lobby", from("2001:db8::ffff:3")).WantProblem(429, "too_many_streams", "") // in the same network
	nobody.Open(harness.OverSSE, "room=lobby", from("2001:db8:0:1::1")).Opening()
}
