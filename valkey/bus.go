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
	"time"

	"tandem/panics"
	"tandem/realtime"
)

// Bus is the bus of several nodes. What this node sends reaches its own hub at once, without Valkey; the others' by one
// channel, signed: of a message whose signature does not fit nothing is believed but that there may be something to
// look for. Messages that cannot be sent in time are lost, as those are that pass while a subscription is down.
type Bus struct {
	*realtime.Memory // what has come, for this node's hub
	client           *Client
	node             string
	key              []byte
	channel          string
	logger           *slog.Logger
	outbox           chan realtime.Message
}

var _ realtime.Bus = (*Bus)(nil)

// NewBus is the bus of the node with that name. secret is what the nodes share: who has it may speak.
func NewBus(client *Client, node string, secret []byte, logger *slog.Logger) *Bus {
	return &Bus{
		Memory: realtime.NewMemory(), client: client, node: node, logger: logger,
		key: derive(secret, "bus"),
		// Installations that share a Valkey do not share a channel.
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
	if m.Statement == nil {
		b.Memory.Send(m)
	}
	select {
	case b.outbox <- m:
	default: // the others find out (see realtime.Bus)
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

// letter is what goes over the channel, behind its signature.
type letter struct {
	From     string
	Messages []realtime.Message
}

const (
	// most is how many messages go into one letter.
	most = 256
	// grudge is how long publishing rests after a failure: each further one would take as long to fail, and what
	// waits meanwhile would come late.
	grudge = 100 * time.Millisecond
)

// publish sends what waits in the outbox, together.
func (b *Bus) publish(ctx context.Context) {
	for {
		var l letter
		select {
		case m := <-b.outbox:
			l = letter{From: b.node, Messages: []realtime.Message{m}}
		case <-ctx.Done():
			return
		}
		for more := true; more && len(l.Messages) < most; {
			select {
			case m := <-b.outbox:
				l.Messages = append(l.Messages, m)
			default:
				more = false
			}
		}
		text, err := json.Marshal(l)
		if err != nil {
			b.logger.Error("a message for the other nodes cannot be written", "error", err)
			continue
		}
		reached, err := b.client.publish(ctx, b.channel, string(sign(b.key, text)))
		switch {
		case err == nil && slices.ContainsFunc(l.Messages, func(m realtime.Message) bool { return m.Statement != nil }):
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

// subscribe takes what the others send, for as long as ctx lasts.
func (b *Bus) subscribe(ctx context.Context) {
	for ctx.Err() == nil {
		// The connection may be made anew behind our back, and what passed meanwhile is lost. It is said when the
		// subscription is confirmed: from then on every answer is heard.
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

// take takes a letter; it is called by a goroutine of valkey-go's. What panics is only a reason to look.
func (b *Bus) take(text string) {
	if !panics.Do(b.logger, "a letter from another node", func() { b.read(text) }) {
		b.Memory.Send(realtime.Message{})
	}
}

func (b *Bus) read(text string) {
	l, ok := open(b.key, []byte(text))
	if !ok {
		b.Memory.Send(realtime.Message{Commit: &realtime.Commit{}}) // of no log: a reason to look, no more
		return
	}
	for _, m := range l.Messages {
		// This node's own has come to it already; but that a statement comes back says that the bus works.
		if l.From != b.node || m.Statement != nil {
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
