package testservers

import (
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Proxy stands in front of a server and delays its answers.
type Proxy struct {
	target   string
	listener net.Listener
	delay    atomic.Int64
	asked    atomic.Int64
	refuses  atomic.Bool
	mu       sync.Mutex
	conns    map[net.Conn]struct{}
}

// NewProxy starts a proxy in front of the server at target, for one test.
func NewProxy(t testing.TB, target string) *Proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &Proxy{target: target, listener: l, conns: make(map[net.Conn]struct{})}
	var served sync.WaitGroup
	served.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			served.Go(func() { p.serve(c) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		p.Cut()
		served.Wait()
	})
	return p
}

// Addr returns the proxy's address.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Delay delays everything that the server sends from now on, and keeps its order.
func (p *Proxy) Delay(d time.Duration) { p.delay.Store(int64(d)) }

// Asked returns how many bytes the clients have sent to the server.
func (p *Proxy) Asked() int64 { return p.asked.Load() }

// Refuse makes the server unreachable, or reachable again.
func (p *Proxy) Refuse(refuses bool) {
	if p.refuses.Store(refuses); refuses {
		p.Cut()
	}
}

// Cut ends all connections.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		_ = c.Close()
	}
}

func (p *Proxy) serve(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	p.mu.Lock()
	p.conns[client], p.conns[server] = struct{}{}, struct{}{}
	refused := p.refuses.Load()
	p.mu.Unlock()
	if refused {
		_ = client.Close() // which ends the copying
	}
	defer func() {
		p.mu.Lock()
		delete(p.conns, client)
		delete(p.conns, server)
		p.mu.Unlock()
	}()
	var both sync.WaitGroup
	both.Go(func() { forward(server, client, nil, &p.asked) })
	both.Go(func() { forward(client, server, &p.delay, new(atomic.Int64)) })
	both.Wait()
}

// forward copies until either end closes, and then closes both.
func forward(to, from net.Conn, delay, count *atomic.Int64) {
	type piece struct {
		data []byte
		at   time.Time
	}
	pieces := make(chan piece, 1024)
	go func() {
		defer close(pieces)
		for {
			b := make([]byte, 16<<10)
			n, err := from.Read(b)
			if err != nil {
				return
			}
			at := time.Now()
			if delay != nil {
				at = at.Add(time.Duration(delay.Load()))
			}
			count.Add(int64(n))
			pieces <- piece{b[:n], at}
		}
	}()
	for p := range pieces {
		time.Sleep(time.Until(p.at))
		if _, err := to.Write(p.data); err != nil {
			break
		}
	}
	_ = to.Close()
	_ = from.Close()
	for range pieces { // until the reader has ended
	}
}
