// Package inlets turns what other products send to webhooks into a readable message. It only has pure functions: no
// goroutines, no rooms or users, and no imports of tandem's packages.
package inlets

import (
	"errors"
	"time"
)

// Understood describes what Read accepts.
const Understood = "plain text; JSON with message, with Slack's text, blocks or attachments (also as the form field payload), or with " +
	"Discord's content or embeds; the webhooks of Alertmanager and Grafana; and GitHub's events push, pull_request, issues and ping"

// ErrNotUnderstood means that Read does not accept the request.
var ErrNotUnderstood = errors.New("this is not understood; an inlet accepts " + Understood)

// Message is the message of a request.
type Message struct {
	Text   string        // empty if there is nothing to read
	Key    string        // the same for a retry; empty if unknown
	Within time.Duration // how long the same key means a retry; 0 is unlimited
}
