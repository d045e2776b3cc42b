package push

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/SherClockHolmes/webpush-go"

	"tandem/outbound"
)

const (
	// defaultContact is for operators who set none. Push services want a URL (Apple refuses anything else); this one
	// says that there is nobody to ask (RFC 2606).
	defaultContact = "https://tandem.invalid"
	// recordSize is the size that payloads are padded to, so that their length reveals nothing; the longest one fits.
	recordSize = 2048
	// applePush ends subscriptions for pushes that show nothing, such as read:
	// https://developer.apple.com/documentation/usernotifications/sending-web-push-notifications-in-web-apps-and-browsers
	applePush = "web.push.apple.com"
)

// takesBack reports whether notifications can be withdrawn from a device.
func (s *Subscription) takesBack() bool { return s.Service != applePush }

// webPush calls push services by RFC 8030, encrypted by RFC 8291 and signed by RFC 8292.
type webPush struct {
	key     vapidKey
	contact string
	client  Doer
}

// Send implements Sender.
func (w *webPush) Send(ctx context.Context, s Subscription, n *Notice) error {
	o := &webpush.Options{
		HTTPClient: w.client, RecordSize: recordSize, TTL: int(keepFor / time.Second), Urgency: webpush.UrgencyNormal,
		Topic: n.topic, // a later one replaces one that a device has not fetched
		// The library adds mailto:.
		Subscriber: strings.TrimPrefix(w.contact, "mailto:"), VAPIDPublicKey: w.key.public, VAPIDPrivateKey: w.key.private,
	}
	if n.urgent() {
		o.Urgency = webpush.UrgencyHigh
	}
	to := &webpush.Subscription{Endpoint: s.Target, Keys: webpush.Keys{
		P256dh: base64.RawURLEncoding.EncodeToString(s.P256dh), Auth: base64.RawURLEncoding.EncodeToString(s.Auth),
	}}
	resp, err := webpush.SendNotificationWithContext(ctx, n.json(), to, o)
	if err != nil {
		return unreached(err)
	}
	defer outbound.Discard(resp)
	return statusFailure(resp)
}

// unreached is the failure if a service did not answer. Its owner gets no details: errors contain the URL, which is a
// secret, and would reveal what listens in networks that users do not see.
func unreached(err error) *Failure {
	if errors.Is(err, context.DeadlineExceeded) {
		return &Failure{Reason: fmt.Sprintf("the push service did not answer within %s", askFor), Service: true}
	}
	return &Failure{Reason: "the push service could not be reached", Service: true}
}

// statusFailure returns the failure of a status without a service-specific meaning; nil if the notification was accepted.
func statusFailure(resp *http.Response) error {
	f := &Failure{Reason: fmt.Sprintf("the push service answered %d", resp.StatusCode), After: outbound.RetryAfter(resp)}
	switch code := resp.StatusCode; {
	case code/100 == 2:
		return nil
	case code == http.StatusNotFound, code == http.StatusGone:
		f.Gone = true
	case code == http.StatusTooManyRequests, code == http.StatusRequestTimeout:
	case code >= 500:
		f.Service = true
	default: // also redirects, which are not followed
		f.Final = true
	}
	return f
}
