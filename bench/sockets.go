//go:build linux

package main

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"
)

// Go's own network poller would wake a goroutine for every read. The generator reads thousands of sockets from one
// thread instead, so it uses plain file descriptors.

// dial opens a blocking connection to a local port.
func dial(port int) (int, error) {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		syscall.Close(fd)
		return -1, fmt.Errorf("connect: %w", err)
	}
	// After connecting: with a timeout set, a signal would interrupt connect(2) for good (signal(7)).
	wait := syscall.Timeval{Sec: 20}
	err = errors.Join(
		syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &wait),
		syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &wait))
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}

// read is read(2). The end of the stream is io.EOF.
func read(fd int, b []byte) (int, error) {
	for {
		n, err := syscall.Read(fd, b)
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return 0, err
		case n == 0:
			return 0, io.EOF
		}
		return n, nil
	}
}

// writeAll calls write(2) until everything is sent, on a blocking descriptor or with little to send.
func writeAll(fd int, b []byte) error {
	for len(b) > 0 {
		n, err := syscall.Write(fd, b)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// poll is an epoll instance that identifies its descriptors by the caller's numbers.
type poll struct {
	fd     int
	events [256]syscall.EpollEvent
}

func newPoll() (*poll, error) {
	fd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	return &poll{fd: fd}, err
}

func (p *poll) add(fd, number int) error {
	if err := syscall.SetNonblock(fd, true); err != nil {
		return err
	}
	event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(number)}
	return syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_ADD, fd, &event)
}

func (p *poll) remove(fd int) { syscall.EpollCtl(p.fd, syscall.EPOLL_CTL_DEL, fd, nil) }

// wait waits at most the given time, and calls ready for each readable descriptor.
func (p *poll) wait(most time.Duration, ready func(number int)) error {
	n, err := syscall.EpollWait(p.fd, p.events[:], int(max(0, most).Milliseconds()))
	if err != nil && err != syscall.EINTR {
		return fmt.Errorf("epoll: %w", err)
	}
	for i := range max(n, 0) {
		ready(int(p.events[i].Fd))
	}
	return nil
}

func (p *poll) close() { syscall.Close(p.fd) }
