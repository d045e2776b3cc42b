package realtime

import (
	"context"

	"tandem/chat"
)

// Bus carries between the nodes' hubs what has been committed, what is told in passing, and who is where. It is fast
// and may lose, double or reorder messages: ids are dense, so a hub sees what is missing and reads the log; what is
// told in passing is then lost; and of who is where every node repeats a sum.
type Bus interface {
	// Send hands a message to every hub, this node's too, and never blocks. A statement comes back only if the others
	// could have heard it.
	Send(m Message)
	// Receive calls f with each message, from one goroutine, until ctx ends. The zero Message says that something
	// may have been lost; it comes each time the bus begins to bring what the others send.
	Receive(ctx context.Context, f func(Message))
}

// Message is one of these.
type Message struct {
	Commit    *Commit    `json:",omitempty"`
	Notice    *Notice    `json:",omitempty"`
	Statement *Statement `json:",omitempty"`

	// Reached comes from the bus itself, after this node's statements have been sent: how many nodes they went to,
	// this one included.
	Reached int `json:"-"`
}

// Commit is what one transaction has appended to the log of that name, in the order of the ids.
type Commit struct {
	Log    string
	Events []chat.Event
}

// Notice is an ephemeral event on its way to those who follow a topic.
type Notice struct {
	Topic chat.Topic
	Event chat.Ephemeral
}

var _ Bus = (*Memory)(nil)

// Memory is the Bus of a single node. It keeps the order of what it is given.
type Memory struct {
	queue chan Message
	lost  chan struct{}
}

// NewMemory returns a Bus that holds up to 1,024 messages for its receiver and loses what comes on top.
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
		default: // it is known already
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
