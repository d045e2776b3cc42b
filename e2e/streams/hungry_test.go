package streams

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// The server never reads more than the body limit, or waits longer than it says, on any path, with or without a token.
func TestUnwantedBodiesAreNotRead(t *testing.T) {
	t.Parallel()
	p := harness.StartBinary(t, t.TempDir())
	ada := p.Signup(t, "ada")
	before := harness.ResidentKiB(t, p)
	for _, call := range []string{"GET /v1/events?room=lobby", "GET /v1/me", "PUT /v1/rooms/lobby", "GET /nowhere", "POST /v1/auth/ticket", "POST /v1/events?room=lobby"} {
		method, target, _ := strings.Cut(call, " ")
		for _, token := range []string{"", "Authorization: Bearer " + ada.AccessToken + "\r\n"} {
			conn, err := net.Dial("tcp", p.Host(t))
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(harness.Patience))
			fmt.Fprintf(conn, "%s %s HTTP/1.1\r\nHost: x\r\n%sTransfer-Encoding: chunked\r\n\r\n", method, target, token)
			chunk := "10000\r\n" + strings.Repeat("x", 0x10000) + "\r\n"
			for range 1600 { // 100 MiB
				if _, err := io.WriteString(conn, chunk); err != nil {
					break // the server has refused the rest
				}
			}
			conn.Close()
		}
	}
	if after := harness.ResidentKiB(t, p); after > before+60<<10 {
		t.Errorf("the server grew from %d to %d KiB", before, after)
	}
}

func TestMissingBodiesAreNotAwaited(t *testing.T) {
	harness.Slow(t, "the contract's own 10 s")
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	bearer := "Authorization: Bearer " + ada.AccessToken + "\r\n"
	for name, head := range map[string]string{
		"no token":         "POST /v1/rooms/lobby/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"no path":          "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"too large":        "POST /v1/auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n",
		"no body expected": "GET /v1/me HTTP/1.1\r\nHost: x\r\n" + bearer + "Content-Length: 10\r\n\r\n",
		"chunked":          "PUT /v1/rooms/lobby HTTP/1.1\r\nHost: x\r\n" + bearer + "Transfer-Encoding: chunked\r\n\r\n",
		"health":           "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn, err := net.Dial("tcp", p.Host(t))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			_ = conn.SetDeadline(time.Now().Add(harness.Patience))
			if _, err := io.WriteString(conn, head); err != nil {
				t.Fatal(err)
			}
			// An answer, or the end of the connection: not silence.
			resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err == nil {
				resp.Body.Close()
			} else if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
				t.Error("the server does not give up on the connection")
			}
		})
	}
}
