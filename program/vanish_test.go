//go:build linux

package program

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// vanish has the kernel drop whatever comes for a connection, before TCP sees it: to the other side it is as if the
// cable were cut.
func (s *socket) vanish(t *testing.T) {
	t.Helper()
	raw, err := s.Conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	controlErr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop})
	})
	if controlErr != nil || err != nil {
		t.Fatal(controlErr, err)
	}
}
