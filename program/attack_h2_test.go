package program

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// What an HTTP/2 client may do to a connection before anybody has logged in, frame by frame: no client of net/http's
// would. What of it net/http bounds by itself is held to here all the same, as an update could lose it.

// h2socket is a raw HTTP/2 connection over TLS.
type h2socket struct {
	*http2.Framer
	conn net.Conn
	t    *testing.T
	head bytes.Buffer
	hp   *hpack.Encoder
}

func (p *testProgram) h2(t *testing.T) *h2socket {
	t.Helper()
	config := p.tls.Clone()
	config.NextProtos = []string{"h2"}
	conn, err := tls.Dial("tcp", p.host(t), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	s := &h2socket{Framer: http2.NewFramer(conn, conn), conn: conn, t: t}
	s.hp = hpack.NewEncoder(&s.head)
	s.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteSettings(); err != nil {
		t.Fatal(err)
	}
	return s
}

// block encodes a request's header fields.
func (s *h2socket) block(method, path string, fields ...string) []byte {
	s.head.Reset()
	for i, all := 0, append([]string{":method", method, ":scheme", "https", ":authority", "x", ":path", path}, fields...); i < len(all); i += 2 {
		_ = s.hp.WriteField(hpack.HeaderField{Name: all[i], Value: all[i+1]}) // into memory
	}
	return s.head.Bytes()
}

// ask begins a request.
func (s *h2socket) ask(id uint32, whole bool, method, path string, fields ...string) error {
	return s.WriteHeaders(http2.HeadersFrameParam{
		StreamID: id, BlockFragment: s.block(method, path, fields...), EndHeaders: true, EndStream: whole,
	})
}

// h2outcome is what became of a connection's requests.
type h2outcome struct {
	statuses map[string]int // of answers
	resets   map[http2.ErrCode]int
	goAway   http2.ErrCode
	gone     bool // with a GOAWAY, or without
}

// watch reads until the connection ends, or until done says that it has seen enough.
func (s *h2socket) watch(done func(h2outcome) bool) h2outcome {
	o := h2outcome{statuses: map[string]int{}, resets: map[http2.ErrCode]int{}}
	for {
		f, err := s.ReadFrame()
		if err != nil {
			if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
				s.t.Errorf("nothing came of it in %v: %+v", patience, o)
			}
			o.gone = true
			return o
		}
		switch f := f.(type) {
		case *http2.MetaHeadersFrame:
			o.statuses[f.PseudoValue("status")]++
		case *http2.RSTStreamFrame:
			o.resets[f.ErrCode]++
		case *http2.GoAwayFrame:
			o.goAway, o.gone = f.ErrCode, true
		}
		if o.gone || done(o) {
			return o
		}
	}
}

// stillServes fails the test unless somebody else is answered.
func (p *testProgram) stillServes(t *testing.T) {
	t.Helper()
	p.visitor(t).do("GET", "/healthz", nil).want(200)
}

// Of 1,000 streams in a connection as many are served as it may have, and the others are refused one by one.
func TestStreamsOfOneHTTP2Connection(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	ada := p.signup(t, "ada")
	s := p.h2(t)
	const asked = 1000
	go func() {
		for i := range asked {
			if s.ask(uint32(2*i+1), true, "GET", "/v1/events", "authorization", "Bearer "+ada.AccessToken) != nil {
				return
			}
		}
	}()
	o := s.watch(func(o h2outcome) bool { return o.statuses["200"]+o.resets[http2.ErrCodeRefusedStream] == asked })
	if o.statuses["200"] > maxH2Streams || o.statuses["200"] == 0 || o.gone && o.goAway != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("%+v; want at most %d streams, and the others refused", o, maxH2Streams)
	}
	p.stillServes(t)
}

// Requests that are reset as they are made (CVE-2023-44487) never run more at once than a connection may have.
func TestHTTP2RapidReset(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	ada := p.signup(t, "ada")
	s := p.h2(t)
	const asked = 20_000
	ended := make(chan error, 1)
	go func() {
		for i := range asked {
			id := uint32(2*i + 1)
			err := errors.Join(s.ask(id, true, "GET", "/v1/events?room=*", "authorization", "Bearer "+ada.AccessToken), s.WriteRSTStream(id, http2.ErrCodeCancel))
			if err != nil {
				ended <- err
				return
			}
		}
		ended <- s.WritePing(false, [8]byte{1})
	}()
	pinged := false
	for !pinged {
		f, err := s.ReadFrame()
		if err != nil {
			break
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("the connection ends with %v", f.ErrCode)
			}
			pinged = true
		case *http2.PingFrame:
			pinged = f.IsAck()
		}
	}
	if !pinged {
		t.Error("the connection ended without a word")
	}
	<-ended
	p.stillServes(t)
	// Each stream that began has ended: nothing of them is left.
	for deadline := time.Now().Add(patience); p.running.hub.Stats().Streams["sse"] != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams are left of a connection that reset them all", p.running.hub.Stats().Streams["sse"])
		}
	}
}

// Header fields without end (CVE-2023-45288) are read as far as a header may be long.
func TestHTTP2ContinuationFlood(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	s := p.h2(t)
	if err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.block("GET", "/healthz"), EndStream: true}); err != nil {
		t.Fatal(err)
	}
	// Each frame is a whole field, which no table shortens.
	s.head.Reset()
	_ = s.hp.WriteField(hpack.HeaderField{Name: "x-flood", Value: strings.Repeat("\x7f", 8<<10), Sensitive: true})
	piece := bytes.Clone(s.head.Bytes())
	ended := make(chan h2outcome, 1)
	go func() { ended <- s.watch(func(o h2outcome) bool { return len(o.statuses) > 0 }) }()
	for sent := 0; ; sent += len(piece) {
		select {
		case o := <-ended:
			if o.statuses["200"] > 0 {
				t.Errorf("a request with %d KiB of header was answered: %+v", sent>>10, o)
			}
			p.stillServes(t)
			return
		case <-time.After(20 * time.Millisecond): // so that what it answers comes before more is sent
		}
		if sent > 512<<10 {
			t.Fatal("512 KiB of header fields were taken, and it wants more")
		}
		_ = s.WriteContinuation(1, false, piece) // fails once it is over
	}
}

// A body that trickles over HTTP/2 is given up as one over HTTP/1 is.
func TestSlowBodiesOverHTTP2AreCutOff(t *testing.T) {
	slow(t, "the body timeout is 10 s")
	p := startTLS(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	s := p.h2(t)
	if err := s.ask(1, false, "POST", "/v1/rooms/lobby/messages", "authorization", "Bearer "+ada.AccessToken, "content-type", "text/plain"); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteData(1, false, []byte("half a")); err != nil {
		t.Fatal(err)
	}
	o := s.watch(func(o h2outcome) bool { return len(o.statuses)+len(o.resets) > 0 })
	if o.statuses["201"] > 0 {
		t.Errorf("half a body was posted: %+v", o)
	}
}

// A flood of pings is answered for as long as its answers are read; the connection of whoever reads none is ended.
func TestHTTP2PingFloodOfOneWhoDoesNotRead(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	s := p.h2(t)
	for range 2_000_000 { // 34 MB
		if s.WritePing(false, [8]byte{}) != nil {
			p.stillServes(t)
			return
		}
	}
	t.Error("two million pings were taken, of one who reads no answer")
}
