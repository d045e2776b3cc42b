package cluster

import (
	"bufio"
	"context"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// door acts as the front end of a serverless platform. It sends each request to the next instance. It cuts a request
// after quiet without data, and after total in any case. An instance without requests gets no CPU time: it is frozen
// (SIGSTOP) until a request arrives.
type door struct {
	*httptest.Server
	quiet, total atomic.Int64 // nanoseconds; 0 means never
	freezing     atomic.Bool
	cuts         atomic.Int64 // requests that were cut

	mu        sync.Mutex
	instances []*instance
	turn      int
}

// instance is a process behind the door.
type instance struct {
	*harness.Process
	door    *door
	passing *httputil.ReverseProxy
	own     *http.Transport
	open    int // requests; under door.mu, as is the next
	frozen  bool
	thawed  int // number of times
}

func openDoor(t *testing.T) *door {
	d := &door{}
	d.Server = httptest.NewUnstartedServer(d)
	d.Config.ErrorLog = log.New(io.Discard, "", 0)
	d.Start()
	t.Cleanup(func() {
		d.CloseClientConnections()
		d.Close()
	})
	return d
}

// admit adds p to the instances that get requests.
func (d *door) admit(t *testing.T, p *harness.Process) *instance {
	to, err := url.Parse(p.URL)
	if err != nil {
		t.Fatal(err)
	}
	i := &instance{Process: p, door: d, own: &http.Transport{MaxIdleConnsPerHost: 64}}
	i.passing = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(to)
			r.SetXForwarded()
			r.Out.Host = r.In.Host
		},
		FlushInterval: -1,
		Transport:     i.own,
		ErrorLog:      d.Config.ErrorLog,
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	t.Cleanup(func() {
		i.thaw()
		i.own.CloseIdleConnections()
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.instances = append(d.instances, i)
	return i
}

// dismiss removes i from the instances that get requests, and stops it with 10 s of notice, during which it has CPU
// time.
func (d *door) dismiss(t *testing.T, i *instance) {
	d.mu.Lock()
	d.instances = slices.DeleteFunc(d.instances, func(other *instance) bool { return other == i })
	i.open++ // so that it is never frozen again
	d.mu.Unlock()
	i.thaw()
	i.Terminate(t) // the instance must exit by itself
	i.own.CloseIdleConnections()
}

func (i *instance) thaw() {
	i.door.mu.Lock()
	defer i.door.mu.Unlock()
	if i.frozen {
		_ = i.Cmd.Process.Signal(syscall.SIGCONT) // it may have exited
		i.frozen = false
		i.thawed++
	}
}

func (d *door) allFrozen() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !slices.ContainsFunc(d.instances, func(i *instance) bool { return !i.frozen })
}

// next wakes the next instance and returns it.
func (d *door) next() *instance {
	d.mu.Lock()
	d.turn++
	i := d.instances[d.turn%len(d.instances)]
	i.open++
	d.mu.Unlock()
	i.thaw()
	return i
}

// leave records that a request to i has ended.
func (i *instance) leave() {
	i.door.mu.Lock()
	defer i.door.mu.Unlock()
	i.open--
	i.rest()
}

// rest freezes i if it has no requests. The caller holds door.mu.
func (i *instance) rest() {
	if i.open == 0 && !i.frozen && i.door.freezing.Load() {
		_ = i.Cmd.Process.Signal(syscall.SIGSTOP)
		i.frozen = true
	}
}

// freeze turns on freezing of instances without requests.
func (d *door) freeze() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.freezing.Store(true)
	for _, i := range d.instances {
		i.rest()
	}
}

func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	i := d.next()
	defer i.leave()
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	watched := &watchedAnswer{ResponseWriter: w, quiet: time.Duration(d.quiet.Load())}
	cut := func() {
		d.cuts.Add(1)
		cancel()
		watched.cut()
	}
	if watched.quiet > 0 {
		watched.timer = time.AfterFunc(watched.quiet, cut)
		defer watched.timer.Stop()
	}
	if total := time.Duration(d.total.Load()); total > 0 {
		defer time.AfterFunc(total, cut).Stop()
	}
	i.passing.ServeHTTP(watched, r.WithContext(ctx))
}

// watchedAnswer is a response, or the connection that it was hijacked to, whose writes are recorded.
type watchedAnswer struct {
	http.ResponseWriter
	timer *time.Timer
	quiet time.Duration
	mu    sync.Mutex
	conn  net.Conn // nil unless hijacked
}

func (w *watchedAnswer) Unwrap() http.ResponseWriter { return w.ResponseWriter }

func (w *watchedAnswer) wrote() {
	if w.timer != nil {
		w.timer.Reset(w.quiet)
	}
}

func (w *watchedAnswer) Write(p []byte) (int, error) {
	w.wrote()
	return w.ResponseWriter.Write(p)
}

// Hijack implements http.Hijacker.
func (w *watchedAnswer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err != nil {
		return nil, nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conn = c
	return &watchedConn{c, w}, rw, nil
}

func (w *watchedAnswer) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		_ = w.conn.Close()
	}
}

type watchedConn struct {
	net.Conn
	answer *watchedAnswer
}

func (c *watchedConn) Write(p []byte) (int, error) {
	c.answer.wrote()
	return c.Conn.Write(p)
}
