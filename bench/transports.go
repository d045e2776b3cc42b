//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"
)

// transport says how readers ask for a stream, and how events look on it.
type transport struct {
	name    string
	headers string
	status  string // of a stream that was opened
	frame   func(event []byte) []byte
}

var transports = []transport{
	{
		name: "WebSocket",
		headers: "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", // the example in RFC 6455 §1.3
		status: "HTTP/1.1 101 ",
		frame: func(event []byte) []byte { // RFC 6455 §5.2; these events have 126 to 65,535 bytes
			return append([]byte{0x81, 126, byte(len(event) >> 8), byte(len(event))}, event...)
		},
	},
	{
		name:    "SSE",
		headers: "Accept: text/event-stream\r\n",
		status:  "HTTP/1.1 200 ",
		frame: func(event []byte) []byte {
			id, _ := eventID(event)
			return fmt.Appendf(nil, "id: %d.0123456789\nevent: chat_message\ndata: %s\n\n", id, event)
		},
	},
}

func (t *transport) request(host, room, token string) []byte {
	return []byte("GET /v1/events?room=" + room + " HTTP/1.1\r\nHost: " + host +
		"\r\nAuthorization: Bearer " + token + "\r\n" + t.headers + "\r\n")
}

// open opens a stream and reads until stream_open, after which no post may be missing. It returns the connection,
// whether its body is chunked, and what of the body was read.
func (t *transport) open(s *server, room, token string) (fd int, chunked bool, body []byte, err error) {
	if fd, err = dial(s.port); err != nil {
		return -1, false, nil, err
	}
	defer func() {
		if err != nil {
			syscall.Close(fd)
		}
	}()
	if err = writeAll(fd, t.request(s.addr(), room, token)); err != nil {
		return -1, false, nil, err
	}
	var b []byte
	for chunk := make([]byte, 4096); ; {
		var n int
		if n, err = read(fd, chunk); err != nil {
			return -1, false, nil, fmt.Errorf("opening a stream: %w after %q", err, b)
		}
		b = append(b, chunk[:n]...)
		head, body, complete := bytes.Cut(b, []byte("\r\n\r\n"))
		if !complete {
			continue
		}
		if !bytes.HasPrefix(head, []byte(t.status)) {
			return -1, false, nil, fmt.Errorf("a stream was answered\n%s", b)
		}
		if bytes.Contains(body, []byte(`"type":"stream_open"`)) {
			return fd, bytes.Contains(head, []byte("\r\nTransfer-Encoding: chunked")), body, nil
		}
		if len(b) > 64<<10 {
			return -1, false, nil, errors.New("a stream without stream_open")
		}
	}
}

// dechunker removes HTTP/1.1's chunk framing from a body (RFC 9112 §7.1).
type dechunker struct {
	left int // bytes of the current chunk still to come, including its final CRLF
	size int // the size line read so far
}

// strip returns the data in b, moved to its start. A chunk may start and end anywhere in b.
func (d *dechunker) strip(b []byte) []byte {
	out := b[:0]
	for len(b) > 0 {
		if d.left == 0 { // in a size line
			c := b[0]
			b = b[1:]
			switch {
			case c == '\n':
				d.left, d.size = d.size+2, 0
			case c >= '0' && c <= '9':
				d.size = d.size<<4 | int(c-'0')
			case c|0x20 >= 'a' && c|0x20 <= 'f':
				d.size = d.size<<4 | int(c|0x20-'a'+10)
			}
			continue
		}
		n := min(d.left, len(b))
		data := max(0, min(n, d.left-2)) // the last two are CRLF
		out = append(out, b[:data]...)
		d.left -= n
		b = b[n:]
	}
	return out
}
