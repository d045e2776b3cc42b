package security

import (
	"bytes"
	"errors"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"tandem/e2e/harness"
	"tandem/program"
)

// Of 1,000 streams on a connection as many are served as the limit allows, and the others are refused one by one.
func TestStreamsOfOneHTTP2Connection(t *testing.T) {
	t.Parallel()
	p := harness.StartTLS(t)
	ada := p.Signup(t, "ada")
	s := p.H2(t)
	const asked = 1000
	go func() {
		for i := range asked {
			if s.Ask(uint32(2*i+1), true, "GET", "/v1/events", "authorization", "Bearer "+ada.AccessToken) != nil {
				return
			}
		}
	}()
	o := s.Watch(func(o harness.H2Outcome) bool { return o.Statuses["200"]+o.Resets[http2.ErrCodeRefusedStream] == asked })
	if o.Statuses["200"] > program.MaxH2Streams || o.Statuses["200"] == 0 || o.Gone && o.GoAway != http2.ErrCodeEnhanceYourCalm {
		t.Errorf("%+v; want at most %d streams, and the others refused", o, program.MaxH2Streams)
	}
	p.StillServes(t)
}

// Rapid reset (CVE-2023-44487): requests that are reset at once never run in greater number than the stream limit.
func TestHTTP2RapidReset(t *testing.T) {
	t.Parallel()
	p := harness.StartTLS(t)
	ada := p.Signup(t, "ada")
	s := p.H2(t)
	const asked = 20_000
	ended := make(chan error, 1)
	go func() {
		for i := range asked {
			id := uint32(2*i + 1)
			err := errors.Join(s.Ask(id, true, "GET", "/v1/events?room=*", "authorization", "Bearer "+ada.AccessToken), s.WriteRSTStream(id, http2.ErrCodeCancel))
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
		if errors.Is(err, syscall.ECONNRESET) {
			break // the server may close while we still send, so its last frame may be lost
		} else if err != nil {
			t.Errorf("the connection ended without a GOAWAY frame: %v", err)
			break
		}
		switch f := f.(type) {
		case *http2.GoAwayFrame:
			if f.ErrCode != http2.ErrCodeEnhanceYourCalm {
				t.Errorf("GOAWAY error code = %v", f.ErrCode)
			}
			pinged = true
		case *http2.PingFrame:
			pinged = f.IsAck()
		}
	}
	<-ended
	p.StillServes(t)
	// Every stream that was opened has ended.
	for deadline := time.Now().Add(harness.Patience); p.Running.Stats().Streams["sse"] != 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d streams left after the client reset them all", p.Running.Stats().Streams["sse"])
		}
	}
}

// Endless header fields (CVE-2023-45288) are read only up to the header limit.
func TestHTTP2ContinuationFlood(t *testing.T) {
	t.Parallel()
	p := harness.StartTLS(t)
	s := p.H2(t)
	if err := s.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: s.Block("GET", "/healthz"), EndStream: true}); err != nil {
		t.Fatal(err)
	}
	// Each frame is one whole field, not shortened by the dynamic table.
	s.Head.Reset()
	_ = s.Hp.WriteField(hpack.HeaderField{Name: "x-flood", Value: strings.Repeat("\x7f", 8<<10), Sensitive: true})
	piece := bytes.Clone(s.Head.Bytes())
	ended := make(chan harness.H2Outcome, 1)
	go func() { ended <- s.Watch(func(o harness.H2Outcome) bool { return len(o.Statuses) > 0 }) }()
	for sent := 0; ; sent += len(piece) {
		select {
		case o := <-ended:
			if o.Statuses["200"] > 0 {
				t.Errorf("a request with %d KiB of headers succeeded: %+v", sent>>10, o)
			}
			p.StillServes(t)
			return
		case <-time.After(20 * time.Millisecond): // so that its answer comes before we send more
		}
		if sent > 512<<10 {
			t.Fatal("server accepted 512 KiB of header fields")
		}
		_ = s.WriteContinuation(1, false, piece) // fails once the connection is closed
	}
}

// A body that trickles in over HTTP/2 times out as one over HTTP/1 does.
func TestSlowBodiesOverHTTP2AreCutOff(t *testing.T) {
	harness.Slow(t, "the body timeout is 10 s")
	p := harness.StartTLS(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	s := p.H2(t)
	if err := s.Ask(1, false, "POST", "/v1/rooms/lobby/messages", "authorization", "Bearer "+ada.AccessToken, "content-type", "text/plain"); err != nil {
		t.Fatal(err)
	}
	if err := s.WriteData(1, false, []byte("half a")); err != nil {
		t.Fatal(err)
	}
	o := s.Watch(func(o harness.H2Outcome) bool { return len(o.Statuses)+len(o.Resets) > 0 })
	if o.Statuses["201"] > 0 {
		t.Errorf("a message with half a body was posted: %+v", o)
	}
}

// A flood of pings is answered while the client reads the answers. A client that does not read is disconnected.
func TestHTTP2PingFloodWithoutReading(t *testing.T) {
	t.Parallel()
	p := harness.StartTLS(t)
	s := p.H2(t)
	for range 2_000_000 { // 34 MB
		if s.WritePing(false, [8]byte{}) != nil {
			p.StillServes(t)
			return
		}
	}
	t.Error("server accepted two million pings from a client that reads no responses")
}
