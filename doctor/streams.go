package doctor

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"tandem/client"
)

// way is one transport, and its results.
type way struct {
	name   string
	by     client.Transport
	http1  bool
	advice string // if it does not work

	head    http.Header // nil: no response
	opened  time.Duration
	arrived time.Duration // of the mark
	pings   int
	ended   time.Duration // 0: it has not ended
	quiet   time.Duration // time from the last event to the end
	err     error
}

const (
	adviseSocket   = "Pass on the Upgrade and Connection headers over HTTP/1.1 (nginx: proxy_http_version 1.1, proxy_set_header Upgrade $http_upgrade). Until then, clients fall back to SSE."
	adviseBuffered = "Something buffers the events until the response is complete. Turn off buffering and compression for /v1/events (nginx: proxy_buffering off, and no proxy_ignore_headers for X-Accel-Buffering). Check content filters too."
	advisePoll     = "Long poll is the last fallback of clients: without it, nothing works here."
)

// streams opens every transport at once, sends one event to all, and then watches them while idle.
func (e *exam) streams(ctx context.Context) {
	ways := []*way{{name: "WebSocket", by: client.WebSocket, http1: true, advice: adviseSocket}}
	get, post, lines := "SSE by GET", "SSE by POST", "NDJSON"
	if e.http2 {
		ways = append(ways, &way{name: get + ", HTTP/2", by: client.SSE, advice: adviseBuffered})
		get, post, lines = get+", HTTP/1.1", post+", HTTP/2", lines+", HTTP/2"
	}
	ways = append(ways,
		&way{name: get, by: client.SSE, http1: true, advice: adviseBuffered},
		&way{name: post, by: client.SSEPost, advice: adviseBuffered},
		&way{name: lines, by: client.NDJSON, advice: adviseBuffered})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var ready, done sync.WaitGroup
	mark := &mark{text: rand.Text(), sent: make(chan struct{})}
	for _, w := range ways {
		ready.Add(1)
		done.Go(func() { e.watch(ctx, w, mark, sync.OnceFunc(ready.Done)) })
	}
	ready.Wait()
	mark.at = time.Now()
	close(mark.sent)
	err := e.client.Do(ctx, client.Call{Method: http.MethodPost, Path: "/v1/private/" + url.PathEscape(e.me) + "/events", JSON: map[string]any{
		"name": "tandem.doctor", "data": map[string]string{"mark": mark.text}, "ephemeral": true,
	}}, nil)
	poll := make(chan Result, 1)
	go func() { poll <- e.poll(ctx) }()
	done.Wait()
	for _, w := range ways {
		e.report.Results = append(e.report.Results, w.result(err != nil))
	}
	e.report.Results = append(e.report.Results, <-poll)
	e.buffering(ways)
	if e.Idle > 0 {
		e.idle(ways)
	}
}

// mark is the event that measures the delivery time.
type mark struct {
	text string
	at   time.Time
	sent chan struct{}
}

// watch opens a stream, signals ready when its first event has arrived or failed, and reads until the time is over.
func (e *exam) watch(ctx context.Context, w *way, m *mark, ready func()) {
	defer ready()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	began := time.Now()
	late := time.AfterFunc(e.Wait, cancel)
	c := *e.client
	if w.http1 {
		c = *client.New(e.base, e.client.Tokens)
		t := client.NewTransport()
		t.ForceAttemptHTTP2, t.Protocols = false, new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		defer t.CloseIdleConnections()
		c.HTTP.Transport = t
	}
	conn, err := c.Dial(ctx, w.by, url.Values{})
	if err != nil {
		w.err = err
		return
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	w.head = conn.Answer.Header
	last := began
	go func() { // the time begins with the mark
		select {
		case <-m.sent:
			time.AfterFunc(max(e.Idle, e.Wait/2), cancel)
		case <-ctx.Done():
		}
	}()
	for {
		raw, err := conn.Next()
		now := time.Now()
		if err != nil {
			if ctx.Err() == nil { // it was cut
				w.err, w.ended, w.quiet = err, now.Sub(began), now.Sub(last)
			} else if w.opened == 0 {
				w.err = errors.New("the response started, but no event arrived")
			}
			return
		}
		last = now
		event, err := client.ParseEvent(raw)
		if err != nil {
			w.err = err
			return
		}
		if w.opened == 0 {
			w.opened = now.Sub(began)
			late.Stop()
			ready()
		}
		switch {
		case event.Type == "ping":
			w.pings++
		case event.Type == "custom_event" && strings.Contains(string(event.Data), m.text):
			<-m.sent // m.at is written before
			w.arrived = max(now.Sub(m.at), 1)
		}
	}
}

// result reports whether the transport works. unmarked means that the mark could not be sent.
func (w *way) result(unmarked bool) Result {
	r := Result{Check: w.name, Verdict: Good, FirstEvent: w.opened.Milliseconds(), Delivery: w.arrived.Milliseconds()}
	switch {
	case w.opened == 0 && w.err == nil:
		r.Verdict, r.Detail, r.Advice = Trouble, "no answer came", w.advice
	case w.opened == 0 && errors.Is(w.err, context.Canceled):
		r.Verdict, r.Detail, r.Advice = Trouble, "no response in time", w.advice
	case w.opened == 0:
		r.Verdict, r.Detail, r.Advice = Trouble, w.err.Error(), w.advice
	case unmarked:
		r.Detail = fmt.Sprintf("first event after %s", ms(w.opened))
	case w.arrived == 0 && w.ended == 0 && w.by != client.Poll:
		r.Verdict, r.Advice = Trouble, adviseBuffered
		r.Detail = fmt.Sprintf("first event after %s, then no more", ms(w.opened))
	case w.arrived > 2*time.Second:
		r.Verdict, r.Advice = Trouble, adviseBuffered
		r.Detail = fmt.Sprintf("first event after %s, the next %s late", ms(w.opened), ms(w.arrived))
	default:
		r.Detail = fmt.Sprintf("first event after %s, delivery within %s", ms(w.opened), ms(w.arrived))
	}
	return r
}

// poll sends one poll that is answered at once, and one that waits for some time.
func (e *exam) poll(ctx context.Context) Result {
	r := Result{Check: "long poll", Verdict: Trouble, Advice: advisePoll}
	// A reused connection would hide a cut by retrying the call.
	c := *e.client
	t := client.NewTransport()
	t.DisableKeepAlives = true
	c.HTTP = &http.Client{Transport: t, CheckRedirect: e.client.HTTP.CheckRedirect}
	ask := func(wait int, since string) (string, time.Duration, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, time.Duration(wait)*time.Second+e.Wait, errors.New("no response in time"))
		defer cancel()
		query := url.Values{"wait": {strconv.Itoa(wait)}}
		if since != "" {
			query.Set("since", since)
		}
		var answer struct {
			Events []json.RawMessage
			Since  string
		}
		began := time.Now()
		err := c.Do(ctx, client.Call{Method: http.MethodGet, Path: "/v1/events", Query: query, Header: http.Header{"Accept": {"application/json"}}}, &answer)
		return answer.Since, time.Since(began), err
	}
	since, first, err := ask(0, "")
	if err != nil {
		r.Detail = err.Error()
		return r
	}
	r.FirstEvent = first.Milliseconds()
	wait := min(25, int(e.Idle.Seconds()))
	if _, held, err := ask(wait, since); err != nil {
		r.Detail = fmt.Sprintf("immediate responses work, but a waiting one is cut after %s: %v", ms(held), err)
		r.Advice = "Raise the proxy's response timeout above 25 s. Until then, clients use a shorter wait and poll more often."
		return r
	}
	r.Verdict, r.Advice = Good, ""
	r.Detail = fmt.Sprintf("first response after %s; one that waits %d s works", ms(first), wait)
	return r
}

// buffering reports which headers of the streams reveal a proxy that buffers, compresses or drops headers.
func (e *exam) buffering(ways []*way) {
	var seen []string
	told := map[string]bool{}
	verdict, advice := Good, ""
	held := false
	for _, w := range ways {
		held = held || w.by != client.WebSocket && w.held()
		if w.head == nil || w.by == client.WebSocket {
			continue
		}
		note := func(v Verdict, what string) {
			if !told[what] {
				told[what] = true
				seen = append(seen, what)
			}
			if v == Trouble {
				verdict = Trouble
			} else if verdict == Good {
				verdict = Note
			}
		}
		if packed := w.head.Get("Content-Encoding"); packed != "" {
			note(Trouble, "Content-Encoding: "+packed+" (streams are compressed, which usually means buffered)")
		}
		if length := w.head.Get("Content-Length"); length != "" {
			note(Trouble, "Content-Length: "+length+" (a stream only has a length if it was buffered)")
		}
		if !strings.Contains(w.head.Get("Cache-Control"), "no-transform") {
			note(Note, "Cache-Control without no-transform: "+strconv.Quote(w.head.Get("Cache-Control")))
		}
		if w.head.Get("X-Accel-Buffering") == "" {
			note(Note, "X-Accel-Buffering is missing, as behind nginx, which obeys it")
		}
	}
	if verdict == Trouble {
		advice = adviseBuffered
	}
	switch {
	case held:
		verdict, advice = Trouble, ""
		seen = append([]string{"events are held back"}, seen...)
		if e.proxy != "" {
			seen = append(seen, "in front is "+e.proxy)
		}
	case len(seen) == 0:
		seen = []string{"none, and no header indicates any"}
	}
	e.report.add("buffering", verdict, strings.Join(seen, "; "), advice)
}

// held reports whether the mark arrived late, or not at all, over an open connection.
func (w *way) held() bool {
	if w.opened == 0 {
		return w.head != nil || errors.Is(w.err, context.Canceled)
	}
	return w.arrived == 0 && w.ended == 0 || w.arrived > 2*time.Second
}

// pingEvery is the time between the server's pings.
const pingEvery = 20 * time.Second

// idle reports what happened to idle streams.
func (e *exam) idle(ways []*way) {
	for _, w := range ways {
		if w.opened == 0 {
			continue
		}
		name := "idle " + w.name
		switch {
		case w.ended > 0 && w.pings == 0 && w.quiet < pingEvery+time.Second:
			e.report.add(name, Trouble, fmt.Sprintf("cut after %s without an event", ms(w.quiet)), "Raise the proxy's idle timeout to 75 s (nginx: proxy_read_timeout; HAProxy: timeout tunnel, timeout server): tandem sends a ping every 20 s.")
		case w.ended > 0:
			e.report.add(name, Note, fmt.Sprintf("cut after %s, with %d pings until then", ms(w.ended), w.pings), "Something limits the duration of requests. Clients reconnect and lose nothing; raise the limit if you can.")
		case w.pings == 0 && e.Idle > pingEvery+5*time.Second:
			e.report.add(name, Trouble, fmt.Sprintf("open for %s, but no ping arrived", ms(e.Idle)), adviseBuffered)
		default:
			e.report.add(name, Good, fmt.Sprintf("open for %s, %d pings", ms(e.Idle), w.pings), "")
		}
	}
}
