package push

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"tandem/outbound"
)

// fcm calls Firebase Cloud Messaging through its HTTP v1 API, with access tokens that Google issues for a service
// account's signature (RFC 7523).
type fcm struct {
	url     string // for messages
	account serviceAccount
	key     any
	client  Doer
	now     func() time.Time

	mu     sync.Mutex // held while a token is fetched: all others would want the same
	token  string
	expiry time.Time
}

type serviceAccount struct {
	Type        string `json:"type"`
	ProjectID   string `json:"project_id"`
	KeyID       string `json:"private_key_id"`
	PrivateKey  string `json:"private_key"`
	ClientEmail string `json:"client_email"`
	TokenURI    string `json:"token_uri"`
}

const (
	fcmURL   = "https://fcm.googleapis.com"
	fcmScope = "https://www.googleapis.com/auth/firebase.messaging"
	// tokenMargin is how long before its end a token is no longer used.
	tokenMargin = 5 * time.Minute
	// mostAnswer bounds how much of a response is read.
	mostAnswer = 64 << 10
)

// NewFCM reads a service account's JSON from a file. base is the URL of FCM; empty for Google's.
func NewFCM(file, base string, client Doer, now func() time.Time) (Sender, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	f := &fcm{client: client, now: now}
	if err := json.Unmarshal(text, &f.account); err != nil {
		return nil, fmt.Errorf("%s is not the JSON of a service account: %w", file, err)
	}
	a := f.account
	if a.Type != "service_account" || a.ProjectID == "" || a.ClientEmail == "" || a.TokenURI == "" {
		return nil, fmt.Errorf("%s is not the JSON of a service account: type, project_id, client_email and token_uri are required", file)
	}
	if f.key, err = jwt.ParseRSAPrivateKeyFromPEM([]byte(a.PrivateKey)); err != nil {
		return nil, fmt.Errorf("%s has no readable private_key: %w", file, err)
	}
	f.url = cmp.Or(strings.TrimSuffix(base, "/"), fcmURL) + "/v1/projects/" + url.PathEscape(a.ProjectID) + "/messages:send"
	return f, nil
}

// Send implements Sender. Devices get data: the app displays, counts and withdraws it as it likes. iOS devices, which
// FCM reaches through APNs, get what they would get from there.
func (f *fcm) Send(ctx context.Context, s Subscription, n *Notice) error {
	token, err := f.accessToken(ctx, "")
	if err != nil {
		return err
	}
	err = f.post(ctx, token, s.Target, n)
	var failure *Failure
	if errors.As(err, &failure) && failure.Reason == errToken {
		if token, err = f.accessToken(ctx, token); err == nil {
			err = f.post(ctx, token, s.Target, n)
		}
	}
	return err
}

// errToken is the reason if a token is no longer valid; a retry with another one may succeed.
const errToken = "FCM does not accept the service account's token"

func (f *fcm) post(ctx context.Context, token, device string, n *Notice) error {
	priority := "NORMAL"
	if n.urgent() {
		priority = "HIGH"
	}
	headers, payload := n.apns()
	headers["apns-expiration"] = strconv.FormatInt(f.now().Add(keepFor).Unix(), 10)
	body, err := json.Marshal(map[string]any{"message": map[string]any{
		"token": device,
		"data":  n.strings(),
		// No collapse_key: FCM keeps at most four of them per device, and there are more rooms.
		"android": map[string]any{"priority": priority, "ttl": strconv.Itoa(int(keepFor/time.Second)) + "s"},
		"apns":    map[string]any{"headers": headers, "payload": payload},
	}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Header.Set("Content-Type", "application/json")
	resp, err := f.client.Do(req)
	if err != nil {
		return unreached(err)
	}
	defer outbound.Discard(resp)
	if resp.StatusCode == http.StatusOK {
		return nil
	}
	return f.failure(resp)
}

// failure parses an error response: https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode
func (f *fcm) failure(resp *http.Response) error {
	var answer struct {
		Error struct {
			Status  string `json:"status"`
			Details []struct {
				ErrorCode       string `json:"errorCode"`
				FieldViolations []struct {
					Field string `json:"field"`
				} `json:"fieldViolations"`
			} `json:"details"`
		} `json:"error"`
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, mostAnswer)).Decode(&answer) // anything but JSON has no more information
	code, badToken := answer.Error.Status, false
	for _, d := range answer.Error.Details {
		code = cmp.Or(d.ErrorCode, code)
		for _, v := range d.FieldViolations {
			badToken = badToken || v.Field == "message.token"
		}
	}
	failure := &Failure{Reason: fmt.Sprintf("FCM answered %d %s", resp.StatusCode, code), After: outbound.RetryAfter(resp)}
	switch {
	case code == "UNREGISTERED", code == "SENDER_ID_MISMATCH", code == "INVALID_ARGUMENT" && badToken:
		failure.Gone = true
	case resp.StatusCode == http.StatusUnauthorized:
		failure.Reason, failure.Service = errToken, true
	case resp.StatusCode == http.StatusTooManyRequests:
		// Without the header, Google asks for at least a minute.
		failure.After = max(failure.After, time.Minute)
	case resp.StatusCode == http.StatusForbidden, resp.StatusCode == http.StatusNotFound, resp.StatusCode >= 500:
		failure.Service = true // the project is missing, not ours, or fails
	default:
		failure.Final = true
	}
	return failure
}

// accessToken returns a valid token other than spent, which is not.
func (f *fcm) accessToken(ctx context.Context, spent string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	if f.token != "" && f.token != spent && now.Add(tokenMargin).Before(f.expiry) {
		return f.token, nil
	}
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{
		"iss": f.account.ClientEmail, "scope": fcmScope, "aud": f.account.TokenURI, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	})
	t.Header["kid"] = f.account.KeyID
	assertion, err := t.SignedString(f.key)
	if err != nil {
		return "", err
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, f.account.TokenURI, strings.NewReader(form.Encode()))
	if err != nil {
		return "", err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := f.client.Do(req)
	if err != nil {
		return "", unreached(err)
	}
	defer outbound.Discard(resp)
	var answer struct {
		AccessToken string `json:"access_token"`
		ExpiresIn   int64  `json:"expires_in"`
	}
	if resp.StatusCode != http.StatusOK {
		return "", &Failure{Reason: fmt.Sprintf("the service account got no token: %d", resp.StatusCode), Service: true, After: outbound.RetryAfter(resp)}
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, mostAnswer)).Decode(&answer); err != nil || answer.AccessToken == "" {
		return "", &Failure{Reason: "the response to the service account has no token", Service: true}
	}
	f.token, f.expiry = answer.AccessToken, now.Add(time.Duration(answer.ExpiresIn)*time.Second)
	return f.token, nil
}
