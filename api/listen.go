package api

import (
	"context"
	"net"
	"time"
)

const (
	// sendBuffer bounds what the kernel holds for one reader who does not read; its own choice may grow to
	// 4 MB. The kernel doubles the number for its bookkeeping.
	sendBuffer = 64 << 10
	// ackTimeout is how long data may go unacknowledged, or a window stay closed, before the kernel gives a
	// connection up: with a ping every 20 s, a vanished reader is gone within 60 s.
	ackTimeout = 35 * time.Second
)

// Listen listens on a TCP address with the limits that streams need.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	l := net.ListenConfig{Control: limitSocket}
	l.SetMultipathTCP(false) // has no TCP_USER_TIMEOUT
	return l.Listen(ctx, "tcp", addr)
}
