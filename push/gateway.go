package push

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tandem/outbound"
)

// gateway posts notifications to the operator's own URL, signed as in Standard Webhooks.
type gateway struct {
	url    string
	sign   *standardwebhooks.Webhook
	client Doer
	now    func() time.Time
}

// NewGateway returns the Sender for that URL; secret is whsec_ and base64.
func NewGateway(to, secret string, client Doer, now func() time.Time) (Sender, error) {
	if u, err := url.Parse(to); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("push-url is a URL, https://…")
	}
	if !strings.HasPrefix(secret, "whsec_") {
		return nil, errors.New("push-url needs push-secret: whsec_ and 24 to 64 bytes in base64")
	}
	sign, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, errors.New("push-secret must be whsec_ and 24 to 64 bytes in base64")
	}
	return &gateway{to, sign, client, now}, nil
}

// Send implements Sender. A retry has the same id.
func (g *gateway) Send(ctx context.Context, s Subscription, n *Notice) error {
	body, err := json.Marshal(map[string]any{
		"kind": s.Kind, "token": s.Target, "urgent": n.urgent(), "collapse": n.topic, "notification": n,
	})
	if err != nil {
		return err
	}
	id, now := fmt.Sprintf("push_%d_%s_%d", s.Number, n.topic, n.MessageID), g.now()
	if n.Type == typeRead {
		id += "_read"
	}
	req, err := outbound.SignedPost(ctx, g.url, g.sign, id, now, body)
	if err != nil {
		return err
	}
	resp, err := g.client.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer outbound.Discard(resp)
	// Unlike a push service's, its 404 means that there is no gateway at that URL, not that a device is gone.
	switch code := resp.StatusCode; {
	case code == http.StatusGone, code == http.StatusBadRequest, code == http.StatusUnprocessableEntity, code/100 == 2:
		return statusFailure(resp)
	default:
		return &Failure{Reason: fmt.Sprintf("the gateway answered %d", code), Service: true, After: outbound.RetryAfter(resp)}
	}
}
