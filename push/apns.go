package push

import (
	"bytes"
	"cmp"
	"context"
	"crypto/ecdsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tandem/outbound"
)

// APNsConfig is an app's registration with Apple.
type APNsConfig struct {
	KeyFile string // the .p8
	KeyID   string
	TeamID  string
	Topic   string // the app's bundle id
	Sandbox bool   // for development builds
	URL     string // the URL of APNs; empty for Apple's
}

// apns calls the Apple Push Notification service over HTTP/2, with tokens that it signs itself.
type apns struct {
	APNsConfig
	key    *ecdsa.PrivateKey
	client Doer
	now    func() time.Time

	mu    sync.Mutex
	token string
	made  time.Time
}

const (
	apnsURL        = "https://api.push.apple.com"
	apnsSandboxURL = "https://api.sandbox.push.apple.com"
	// Apple refuses tokens older than an hour, and clients that create another one within 20 minutes.
	tokenLife, tokenRest = 50 * time.Minute, 20 * time.Minute
)

// NewAPNs reads the key. client must speak HTTP/2, which Apple requires.
func NewAPNs(cfg APNsConfig, client Doer, now func() time.Time) (Sender, error) {
	if cfg.KeyID == "" || cfg.TeamID == "" || cfg.Topic == "" {
		return nil, errors.New("apns-key-file needs apns-key-id, apns-team-id and apns-topic")
	}
	text, err := os.ReadFile(cfg.KeyFile)
	if err != nil {
		return nil, err
	}
	a := &apns{APNsConfig: cfg, client: client, now: now}
	if a.key, err = jwt.ParseECPrivateKeyFromPEM(text); err != nil {
		return nil, fmt.Errorf("%s is not an APNs key: %w", cfg.KeyFile, err)
	}
	if cfg.URL == "" {
		a.URL = apnsURL
		if cfg.Sandbox {
			a.URL = apnsSandboxURL
		}
	}
	a.URL = strings.TrimSuffix(a.URL, "/")
	return a, nil
}

// apns returns the notice in APNs format. The visible part is for apps without an extension that changes it.
func (n *Notice) apns() (headers map[string]string, payload map[string]any) {
	headers = map[string]string{"apns-push-type": "alert", "apns-priority": "5", "apns-collapse-id": n.topic}
	if n.Type == typeRead {
		headers["apns-push-type"] = "background"
		delete(headers, "apns-collapse-id")
		return headers, map[string]any{"aps": map[string]any{"content-available": 1}, "tandem": n}
	}
	if n.urgent() {
		headers["apns-priority"] = "10"
	}
	alert := map[string]any{"title": n.User, "body": cmp.Or(n.Text, "New message")}
	if n.Room != "" {
		alert["subtitle"] = n.Room
	}
	return headers, map[string]any{
		"aps":    map[string]any{"alert": alert, "sound": "default", "thread-id": n.topic, "mutable-content": 1},
		"tandem": n,
	}
}

// Send implements Sender.
func (a *apns) Send(ctx context.Context, s Subscription, n *Notice) error {
	headers, payload := n.apns()
	body, err := json.Marshal(payload)
	if err != nil {
		return err
	}
	token, err := a.providerToken("")
	if err != nil {
		return err
	}
	err = a.post(ctx, s, token, headers, body)
	var f *Failure
	if errors.As(err, &f) && f.Reason == errExpired {
		if token, err = a.providerToken(token); err == nil {
			err = a.post(ctx, s, token, headers, body)
		}
	}
	return err
}

// errExpired is the reason if a token is too old by Apple's clock.
const errExpired = "APNs answered 403 ExpiredProviderToken"

func (a *apns) post(ctx context.Context, s Subscription, token string, headers map[string]string, body []byte) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.URL+"/3/device/"+s.Target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "bearer "+token)
	req.Header.Set("Apns-Topic", a.Topic)
	req.Header.Set("Apns-Expiration", strconv.FormatInt(a.now().Add(keepFor).Unix(), 10))
	for name, value := range headers {
		req.Header.Set(name, value)
	}
	resp, err := a.client.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer outbound.Discard(resp)
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	var answer struct {
		Reason    string `json:"reason"`
		Timestamp int64  `json:"timestamp"` // for 410: when the token became invalid, in milliseconds
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, mostAnswer)).Decode(&answer) // anything but JSON has no more information
	f := &Failure{Reason: fmt.Sprintf("APNs answered %d %s", resp.StatusCode, answer.Reason), After: outbound.RetryAfter(resp)}
	switch {
	case answer.Reason == "BadDeviceToken", answer.Reason == "DeviceTokenNotForTopic":
		f.Gone = true
	case resp.StatusCode == http.StatusGone:
		// The app has registered it again since: it is valid again.
		f.Gone = answer.Timestamp == 0 || s.PutAt.UnixMilli() <= answer.Timestamp
	case resp.StatusCode == http.StatusForbidden, resp.StatusCode >= 500:
		f.Service = true // our key is wrong, or the service fails
	case resp.StatusCode == http.StatusTooManyRequests:
		f.Service = answer.Reason == "TooManyProviderTokenUpdates"
	default:
		f.Final = true
	}
	return f
}

// providerToken returns a valid token. One different from spent is only created as often as Apple allows.
func (a *apns) providerToken(spent string) (string, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.now()
	age := now.Sub(a.made)
	switch {
	case a.token != "" && a.token != spent && age < tokenLife:
		return a.token, nil
	case a.token != "" && a.token == spent && age < tokenRest:
		return "", &Failure{Reason: errExpired, Service: true, After: tokenRest - age}
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": a.TeamID, "iat": now.Unix()})
	t.Header["kid"] = a.KeyID
	token, err := t.SignedString(a.key)
	if err != nil {
		return "", err
	}
	a.token, a.made = token, now
	return token, nil
}
