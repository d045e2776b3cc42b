//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"sync"
)

// goLoop is a loop in the style of a Go program: one goroutine reads each connection, and another stores all waiting
// posts, writes them to the connections that read their rooms, and lets the posters' goroutines answer. It has no
// accounts, rules or checks.
type goLoop struct {
	keeper keeper
	frame  func(event []byte) []byte
	posts  chan *goPost

	mu      sync.Mutex
	readers map[string][]net.Conn
}

type goPost struct {
	keptPost
	text []byte
	kept chan error // buffered: holds one
}

// newGoLoop listens, prints its port, and returns the function that serves.
func newGoLoop(k keeper, frame func([]byte) []byte) (serve func() error, err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	fmt.Println(listener.Addr().(*net.TCPAddr).Port)
	l := &goLoop{keeper: k, frame: frame, posts: make(chan *goPost, 1024), readers: map[string][]net.Conn{}}
	return func() error { return l.serve(listener) }, nil
}

// serve accepts connections until the listener fails.
func (l *goLoop) serve(listener net.Listener) error {
	failed := make(chan error, 1)
	fail := func(err error) {
		select {
		case failed <- err:
		default:
		}
	}
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				fail(err)
				return
			}
			go func() {
				defer l.leave(c)
				if err := l.serveConn(c); err != nil {
					fail(err)
				}
			}()
		}
	}()
	go func() { fail(l.commit()) }()
	return <-failed
}

// serveConn answers the requests of one connection. It returns nil when the connection ends.
func (l *goLoop) serveConn(c net.Conn) error {
	request := make([]byte, 4096)
	post := &goPost{kept: make(chan error, 1)}
	for {
		have := 0
		for {
			n, err := c.Read(request[have:])
			if err != nil {
				return nil
			}
			have += n
			r, complete, err := parseLoopRequest(request[:have])
			if err != nil {
				return err
			}
			if !complete {
				continue
			}
			if r.text == nil {
				l.mu.Lock()
				l.readers[string(r.room)] = append(l.readers[string(r.room)], c)
				l.mu.Unlock()
				if _, err := c.Write(loopStream); err != nil {
					return err
				}
				break
			}
			post.room, post.text = string(r.room), r.text
			l.posts <- post
			if err := <-post.kept; err != nil {
				return err
			}
			if _, err := c.Write(loopAnswer(post.event)); err != nil {
				return err
			}
			break
		}
	}
}

func (l *goLoop) leave(c net.Conn) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for room, conns := range l.readers {
		for i, of := range conns {
			if of == c {
				l.readers[room] = append(conns[:i:i], conns[i+1:]...)
				break
			}
		}
	}
	c.Close()
}

// commit repeatedly stores all posts that are waiting.
func (l *goLoop) commit() error {
	var last int64
	var waiting []*goPost
	var batch []keptPost
	for {
		waiting, batch = append(waiting[:0], <-l.posts), batch[:0]
		for more := true; more; {
			select {
			case p := <-l.posts:
				waiting = append(waiting, p)
			default:
				more = false
			}
		}
		for _, p := range waiting {
			last++
			p.id = last
			p.event = loopEvent(last, []byte(p.room), p.text)
			batch = append(batch, p.keptPost)
		}
		if err := l.keeper.keep(batch); err != nil {
			return err
		}
		for _, p := range waiting {
			p.kept <- nil
		}
		for _, p := range batch {
			if err := l.deliver(p); err != nil {
				return err
			}
		}
	}
}

func (l *goLoop) deliver(p keptPost) error {
	l.mu.Lock()
	conns := l.readers[p.room]
	l.mu.Unlock()
	if len(conns) == 0 {
		return nil
	}
	frame := l.frame(p.event)
	for _, c := range conns {
		if _, err := c.Write(frame); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
	}
	return nil
}

// loopRequest is a post, or the request of a reader, which has no text.
type loopRequest struct{ room, text []byte }

// parseLoopRequest parses a request from the bench. A client sends no other before it has the answer.
func parseLoopRequest(b []byte) (r loopRequest, complete bool, err error) {
	head, body, complete := bytes.Cut(b, []byte("\r\n\r\n"))
	if !complete {
		return r, false, nil
	}
	method, rest, _ := bytes.Cut(head, []byte(" /v1/rooms/"))
	room, _, ok := bytes.Cut(rest, []byte("/messages HTTP/1.1\r\n"))
	if !ok {
		return r, false, errRequest
	}
	r.room = room
	if string(method) == "GET" {
		return r, true, nil
	}
	length, err := contentLength(head)
	if err != nil || len(body) < length {
		return r, false, err
	}
	if r.text, ok = bytes.CutPrefix(body[:length], []byte(`{"message":`)); !ok {
		return r, false, errRequest
	}
	return r, true, nil
}
