package realtime

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// awaitPeer lets a reader whose window is closed stay while it lives, and reports whether it does; known is false where
// that cannot be told. The kernel gives up after TCP_USER_TIMEOUT on unacknowledged data, and on a closed window too,
// although a living peer acknowledges the probes of its window (RFC 9293 §3.8.6.1). So the timeout moves along, and
// ends AckTimeout after the latest acknowledgement. The kernel probes when it ends, if not before, which keeps the
// intervals short that else double up to two minutes.
func awaitPeer(p sink) (alive, known bool) {
	control(p, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		if err != nil {
			return
		}
		// Probes do not count as data sent: that was when the window closed.
		closed := time.Duration(info.Last_data_sent) * time.Millisecond
		quiet := time.Duration(info.Last_ack_recv) * time.Millisecond
		alive, known = quiet < AckTimeout, true
		if alive && closed > quiet {
			setUserTimeout(fd, closed-quiet+AckTimeout)
		}
	})
	return alive, known
}

// resumePeer takes back what awaitPeer did, for a reader that reads again.
func resumePeer(p sink) { control(p, func(fd int) { setUserTimeout(fd, AckTimeout) }) }

func setUserTimeout(fd int, d time.Duration) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(d.Milliseconds())) // fails where the connection has ended
}

// control runs f where p is a TCP connection.
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
