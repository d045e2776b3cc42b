// Package breaker is a proxy in front of a tandem that damages the events of its streams, to prove that the suite notices.
// It parses every transport: WebSocket frames, SSE blocks, NDJSON lines, and the elements of a poll's answer. Everything
// else passes unchanged.
//
// It has a goroutine for each connection, which ends with the connection.
package breaker

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Breakage is a way to damage a stream's events.
type Breakage string

// The breakages. Each applies to every third durable event of a user's stream, across all of its connections.
const (
	Nothing Breakage = "nothing"
	Alter   Breakage = "alter"   // one byte of the event is changed
	Respell Breakage = "respell" // the same JSON in different bytes
	Drop    Breakage = "drop"    // the event is dropped
	Double  Breakage = "double"  // the event comes twice
	Delay   Breakage = "delay"   // the event comes after the next one
	Cut     Breakage = "cut"     // the connection ends there, and events in flight are lost for good
)

// Breakages lists all breakages that have an effect.
func Breakages() []Breakage { return []Breakage{Alter, Respell, Drop, Double, Delay, Cut} }

const every = 3

// Breaker is the proxy, an http.Handler. Create it with New.
type Breaker struct {
	target   *url.URL
	breakage Breakage
	breaks   func(*http.Request) bool
	proxy    *httputil.ReverseProxy

	mu    sync.Mutex
	flows map[string]*flow
}

// New returns a proxy in front of a server. It damages the streams for which breaks reports true.
func New(target *url.URL, breakage Breakage, breaks func(*http.Request) bool) *Breaker {
	b := &Breaker{target: target, breakage: breakage, breaks: breaks, flows: map[string]*flow{}}
	b.proxy = &httputil.ReverseProxy{
		Rewrite:        func(r *httputil.ProxyRequest) { r.SetURL(target) },
		FlushInterval:  -1,
		ModifyResponse: modify,
		ErrorHandler:   func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
		ErrorLog:       log.New(io.Discard, "", 0), // broken connections are its purpose
		// Shorter than the server's ReadHeaderTimeout: it would close an unused connection while a request is being sent on it.
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: 3 * time.Second},
	}
	return b
}

// Close closes the idle connections to the server.
func (b *Breaker) Close() { b.proxy.Transport.(*http.Transport).CloseIdleConnections() }

func (b *Breaker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/v1/events" && b.breaks(r) {
		if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			b.socket(w, r)
			return
		}
		r = r.WithContext(context.WithValue(r.Context(), flowKey{}, b.flow(r)))
	}
	b.proxy.ServeHTTP(w, r)
}

// flowKey marks requests whose answers are to be damaged.
type flowKey struct{}

// modify damages an answer that is a stream.
func modify(resp *http.Response) error {
	f, ok := resp.Request.Context().Value(flowKey{}).(*flow)
	if !ok || resp.StatusCode != http.StatusOK {
		return nil
	}
	switch kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind {
	case "text/event-stream":
		resp.Body = spoiled(resp.Body, f, "\n\n", sseData)
	case "application/x-ndjson":
		resp.Body = spoiled(resp.Body, f, "\n", func(line []byte) (int, int) { return 0, len(line) - 1 })
	case "application/json":
		return f.poll(resp)
	}
	return nil
}

// flow is one user's stream of some rooms, across all of its connections over one transport.
type flow struct {
	breakage Breakage
	mu       sync.Mutex
	durable  int            // how many durable events have passed
	lost     map[int64]bool // those lost in a cut
	held     []frame        // for polls: events held back for a later answer
}

func (b *Breaker) flow(r *http.Request) *flow {
	query := r.URL.Query()
	key := fmt.Sprint(r.Header.Get("Authorization"), query["room"], query.Get("format"), r.Header.Get("Accept"))
	b.mu.Lock()
	defer b.mu.Unlock()
	f := b.flows[key]
	if f == nil {
		f = &flow{breakage: b.breakage, lost: map[int64]bool{}}
		b.flows[key] = f
	}
	return f
}

// frame is an event in its transport's framing: the payload is wire[from:to].
type frame struct {
	wire     []byte
	from, to int
}

func (f frame) with(payload []byte) frame {
	wire := append(append(bytes.Clone(f.wire[:f.from]), payload...), f.wire[f.to:]...)
	return frame{wire, f.from, f.from + len(payload)}
}

var errCut = errors.New("cut")

// spoil returns what to send instead of a frame. held is what was held back on this connection.
func (f *flow) spoil(in frame, held *[]frame) ([]frame, error) {
	var event struct {
		Type string
		ID   int64
	}
	_ = json.Unmarshal(in.wire[in.from:in.to], &event) // what cannot be parsed is passed on
	if event.ID == 0 || event.Type == "reply" {
		return []frame{in}, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.lost[event.ID] {
		return nil, nil
	}
	out := []frame{in}
	f.durable++
	if f.durable%every == 0 {
		switch f.breakage {
		case Alter:
			out[0] = in.with(alter(in.wire[in.from:in.to]))
		case Respell:
			out[0] = in.with(bytes.Replace(in.wire[in.from:in.to], []byte(`,"sent_at":`), []byte(`, "sent_at":`), 1))
		case Drop:
			return nil, nil
		case Double:
			out = append(out, in)
		case Delay:
			*held = append(*held, in)
			return nil, nil
		case Cut:
			f.lost[event.ID] = true
			return nil, errCut
		}
	}
	out = append(out, *held...)
	*held = nil
	return out, nil
}

// alter changes one bit of the last letter of the last string in an event, which remains valid JSON.
func alter(payload []byte) []byte {
	payload = bytes.Clone(payload)
	for i := len(payload) - 1; i >= 0; i-- {
		if c := payload[i]; c >= '0' && c <= '8' { // usually the milliseconds of sent_at
			payload[i] ^= 1
			return payload
		}
	}
	return payload
}

// spoiled reads a body frame by frame and damages it.
func spoiled(body io.ReadCloser, f *flow, end string, payload func(wire []byte) (from, to int)) io.ReadCloser {
	from, to := io.Pipe()
	go func() {
		defer body.Close()
		lines := bufio.NewReader(body)
		var held []frame
		for {
			wire, err := readUntil(lines, end)
			if err != nil {
				to.CloseWithError(err)
				return
			}
			a, b := payload(wire)
			out, err := f.spoil(frame{wire, a, b}, &held)
			for _, one := range out {
				if _, err := to.Write(one.wire); err != nil {
					return
				}
			}
			if err != nil {
				to.CloseWithError(io.ErrUnexpectedEOF)
				return
			}
		}
	}()
	return struct {
		io.Reader
		io.Closer
	}{from, from}
}

func readUntil(r *bufio.Reader, end string) ([]byte, error) {
	var wire []byte
	for {
		part, err := r.ReadBytes('\n')
		wire = append(wire, part...)
		if err != nil || bytes.HasSuffix(wire, []byte(end)) {
			return wire, err
		}
	}
}

// sseData finds the data of a block, which is on one line.
func sseData(block []byte) (from, to int) {
	for at := 0; at < len(block); {
		line := block[at : at+bytes.IndexByte(block[at:], '\n')]
		if data, ok := bytes.CutPrefix(line, []byte("data:")); ok {
			data = bytes.TrimPrefix(data, []byte(" "))
			return at + len(line) - len(data), at + len(line)
		}
		at += len(line) + 1
	}
	return 0, 0
}

// poll damages a complete poll answer.
func (f *flow) poll(resp *http.Response) error {
	defer resp.Body.Close()
	var envelope struct {
		Events []json.RawMessage `json:"events"`
		Since  string            `json:"since"`
	}
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &envelope); err != nil {
		return err
	}
	f.mu.Lock()
	held := f.held
	f.held = nil
	f.mu.Unlock()
	var elements [][]byte
	for _, raw := range envelope.Events {
		out, err := f.spoil(frame{raw, 0, len(raw)}, &held) // what is held back comes with a later answer
		for _, one := range out {
			elements = append(elements, one.wire)
		}
		if err != nil {
			return err // and the answer is lost
		}
	}
	f.mu.Lock()
	f.held = append(f.held, held...)
	f.mu.Unlock()
	body := fmt.Appendf(nil, `{"events":[%s],"since":%q}`, bytes.Join(elements, []byte(",")), envelope.Since)
	resp.Body = io.NopCloser(bytes.NewReader(body))
	resp.ContentLength = int64(len(body))
	resp.Header.Set("Content-Length", fmt.Sprint(len(body)))
	return nil
}

// socket takes over both connections after the handshake, and damages what the server sends.
func (b *Breaker) socket(w http.ResponseWriter, r *http.Request) {
	server, err := net.Dial("tcp", b.target.Host)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer server.Close()
	if err := r.Write(server); err != nil {
		return
	}
	client, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	go func() {
		_, _ = io.Copy(server, buffered) // until either side closes
		server.Close()
	}()
	from := bufio.NewReader(server)
	head, err := readUntil(from, "\r\n\r\n")
	if _, wrong := client.Write(head); err != nil || wrong != nil {
		return
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101")) {
		_, _ = io.Copy(client, from)
		return
	}
	f := b.flow(r)
	var held []frame
	for {
		opcode, payload, err := readFrame(from)
		if err != nil {
			return
		}
		out := []frame{{payload, 0, len(payload)}}
		if opcode == 0x81 { // the end of a text message, which the server sends as one frame
			out, err = f.spoil(out[0], &held)
		}
		for _, one := range out {
			if _, err := client.Write(appendFrame(nil, opcode, one.wire)); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}
