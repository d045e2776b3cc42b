package program

import (
	"errors"
	"net"
)

// breakingConn is a connection that breaks after some bytes have been read, wherever that is in a frame.
type breakingConn struct {
	net.Conn
	left int64
}

func (c *breakingConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		_ = c.Conn.(*net.TCPConn).SetLinger(0) // a reset, not a polite end
		c.Conn.Close()
		return 0, errCut
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

var errCut = errors.New("the test cut the connection")

// gatedConn reads some bytes, and the rest only behind its gate.
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
