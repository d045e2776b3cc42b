package harness

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// HTTP/2 attacks without logging in, frame by frame, since net/http's client would send none of them. Some of the limits
// are net/http's own; they are tested all the same, since an update could lose them.

// h2socket is a raw HTTP/2 connection over TLS.
type h2socket struct {
	*http2.Framer
	conn net.Conn
	t    *testing.T
	Head bytes.Buffer
	Hp   *hpack.Encoder
}

func (p *Program) H2(t *testing.T) *h2socket {
	t.Helper()
	config := p.TLS.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", p.Host(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(Patience))
	s := &h2socket{Framer: http2.NewFramer(conn, conn), conn: conn, t: t}
	s.Hp = hpack.NewEncoder(&s.Head)
	s.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return s
}

// Block encodes a request's header fields.
func (s *h2socket) Block(method, path string, fields ...string) []byte {
	s.Head.Reset()
	for i, all := 0, append([]string{":method", method, ":scheme", "https", ":authority", "x", ":path", path}, fields...); i < len(all); i += 2 {
		_ = s.Hp.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}) // into memory
	}
	return s.Head.Bytes()
}

// Ask starts a request.
func (s *h2socket) Ask(id uint32, whole bool, method, path string, fields ...string) error {
	return s.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: s.Block(method, path, fields...), EndHeaders: true, EndStream: whole,
	})
}

// H2Outcome says what became of a connection's requests.
type H2Outcome struct {
	Statuses map[string]int // status of each response
	Resets   map[http2.ErrCode]int
	GoAway   http2.ErrCode
	Gone     bool // the connection ended, with or without a GOAWAY
}

// Watch reads until the connection ends, or until done says that it has seen enough.
func (s *h2socket) Watch(done func(H2Outcome) bool) H2Outcome {
	o := H2Outcome{Statuses: map[string]int{}, Resets: map[http2.ErrCode]int{}}
	for {
		f, err := s.ReadFrame()
		if err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				s.t.Errorf("no outcome within %v: %+v", Patience, o)
			}
			o.Gone = true
			return o
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			o.Statuses[f.PseudoValue("status")]++
		case *http2.RSTStreamFrame:
			o.Resets[f.ErrCode]++
		case *http2.GoAwayFrame:
			o.GoAway, o.Gone = f.ErrCode, true
		}
		if o.Gone || done(o) {
			return o
		}
	}
}

// StillServes fails the test unless the server answers another client.
func (p *Program) StillServes(t *testing.T) {
	t.Helper()
	p.Visitor(t).Do("GET", "/healthz", nil).Want(200)
}
