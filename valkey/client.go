package valkey

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/valkey-io/valkey-go"

	"tandem/activity"
)

// Client is a connection to Valkey, or to a cluster of it, that may be down: calls then fail at once.
type Client struct {
	option valkey.ClientOption
	logger *slog.Logger
	client atomic.Pointer[valkey.Client]
	gate   *activity.Gate // there is no connection while it is shut; nil is never

	mu    sync.Mutex
	ready chan struct{} // closed while client is set
}

// errAway means that Valkey has not been reached yet.
var errAway = errors.New("no connection to Valkey yet")

const (
	// deadline bounds each call, which no request waits for.
	deadline = 250 * time.Millisecond
	// redial is when the first connection is retried after a failure; valkey-go maintains later ones.
	redial = 500 * time.Millisecond
)

// NewClient returns a Client for valkey://, valkeys:// (TLS) or several hosts separated by commas, which form a
// cluster. It connects while Run runs and gate is open: valkey-go cannot keep a connection without pings.
func NewClient(url string, gate *activity.Gate, logger *slog.Logger) (*Client, error) {
	option, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	option.ClientName = "tandem"
	option.DisableCache = true
	option.ConnWriteTimeout = 2 * time.Second // to detect a frozen server and reconnect
	option.Dialer.Timeout = 2 * time.Second
	option.Dialer.KeepAlive = time.Second // valkey-go pings as often
	return &Client{option: option, gate: gate, logger: logger, ready: make(chan struct{})}, nil
}

// CheckURL checks whether NewClient accepts a URL.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

func parseURL(url string) (valkey.ClientOption, error) {
	scheme, rest, _ := strings.Cut(url, "://")
	if scheme != "valkey" && scheme != "valkeys" {
		return valkey.ClientOption{}, errors.New("valkey-url must start with valkey:// or valkeys://")
	}
	// valkey-go takes further hosts as parameters.
	authority, path, _ := strings.Cut(rest, "/")
	credentials, hosts := "", authority
	if i := strings.LastIndexByte(authority, '@'); i >= 0 {
		credentials, hosts = authority[:i+1], authority[i+1:]
	}
	first, others, _ := strings.Cut(hosts, ",")
	if first == "" {
		return valkey.ClientOption{}, errors.New("valkey-url has no host")
	}
	url = scheme + "://" + credentials + first
	if path != "" {
		url += "/" + path
	}
	option, err := valkey.ParseURL(url)
	if err != nil {
		return option, errors.New("valkey-url is not a URL such as valkey://user:password@host:6379") // not err, which contains the password
	}
	for host := range strings.SplitSeq(others, ",") {
		if host == "" {
			continue
		}
		if !strings.Contains(host, ":") {
			host += ":6379"
		}
		option.InitAddress = append(option.InitAddress, host)
	}
	return option, nil
}

// Run connects, and returns when ctx has ended and the connection is closed.
func (c *Client) Run(ctx context.Context) {
	warned := false
	for {
		select {
		case <-c.gate.Awake():
		case <-ctx.Done():
			return
		}
		client, err := valkey.NewClient(c.option)
		if err == nil {
			c.serve(ctx, client)
			warned = false
			continue
		}
		if !warned {
			warned = true
			c.logger.Warn("Valkey cannot be reached; continuing without it and retrying", "error", err)
		}
		select {
		case <-time.After(redial):
		case <-ctx.Done():
			return
		}
	}
}

// serve provides a connection until ctx ends or the gate is shut, and closes it.
func (c *Client) serve(ctx context.Context, client valkey.Client) {
	asleep := c.gate.Asleep()
	c.client.Store(&client)
	c.mu.Lock()
	close(c.ready)
	c.mu.Unlock()
	c.logger.Info("connected to Valkey")
	select {
	case <-asleep:
		c.logger.Debug("idle; disconnecting from Valkey")
	case <-ctx.Done():
	}
	c.mu.Lock()
	c.ready = make(chan struct{})
	c.mu.Unlock()
	c.client.Store(nil)
	client.Close()
}

// connected returns a channel that is closed while there is a connection.
func (c *Client) connected() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

// get returns the connection, or errAway if there is none.
func (c *Client) get() (valkey.Client, error) {
	if client := c.client.Load(); client != nil {
		return *client, nil
	}
	return nil, errAway
}

// sharded reports whether it is a cluster, where each channel lives on one node.
func (c *Client) sharded() bool { return len(c.option.InitAddress) > 1 }

// publish returns how many subscribers received the message.
func (c *Client) publish(ctx context.Context, channel string, message string) (reached int, err error) {
	client, err := c.get()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(ctx, deadline)
	defer cancel()
	command := client.B().Publish().Channel(channel).Message(message).Build()
	if c.sharded() {
		command = client.B().Spublish().Channel(channel).Message(message).Build()
	}
	n, err := client.Do(ctx, command).AsInt64()
	if err != nil {
		return 0, fmt.Errorf("publish: %w", err)
	}
	return int(n), nil
}

// subscribe waits for the first connection, then calls message with each message, and confirmed each time a
// subscription begins: earlier messages are lost. It returns when ctx ends or the connection is given up.
func (c *Client) subscribe(ctx context.Context, channel string, confirmed func(), message func(string)) error {
	select {
	case <-c.connected():
	case <-ctx.Done():
		return ctx.Err()
	}
	client, err := c.get()
	if err != nil {
		return err
	}
	command := client.B().Subscribe().Channel(channel).Build()
	if c.sharded() {
		command = client.B().Ssubscribe().Channel(channel).Build()
	}
	ctx = valkey.WithOnSubscriptionHook(ctx, func(s valkey.PubSubSubscription) {
		if s.Kind == "subscribe" || s.Kind == "ssubscribe" {
			confirmed()
		}
	})
	return client.Receive(ctx, command, func(m valkey.PubSubMessage) { message(m.Message) })
}
