package push

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/chat"
)

// answers is a Doer that takes each answer from a function.
type answers func(req *http.Request, body []byte) (status int, answer string)

func (f answers) Do(req *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	status, text := f(req, body)
	return &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(text))}, nil
}

func keyFile(t *testing.T, key any, wrap func(pem string) []byte) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, wrap(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// Apple refuses tokens older than an hour, and senders that create more than one every 20 minutes. If its clock says
// that a token is too old, the next one is created as soon as allowed.
func TestAPNsTokensAreRenewedInTime(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	var made []time.Time // when each token was first seen
	var last string
	refused := map[string]bool{}
	sender, err := NewAPNs(APNsConfig{
		KeyFile: keyFile(t, key, func(pem string) []byte { return []byte(pem) }), KeyID: "k", TeamID: "t", Topic: "com.example",
	}, answers(func(req *http.Request, _ []byte) (int, string) {
		token := req.Header.Get("Authorization")
		if req.URL.Host != "api.push.apple.com" {
			t.Errorf("unexpected request to %s", req.URL)
		}
		if token != last {
			last, made = token, append(made, now)
		}
		if refused[token] {
			return 403, `{"reason":"ExpiredProviderToken"}`
		}
		return 200, ""
	}), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	send := func() error {
		return sender.Send(t.Context(), Subscription{Target: "aa"}, &Notice{Type: chat.TypePrivateMessage})
	}
	for range 60 { // five hours
		if err := send(); err != nil {
			t.Fatal(err)
		}
		now = now.Add(5 * time.Minute)
	}
	for i := 1; i < len(made); i++ {
		if age := made[i].Sub(made[i-1]); age < 20*time.Minute || age >= time.Hour {
			t.Errorf("token used for %s, want 20 to 60 minutes", age)
		}
	}
	if len(made) < 5 {
		t.Errorf("%d tokens created in five hours, want at least 5", len(made))
	}
	now = now.Add(2 * time.Hour)
	if err := send(); err != nil {
		t.Fatal(err)
	}
	refused[last] = true
	now = now.Add(5 * time.Minute)
	var f *Failure
	if err := send(); !errors.As(err, &f) || !f.Service || f.After != 15*time.Minute {
		t.Errorf("refused token of 5 minutes: got %+v", err)
	}
	now = now.Add(f.After)
	if err := send(); err != nil {
		t.Errorf("new token: got %v", err)
	}
}

// A Google token is used until shortly before it expires.
func TestFCMTokensAreRenewedInTime(t *testing.T) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	file := keyFile(t, key, func(pem string) []byte {
		text, err := json.Marshal(map[string]string{
			"type": "service_account", "project_id": "p", "client_email": "a@p", "private_key": pem, "token_uri": "https://oauth2.googleapis.com/token",
		})
		if err != nil {
			t.Fatal(err)
		}
		return text
	})
	now := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	var ends time.Time
	fetched := 0
	sender, err := NewFCM(file, "", answers(func(req *http.Request, _ []byte) (int, string) {
		switch req.URL.String() {
		case "https://oauth2.googleapis.com/token":
			fetched++
			ends = now.Add(time.Hour)
			return 200, `{"access_token":"x","expires_in":3600}`
		case "https://fcm.googleapis.com/v1/projects/p/messages:send":
			if !now.Before(ends) {
				t.Error("expired token used")
			}
			return 200, `{}`
		}
		t.Errorf("unexpected request to %s", req.URL)
		return 404, ""
	}), func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	for range 120 { // ten hours
		if err := sender.Send(t.Context(), Subscription{Target: "device"}, &Notice{Type: typeRead}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(5 * time.Minute)
	}
	if fetched < 10 || fetched > 12 {
		t.Errorf("%d tokens fetched in ten hours, want 10 to 12", fetched)
	}
}

// The meaning of the services' errors, as documented.
func TestServiceErrors(t *testing.T) {
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	account := keyFile(t, rsaKey, func(pem string) []byte {
		text, _ := json.Marshal(map[string]string{ // strings always marshal
			"type": "service_account", "project_id": "p", "client_email": "a@p", "private_key": pem, "token_uri": "https://oauth2.googleapis.com/token",
		})
		return text
	})
	p8 := keyFile(t, ecKey, func(pem string) []byte { return []byte(pem) })
	const gone, final, service, later = "gone", "final", "service", "later"
	sub := Subscription{Target: "aa", PutAt: time.UnixMilli(2000)}
	for _, c := range []struct {
		by     string
		status int
		answer string
		want   string
	}{
		{"fcm", 404, `{"error":{"code":404,"status":"NOT_FOUND","details":[{"errorCode":"UNREGISTERED"}]}}`, gone},
		{"fcm", 403, `{"error":{"code":403,"status":"PERMISSION_DENIED","details":[{"errorCode":"SENDER_ID_MISMATCH"}]}}`, gone},
		{"fcm", 400, `{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"errorCode":"INVALID_ARGUMENT"},{"fieldViolations":[{"field":"message.token"}]}]}}`, gone},
		{"fcm", 400, `{"error":{"code":400,"status":"INVALID_ARGUMENT","details":[{"errorCode":"INVALID_ARGUMENT"}]}}`, final},
		{"fcm", 429, `{"error":{"code":429,"status":"RESOURCE_EXHAUSTED","details":[{"errorCode":"QUOTA_EXCEEDED"}]}}`, later},
		{"fcm", 404, `<html>`, service}, // the project does not exist: not the device's fault
		{"fcm", 403, `{"error":{"code":403,"status":"PERMISSION_DENIED"}}`, service},
		{"fcm", 503, `{"error":{"code":503,"status":"UNAVAILABLE"}}`, service},
		{"apns", 400, `{"reason":"BadDeviceToken"}`, gone},
		{"apns", 400, `{"reason":"DeviceTokenNotForTopic"}`, gone},
		{"apns", 410, `{"reason":"Unregistered","timestamp":3000}`, gone},
		{"apns", 410, `{"reason":"Unregistered","timestamp":1000}`, later}, // the app has registered again since
		{"apns", 400, `{"reason":"PayloadEmpty"}`, final},
		{"apns", 413, `{"reason":"PayloadTooLarge"}`, final},
		{"apns", 403, `{"reason":"InvalidProviderToken"}`, service},
		{"apns", 429, `{"reason":"TooManyRequests"}`, later},
		{"apns", 429, `{"reason":"TooManyProviderTokenUpdates"}`, service},
		{"apns", 503, `{"reason":"Shutdown"}`, service},
	} {
		client := answers(func(req *http.Request, _ []byte) (int, string) {
			if req.URL.Path == "/token" {
				return 200, `{"access_token":"x","expires_in":3600}`
			}
			return c.status, c.answer
		})
		sender, err := NewFCM(account, "", client, time.Now)
		if c.by == "apns" {
			sender, err = NewAPNs(APNsConfig{KeyFile: p8, KeyID: "k", TeamID: "t", Topic: "x"}, client, time.Now)
		}
		if err != nil {
			t.Fatal(err)
		}
		var f *Failure
		if err := sender.Send(t.Context(), sub, &Notice{Type: typeRead}); !errors.As(err, &f) {
			t.Errorf("Send by %s with answer %d %s: got %v, want a *Failure", c.by, c.status, c.answer, err)
			continue
		}
		got := later
		switch {
		case f.Gone:
			got = gone
		case f.Final:
			got = final
		case f.Service:
			got = service
		}
		if got != c.want || strings.Contains(f.Reason, sub.Target) {
			t.Errorf("%s %d %s is %s, want %s: %s", c.by, c.status, c.answer, got, c.want, f.Reason)
		}
	}
}

// The longest notification fits into the padded size, and into the limits of Apple and Google.
func TestLongestNotificationFits(t *testing.T) {
	key, err := readKey(NewKey())
	if err != nil {
		t.Fatal(err)
	}
	device, err := readKey(NewKey())
	if err != nil {
		t.Fatal(err)
	}
	point, err := decodeKey(device.public)
	if err != nil {
		t.Fatal(err)
	}
	n := &Notice{
		Type: chat.TypePrivateMessage, Room: strings.Repeat("𝔞", 64), User: strings.Repeat("𝔟", 32), MessageID: chat.MaxID, Unread: MaxUnread,
		Text: beginning(strings.Repeat("\x01", 4000)), topic: strings.Repeat("x", 20),
	}
	var lengths []int
	w := &webPush{key: key, contact: defaultContact, client: answers(func(_ *http.Request, body []byte) (int, string) {
		lengths = append(lengths, len(body))
		return 201, ""
	})}
	to := Subscription{Target: "https://push.example.com/x", P256dh: point, Auth: make([]byte, 16)}
	for _, n := range []*Notice{n, {Type: typeRead, topic: "x"}} {
		if err := w.Send(t.Context(), to, n); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(lengths, []int{recordSize, recordSize}) {
		t.Errorf("body lengths = %v", lengths)
	}
	_, payload := n.apns()
	if b, err := json.Marshal(payload); err != nil || len(b) > 4096 {
		t.Errorf("APNs payload of %d bytes: %v", len(b), err)
	}
	if text := beginning(strings.Repeat("é", 300)); text != strings.Repeat("é", 200) || bytes.ContainsRune([]byte(text), '\uFFFD') {
		t.Errorf("beginning = %q", text)
	}
}
