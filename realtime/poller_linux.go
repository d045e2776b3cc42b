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

// poller owns the connections of idle streams with its own epoll instance: an idle connection has no goroutine, no
// buffer, and nothing of package net. Input borrows a goroutine, which reads until there is no more. The runtime's
// poller watches the epoll instance, so that it needs no thread.
type poller struct {
	epoll *os.File
	raw   syscall.RawConn

	mu      sync.Mutex
	conns   []*polled // by descriptor
	latest  int32     // the latest generation
	stopped bool
}

// newPoller returns nil if the system does not support it.
func newPoller(logger *slog.Logger) *poller {
	p, err := openPoller()
	if err != nil {
		logger.Warn("streams use one goroutine each, which costs memory", "error", err)
		return nil
	}
	return p
}

func openPoller() (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll_create1: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // this lets package os watch it
		_ = unix.Close(fd)
		return nil, err
	}
	p := &poller{epoll: os.NewFile(uintptr(fd), "epoll")}
	if err = p.epoll.SetReadDeadline(time.Time{}); err == nil { // fails if it is not watched
		p.raw, err = p.epoll.SyscallConn()
	}
	if err != nil {
		_ = p.epoll.Close()
		return nil, fmt.Errorf("watch epoll: %w", err)
	}
	return p, nil
}

// run notifies connections of input until ctx ends. It never waits for any of them.
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

// find returns the connection of each event; nil if it is closed. Its descriptor may belong to another one by now.
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

// take serves s over conn, and reports whether it does; otherwise conn is unchanged. commands handles the input; if it
// is nil, input is discarded.
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
	_ = tcp.Close() // its descriptor; ours is a duplicate
	b := buffers.Get().(*[]byte)
	defer buffers.Put(b)
	s.writing.Lock()
	s.sweep(b, false) // the first frames, written by the opener
	return true
}

func (p *poller) control(op, fd int, event *unix.EpollEvent) error {
	var err error
	controlErr := p.raw.Control(func(epoll uintptr) { err = unix.EpollCtl(int(epoll), op, fd, event) })
	return errors.Join(controlErr, err)
}
