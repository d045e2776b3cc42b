package api

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

// limitSocket sets what accepted connections inherit from their listener.
func limitSocket(_, _ string, c syscall.RawConn) (err error) {
	controlErr := c.Control(func(fd uintptr) {
		err = errors.Join(
			unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, sendBuffer),
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(ackTimeout.Milliseconds())),
		)
	})
	return errors.Join(controlErr, err)
}
