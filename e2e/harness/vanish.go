//go:build linux

package harness

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// Vanish makes the kernel drop everything that arrives for a connection before TCP sees it. To the other side it is as if
// the cable had been cut.
func (s *Socket) Vanish(t *testing.T) {
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
