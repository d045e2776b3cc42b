//go:build linux

package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

// postLoop is the child process of a loop: one thread with one epoll instance. It reads all posts that have arrived,
// stores them together, answers them, and writes each to the connections that read its room. It has no accounts, rules
// or checks.
type postLoop struct {
	poll     *poll
	listener int
	conns    []*loopConn // by descriptor
	readers  map[string][]int
	keeper   keeper
	frame    func(event []byte) []byte
	last     int64 // id
	batch    []keptPost
	failed   error
}

type loopConn struct {
	request [4096]byte
	have    int
}

// keptPost is a post waiting to be stored.
type keptPost struct {
	fd    int
	id    int64
	room  string
	event []byte
}

// loopStream is the response to a reader of a room; frames follow.
var loopStream = []byte("HTTP/1.1 200 OK\r\n\r\n")

var errRequest = errors.New("a request that is none of the bench's")

// servePosts is the child process.
func servePosts(args []string) error {
	if len(args) != 4 {
		return errors.New("usage: bench loop MODEL KEEPER DIRECTORY TRANSPORT")
	}
	model, args := args[0], args[1:]
	of := slices.IndexFunc(transports, func(t transport) bool { return t.name == args[2] })
	if of < 0 {
		return fmt.Errorf("no transport %q", args[2])
	}
	dir, err := os.MkdirTemp(args[1], "tandem-bench-loop-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	k, err := newKeeper(args[0], dir)
	if err != nil {
		return err
	}
	run := newGoLoop
	if model == oneThread {
		run = newPostLoop
	}
	serve, err := run(k, transports[of].frame)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- serve() }()
	go func() { // each line asks for the CPU time used so far
		in := bufio.NewReader(os.Stdin)
		for {
			if _, err := in.ReadString('\n'); err == io.EOF {
				ended <- nil
				return
			} else if err != nil {
				ended <- err
				return
			}
			fmt.Println(ownCPU().Nanoseconds())
		}
	}()
	return <-ended
}

// newPostLoop listens, prints its port, and returns the function that serves.
func newPostLoop(k keeper, frame func([]byte) []byte) (serve func() error, err error) {
	l := &postLoop{keeper: k, frame: frame, readers: map[string][]int{}}
	if l.poll, err = newPoll(); err != nil {
		return nil, err
	}
	if l.listener, err = listen(); err != nil {
		return nil, err
	}
	return l.run, l.poll.add(l.listener, l.listener)
}

func (l *postLoop) run() error {
	for {
		l.batch = l.batch[:0]
		if err := l.poll.wait(time.Hour, l.ready); err != nil {
			return err
		}
		if l.failed != nil {
			return l.failed
		}
		if len(l.batch) == 0 {
			continue
		}
		if err := l.keeper.keep(l.batch); err != nil {
			return err
		}
		for _, p := range l.batch {
			if err := writeAll(p.fd, loopAnswer(p.event)); err != nil {
				return err
			}
		}
		for _, p := range l.batch {
			readers := l.readers[p.room]
			if len(readers) == 0 {
				continue
			}
			frame := l.frame(p.event)
			for _, fd := range readers {
				if err := writeAll(fd, frame); err != nil {
					return err
				}
			}
		}
	}
}

// ready reads what has arrived on a connection.
func (l *postLoop) ready(fd int) {
	if l.failed != nil {
		return
	}
	if fd == l.listener {
		l.failed = l.accept()
		return
	}
	c := l.conns[fd]
	n, err := read(fd, c.request[c.have:])
	switch {
	case err == syscall.EAGAIN:
		return
	case err != nil: // the client is gone
		for room, fds := range l.readers {
			l.readers[room] = slices.DeleteFunc(fds, func(of int) bool { return of == fd })
		}
		l.conns[fd] = nil
		syscall.Close(fd)
		return
	}
	c.have += n
	l.failed = l.request(fd, c)
}

func (l *postLoop) accept() error {
	for {
		fd, _, err := syscall.Accept4(l.listener, syscall.SOCK_CLOEXEC)
		if err == syscall.EAGAIN {
			return nil
		}
		if err == nil {
			err = syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1)
		}
		if err == nil {
			err = l.poll.add(fd, fd)
		}
		if err != nil {
			return fmt.Errorf("accept: %w", err)
		}
		for len(l.conns) <= fd {
			l.conns = append(l.conns, nil)
		}
		l.conns[fd] = &loopConn{}
	}
}

// request handles a complete request. The client sends no other before it has the answer.
func (l *postLoop) request(fd int, c *loopConn) error {
	r, complete, err := parseLoopRequest(c.request[:c.have])
	if err != nil || !complete {
		return err
	}
	if r.text == nil {
		l.readers[string(r.room)] = append(l.readers[string(r.room)], fd)
		c.have = 0
		return writeAll(fd, loopStream)
	}
	l.last++
	l.batch = append(l.batch, keptPost{fd, l.last, string(r.room), loopEvent(l.last, r.room, r.text)})
	c.have = 0
	return nil
}

// loopEvent is an event as long as tandem's; text includes the end of the object.
func loopEvent(id int64, room, text []byte) []byte {
	b := fmt.Appendf(make([]byte, 0, 512), `{"type":"chat_message","id":%d,"room":"%s","user":"bench00","sent_at":"`, id, room)
	b = time.Now().UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	b = append(b, `","message":`...)
	return append(b, text...)
}

// loopAnswer is the answer to a post.
func loopAnswer(event []byte) []byte {
	return append(fmt.Appendf(nil, "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n", len(event)), event...)
}
