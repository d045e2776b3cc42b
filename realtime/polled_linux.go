package realtime

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"tandem/panics"
)

// polled is a connection that a poller has taken over. Only Read may block.
type polled struct {
	stream   *Stream
	poller   *poller
	commands Commands
	peer     *peer // a WebSocket's client state; nil while it has sent nothing that must be remembered
	paid     int64 // the reader's allowance while there is no peer

	// mu is held around each use of the descriptor: once closed, its number may belong to another connection.
	mu         sync.Mutex
	fd         int32         // -1 when closed
	generation int32         // increases with each reuse of the descriptor
	reading    bool          // a goroutine is reading, or is about to
	news       bool          // input arrived since the last read
	waits      chan struct{} // closed when input arrives; nil while nobody waits for it

	// Of the writer.
	rest []byte // what the socket had no room for
	last bool   // nothing follows it
	full bool   // the poller must report when there is room; under mu
}

const always = unix.EPOLLIN | unix.EPOLLRDHUP | unix.EPOLLET

// adopt duplicates a connection's descriptor and lets the poller watch it.
func (c *polled) adopt(tcp *net.TCPConn) error {
	raw, err := tcp.SyscallConn()
	if err != nil {
		return err
	}
	fd := -1
	if controlErr := raw.Control(func(its uintptr) { fd, err = unix.FcntlInt(its, unix.F_DUPFD_CLOEXEC, 0) }); controlErr != nil || err != nil {
		return errors.Join(controlErr, err)
	}
	p := c.poller
	c.mu.Lock()
	defer c.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.stopped {
		_ = unix.Close(fd)
		return net.ErrClosed
	}
	for len(p.conns) <= fd {
		p.conns = append(p.conns, nil)
	}
	p.latest++
	c.fd, c.generation = int32(fd), p.latest
	p.conns[fd] = c
	if err = c.watch(unix.EPOLL_CTL_ADD, always); err != nil {
		p.conns[fd], c.fd = nil, -1
		_ = unix.Close(fd)
	}
	return err
}

// watch sets what the poller watches c for. The caller holds c.mu.
func (c *polled) watch(op int, events uint32) error {
	return c.poller.control(op, int(c.fd), &unix.EpollEvent{Events: events, Fd: c.fd, Pad: c.generation})
}

// ready is called by the poller.
func (c *polled) ready(events uint32) {
	c.mu.Lock()
	room := c.full && events&(unix.EPOLLOUT|unix.EPOLLERR|unix.EPOLLHUP) != 0
	if room {
		c.full = false
	}
	start := events&^unix.EPOLLOUT != 0 && c.notify()
	c.mu.Unlock()
	if start {
		go c.read()
	}
	if room {
		c.stream.hub.sweeps.add(c.stream)
	}
}

// notify tells the reader of input; it returns true if there is no reader. The caller holds c.mu.
func (c *polled) notify() (start bool) {
	c.news = true
	if c.waits != nil {
		close(c.waits)
		c.waits = nil
	}
	start = !c.reading
	c.reading = true
	return start
}

// read reads until there is no more input, or the connection has ended. A panic ends it too.
func (c *polled) read() {
	defer panics.Catch(c.stream.hub.logger, "reading from a stream's client")
	paused := false
	defer func() {
		if !paused {
			c.stream.finish()
		}
	}()
	paused = c.readAll() == errNothing
}

// readAll returns errNothing when it has paused.
func (c *polled) readAll() (end error) {
	defer func() {
		if end != errNothing && c.peer != nil {
			c.peer.commands.stop()
		}
	}()
	var some [64]byte
	for {
		n, err := c.tryRead(some[:])
		switch {
		case err != nil:
		case c.commands != nil:
			err = c.readFrames(some[:n])
		default:
			time.Sleep(discardPause)
		}
		if err != nil && (err != errNothing || c.pause()) {
			return err
		}
	}
}

// readFrames handles a WebSocket client's input, part of which was read. It keeps only the state that the next frames
// need, usually none.
func (c *polled) readFrames(some []byte) error {
	p := c.peer
	if p == nil {
		p = newPeer(c.stream, c, c.commands)
		p.reader.paid = c.paid
		c.peer = p
	}
	if err := p.read(copy(p.reader.first[:], some)); err != nil {
		return err
	}
	if c.paid = p.reader.paid; p.forgettable() {
		c.peer = nil
	}
	return nil
}

// pause ends the reading unless more input arrived meanwhile.
func (c *polled) pause() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.news {
		return false
	}
	c.reading = false
	return true
}

// tryRead is Read, but returns errNothing instead of waiting.
func (c *polled) tryRead(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	c.news = false
	for {
		n, err := unix.Read(int(c.fd), p)
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return 0, errNothing
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		default:
			return n, nil
		}
	}
}

// Read waits for input. Only the reader calls it, within a frame that the client has begun.
func (c *polled) Read(p []byte) (int, error) {
	for {
		n, err := c.tryRead(p)
		if err != errNothing {
			return n, err
		}
		c.mu.Lock()
		var waits chan struct{}
		if !c.news && c.fd >= 0 {
			waits = make(chan struct{})
			c.waits = waits
		}
		c.mu.Unlock()
		if waits != nil {
			<-waits
		}
	}
}

// send writes b and keeps what there is no room for; sent reports whether everything was written. last means that
// nothing follows b. The caller holds the stream's writing.
func (c *polled) send(b []byte, last bool) (sent bool, err error) {
	n, err := c.write(b)
	if err != nil || n == len(b) {
		return err == nil, err
	}
	c.rest, c.last = append([]byte(nil), b[n:]...), last
	c.stream.hub.stalls.begin(c.stream)
	return false, c.await()
}

// sendRest writes what there was no room for; sent reports whether that was everything, done whether nothing follows.
func (c *polled) sendRest() (sent, done bool, err error) {
	if c.rest == nil {
		return true, false, c.open()
	}
	n, err := c.write(c.rest)
	stalls := &c.stream.hub.stalls
	if n > 0 || err != nil {
		if stalls.end(c.stream) && err == nil {
			resumePeer(c)
		}
	}
	switch {
	case err != nil:
		return false, false, err
	case n < len(c.rest):
		c.rest = c.rest[n:]
		if n > 0 {
			stalls.begin(c.stream)
		}
		return false, false, c.await()
	}
	c.rest = nil
	return true, c.last, nil
}

// open returns an error if c is closed.
func (c *polled) open() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	return nil
}

// await makes the poller report when there is room, even if there already is.
func (c *polled) await() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	c.full = true
	return c.watch(unix.EPOLL_CTL_MOD, always|unix.EPOLLOUT)
}

// write writes as much as there is room for.
func (c *polled) write(b []byte) (n int, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return 0, net.ErrClosed
	}
	for n < len(b) {
		m, err := unix.Write(int(c.fd), b[n:])
		switch {
		case err == unix.EINTR:
		case err == unix.EAGAIN:
			return n, nil
		case err != nil:
			return n, err
		default:
			n += m
		}
	}
	return n, nil
}

// Write exists only to implement sink; sweeps use send.
func (c *polled) Write([]byte) (int, error) { return 0, errors.ErrUnsupported }

// Close closes the connection at once. Its reader, if needed a new one, drops the stream.
func (c *polled) Close() error {
	c.mu.Lock()
	fd := c.fd
	if fd < 0 {
		c.mu.Unlock()
		return net.ErrClosed
	}
	p := c.poller
	p.mu.Lock()
	p.conns[fd] = nil
	p.mu.Unlock()
	// A child process that is just being started may have the connection open too, for a moment.
	_ = p.control(unix.EPOLL_CTL_DEL, int(fd), nil)
	err := unix.Close(int(fd))
	c.fd, c.full = -1, false
	start := c.notify()
	c.mu.Unlock()
	if start {
		go c.read()
	}
	c.stream.hub.sweeps.add(c.stream) // in case it waits for room, or a caller of Send waits
	return err
}

// CloseWrite ends the server's side.
func (c *polled) CloseWrite() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fd < 0 {
		return net.ErrClosed
	}
	return unix.Shutdown(int(c.fd), unix.SHUT_WR)
}

// SetReadDeadline closes the connection at that time.
func (c *polled) SetReadDeadline(t time.Time) error {
	time.AfterFunc(time.Until(t), func() { _ = c.Close() })
	return nil
}
