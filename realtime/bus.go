package realtime

import (
	"context"

	"tandem/chat"
)

// Bus carries committed events between the nodes' hubs. It is fast and may lose, double or reorder batches:
// ids are dense, so a hub sees what is missing and reads the log.
type Bus interface {
	// Publish hands over one commit's events, in the order of their ids. It never blocks.
	Publish(batch []chat.Event)
	// Receive calls f with each batch, from one goroutine, until ctx ends. An empty batch says that
	// something was lost.
	Receive(ctx context.Context, f func(batch []chat.Event))
}

var _ Bus = (*Memory)(nil)

// Memory is the Bus of a single node.
type Memory struct {
	batches chan []chat.Event
	lost    chan struct{}
}

// NewMemory returns a Bus that holds up to 1,024 batches for its receiver and loses what comes on top.
func NewMemory() *Memory {
	return &Memory{batches: make(chan []chat.Event, 1024), lost: make(chan struct{}, 1)}
}

// Publish implements Bus.
func (m *Memory) Publish(batch []chat.Event) {
	select {
	case m.batches <- batch:
	default:
		select {
		case m.lost <- struct{}{}:
		default: // it is known already
		}
	}
}

// Receive implements Bus.
func (m *Memory) Receive(ctx context.Context, f func([]chat.Event)) {
	for {
		select {
		case b := <-m.batches:
			f(b)
		case <-m.lost:
			f(nil)
		case <-ctx.Done():
			return
		}
	}
}
