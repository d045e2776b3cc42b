package realtime

import (
	"context"

	"tandem/chat"
)

// Bus carries committed events between the nodes' hubs, and ephemeral ones. It is fast and may lose, double or
// reorder batches: ids are dense, so a hub sees what is missing and reads the log. Ephemeral events that it loses
// are lost.
type Bus interface {
	// Publish hands over one commit's events, in the order of their ids. It never blocks.
	Publish(batch []chat.Event)
	// Notify hands over an ephemeral event. It never blocks.
	Notify(n Notice)
	// Receive calls commit with each batch and notice with each ephemeral event, from one goroutine, until ctx ends.
	// An empty batch says that something was lost.
	Receive(ctx context.Context, commit func(batch []chat.Event), notice func(Notice))
}

// Notice is an ephemeral event on its way to those who follow a topic.
type Notice struct {
	Topic chat.Topic
	Event chat.Ephemeral
}

var _ Bus = (*Memory)(nil)

// Memory is the Bus of a single node. It keeps the order of what it is given.
type Memory struct {
	queue chan parcel
	lost  chan struct{}
}

// parcel is a batch, or a notice.
type parcel struct {
	batch  []chat.Event
	notice Notice
}

// NewMemory returns a Bus that holds up to 1,024 batches and notices for its receiver and loses what comes on top.
func NewMemory() *Memory {
	return &Memory{queue: make(chan parcel, 1024), lost: make(chan struct{}, 1)}
}

// Publish implements Bus.
func (m *Memory) Publish(batch []chat.Event) {
	select {
	case m.queue <- parcel{batch: batch}:
	default:
		select {
		case m.lost <- struct{}{}:
		default: // it is known already
		}
	}
}

// Notify implements Bus.
func (m *Memory) Notify(n Notice) {
	select {
	case m.queue <- parcel{notice: n}:
	default:
	}
}

// Receive implements Bus.
func (m *Memory) Receive(ctx context.Context, commit func([]chat.Event), notice func(Notice)) {
	for {
		select {
		case p := <-m.queue:
			if p.batch != nil {
				commit(p.batch)
			} else {
				notice(p.notice)
			}
		case <-m.lost:
			commit(nil)
		case <-ctx.Done():
			return
		}
	}
}
