package realtime

import (
	"context"
	"math/rand/v2"
	"time"

	"tandem/chat"
)

// lastLook is how long Drain may read the log before it ends the streams.
const lastLook = time.Second

// Drain refuses new streams, sends the open ones what is committed and tells them to reconnect, spread over some seconds so
// that they do not return all at once. It returns when they have ended or, after cutting them, when ctx ends.
func (h *Hub) Drain(ctx context.Context) {
	h.mu.Lock()
	h.draining = true
	h.mu.Unlock()
	h.lookOnceMore(ctx)
	h.mu.Lock()
	// A millisecond per stream protects the next server from a stampede without delaying a few streams.
	spread := min(500*time.Millisecond+time.Duration(h.streams.count)*time.Millisecond, 5*time.Second)
	for s := range h.streams.all() {
		s.Close(chat.CloseRestart, 500*time.Millisecond+rand.N(spread))
	}
	// Its users still count while they reconnect elsewhere.
	hold := 500*time.Millisecond + spread + graceOfRestart
	h.leaving = h.now().Add(hold)
	h.sendPresence(PresenceUpdate{Kind: bye, Hold: hold})
	h.meet() // nobody needs to wait for the others any more
	h.mu.Unlock()

	ended := make(chan struct{})
	go func() { h.serving.Wait(); close(ended) }()
	defer func() {
		if h.lastSeen != nil {
			h.noteAllLastSeen()
			h.writeLastSeen(context.WithoutCancel(ctx))
		}
	}()
	select {
	case <-ended:
		return
	case <-ctx.Done():
	}
	h.mu.RLock()
	for s := range h.streams.all() {
		h.do("cutting a stream", s.cut)
	}
	h.mu.RUnlock()
	<-ended
}

// lookOnceMore brings the hub to the log's head: the bus delivers later than a post is acknowledged.
func (h *Hub) lookOnceMore(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, lastLook)
	go h.do("reading the log before the end", func() {
		defer cancel()
		_ = h.look(ctx) // what it cannot read, the clients get when they resume
	})
	<-ctx.Done()
}
