package hooks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tandem/chat"
	"tandem/followers"
	"tandem/outbound"
)

const (
	mostEvents = 100
	// mostBytes bounds a body: what receivers accept by default. A single event is sent however long it is.
	mostBytes = 256 << 10
	// timeout is how long a receiver may take to answer.
	timeout = 10 * time.Second
	// patience is how long a hook may fail before it is paused, and leastFailures how often it must have failed: a node
	// that was silent meanwhile has not tried.
	patience      = 3 * 24 * time.Hour
	leastFailures = 12
)

// delivery does the work of one hook. One handle runs at a time.
type delivery struct {
	*Sender
	hook   chat.Hook
	signer *webhooks.Webhook
	// begun is the last event of the batch that was sent and not accepted, 0 if there is none: it is sent again
	// unchanged, under the same id, whatever has happened since.
	begun int64
}

// handle implements followers.Follower.
func (d *delivery) handle(ctx context.Context, b followers.Batch) error {
	body, events := d.batch(b)
	first, last := events[0].ID, events[len(events)-1].ID
	d.begun = last
	a, err := d.send(ctx, fmt.Sprintf("msg_%d_%s_%d_%d", d.hook.ID, b.Log, first, last), body)
	switch {
	case err == nil:
		d.begun = 0
		if len(events) < len(b.Events) {
			return &followers.Later{Done: last} // the rest at once
		}
		return nil
	case a.status == http.StatusGone:
		d.logger.Info("deleting a hook: its receiver answered 410", "hook", d.hook.ID)
		return d.store.EndHook(ctx, d.hook.ID, d.hook.URL)
	case b.Failures >= leastFailures && time.Since(b.FailingSince) >= patience:
		return &followers.Pause{Reason: "it failed for 3 days: " + err.Error()}
	}
	return &followers.Later{After: a.retryAfter, Err: err}
}

// batch returns the body to send, and its events: the first of b's.
func (d *delivery) batch(b followers.Batch) ([]byte, []chat.Event) {
	events := b.Events
	if d.begun != 0 {
		n := 0
		for n < len(events) && events[n].ID <= d.begun {
			n++
		}
		if n > 0 {
			events = events[:n]
		}
	}
	size := 0
	for i := range events {
		if size += len(events[i].Body); size > mostBytes && i > 0 {
			events = events[:i]
			break
		}
	}
	return append(appendBatch(make([]byte, 0, size+64*len(events)+100), d.hook.ID, b.Log, events), '}'), events
}

// appendBatch appends the body without its closing brace.
func appendBatch(dst []byte, hook int64, log string, events []chat.Event) []byte {
	dst = strconv.AppendInt(append(dst, `{"hook":`...), hook, 10)
	dst = append(append(append(dst, `,"log":"`...), log...), `","events":[`...) // a log's name has nothing to escape
	for i := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = events[i].AppendJSON(dst)
	}
	return append(dst, ']')
}

// answer is the receiver's answer.
type answer struct {
	status     int           // 0 if there was none
	retryAfter time.Duration // 0 if not given
}

// send POSTs a body; nil means that it was accepted. The error is for users who see the hook: it contains no address.
func (d *delivery) send(ctx context.Context, id string, body []byte) (a answer, err error) {
	within, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	req, err := outbound.SignedPost(within, d.hook.URL, d.signer, id, time.Now(), body)
	if err != nil {
		return a, err
	}
	res, err := d.client.Do(req)
	if err != nil {
		return a, d.reason(ctx, err)
	}
	outbound.Discard(res)
	a.status = res.StatusCode
	if a.status/100 == 2 {
		return a, nil
	}
	a.retryAfter = outbound.RetryAfter(res)
	return a, fmt.Errorf("the receiver answered %d", a.status)
}

// reason returns why there was no answer, without details of the server's own network.
func (d *delivery) reason(ctx context.Context, err error) error {
	var dns *net.DNSError
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return ctx.Err() // it was cancelled
	case errors.Is(err, outbound.ErrForbidden):
		return outbound.ErrForbidden
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fmt.Errorf("no answer within %d seconds", timeout/time.Second)
	case errors.As(err, &dns):
		return errors.New("the host cannot be resolved")
	case errors.As(err, &certificate):
		return errors.New("the certificate is not valid for the host")
	}
	return errors.New("no connection to the receiver, or it was interrupted")
}
