package realtime

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// awaitPeer lets a reader with a closed window stay while it is alive, and reports whether it is; known is false if
// that cannot be determined. The kernel gives up after TCP_USER_TIMEOUT on unacknowledged data, and on a closed window
// too, although a live peer acknowledges window probes (RFC 9293 §3.8.6.1). So awaitPeer keeps moving the timeout, to
// AckTimeout after the latest acknowledgement. The kernel probes when it ends, if not before; this keeps the intervals
// short, which otherwise double up to two minutes.
func awaitPeer(p sink) (alive, known bool) {
	control(p, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		// Probes do not count as data sent, so this is when the window closed.
		closed := time.Duration(info.Last_data_sent) * time.Millisecond
		quiet := time.Duration(info.Last_ack_recv) * time.Millisecond
		alive, known = quiet < AckTimeout, true
		if alive && closed > quiet {
			setUserTimeout(fd, closed-quiet+AckTimeout)
		}
	})
	return alive, known
}

// resumePeer undoes awaitPeer for a reader that reads again.
func resumePeer(p sink) { control(p, func(fd int) { setUserTimeout(fd, AckTimeout) }) }

func setUserTimeout(fd int, d time.Duration) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds())) // fails if the connection has ended
}

// control runs f if p is a TCP connection.
func control(p sink, f func(fd int)) {
	if c, ok := p.(*tls.Conn); ok {
		p = c.NetConn()
	}
	switch c := p.(type) {
	case *polled:
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.fd >= 0 {
			f(int(c.fd))
		}
	case *net.TCPConn:
		if raw, err := syscall.Conn(c).SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { f(int(fd)) })
		}
	}
}
