//go:build linux

package main

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
)

// strictReader is a stream that is parsed completely: framing, JSON, and every field that matters.
type strictReader struct {
	transport *transport
	fd        int
	seen      *atomic.Int64 // counts the messages of all readers
	stopped   sync.WaitGroup
	lock      sync.Mutex
	ids       []int64 // of the messages since the last take
	wrong     string
}

func openStrict(s *server, t *transport, token, room string, seen *atomic.Int64) (*strictReader, error) {
	fd, chunked, body, err := t.open(s, room, token)
	if err != nil {
		return nil, err
	}
	r := &strictReader{transport: t, fd: fd, seen: seen}
	var in io.Reader = io.MultiReader(bytes.NewReader(body), fdReader(fd))
	if chunked {
		in = &dechunked{from: in}
	}
	r.stopped.Go(func() {
		err := r.run(bufio.NewReaderSize(in, 16<<10))
		r.lock.Lock()
		r.wrong = err.Error()
		r.lock.Unlock()
	})
	return r, nil
}

// take returns the ids of the messages since the last call, and what is wrong with the stream.
func (r *strictReader) take() ([]int64, string) {
	r.lock.Lock()
	defer r.lock.Unlock()
	ids := r.ids
	r.ids = nil
	return ids, r.wrong
}

func (r *strictReader) close() {
	syscall.Shutdown(r.fd, syscall.SHUT_RDWR) // makes its read return
	r.stopped.Wait()
	syscall.Close(r.fd)
}

// run reads until something is wrong, which includes the end of the stream.
func (r *strictReader) run(in *bufio.Reader) error {
	next := nextFrame
	if r.transport.name == "SSE" {
		next = nextSSE
	}
	var last int64
	for {
		data, id, name, err := next(in)
		if err != nil {
			return err
		}
		var event struct {
			Type, Room, User, Message string
			ID                        int64
		}
		if err := json.Unmarshal(data, &event); err != nil {
			return fmt.Errorf("%w in %q", err, data)
		}
		if name != "" && name != event.Type {
			return fmt.Errorf("event: %s for %s", name, data)
		}
		switch event.Type {
		case "stream_open", "user_list", "user_join", "user_leave", "ping", "member_added":
		case "chat_message":
			if event.ID <= last {
				return fmt.Errorf("id %d after id %d", event.ID, last)
			}
			if r.transport.name == "SSE" && !strings.HasPrefix(id, fmt.Sprintf("%d.", event.ID)) {
				return fmt.Errorf("id: %s for %s", id, data)
			}
			if event.Room == "" || event.User == "" || !strings.HasPrefix(event.Message, "t=") {
				return fmt.Errorf("not what was posted: %s", data)
			}
			last = event.ID
			r.lock.Lock()
			r.ids = append(r.ids, event.ID)
			r.lock.Unlock()
			r.seen.Add(1)
		default:
			return fmt.Errorf("unexpected: %s", data)
		}
	}
}

// nextFrame reads a WebSocket text frame (RFC 6455 §5.2). An event is one frame.
func nextFrame(in *bufio.Reader) (data []byte, id, name string, err error) {
	for {
		var head [2]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return nil, "", "", err
		}
		length := uint64(head[1])
		switch length {
		case 126:
			var b [2]byte
			_, err = io.ReadFull(in, b[:])
			length = uint64(binary.BigEndian.Uint16(b[:]))
		case 127:
			var b [8]byte
			_, err = io.ReadFull(in, b[:])
			length = binary.BigEndian.Uint64(b[:])
		}
		if err != nil {
			return nil, "", "", err
		}
		if head[1]&0x80 != 0 || length > 1<<20 {
			return nil, "", "", fmt.Errorf("frame header %x, length %d", head, length)
		}
		data = make([]byte, length)
		if _, err := io.ReadFull(in, data); err != nil {
			return nil, "", "", err
		}
		switch head[0] {
		case 0x81:
			return data, "", "", nil
		case 0x89: // a ping; no run is long enough for a missing pong to matter
		default:
			return nil, "", "", fmt.Errorf("frame header %x: %q", head, data)
		}
	}
}

// nextSSE reads an event of a text/event-stream (WHATWG HTML §9.2.6).
func nextSSE(in *bufio.Reader) (data []byte, id, name string, err error) {
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return nil, "", "", err
		}
		line = strings.TrimSuffix(line, "\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch {
		case line == "" && data != nil:
			return data, id, name, nil
		case line == "":
			id, name = "", ""
		case field == "data" && data != nil:
			return nil, "", "", errors.New("an event of several data lines")
		case field == "data":
			data = []byte(value)
		case field == "id":
			id = value
		case field == "event":
			name = value
		case field == "" || field == "retry":
		default:
			return nil, "", "", fmt.Errorf("line %q", line)
		}
	}
}

// fdReader reads a blocking descriptor, however long it takes.
type fdReader int

func (r fdReader) Read(b []byte) (int, error) {
	for {
		n, err := read(int(r), b)
		if err != syscall.EAGAIN { // SO_RCVTIMEO
			return n, err
		}
	}
}

// dechunked reads the data of a chunked body.
type dechunked struct {
	from   io.Reader
	chunks dechunker
}

func (d *dechunked) Read(b []byte) (int, error) {
	for {
		n, err := d.from.Read(b)
		if data := d.chunks.strip(b[:n]); len(data) > 0 || err != nil {
			return len(data), err
		}
	}
}

// missing compares a strict reader's messages with what was posted.
func missing(got, posted []int64) string {
	if slices.Equal(got, posted) {
		return ""
	}
	for i, id := range posted {
		if i >= len(got) || got[i] != id {
			return fmt.Sprintf("got %d messages of %d; id %d is missing", len(got), len(posted), id)
		}
	}
	return fmt.Sprintf("got %d messages of %d", len(got), len(posted))
}
