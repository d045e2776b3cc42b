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

// floor is what the same deliveries cost where nothing is done but write(2): a second process that
// writes finished bytes to as many connections, at the same pace. A connection that is behind gets
// everything it misses in one write, as a server that batches would do it.
type floor struct {
	each   float64 // ns of CPU per delivery
	p50    time.Duration
	p99    time.Duration
	opened float64 // connections a second
}

// floorResult is the child's last line.
type floorResult struct {
	Messages int
	CPU      time.Duration
}

func runFloor(ctx context.Context, frame []byte, n int, rate float64, d time.Duration) (floor, error) {
	return runFloorOf(ctx, frame, n, rate, d)
}

// runDurableFloor is runFloor for connections in that many rooms, where each message is kept in a file in dir before it is
// written to its room: by one write and one fdatasync for all that are due.
func runDurableFloor(ctx context.Context, frame []byte, n, rooms int, dir string, rate float64, d time.Duration) (floor, error) {
	return runFloorOf(ctx, frame, n, rate, d, strconv.Itoa(rooms), dir)
}

func runFloorOf(ctx context.Context, frame []byte, n int, rate float64, d time.Duration, more ...string) (floor, error) {
	ctx, cancel := context.WithTimeout(ctx, d+30*time.Second)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return floor{}, err
	}
	rooms := 1
	if len(more) > 0 {
		rooms, _ = strconv.Atoi(more[0])
	}
	cmd := exec.CommandContext(ctx, self, append([]string{"floor", strconv.Itoa(n), fmt.Sprint(rate), d.String()}, more...)...)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(frame), os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return floor{}, err
	}
	if err := cmd.Start(); err != nil {
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
	total := int64(result.Messages) * int64(n) / int64(rooms)
	if !rs.wait(ctx, total) {
		return floor{}, fmt.Errorf("%d deliveries of %d", rs.seen.Load(), total)
	}
	latency := rs.latencies()
	return floor{float64(result.CPU) / float64(total), percentile(latency, 0.5), percentile(latency, 0.99), opened}, nil
}

// shortest is a message that is about as long as a ping.
var shortest = []byte(`{"type":"chat_message","id":1,"message":"t=0000000000000000"}`)

// floorOpenings is how many connections a second the loop accepts: nothing is asked and nothing said on them.
func floorOpenings(ctx context.Context, n int) (float64, error) {
	fl, err := runFloor(ctx, shortest, n, 1, time.Second)
	return fl.opened, err
}

// floorChild is the child process: it accepts the connections, writes, and says what it used.
func floorChild(args []string) {
	if err := serveFloor(args); err != nil {
		fmt.Fprintln(os.Stderr, "bench floor:", err)
		os.Exit(1)
	}
}

func serveFloor(args []string) error {
	if len(args) != 3 && len(args) != 5 {
		return fmt.Errorf("usage: bench floor CONNECTIONS RATE DURATION [ROOMS DIRECTORY] < FRAME")
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
	var messages int
	if len(args) == 3 {
		messages, err = writeLoop(fds, frame, rate, d)
	} else {
		messages, err = durableLoop(fds, frame, rate, d, args[3], args[4])
	}
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(floorResult{messages, ownCPU() - before})
}

// acceptAll says on stdout which port it listens on and accepts n connections.
func acceptAll(n int) ([]int, error) {
	l, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := syscall.Bind(l, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return nil, err
	}
	if err := syscall.Listen(l, 4096); err != nil {
		return nil, err
	}
	addr, err := syscall.Getsockname(l)
	if err != nil {
		return nil, err
	}
	fmt.Println(addr.(*syscall.SockaddrInet4).Port)
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
	time.Sleep(200 * time.Millisecond) // until the last is being read
	return fds, nil
}

// writeLoop writes rate messages a second to every descriptor for d, and returns how many it were.
func writeLoop(fds []int, frame []byte, rate float64, d time.Duration) (int, error) {
	const most = 64 << 10 // of one write
	batch := max(1, most/len(frame))
	frames := bytes.Repeat(frame, batch)
	stamp := bytes.Index(frames, stampStart) + len(stampStart)

	all := max(1, int(d.Seconds()*rate))
	sent := make([]int, len(fds))
	began := time.Now()
	for done := 0; done < all; {
		made := min(all, 1+int(time.Since(began).Seconds()*rate))
		if made == done {
			next := began.Add(time.Duration(float64(made) / rate * float64(time.Second)))
			time.Sleep(time.Until(next))
			continue
		}
		digits(frames[stamp:stamp+stampDigits], time.Now().UnixMicro())
		done = all
		for i, fd := range fds {
			if made == sent[i] {
				continue
			}
			k := min(batch, made-sent[i])
			if err := writeAll(fd, frames[:k*len(frame)]); err != nil {
				return 0, err
			}
			sent[i] += k
			done = min(done, sent[i])
		}
	}
	return all, nil
}

// durableLoop is writeLoop to connections in rooms, which are posted to in turn, of messages that are kept first.
func durableLoop(fds []int, frame []byte, rate float64, d time.Duration, inRooms, dir string) (int, error) {
	rooms, err := strconv.Atoi(inRooms)
	if err != nil {
		return 0, err
	}
	file, err := os.CreateTemp(dir, "tandem-bench-loop-")
	if err != nil {
		return 0, err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	all := max(1, int(d.Seconds()*rate))
	all -= all % rooms                                                  // so that each has as many
	if _, err := file.Write(make([]byte, all*len(frame))); err != nil { // preallocated
		return 0, err
	}
	if err := file.Sync(); err != nil {
		return 0, err
	}
	stamp := bytes.Index(frame, stampStart) + len(stampStart)
	began := time.Now()
	for done := 0; done < all; {
		made := min(all, 1+int(time.Since(began).Seconds()*rate))
		if made == done {
			time.Sleep(time.Until(began.Add(time.Duration(float64(made) / rate * float64(time.Second)))))
			continue
		}
		digits(frame[stamp:stamp+stampDigits], time.Now().UnixMicro())
		if _, err := file.WriteAt(bytes.Repeat(frame, made-done), int64(done*len(frame))); err != nil {
			return 0, err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return 0, err
		}
		for ; done < made; done++ {
			for i := done % rooms; i < len(fds); i += rooms {
				if err := writeAll(fds[i], frame); err != nil {
					return 0, err
				}
			}
		}
	}
	return all, nil
}
