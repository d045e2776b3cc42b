package valkey

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"tandem/panics"
	"tandem/realtime"
)

// Bus is the bus of several nodes. This node's own hub gets what it sends at once, without Valkey; the others get it
// through one channel, signed: a message with a wrong signature only triggers a look at the log. Messages that cannot
// be sent in time are lost, as are those that pass while a subscription is down.
type Bus struct {
	*realtime.Memory // received messages, for this node's hub
	client           *Client
	node             string
	key              []byte
	channel          string
	logger           *slog.Logger
	outbox           chan realtime.Message

	sent, received, failed, dropped, forged atomic.Uint64
}

// Stats are a Bus's figures since its start. A letter contains one or more messages.
type Stats struct {
	Connected bool
	Sent      uint64 // letters
	Received  uint64 // letters from other nodes
	Failed    uint64 // letters that could not be sent
	Dropped   uint64 // messages that found the outbox full
	Forged    uint64 // letters with a wrong signature
}

// Stats returns the current figures.
func (b *Bus) Stats() Stats {
	_, err := b.client.get()
	return Stats{
		Connected: err == nil, Sent: b.sent.Load(), Received: b.received.Load(),
		Failed: b.failed.Load(), Dropped: b.dropped.Load(), Forged: b.forged.Load(),
	}
}

var _ realtime.Bus = (*Bus)(nil)

// NewBus returns the bus of the node with that name. The nodes share secret: any holder of it may send.
func NewBus(client *Client, node string, secret []byte, logger *slog.Logger) *Bus {
	return &Bus{
		Memory: realtime.NewMemory(), client: client, node: node, logger: logger,
		key: derive(secret, "bus"),
		// Installations that share a Valkey use different channels.
		channel: "tandem:" + hex.EncodeToString(derive(secret, "channel")[:8]),
		outbox:  make(chan realtime.Message, 1024),
	}
}

func derive(secret []byte, purpose string) []byte {
	m := hmac.New(sha256.New, secret)
	_, _ = m.Write([]byte("tandem valkey " + purpose)) // never fails (hash.Hash)
	return m.Sum(nil)
}

// Send implements realtime.Bus.
func (b *Bus) Send(m realtime.Message) {
	if m.Presence == nil {
		b.Memory.Send(m)
	}
	select {
	case b.outbox <- m:
	default: // the others will notice (see realtime.Bus)
		b.dropped.Add(1)
	}
}

// Receive implements realtime.Bus.
func (b *Bus) Receive(ctx context.Context, f func(realtime.Message)) {
	var wg sync.WaitGroup
	wg.Go(func() { panics.Keep(ctx, b.logger, "publishing", func() { b.publish(ctx) }) })
	wg.Go(func() { panics.Keep(ctx, b.logger, "subscribing", func() { b.subscribe(ctx) }) })
	b.Memory.Receive(ctx, f)
	wg.Wait()
}

// letter is what is sent over the channel, after its signature.
type letter struct {
	From     string
	Messages []realtime.Message
}

const (
	// most is how many messages a letter can have.
	most = 256
	// mostPeople is how many users a letter lists before it is sent. Valkey drops a subscriber to which it owes 32 MB.
	mostPeople = 2000
	// grudge is how long publishing pauses after a failure: each further attempt would take as long to fail, and delay
	// the queue.
	grudge = 100 * time.Millisecond
)

// publish sends the queued messages together.
func (b *Bus) publish(ctx context.Context) {
	for {
		var l letter
		select {
		case m := <-b.outbox:
			l = letter{From: b.node, Messages: []realtime.Message{m}}
		case <-ctx.Done():
			return
		}
		people := l.Messages[0].People()
		for more := true; more && len(l.Messages) < most && people < mostPeople; {
			select {
			case m := <-b.outbox:
				l.Messages = append(l.Messages, m)
				people += m.People()
			default:
				more = false
			}
		}
		text, err := json.Marshal(l)
		if err != nil {
			b.logger.Error("cannot encode a message for the other nodes", "error", err)
			continue
		}
		reached, err := b.client.publish(ctx, b.channel, string(sign(b.key, text)))
		if err != nil {
			b.failed.Add(1)
		} else {
			b.sent.Add(1)
		}
		switch {
		case err == nil && slices.ContainsFunc(l.Messages, func(m realtime.Message) bool { return m.Presence != nil }):
			b.Memory.Send(realtime.Message{Reached: reached})
		case err != nil && ctx.Err() == nil:
			b.logger.Debug("publishing failed; the other nodes will read the log", "error", err)
			select {
			case <-time.After(grudge):
			case <-ctx.Done():
			}
		}
	}
}

// subscribe receives what the others send, until ctx ends.
func (b *Bus) subscribe(ctx context.Context) {
	for ctx.Err() == nil {
		// The library may replace the connection, and what passed meanwhile is lost. The hub is told when the
		// subscription is confirmed: from then on it receives every answer.
		err := b.client.subscribe(ctx, b.channel, func() { b.Memory.Send(realtime.Message{}) }, b.take)
		if err != nil && ctx.Err() == nil {
			b.logger.Debug("no subscription; trying again", "error", err)
			select {
			case <-time.After(redial):
			case <-ctx.Done():
			}
		}
	}
}

// take handles a letter; a goroutine of valkey-go calls it. A panic only triggers a look at the log.
func (b *Bus) take(text string) {
	if !panics.Do(b.logger, "a message from another node", func() { b.read(text) }) {
		b.Memory.Send(realtime.Message{})
	}
}

func (b *Bus) read(text string) {
	l, ok := open(b.key, []byte(text))
	if !ok {
		b.forged.Add(1)
		b.Memory.Send(realtime.Message{Commit: &realtime.Commit{}}) // of no log: it only triggers a look
		return
	}
	if l.From != b.node {
		b.received.Add(1)
	}
	for _, m := range l.Messages {
		// The node's own messages were delivered already; but a returning presence update shows that the bus works.
		if l.From != b.node || m.Presence != nil {
			b.Memory.Send(m)
		}
	}
}

func sign(key, text []byte) []byte {
	m := hmac.New(sha256.New, key)
	_, _ = m.Write(text)
	return append(m.Sum(nil), text...)
}

func open(key, signed []byte) (l letter, ok bool) {
	if len(signed) < sha256.Size {
		return l, false
	}
	mac, text := signed[:sha256.Size], signed[sha256.Size:]
	m := hmac.New(sha256.New, key)
	_, _ = m.Write(text)
	return l, hmac.Equal(m.Sum(nil), mac) && json.Unmarshal(text, &l) == nil
}
