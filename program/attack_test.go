package program

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What anybody may try before they have logged in, and what it must not cost (docs/security.md).

func withMetrics(cfg *Settings) { cfg.MetricsAddr = "127.0.0.1:0" }

// metricsSocket is a connection to the listener of the metrics.
func (p *testProgram) metricsSocket(t *testing.T) *socket {
	t.Helper()
	conn, err := net.Dial("tcp", p.running.metrics.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &socket{Conn: conn, t: t}
}

// The metrics' listener gives slow headers and slow bodies no more time than the main one.
func TestMetricsListenerIsNotHeld(t *testing.T) {
	slow(t, "its timeouts are 5 and 10 s")
	p := startProgram(t, withMetrics)
	for name, begin := range map[string]string{
		"nothing":       "",
		"half a header": "GET /metrics HTTP/1.1\r\nHost: x\r\n",
		"half a body":   "GET /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf",
		"half a chunk":  "POST /nowhere HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n100\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := p.metricsSocket(t)
			if _, err := io.WriteString(s, begin); err != nil {
				t.Fatal(err)
			}
			_ = s.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, s); err != nil && strings.Contains(err.Error(), "timeout") {
				t.Errorf("the connection is still open after %v", patience)
			}
		})
	}
	t.Run("a long header", func(t *testing.T) {
		t.Parallel()
		s := p.metricsSocket(t)
		_, _ = io.WriteString(s, "GET /metrics HTTP/1.1\r\nHost: x\r\nX: "+strings.Repeat("x", 20<<10)+"\r\n\r\n")
		_ = s.SetReadDeadline(time.Now().Add(patience))
		text, _ := io.ReadAll(s)
		if !strings.HasPrefix(string(text), "HTTP/1.1 431") {
			t.Errorf("20 KiB of header are answered %.40q", text)
		}
	})
}

// URLs and headers have a bound, over HTTP/1 and HTTP/2.
func TestLongURLsAndHeadersAreRefused(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	path := "/v1/rooms?x=" + strings.Repeat("x", 64<<10)
	for _, over := range []transport{overSSE, overH2} {
		own := p.transport(over)
		defer own.CloseIdleConnections()
		r, _ := http.NewRequest("GET", p.url+path, nil)
		resp, err := own.RoundTrip(r)
		if err != nil && over == overH2 && strings.Contains(err.Error(), "GOAWAY") {
			continue // a field that long ends the connection
		}
		if err != nil {
			t.Fatalf("over %s: %v", over, err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a URL of 64 KiB over %s is answered %d", over, resp.StatusCode)
		}
	}
}

// Of rooms in one opening there are at most 200, so that a URL cannot ask for thousands of histories.
func TestRoomsOfOneOpeningAreBounded(t *testing.T) {
	t.Parallel()
	p := startProgram(t, anonymousRead)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	nobody := p.visitor(t)
	for n, field := range map[int]string{201: "room", 2000: "query"} {
		nobody.refused(overSSE, "history=100"+strings.Repeat("&room=lobby", n)).wantProblem(400, "invalid_request", field)
	}
	nobody.open(overSSE, "history=100"+strings.Repeat("&room=lobby", 200)).opening()
}

// Fragments that never make a message, and pings, are no way to keep the server busy.
func TestFloodsOfFramesThatBringNoMessage(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	for name, flood := range map[string]struct {
		first, each string
		code        int
	}{
		"pings":                          {"", wireFrame(fin|opPing, "x"), 1008},
		"pongs":                          {"", wireFrame(fin|opPong, ""), 1008},
		"empty fragments":                {wireFrame(opText, ""), wireFrame(opContinue, ""), 1008},
		"fragments of a byte, and pings": {wireFrame(opText, "x"), wireFrame(opContinue, "x") + wireFrame(fin|opPing, ""), 1008},
		"long fragments":                 {wireFrame(opText, "x"), wireFrame(opContinue, strings.Repeat("x", 16<<10)), 1009},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := p.socket(t)
			ada.in(t).upgrade(w)
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
				opcode, payload, err := w.frame()
				if err != nil {
					t.Fatalf("the connection ended without a close frame: %v", err)
				}
				if opcode != opClose {
					continue
				}
				if code := int(payload[0])<<8 | int(payload[1]); code != flood.code {
					t.Errorf("it is closed with %d, want %d", code, flood.code)
				}
				return
			}
		})
	}
	p.stillServes(t)
}

// What is sent where nobody listens, on an SSE stream or behind the end of a WebSocket, is not read as fast as it comes.
func TestBytesThatNobodyWantsAreReadSlowly(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	for name, begin := range map[string]func(*testing.T, *socket){
		"SSE": func(_ *testing.T, s *socket) { s.send("", "GET /v1/events HTTP/1.1", "Host: x", ada.bearer(), "") },
		"an ended WebSocket": func(t *testing.T, s *socket) {
			ada.in(t).upgrade(s)
			_, _ = io.WriteString(s, wireFrame(fin|opBinary, "x"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := p.socket(t)
			begin(t, s)
			go func() { _, _ = io.Copy(io.Discard, s.reader) }()
			_ = s.SetWriteDeadline(time.Now().Add(5 * time.Second))
			if n, err := s.Write(make([]byte, 64<<20)); err == nil {
				t.Errorf("all of %d MiB were taken", n>>20)
			}
		})
	}
}

// An answer that is hardly read is given up after a minute.
func TestSlowReadersOfAnswersAreCutOff(t *testing.T) {
	slow(t, "an answer has a minute")
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for range 100 {
		ada.post("lobby", strings.Repeat("\u2764", 4000))
	}
	s := p.socket(t)
	_ = s.Conn.(*net.TCPConn).SetReadBuffer(4 << 10) // else the kernel takes the whole answer
	s.send("", "GET /v1/rooms/lobby/messages?limit=100 HTTP/1.1", "Host: x", ada.bearer(), "")
	time.Sleep(answerTimeout + 5*time.Second)
	_ = s.SetReadDeadline(time.Now().Add(patience))
	resp, err := http.ReadResponse(s.reader, nil)
	if err != nil {
		return // it was cut before its header was read
	}
	defer resp.Body.Close()
	if n, err := io.Copy(io.Discard, resp.Body); err == nil {
		t.Errorf("an answer of %d bytes could be read after %v", n, answerTimeout+5*time.Second)
	}
}

// Streams without an account are counted by address, behind a trusted proxy too.
func TestAnonymousStreamsAreLimitedByAddress(t *testing.T) {
	t.Parallel()
	p := startProgram(t, anonymousRead, func(cfg *Settings) {
		cfg.LimitStreams = 2
		cfg.TrustedProxies = []string{"127.0.0.1"}
	})
	p.signup(t, "ada").enter("lobby")
	nobody := p.visitor(t)
	from := func(address string) string { return "X-Forwarded-For: " + address }
	for i := range 2 {
		nobody.open(overSSE, "room=lobby", from(fmt.Sprintf("2001:db8::%d", i))).opening()
	}
	nobody.refused(overSSE, "room=lobby", from("2001:db8::ffff:3")).wantProblem(429, "too_many_streams", "") // of the same network
	nobody.open(overSSE, "room=lobby", from("2001:db8:0:1::1")).opening()
}
