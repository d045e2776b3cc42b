//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// posters are keep-alive connections that post messages, all served by one thread.
type posters struct {
	conns []*poster
	rooms []string
	poll  *poll
	free  []int // numbers of the connections that are not waiting for an answer
	out   posted
}

// posted is the result of a run of posters.
type posted struct {
	ids     []int64 // acknowledged ids, in the order of the answers
	rooms   []int   // each id's room, as an index
	latency []int32 // µs from request to answer
	took    time.Duration
	event   []byte // the last answer's body
}

type poster struct {
	fd      int
	rooms   []int  // the rooms that it posts to in turn, as indexes
	next    int    // index of the current one
	room    int    // the room of its last post
	request []byte // built once; only the following parts change
	name    []byte // in request: the room
	stamp   []byte // in request: the time of the post, UnixMicro
	serial  []byte // in request: the message's number
	key     []byte // in request: the number in the Idempotency-Key, or nil
	sent    time.Time
	answer  [4096]byte
	have    int
}

// serials numbers all messages of this process, which makes texts and keys unique.
var serials atomic.Int64

const stampDigits, serialDigits = 16, 12

// shortText is the length of a message where posts are not measured, longText where they are.
const shortText, longText = 48, 200

// message says what posters post.
type message struct {
	characters int  // length of its text
	data       int  // bytes of its data
	keys       bool // with an Idempotency-Key
}

// newPosters connects n posters of such messages, spread over the users. Each posts to its share of the rooms in turn;
// if there are fewer rooms than posters, posters share rooms. The rooms' names must have the same length, as requests
// are built once.
func newPosters(port int, tokens, rooms []string, n int, m message) (*posters, error) {
	for _, room := range rooms {
		if len(room) != len(rooms[0]) {
			return nil, fmt.Errorf("rooms %s and %s have names of different lengths", room, rooms[0])
		}
	}
	poll, err := newPoll()
	if err != nil {
		return nil, err
	}
	p := &posters{poll: poll, rooms: rooms}
	for i := range n {
		fd, err := dial(port)
		if err != nil {
			p.close()
			return nil, err
		}
		c := newPoster(fd, "127.0.0.1:"+strconv.Itoa(port), rooms[0], tokens[i%len(tokens)], m)
		for room := i % len(rooms); room < len(rooms); room += n {
			c.rooms = append(c.rooms, room)
		}
		p.conns = append(p.conns, c)
		p.free = append(p.free, i)
		if err := poll.add(fd, i); err != nil {
			p.close()
			return nil, err
		}
	}
	return p, nil
}

func newPoster(fd int, host, room, token string, m message) *poster {
	const stampMark, serialMark, keyMark = "SSSSSSSSSSSSSSSS", "NNNNNNNNNNNN", "KKKKKKKKKKKK"
	text := "t=" + stampMark + " n=" + serialMark
	text += strings.Repeat(" over the wire", m.characters)[:m.characters-len(text)]
	body := `{"message":"` + text + `"}`
	if m.data > 0 {
		body = body[:len(body)-1] + `,"data":` + object(m.data) + `}`
	}
	head := "POST /v1/rooms/" + room + "/messages HTTP/1.1\r\nHost: " + host +
		"\r\nAuthorization: Bearer " + token + "\r\nContent-Type: application/json\r\n"
	if m.keys {
		head += "Idempotency-Key: bench-" + keyMark + "\r\n"
	}
	request := []byte(head + "Content-Length: " + strconv.Itoa(len(body)) + "\r\n\r\n" + body)
	find := func(mark string) []byte {
		i := bytes.LastIndex(request, []byte(mark))
		if i < 0 {
			return nil
		}
		return request[i : i+len(mark)]
	}
	name := request[len("POST /v1/rooms/"):][:len(room)]
	return &poster{fd: fd, request: request, name: name, stamp: find(stampMark), serial: find(serialMark), key: find(keyMark)}
}

// object returns a JSON object of n bytes with many small members, as apps have.
func object(n int) string {
	o := `{"first":""`
	for i := 0; len(o)+len(`,"m00000":[1.5,true,"x"],"last":""}`) < n; i++ {
		o += fmt.Sprintf(`,"m%05d":[1.5,true,"x"]`, i)
	}
	return o + `,"last":"` + strings.Repeat("x", n-len(o)-len(`,"last":""}`)) + `"}`
}

func (p *posters) close() {
	for _, c := range p.conns {
		syscall.Close(c.fd)
	}
	p.poll.close()
}

// run posts for d: rate messages per second, evenly spaced, or as many as are answered if rate is 0. It returns when
// every post is answered, or with an error for any answer other than 201.
func (p *posters) run(ctx context.Context, d time.Duration, rate float64) (posted, error) {
	p.out = posted{}
	var failed error
	began := time.Now()
	end, due := began.Add(d), began
	for failed == nil && ctx.Err() == nil {
		now := time.Now()
		wait := 100 * time.Millisecond
		if now.Before(end) {
			for len(p.free) > 0 && (rate == 0 || !due.After(now)) {
				if failed = p.send(); failed != nil {
					return p.out, failed
				}
				if rate > 0 {
					due = due.Add(time.Duration(float64(time.Second) / rate))
				}
			}
			if rate > 0 && len(p.free) > 0 {
				wait = min(wait, time.Until(due)+time.Millisecond-1) // epoll waits whole milliseconds
			}
		} else if len(p.free) == len(p.conns) {
			break
		} else if now.Sub(end) > 15*time.Second {
			return p.out, fmt.Errorf("%d posts got no answer within 15 s", len(p.conns)-len(p.free))
		}
		err := p.poll.wait(wait, func(i int) {
			if failed != nil {
				return
			}
			var done bool
			if done, failed = p.receive(p.conns[i]); done {
				p.free = append(p.free, i)
			}
		})
		if failed == nil {
			failed = err
		}
	}
	if failed == nil {
		failed = ctx.Err()
	}
	p.out.took = time.Since(began)
	return p.out, failed
}

func (p *posters) send() error {
	i := p.free[0]
	p.free = slices.Delete(p.free, 0, 1)
	c := p.conns[i]
	c.room = c.rooms[c.next]
	c.next = (c.next + 1) % len(c.rooms)
	copy(c.name, p.rooms[c.room])
	serial := serials.Add(1)
	c.sent = time.Now()
	digits(c.stamp, c.sent.UnixMicro())
	digits(c.serial, serial)
	digits(c.key, serial)
	c.have = 0
	if err := writeAll(c.fd, c.request); err != nil {
		return fmt.Errorf("post: %w", err)
	}
	return nil
}

// receive reads from a connection and reports whether its answer is complete.
func (p *posters) receive(c *poster) (bool, error) {
	n, err := read(c.fd, c.answer[c.have:])
	if err == syscall.EAGAIN {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("answer to a post: %w", err)
	}
	c.have += n
	b := c.answer[:c.have]
	head, body, complete := bytes.Cut(b, []byte("\r\n\r\n"))
	if !complete {
		return false, nil
	}
	length, err := contentLength(head)
	if err != nil {
		return false, err
	}
	if len(body) < length {
		if c.have == len(c.answer) {
			return false, fmt.Errorf("an answer of more than %d bytes to a post", len(c.answer))
		}
		return false, nil
	}
	id, ok := eventID(body)
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 201 ")) || !ok {
		return false, fmt.Errorf("a post was answered\n%s", b)
	}
	p.out.latency = append(p.out.latency, int32(time.Since(c.sent).Microseconds()))
	p.out.ids = append(p.out.ids, id)
	p.out.rooms = append(p.out.rooms, c.room)
	p.out.event = append(p.out.event[:0], body...)
	return true, nil
}

func contentLength(head []byte) (int, error) {
	_, rest, ok := bytes.Cut(head, []byte("\r\nContent-Length: "))
	if !ok {
		return 0, fmt.Errorf("an answer without Content-Length:\n%s", head)
	}
	digits, _, _ := bytes.Cut(rest, []byte("\r\n"))
	return strconv.Atoi(string(digits))
}

// digits writes n right-aligned with leading zeros, or nothing if b is empty.
func digits(b []byte, n int64) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}
