//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// loop is what posts are compared with: a child process that takes posts over HTTP/1.1, stores them, answers them,
// writes them to the readers of their rooms, and does nothing else (postloop.go).
type loop struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	port int
}

// The two process models of a loop: one thread with an epoll instance, and a goroutine for each connection.
const oneThread, goroutines = "thread", "goroutines"

// startLoop starts a loop that stores posts below dir with the named keeper, and frames events for readers as the
// transport does. It ends with the context, or with close.
func startLoop(ctx context.Context, model, keeper, dir, transport string) (*loop, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l := &loop{cmd: exec.CommandContext(ctx, self, "loop", model, keeper, dir, transport)}
	l.cmd.Stderr = os.Stderr
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	stdout, err := l.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := startChild(l.cmd); err != nil {
		return nil, err
	}
	l.out = bufio.NewReader(stdout)
	port, err := l.number()
	l.port = int(port)
	if err != nil {
		l.close()
		return nil, fmt.Errorf("%s loop: %w", keeper, err)
	}
	return l, nil
}

// number reads a number from the child.
func (l *loop) number() (int64, error) {
	line, err := l.out.ReadString('\n')
	if err != nil {
		return 0, err
	}
	return strconv.ParseInt(strings.TrimSpace(line), 10, 64)
}

// cpu returns the processor time that the loop reports.
func (l *loop) cpu() (time.Duration, error) {
	if _, err := l.in.Write([]byte("\n")); err != nil {
		return 0, fmt.Errorf("loop: %w", err)
	}
	ns, err := l.number()
	return time.Duration(ns), err
}

// close ends the loop, which removes its files at the end of its input.
func (l *loop) close() {
	l.in.Close()
	l.cmd.Wait()
}

// read opens a connection that gets the events of a room. It returns when the loop has registered it.
func (l *loop) read(room string) (int, error) {
	fd, err := dial(l.port)
	if err != nil {
		return -1, err
	}
	answer := make([]byte, len(loopStream))
	if err = writeAll(fd, []byte("GET /v1/rooms/"+room+"/messages HTTP/1.1\r\nHost: loop\r\n\r\n")); err == nil {
		_, err = io.ReadFull(fdReader(fd), answer)
	}
	if err == nil && !bytes.Equal(answer, loopStream) {
		err = fmt.Errorf("a reader was answered %q", answer)
	}
	if err != nil {
		syscall.Close(fd)
		return -1, err
	}
	return fd, nil
}
