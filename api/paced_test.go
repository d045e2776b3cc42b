package api

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/labstack/echo/v4"
)

// pipes is a listener with connections in memory, whose deadlines follow the test's clock.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	c, ok := <-p
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (pipes) Close() error   { return nil }
func (pipes) Addr() net.Addr { return &net.TCPAddr{} }

// serveOne serves one connection as the program does, and returns the client's end.
func serveOne(t *testing.T, handler echo.HandlerFunc) net.Conn {
	t.Helper()
	e := echo.New()
	e.Any("/", handler)
	p := make(pipes)
	server := http.Server{Handler: e, WriteTimeout: time.Minute, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(p) // ends with p
	}()
	client, end := net.Pipe()
	p <- end
	t.Cleanup(func() {
		_ = client.Close()
		close(p)
		<-done
		_ = server.Close()
	})
	return client
}

// An upload may take as long as it makes progress, and is aborted if nothing arrives, or too little.
func TestUploadsMayTakeLongWhileTheyProgress(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int           // of each piece
		every time.Duration // between pieces
		count int           // of pieces
		cut   time.Duration // when it must be aborted; 0 means never
	}{
		{"at 1.5 times the slowest rate", 3 * slowest, 2 * time.Second, 600, 0}, // 20 minutes
		{"in pieces with long pauses", slowest * 40, idleFor - time.Second, 40, 0},
		{"nothing after the first piece", 100, time.Hour, 2, idleFor},
		{"a lot, and then nothing", 1 << 20, 2 * time.Second, 5, 8*time.Second + idleFor},
		{"a byte now and then", 1, 10 * time.Second, 100, idleFor},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				read := make(chan error, 1)
				began := time.Now()
				client := serveOne(t, func(c echo.Context) error {
					body := newPacedBody(c)
					_, err := io.Copy(io.Discard, body)
					body.end()
					read <- err
					return c.String(http.StatusCreated, "made")
				})
				given, sent := make(chan struct{}), make(chan struct{})
				defer func() { close(given); _ = client.Close(); <-sent }()
				go func() {
					defer close(sent)
					_, _ = io.WriteString(client, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
					piece := []byte(strings.Repeat("x", c.size))
					for range c.count {
						w := bufio.NewWriter(client)
						_, _ = w.WriteString(hexLength(c.size) + "\r\n")
						_, _ = w.Write(piece)
						_, _ = w.WriteString("\r\n")
						if w.Flush() != nil {
							return
						}
						select {
						case <-time.After(c.every):
						case <-given:
							return
						}
					}
					if c.cut == 0 {
						_, _ = io.WriteString(client, "0\r\n\r\n")
					}
				}()
				answered := make(chan string, 1)
				go func() {
					line, _ := bufio.NewReader(client).ReadString('\n')
					answered <- line
				}()
				err := <-read
				took := time.Since(began)
				if c.cut == 0 {
					if err != nil {
						t.Fatalf("upload aborted after %s: %v", took, err)
					}
					if line := <-answered; !strings.HasPrefix(line, "HTTP/1.1 201") {
						t.Errorf("after %s response = %q", took, line)
					}
					return
				}
				if !errors.Is(err, os.ErrDeadlineExceeded) || took < c.cut || took > c.cut+deadlineEvery+slack(c.every) {
					t.Errorf("upload ended after %s with %v", took, err)
				}
			})
		})
	}
}

// slack is how late a deadline may be noticed, since it is only moved when data arrives.
func slack(every time.Duration) time.Duration { return min(every, idleFor) }

func hexLength(n int) string {
	const digits = "0123456789abcdef"
	text := ""
	for ; n > 0; n /= 16 {
		text = digits[n%16:n%16+1] + text
	}
	return text
}

// A download may take as long as it is read, and is cut if it is not.
func TestDownloadsMayTakeLongWhileTheyAreRead(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 128<<10) // 2 MiB
	serve := func(ended chan<- error) echo.HandlerFunc {
		return func(c echo.Context) error {
			w := &pacedAnswer{ResponseWriter: c.Response(), conn: http.NewResponseController(c.Response())}
			http.ServeContent(w, c.Request(), "x.bin", time.Time{}, bytes.NewReader(content))
			_, err := w.Write([]byte("")) // the connection is checked below
			ended <- err
			return nil
		}
	}
	t.Run("a slow reader", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan error, 1)
			client := serveOne(t, serve(ended))
			go func() { _, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
			began, got := time.Now(), []byte{}
			buffer := make([]byte, 64<<10)
			for !bytes.HasSuffix(got, content[len(content)-32:]) || len(got) < len(content) {
				n, err := client.Read(buffer)
				got = append(got, buffer[:n]...)
				if err != nil {
					t.Fatalf("download ended with %v after %s and %d bytes", err, time.Since(began), len(got))
				}
				time.Sleep(5 * time.Second)
			}
			if took := time.Since(began); took < 5*time.Minute {
				t.Errorf("download took only %s, want at least 5m", took)
			}
			if !bytes.HasSuffix(got, content) {
				t.Error("the content differs")
			}
		})
	})
	t.Run("a reader that stops", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ended := make(chan error, 1)
			client := serveOne(t, serve(ended))
			began := time.Now()
			go func() { _, _ = io.WriteString(client, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") }()
			if _, err := io.ReadFull(client, make([]byte, 100_000)); err != nil {
				t.Fatal(err)
			}
			<-ended
			if took := time.Since(began); took < idleFor || took > idleFor+2*deadlineEvery {
				t.Errorf("download ended after %s", took)
			}
		})
	})
}
