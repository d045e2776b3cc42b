package realtime

import (
	"context"

	"tandem/chat"
)

// Bus carries committed events, ephemeral events and presence between the nodes' hubs. It is fast and may lose, double
// or reorder messages: ids are dense, so a hub sees what is missing and reads the log. Lost ephemeral events stay lost,
// and presence is repaired by a checksum that every node repeats.
type Bus interface {
	// Send passes a message to every hub, including this node's, and never blocks. A presence update comes back to its
	// sender only if the other nodes could have received it.
	Send(m Message)
	// Receive calls f with each message, from one goroutine, until ctx ends. The zero Message means that messages may
	// have been lost; it arrives each time the bus starts to deliver what the others send.
	Receive(ctx context.Context, f func(Message))
}

// Message has exactly one of these.
type Message struct {
	Commit   *Commit         `json:",omitempty"`
	Notice   *Notice         `json:",omitempty"`
	Presence *PresenceUpdate `json:"Statement,omitempty"` // the name that nodes of earlier versions know

	// Reached comes from the bus itself, after it has sent this node's presence updates: how many nodes received them,
	// including this one.
	Reached int `json:"-"`
}

// People returns how many users the message lists.
func (m Message) People() int {
	if m.Presence == nil {
		return 0
	}
	return len(m.Presence.People)
}

// Commit is what one transaction appended to the log of that name, ordered by id.
type Commit struct {
	Log    string
	Events []chat.Event
	// Traces has the traceparents of those that are traced, by id; nil for none.
	Traces map[int64]string `json:",omitempty"`
}

// Notice is an ephemeral event for the followers of a topic.
type Notice struct {
	Topic chat.Topic
	Also  []chat.Topic `json:",omitempty"` // also followers of one of these; nobody receives it twice
	Event chat.Ephemeral
}

var _ Bus = (*Memory)(nil)

// Memory is the Bus of a single node. It preserves order.
type Memory struct {
	queue chan Message
	lost  chan struct{}
}

// NewMemory returns a Bus that buffers up to 1,024 messages for its receiver and drops further ones.
func NewMemory() *Memory {
	return &Memory{queue: make(chan Message, 1024), lost: make(chan struct{}, 1)}
}

// Send implements Bus.
func (m *Memory) Send(message Message) {
	select {
	case m.queue <- message:
	default:
		select {
		case m.lost <- struct{}{}:
		default: // a loss is already signaled
		}
	}
}

// Receive implements Bus.
func (m *Memory) Receive(ctx context.Context, f func(Message)) {
	for {
		select {
		case message := <-m.queue:
			f(message)
		case <-m.lost:
			f(Message{})
		case <-ctx.Done():
			return
		}
	}
}
