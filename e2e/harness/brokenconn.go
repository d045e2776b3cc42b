package harness

import (
	"errors"
	"net"
)

// breakingConn breaks after a number of bytes have been read, which may be in the middle of a frame.
type breakingConn struct {
	net.Conn
	left int64
}

func (c *breakingConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		_ = c.Conn.(*net.TCPConn).SetLinger(0) // reset the connection instead of closing it cleanly
		c.Conn.Close()
		return 0, errCut
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

var errCut = errors.New("the test cut the connection")

// gatedConn reads a number of bytes, and the rest only after its gate has been opened.
type gatedConn struct {
	net.Conn
	left int
	gate <-chan struct{}
}

func (c *gatedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		<-c.gate
		return c.Conn.Read(p)
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
