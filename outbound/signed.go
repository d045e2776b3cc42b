package outbound

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strconv"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// SignedPost returns a POST of a JSON body, signed as in Standard Webhooks (standardwebhooks.com). A retry has the same
// id.
func SignedPost(ctx context.Context, url string, signer *standardwebhooks.Webhook, id string, now time.Time, body []byte) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the URL cannot be called") // err contains it
	}
	signature, err := signer.Sign(id, now, body)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "tandem")
	req.Header.Set(standardwebhooks.HeaderWebhookID, id)
	req.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	req.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return req, nil
}

// NewSecret returns a new signing secret in the format of Standard Webhooks.
func NewSecret() string {
	key := make([]byte, 32)
	_, _ = rand.Read(key) // never fails (crypto/rand)
	return "whsec_" + base64.StdEncoding.EncodeToString(key)
}

// MaxRetryAfter bounds what a response may ask for.
const MaxRetryAfter = 24 * time.Hour

// RetryAfter returns when a response asks to be called again (RFC 9110 §10.2.3: seconds, or a date); 0 if it does not.
func RetryAfter(res *http.Response) time.Duration {
	text := res.Header.Get("Retry-After")
	after := time.Duration(0)
	if seconds, err := strconv.ParseInt(text, 10, 32); err == nil {
		after = time.Duration(seconds) * time.Second
	} else if at, err := http.ParseTime(text); err == nil {
		after = time.Until(at)
	}
	return min(max(after, 0), MaxRetryAfter)
}

// Discard reads a response to its end, MaxAnswer bytes at most, so that its connection can be reused, and closes it.
func Discard(res *http.Response) {
	_, _ = io.CopyN(io.Discard, res.Body, MaxAnswer)
	_ = res.Body.Close()
}
