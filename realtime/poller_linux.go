package realtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller owns the connections of idle streams, by an epoll instance of its own: a connection that nothing comes from has
// no goroutine, no buffer, and nothing of package net's. Something that comes borrows a goroutine, which reads until
// nothing more is there. The epoll instance is itself watched by the runtime's, so that it needs no thread.
type poller struct {
	epoll *os.File
	raw   syscall.RawConn

	mu      sync.Mutex
	conns   []*polled // by descriptor
	latest  int32     // the generation of the latest
	stopped bool
}

// newPoller returns nil where there cannot be one.
func newPoller(logger *slog.Logger) *poller {
	p, err := openPoller()
	if err != nil {
		logger.Warn("streams are served by goroutines of their own, which costs memory", "error", err)
		return nil
	}
	return p
}

func openPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // that is how os knows that it may watch it
		_ = unix.Close(fd)
		return nil, err
	}
	p := &poller{epoll: os.NewFile(uintptr(fd), "epoll")}
	if err = p.epoll.SetReadDeadline(time.Time{}); err == nil { // fails where it is not watched
		p.raw, err = p.epoll.SyscallConn()
	}
	if err != nil {
		_ = p.epoll.Close()
		return nil, fmt.Errorf("watch epoll: %w", err)
	}
	return p, nil
}

// run tells connections that something has come, until ctx ends. It never waits for any of them.
func (p *poller) run(ctx context.Context) {
	stop := context.AfterFunc(ctx, func() { _ = p.epoll.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	var events [128]unix.EpollEvent
	var conns [len(events)]*polled
	for {
		n := 0
		err := p.raw.Read(func(fd uintptr) bool {
			var err error
			n, err = unix.EpollWait(int(fd), events[:], 0)
			return n > 0 || err != nil && err != unix.EINTR && err != unix.EAGAIN
		})
		if err != nil || ctx.Err() != nil {
			break
		}
		n = max(n, 0)
		p.find(events[:n], conns[:n])
		for i, c := range conns[:n] {
			if c != nil {
				c.ready(events[i].Events)
			}
		}
	}
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
	_ = p.epoll.Close()
}

// find finds the connection that each event is of; nil where that is closed. Its descriptor may be another's by now.
func (p *poller) find(events []unix.EpollEvent, conns []*polled) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range events {
		conns[i] = nil
		if c := p.conns[events[i].Fd]; c != nil && c.generation == events[i].Pad {
			conns[i] = c
		}
	}
}

// take serves s over conn, and reports whether it does; where it does not, conn is as it was. What is read is handled by
// commands, or discarded where that is nil.
func (p *poller) take(s *Stream, conn net.Conn, commands Commands) bool {
	tcp, is := conn.(*net.TCPConn)
	if p == nil || !is {
		return false
	}
	c := &polled{stream: s, poller: p, commands: commands, fd: -1}
	s.mu.Lock()
	s.conn = c
	s.mu.Unlock()
	s.swept = true
	if err := c.adopt(tcp); err != nil {
		s.swept = false
		return false
	}
	_ = tcp.Close() // its descriptor; ours is another of the same connection
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	s.sweep(b, false) // what it begins with, by who opened it
	return true
}

func (p *poller) control(op, fd int, event *unix.EpollEvent) error {
	var err error
	controlErr := p.raw.Control(func(epoll uintptr) { err = unix.EpollCtl(int(epoll), op, fd, event) })
	return errors.Join(controlErr, err)
}
