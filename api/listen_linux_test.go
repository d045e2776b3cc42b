package api

import (
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// A keep-alive between two pings would double the packets of an idle stream.
func TestAcceptedConnectionsSendNoKeepAlives(t *testing.T) {
	l, err := Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	far, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	near, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	raw, err := near.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	on := -1
	if err := raw.Control(func(fd uintptr) { on, err = unix.GetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_KEEPALIVE) }); err != nil || on != 0 {
		t.Errorf("SO_KEEPALIVE = %d, %v; want 0", on, err)
	}
}
