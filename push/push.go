// Package push notifies users' devices of what happens while their app is closed: by Web Push, FCM, APNs, or the
// operator's own gateway. It decides who is notified of what, and calls the push services; store keeps the
// subscriptions and the notices.
//
// It follows the log: a message creates a notice in the database for each device that may have to be notified, due when
// the grace is over. Run claims due notices, decides on them by the current state, and calls the push services, each at
// its own pace. Any node may do so; nothing is claimed twice. Run's goroutine starts others, one per request to a push
// service, and returns when all have ended. The package never imports api, realtime or store.
package push

import (
	"cmp"
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"tandem/activity"
)

// Grace is how long a notification waits: users who read the message by then are not notified.
const Grace = 10 * time.Second

// Config configures New.
type Config struct {
	Key     []byte // the VAPID key's scalar, from NewKey
	Contact string // for the operators of push services, mailto: or https:; RFC 8292 §2.1
	NoText  bool   // do not send texts: notifications only say that there is a message
	// Client calls the endpoints that apps register, and refuses forbidden addresses; CheckEndpoint reports that
	// beforehand.
	Client        Doer
	CheckEndpoint func(ctx context.Context, endpoint string) error
	// Own are the services that the operator configured; kinds that are missing here are not supported.
	Own map[Kind]Sender

	Gate   *activity.Gate // while it is shut, nothing is sent; nil is always open
	Now    func() time.Time
	Logger *slog.Logger  // nil for none
	Grace  time.Duration // for tests; 0 is Grace
}

// Doer is implemented by *http.Client.
type Doer interface {
	Do(*http.Request) (*http.Response, error)
}

// Sender calls a push service. Failures of the service are *Failure errors; they contain no endpoint and no token.
type Sender interface {
	Send(ctx context.Context, s Subscription, n *Notice) error
}

// Service manages subscriptions, and sends notifications while it runs.
type Service struct {
	store   Store
	key     vapidKey
	check   func(ctx context.Context, endpoint string) error
	senders map[Kind]Sender
	content bool
	grace   time.Duration
	gate    *activity.Gate
	now     func() time.Time
	logger  *slog.Logger

	asked time.Time // when handle last checked whether there are subscriptions

	more    chan struct{}  // something may be due
	working sync.WaitGroup // requests; only Run adds to it

	mu      sync.Mutex
	lanes   map[string]*lane // by service; services without state are missing
	claimed int              // notices claimed by this node
	next    time.Time        // when the next is due; zero for none
}

// NewKey creates a VAPID key.
func NewKey() []byte {
	k, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // never: crypto/rand does not fail
	}
	return k.Bytes()
}

// New returns a Service that sends nothing until it runs.
func New(store Store, cfg Config) (*Service, error) {
	key, err := readKey(cfg.Key)
	if err != nil {
		return nil, err
	}
	s := &Service{
		store: store, key: key, check: cfg.CheckEndpoint, content: !cfg.NoText, grace: cmp.Or(cfg.Grace, Grace), gate: cfg.Gate, now: cfg.Now,
		logger:  cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		senders: map[Kind]Sender{WebPush: &webPush{key: key, contact: cmp.Or(cfg.Contact, defaultContact), client: cfg.Client}},
		more:    make(chan struct{}, 1),
		lanes:   make(map[string]*lane),
	}
	for kind, sender := range cfg.Own {
		s.senders[kind] = sender
	}
	return s, nil
}

// Kick makes the service check for due notices: another node may have created one.
func (s *Service) Kick() {
	select {
	case s.more <- struct{}{}:
	default:
	}
}

// soon: notices due within this time keep the node awake; later ones are sent when it wakes.
const soon = time.Minute

// Busy reports whether a notification is being sent, or will be soon.
func (s *Service) Busy() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.claimed > 0 || !s.next.IsZero() && s.next.Sub(s.now()) < soon
}
