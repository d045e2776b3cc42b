package api

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"

	"tandem/realtime"
)

// limitSocket sets what accepted connections inherit from their listener: how much the kernel buffers, and how long
// data may stay unacknowledged, or a window closed, before it drops a connection (realtime lets live streams stay).
func limitSocket(_, _ string, c syscall.RawConn) (err error) {
	controlErr := c.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(realtime.AckTimeout.Milliseconds())),
		)
	})
	return errors.Join(controlErr, err)
}
