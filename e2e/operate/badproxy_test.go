package operate

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// faults says what a bad proxy does to its clients, as frontend/test/proxy.mjs does to browsers.
type faults struct {
	noSocket  bool                                              // WebSocket handshakes are refused
	buffer    func(*http.Request) bool                          // headers pass at once, bodies when they are complete
	cut       time.Duration                                     // every connection ends after this time
	quiet     time.Duration                                     // a connection ends when nothing was sent on it for this time
	maxBody   int64                                             // longer bodies are answered with 413
	lose      func(*http.Request) bool                          // the server's answer is dropped
	host      string                                            // sent instead of the client's
	change    func(*http.Response)                              // modifies answers
	intercept func(w http.ResponseWriter, r *http.Request) bool // answers itself
	tls       bool                                              // HTTPS, with HTTP/2
	noHTTP2   bool
}

// badProxy is a proxy with faults in front of a server.
type badProxy struct {
	*httptest.Server
	mu   sync.Mutex
	seen []string // methods and paths
}

func startBadProxy(t *testing.T, target string, f faults) *badProxy {
	t.Helper()
	to, err := url.Parse(target)
	if err != nil {
		t.Fatal(err)
	}
	p := &badProxy{}
	backend := &http.Transport{MaxIdleConnsPerHost: 16}
	passing := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
			if f.host != "" {
				r.Out.Host = f.host
			}
		},
		FlushInterval: -1,
		Transport:     backend,
		ErrorLog:      log.New(io.Discard, "", 0), // broken connections are its purpose
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ModifyResponse: func(resp *http.Response) error {
			if f.change != nil {
				f.change(resp)
			}
			if f.lose != nil && f.lose(resp.Request) {
				return errors.New("lost")
			}
			if f.buffer != nil && f.buffer(resp.Request) && resp.StatusCode != http.StatusSwitchingProtocols {
				resp.Body = &held{from: resp.Body}
			}
			return nil
		},
	}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mu.Lock()
		p.seen = append(p.seen, r.Method+" "+r.URL.Path)
		p.mu.Unlock()
		switch {
		case f.intercept != nil && f.intercept(w, r):
		case f.noSocket && strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
			w.WriteHeader(http.StatusForbidden)
		case f.maxBody > 0 && r.ContentLength > f.maxBody:
			http.Error(w, "<html>413 Request Entity Too Large</html>", http.StatusRequestEntityTooLarge)
		default:
			passing.ServeHTTP(w, r)
		}
	}))
	p.Config.ErrorLog = log.New(io.Discard, "", 0)
	if f.cut > 0 {
		p.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
			time.AfterFunc(f.cut, func() { _ = c.Close() })
			return ctx
		}
	}
	if f.quiet > 0 {
		p.Listener = impatient{p.Listener, f.quiet}
	}
	if f.tls {
		p.EnableHTTP2 = !f.noHTTP2
		p.StartTLS()
	} else {
		p.Start()
	}
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
		backend.CloseIdleConnections()
	})
	return p
}

// count returns how many requests with this method and path arrived.
func (p *badProxy) count(call string) (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(p.seen), func(s string) bool { return s != call }))
}

// held is a body that arrives when it is complete.
type held struct {
	from io.ReadCloser
	all  *bytes.Reader
}

func (h *held) Read(p []byte) (int, error) {
	if h.all == nil {
		all, err := io.ReadAll(h.from)
		if err != nil {
			return 0, err
		}
		h.all = bytes.NewReader(all)
	}
	return h.all.Read(p)
}

func (h *held) Close() error { return h.from.Close() }

// impatient closes connections on which nothing was written for some time.
type impatient struct {
	net.Listener
	after time.Duration
}

func (l impatient) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &impatientConn{c, time.AfterFunc(l.after, func() { _ = c.Close() }), l.after}, nil
}

type impatientConn struct {
	net.Conn
	timer *time.Timer
	after time.Duration
}

func (c *impatientConn) Write(p []byte) (int, error) {
	c.timer.Reset(c.after)
	return c.Conn.Write(p)
}
