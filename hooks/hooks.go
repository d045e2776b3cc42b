// Package hooks sends the log's events to URLs that users provide: each hook is a follower of the log, which package
// followers runs on one node at a time, retries and pauses. Requests are signed as in Standard Webhooks.
//
// It has no goroutines of its own. It never imports api, realtime or store.
package hooks

import (
	"context"
	"crypto/rand"
	"log/slog"
	"strconv"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tandem/chat"
	"tandem/followers"
	"tandem/outbound"
)

// Kind starts the names of the followers that serve hooks: hook:7.
const Kind = "hook"

// Store stores the hooks.
type Store interface {
	// HooksOf returns the hooks that these followers serve.
	HooksOf(ctx context.Context, names []string) ([]chat.Hook, error)
	// EndHook removes a hook, unless its URL has changed.
	EndHook(ctx context.Context, hook int64, url string) error
}

// Sender sends events. Its methods may be called concurrently.
type Sender struct {
	store  Store
	client *outbound.Client
	logger *slog.Logger
}

// New returns a Sender that uses client.
func New(store Store, client *outbound.Client, logger *slog.Logger) *Sender {
	return &Sender{store, client, logger}
}

// CheckURL checks whether a URL may be called; the error is for the user who entered it.
func (s *Sender) CheckURL(ctx context.Context, url string) error { return s.client.CheckURL(ctx, url) }

// Kind returns the followers that serve hooks.
func (s *Sender) Kind() followers.Kind {
	return followers.Kind{Name: Kind, Load: func(ctx context.Context, names []string) ([]followers.Follower, error) {
		hooks, err := s.store.HooksOf(ctx, names)
		if err != nil {
			return nil, err
		}
		all := make([]followers.Follower, 0, len(hooks))
		for _, h := range hooks {
			f, err := s.follower(h)
			if err != nil {
				return nil, err
			}
			all = append(all, f)
		}
		return all, nil
	}}
}

func (s *Sender) follower(h chat.Hook) (followers.Follower, error) {
	signer, err := webhooks.NewWebhook(h.Secret)
	if err != nil {
		return followers.Follower{}, err
	}
	d := &delivery{Sender: s, hook: h, signer: signer}
	f := followers.Follower{Name: Kind + ":" + strconv.FormatInt(h.ID, 10), Batch: mostEvents, Wants: h.Wants, Handle: d.handle}
	if h.Room != 0 {
		f.Topics = []chat.Topic{chat.RoomTopic(h.Room)}
	}
	return f, nil
}

// Result is the result of a test.
type Result struct {
	Status int // of the answer; 0 if there was none
	Err    error
	Took   time.Duration
}

// Test sends a body marked as a test. log is the log's name.
func (s *Sender) Test(ctx context.Context, h chat.Hook, log string) Result {
	began := time.Now()
	signer, err := webhooks.NewWebhook(h.Secret)
	if err != nil {
		return Result{Err: err}
	}
	d := &delivery{Sender: s, hook: h, signer: signer}
	body := append(appendBatch(nil, h.ID, log, nil), `,"test":true}`...)
	a, err := d.send(ctx, "msg_test_"+rand.Text(), body)
	return Result{Status: a.status, Err: err, Took: time.Since(began)}
}
