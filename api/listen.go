package api

import (
	"context"
	"net"
)

// sendBuffer bounds what the kernel buffers for a reader that does not read; its default may grow to 4 MB. The kernel
// doubles the number for its bookkeeping.
const sendBuffer = 40 << 10

// Listen listens on a TCP address with the limits that streams need.
func Listen(ctx context.Context, addr string) (net.Listener, error) {
	// No keep-alives: streams are pinged, and requests have deadlines.
	l := net.ListenConfig{Control: limitSocket, KeepAlive: -1}
	l.SetMultipathTCP(false) // it has no TCP_USER_TIMEOUT
	return l.Listen(ctx, "tcp", addr)
}
