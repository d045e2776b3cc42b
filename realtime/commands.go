package realtime

import (
	"context"
	"sync"

	"github.com/gorilla/websocket"

	"tandem/panics"
)

// maxWaiting is how many messages of a client may be queued, up to 64 KiB in total; beyond it, the connection is not
// read.
const maxWaiting = 16

// commands answers a connection's messages one after another, in a goroutine that only exists while there are some. So
// the reader keeps handling pings, the writer keeps sending events, and an idle connection has neither goroutine.
type commands struct {
	stream *Stream
	handle Handler

	mu      sync.Mutex
	changed sync.Cond // its L is set by put
	waiting [][]byte
	bytes   int
	running bool
	stopped bool
	ctx     context.Context // of the running commands; nil before the first
	cancel  context.CancelFunc
}

// put queues a message. It blocks while too many are queued.
func (c *commands) put(text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ctx == nil {
		c.ctx, c.cancel = context.WithCancel(context.Background())
		c.changed.L = &c.mu
	}
	for !c.stopped && (len(c.waiting) >= maxWaiting || len(c.waiting) > 0 && c.bytes+len(text) > MaxFrame) {
		c.changed.Wait()
	}
	if c.stopped {
		return
	}
	c.waiting = append(c.waiting, text)
	c.bytes += len(text)
	if !c.running {
		c.running = true
		go c.run()
	}
}

// used reports whether there ever was a message.
func (c *commands) used() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ctx != nil
}

func (c *commands) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.waiting) > 0 && !c.stopped {
		text := c.waiting[0]
		c.waiting[0], c.waiting = nil, c.waiting[1:]
		c.bytes -= len(text)
		c.changed.Broadcast()
		c.mu.Unlock()
		goOn := c.answer(text)
		c.mu.Lock()
		c.stopped = c.stopped || !goOn
	}
	c.waiting, c.running = nil, false
	c.changed.Broadcast()
}

// answer reports whether the connection continues.
func (c *commands) answer(text []byte) bool {
	var answer []byte
	var err error
	if !panics.Do(c.stream.hub.logger, "answering a frame", func() { answer, err = c.handle(c.ctx, text) }) {
		c.stream.End(appendWSFrame(nil, websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseInternalServerErr, "the server failed")))
		return false
	}
	sent := answer == nil || c.stream.Send(appendWSFrame(nil, websocket.TextMessage, answer))
	if err != nil {
		c.stream.End(appendWSFrame(nil, websocket.CloseMessage, websocket.FormatCloseMessage(websocket.ClosePolicyViolation, err.Error())))
	}
	return sent && err == nil
}

// wait returns when everything queued is answered.
func (c *commands) wait() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.running {
		c.changed.Wait()
	}
}

// stop drops queued messages, and returns when the running one has ended.
func (c *commands) stop() {
	c.mu.Lock()
	c.stopped = true
	if c.cancel != nil {
		c.cancel()
	}
	c.mu.Unlock()
	c.stream.silence()
	c.wait()
}
