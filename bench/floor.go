//go:build linux

package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// floor is the cost of the same deliveries with nothing but write(2): a second process writes prepared bytes to as many
// connections at the same pace. A connection that is behind gets everything that it misses in one write, as from a
// server that batches.
type floor struct {
	each     float64 // ns of CPU per delivery
	perWrite float64 // deliveries; more than 1 if it fell behind
	p50      time.Duration
	p99      time.Duration
	opened   float64 // connections a second
}

// floorResult is the child's last line.
type floorResult struct {
	Messages int
	Writes   int
	CPU      time.Duration
}

func runFloor(ctx context.Context, frame []byte, n int, rate float64, d time.Duration) (floor, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return floor{}, err
	}
	cmd := exec.CommandContext(ctx, self, "floor", strconv.Itoa(n), fmt.Sprint(rate), d.String())
	cmd.Stdin, cmd.Stderr = bytes.NewReader(frame), os.Stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return floor{}, err
	}
	if err := startChild(cmd); err != nil {
		return floor{}, err
	}
	defer cmd.Wait()
	defer cancel()
	out := bufio.NewReader(stdout)
	line, err := out.ReadString('\n')
	if err != nil {
		return floor{}, err
	}
	port, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		return floor{}, err
	}
	began := time.Now()
	rs, err := connectReaders(ctx, n, func(int) (*reader, []byte, error) {
		fd, err := dial(port)
		return &reader{fd: fd}, nil, err
	})
	if err != nil {
		return floor{}, err
	}
	defer rs.close()
	opened := float64(n) / time.Since(began).Seconds()
	rs.sampling.Store(true)

	var result floorResult
	if line, err = out.ReadString('\n'); err == nil {
		err = json.Unmarshal([]byte(line), &result)
	}
	if err != nil {
		return floor{}, err
	}
	total := int64(result.Messages) * int64(n)
	if !rs.wait(ctx, total) {
		return floor{}, fmt.Errorf("%d deliveries of %d", rs.seen.Load(), total)
	}
	latency := rs.latencies()
	return floor{
		each:     float64(result.CPU) / float64(total),
		perWrite: float64(total) / float64(result.Writes),
		p50:      percentile(latency, 0.5),
		p99:      percentile(latency, 0.99),
		opened:   opened,
	}, nil
}

// shortest is a message about as long as a ping.
var shortest = []byte(`{"type":"chat_message","id":1,"message":"t=0000000000000000"}`)

// floorOpenings returns how many connections per second the loop accepts, without any request or answer.
func floorOpenings(ctx context.Context, n int) (float64, error) {
	fl, err := runFloor(ctx, shortest, n, 1, time.Second)
	return fl.opened, err
}

// serveFloor is the child process: it accepts connections, writes, and reports what it used.
func serveFloor(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: bench floor CONNECTIONS RATE DURATION < FRAME")
	}
	n, err := strconv.Atoi(args[0])
	if err != nil {
		return err
	}
	rate, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return err
	}
	d, err := time.ParseDuration(args[2])
	if err != nil {
		return err
	}
	frame, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	fds, err := acceptAll(n)
	if err != nil {
		return err
	}
	before := ownCPU()
	messages, writes, err := writeLoop(fds, frame, rate, d)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(floorResult{messages, writes, ownCPU() - before})
}

// listen opens a listening socket and prints its port on stdout.
func listen() (int, error) {
	l, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err := syscall.Bind(l, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return -1, err
	}
	if err := syscall.Listen(l, 4096); err != nil {
		return -1, err
	}
	addr, err := syscall.Getsockname(l)
	if err != nil {
		return -1, err
	}
	fmt.Println(addr.(*syscall.SockaddrInet4).Port)
	return l, nil
}

// acceptAll listens and accepts n connections.
func acceptAll(n int) ([]int, error) {
	l, err := listen()
	if err != nil {
		return nil, err
	}
	var fds []int
	for len(fds) < n {
		fd, _, err := syscall.Accept4(l, syscall.SOCK_CLOEXEC)
		if err == syscall.EINTR {
			continue
		}
		if err != nil {
			return nil, err
		}
		fds = append(fds, fd)
	}
	time.Sleep(200 * time.Millisecond) // until the last one is being read
	return fds, nil
}

// writeLoop writes rate messages per second to every descriptor for d, and returns their number and that of the writes.
func writeLoop(fds []int, frame []byte, rate float64, d time.Duration) (all, writes int, err error) {
	const most = 64 << 10 // the most per write
	batch := max(1, most/len(frame))
	frames := bytes.Repeat(frame, batch)
	stamp := bytes.Index(frames, stampStart) + len(stampStart)

	all = max(1, int(d.Seconds()*rate))
	sent := make([]int, len(fds))
	began := time.Now()
	for done := 0; done < all; {
		made := min(all, 1+int(time.Since(began).Seconds()*rate))
		if made == done {
			next := began.Add(time.Duration(float64(made) / rate * float64(time.Second)))
			time.Sleep(time.Until(next))
			continue
		}
		now := time.Now().UnixMicro()
		for at := stamp; at < min(batch, made-done)*len(frame); at += len(frame) {
			digits(frames[at:at+stampDigits], now)
		}
		done = all
		for i, fd := range fds {
			if made == sent[i] {
				continue
			}
			k := min(batch, made-sent[i])
			if err := writeAll(fd, frames[:k*len(frame)]); err != nil {
				return 0, 0, err
			}
			writes++
			sent[i] += k
			done = min(done, sent[i])
		}
	}
	return all, writes, nil
}
