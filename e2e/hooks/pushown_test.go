package hooks

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tandem/e2e/harness"
	"tandem/program"
)

// ownService is a service configured by the operator (FCM, APNs or a gateway), over TLS and HTTP/2.
type ownService struct {
	*httptest.Server
	t *testing.T

	mu   sync.Mutex
	got  []map[string]any
	came chan struct{}
}

func newOwnService(t *testing.T, handle func(s *ownService, w http.ResponseWriter, r *http.Request, body []byte)) *ownService {
	s := &ownService{t: t, came: make(chan struct{})}
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		handle(s, w, r, body)
	}))
	s.EnableHTTP2 = true
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func (s *ownService) trusted(cfg *program.Settings) {
	cfg.PushGrace = 300 * time.Millisecond
	cfg.PushRoots = x509.NewCertPool()
	cfg.PushRoots.AddCert(s.Certificate())
}

// keep records a request for await.
func (s *ownService) keep(got map[string]any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, got)
	close(s.came)
	s.came = make(chan struct{})
}

func (s *ownService) await(n int) []map[string]any {
	s.t.Helper()
	for deadline := time.After(harness.Patience); ; {
		s.mu.Lock()
		got, came := slices.Clone(s.got), s.came
		s.mu.Unlock()
		if len(got) >= n {
			return got
		}
		select {
		case <-came:
		case <-deadline:
			s.t.Fatalf("the service got %d, want %d: %v", len(got), n, got)
		}
	}
}

// refuse answers with an error, and fails the test unless it was asked to.
func (s *ownService) nonsense(w http.ResponseWriter, r *http.Request, format string, args ...any) {
	s.t.Errorf("%s %s: %s", r.Method, r.URL.Path, fmt.Sprintf(format, args...))
	w.WriteHeader(http.StatusTeapot)
}

func writePEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// parseJWT splits a token into its parts.
func parseJWT(token string) (header, claims map[string]any, signed string, signature []byte, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, "", nil, fmt.Errorf("not a JWT: %q", token)
	}
	for i, to := range []any{&header, &claims, &signature} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil, "", nil, err
		}
		if i == 2 {
			signature = text
		} else if err := json.Unmarshal(text, to); err != nil {
			return nil, nil, "", nil, err
		}
	}
	return header, claims, parts[0] + "." + parts[1], signature, nil
}

// FCM: access tokens are fetched with a signed assertion, used until shortly before they expire, and fetched again when
// one is refused. Messages match Google's API, and a device that is gone loses its subscription.
func TestPushByFCM(t *testing.T) {
	t.Parallel()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	tokens, spent := 0, map[string]bool{}
	service := newOwnService(t, func(s *ownService, w http.ResponseWriter, r *http.Request, body []byte) {
		mu.Lock()
		defer mu.Unlock()
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/token" {
			if err := checkAssertion(r, body, &key.PublicKey, s.URL+"/token"); err != nil {
				s.nonsense(w, r, "%v", err)
				return
			}
			tokens++
			fmt.Fprintf(w, `{"access_token":"token-of-fcm-%d","expires_in":3600,"token_type":"Bearer"}`, tokens)
			return
		}
		token := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case r.Method != http.MethodPost || r.URL.Path != "/v1/projects/my-project/messages:send" || r.Header.Get("Content-Type") != "application/json" ||
			token != fmt.Sprint("token-of-fcm-", tokens):
			s.nonsense(w, r, "%v", r.Header)
			return
		case spent[token]:
			w.WriteHeader(http.StatusUnauthorized)
			_, _ = io.WriteString(w, `{"error":{"code":401,"status":"UNAUTHENTICATED","message":"Request had invalid authentication credentials."}}`)
			return
		}
		var m map[string]any
		if err := json.Unmarshal(body, &m); err != nil {
			s.nonsense(w, r, "%v", err)
			return
		}
		message, _ := m["message"].(map[string]any)
		if message["token"] == "device-gone" {
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"error":{"code":404,"status":"NOT_FOUND","message":"Requested entity was not found.","details":[{"@type":"type.googleapis.com/google.firebase.fcm.v1.FcmError","errorCode":"UNREGISTERED"}]}}`)
			return
		}
		s.keep(m)
		_, _ = io.WriteString(w, `{"name":"projects/my-project/messages/0:1"}`)
	})
	account, err := json.Marshal(harness.Fields{
		"type": "service_account", "project_id": "my-project", "private_key_id": "key-1", "private_key": writePEM(t, key),
		"client_email": "push@my-project.iam.gserviceaccount.com", "token_uri": service.URL + "/token",
	})
	if err != nil {
		t.Fatal(err)
	}
	p := harness.StartProgram(t, service.trusted, func(cfg *program.Settings) {
		cfg.FCMCredentials, cfg.FCMURL = writeFile(t, "account.json", string(account)), service.URL
	})
	p.Logs.KeepSecret("device-token-of-bob", "token-of-fcm-1", "token-of-fcm-2")
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	bob.Subscribe("phone", harness.Fields{"kind": "fcm", "token": "device-token-of-bob"})
	bob.Subscribe("old-phone", harness.Fields{"kind": "fcm", "token": "device-gone"})
	e := ada.Send("bob", "hi")
	got := service.await(1)[0]["message"].(map[string]any)
	want := map[string]any{
		"token":   "device-token-of-bob",
		"data":    map[string]any{"type": "private_message", "user": "ada", "message_id": fmt.Sprint(e.ID), "text": "hi", "unread": "1"},
		"android": map[string]any{"priority": "HIGH", "ttl": "259200s"},
	}
	apns := got["apns"].(map[string]any)
	delete(got, "apns")
	if !reflect.DeepEqual(got, want) {
		t.Errorf("FCM got %v\nwant    %v", got, want)
	}
	headers := apns["headers"].(map[string]any)
	if headers["apns-priority"] != "10" || headers["apns-push-type"] != "alert" || headers["apns-collapse-id"] == nil {
		t.Errorf("iOS devices got %v", apns)
	}
	harness.Eventually(t, "the unregistered device has no subscription", func() bool { return slices.Equal(bob.Subscriptions(), []string{"phone"}) })

	mu.Lock()
	spent["token-of-fcm-1"] = true
	if tokens != 1 {
		t.Errorf("%d tokens fetched for two messages, want 1", tokens)
	}
	mu.Unlock()
	bob.Read(harness.PrivatePath("ada"), e.ID)
	data := service.await(2)[1]["message"].(map[string]any)["data"]
	if want := (map[string]any{"type": "read", "user": "ada", "message_id": fmt.Sprint(e.ID), "unread": "0"}); !reflect.DeepEqual(data, want) {
		t.Errorf("FCM got %v, want %v", data, want)
	}
	mu.Lock()
	defer mu.Unlock()
	if tokens != 2 {
		t.Errorf("%d tokens fetched, want 2: the first had expired", tokens)
	}
}

func checkAssertion(r *http.Request, body []byte, key *rsa.PublicKey, audience string) error {
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	if err := r.ParseForm(); err != nil {
		return err
	}
	header, claims, signed, signature, err := parseJWT(r.PostForm.Get("assertion"))
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(signed))
	if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
		return err
	}
	iat, _ := claims["iat"].(float64)
	exp, _ := claims["exp"].(float64)
	if r.PostForm.Get("grant_type") != "urn:ietf:params:oauth:grant-type:jwt-bearer" || header["alg"] != "RS256" || header["kid"] != "key-1" ||
		claims["iss"] != "push@my-project.iam.gserviceaccount.com" || claims["aud"] != audience ||
		claims["scope"] != "https://www.googleapis.com/auth/firebase.messaging" || exp-iat <= 0 || exp-iat > 3600 {
		return fmt.Errorf("assertion has header %v, claims %v", header, claims)
	}
	return nil
}

// APNs: HTTP/2, a token that Apple can verify and that is reused between messages, and the required headers and
// payload.
func TestPushByAPNs(t *testing.T) {
	t.Parallel()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	const device, gone, bad = "00112233445566778899aabbccddeeff", "99", "98"
	var mu sync.Mutex
	tokens := map[string]bool{}
	service := newOwnService(t, func(s *ownService, w http.ResponseWriter, r *http.Request, body []byte) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "bearer ")
		header, claims, err := verifyES256(token, point)
		iat, _ := claims["iat"].(float64)
		age := time.Since(time.Unix(int64(iat), 0))
		host := strings.TrimPrefix(s.URL, "https://")
		if err != nil || r.ProtoMajor != 2 || r.Method != http.MethodPost || r.Host != host || header["kid"] != "KEYID12345" || claims["iss"] != "TEAMID1234" ||
			len(claims) != 2 || age < -time.Minute || age > time.Hour {
			s.nonsense(w, r, "%v: %s to %s, %v, %v", err, r.Proto, r.Host, header, claims)
			return
		}
		mu.Lock()
		tokens[token] = true
		mu.Unlock()
		got := map[string]any{"path": r.URL.Path}
		for name, values := range r.Header {
			if strings.HasPrefix(name, "Apns-") {
				got[strings.ToLower(name)] = values[0]
			}
		}
		at, err := strconv.ParseInt(r.Header.Get("Apns-Expiration"), 10, 64)
		if err != nil || at < time.Now().Unix() || len(r.Header.Get("Apns-Collapse-Id")) > 64 || len(body) > 4096 {
			s.nonsense(w, r, "%v", got)
			return
		}
		switch r.URL.Path {
		case "/3/device/" + gone:
			w.WriteHeader(http.StatusGone)
			fmt.Fprintf(w, `{"reason":"Unregistered","timestamp":%d}`, time.Now().UnixMilli())
			return
		case "/3/device/" + bad:
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"reason":"BadDeviceToken"}`)
			return
		}
		var payload map[string]any
		if err := json.Unmarshal(body, &payload); err != nil {
			s.nonsense(w, r, "%v", err)
			return
		}
		got["payload"] = payload
		s.keep(got)
	})
	p := harness.StartProgram(t, service.trusted, func(cfg *program.Settings) {
		cfg.APNsKeyFile, cfg.APNsURL = writeFile(t, "key.p8", writePEM(t, key)), service.URL
		cfg.APNsKeyID, cfg.APNsTeamID, cfg.APNsTopic = "KEYID12345", "TEAMID1234", "com.example.chat"
	})
	p.Logs.KeepSecret(device)
	var served struct{ Kinds []string }
	p.Visitor(t).Do("GET", "/v1/push/key", nil).Want(200).Into(&served)
	if !slices.Equal(served.Kinds, []string{"webpush", "apns"}) {
		t.Errorf("kinds = %q", served.Kinds)
	}
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	bob.Subscribe("phone", harness.Fields{"kind": "apns", "token": strings.ToUpper(device)})
	bob.Subscribe("gone", harness.Fields{"kind": "apns", "token": gone})
	bob.Subscribe("bad", harness.Fields{"kind": "apns", "token": bad})
	bob.Do("PUT", "/v1/me/push/x", harness.Fields{"kind": "apns", "token": "no hex"}).WantProblem(400, "", "token")
	e := ada.Post("lobby", "@bob hi")
	got := service.await(1)[0]
	collapse := got["apns-collapse-id"]
	want := map[string]any{
		"path": "/3/device/" + device, "apns-topic": "com.example.chat", "apns-push-type": "alert", "apns-priority": "10",
		"apns-collapse-id": collapse, "apns-expiration": got["apns-expiration"],
		"payload": map[string]any{
			"aps": map[string]any{
				"alert": map[string]any{"title": "ada", "subtitle": "lobby", "body": "@bob hi"}, "sound": "default", "thread-id": collapse, "mutable-content": 1.0,
			},
			"tandem": map[string]any{"type": "mention", "room": "lobby", "user": "ada", "message_id": float64(e.ID), "text": "@bob hi", "unread": 1.0},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("APNs got %v\nwant     %v", got, want)
	}
	harness.Eventually(t, "unregistered devices have no subscription", func() bool { return slices.Equal(bob.Subscriptions(), []string{"phone"}) })
	bob.Read(harness.RoomPath("lobby"), e.ID)
	back := service.await(2)[1]
	if payload := back["payload"].(map[string]any); back["apns-push-type"] != "background" || back["apns-priority"] != "5" ||
		!reflect.DeepEqual(payload["aps"], map[string]any{"content-available": 1.0}) ||
		!reflect.DeepEqual(payload["tandem"], map[string]any{"type": "read", "room": "lobby", "message_id": float64(e.ID), "unread": 0.0}) {
		t.Errorf("APNs got %v", back)
	}
	mu.Lock()
	defer mu.Unlock()
	if len(tokens) != 1 {
		t.Errorf("%d tokens created for four messages, want 1: Apple refuses more", len(tokens))
	}
}

// The operator's own gateway gets what FCM and APNs would get, signed, and its status has the same effect.
func TestPushByGateway(t *testing.T) {
	t.Parallel()
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	verify, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]bool{}
	service := newOwnService(t, func(s *ownService, w http.ResponseWriter, r *http.Request, body []byte) {
		var got map[string]any
		if err := verify.Verify(body, r.Header); err != nil || json.Unmarshal(body, &got) != nil || r.Method != http.MethodPost || r.URL.Path != "/gateway" {
			s.nonsense(w, r, "%v", err)
			return
		}
		if got["token"] == "gone" {
			w.WriteHeader(http.StatusGone)
			return
		}
		s.mu.Lock()
		ids[r.Header.Get("webhook-id")] = true
		s.mu.Unlock()
		s.keep(got)
		w.WriteHeader(http.StatusNoContent)
	})
	p := harness.StartProgram(t, service.trusted, func(cfg *program.Settings) { cfg.PushURL, cfg.PushSecret = service.URL+"/gateway", secret })
	p.Logs.KeepSecret(secret)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	bob.Subscribe("android", harness.Fields{"kind": "fcm", "token": "a-token"})
	bob.Subscribe("gone", harness.Fields{"kind": "fcm", "token": "gone"})
	bob.Subscribe("ios", harness.Fields{"kind": "apns", "token": "abcd"})
	e := ada.Send("bob", "hi")
	var kinds []string
	for _, got := range service.await(2) {
		kinds = append(kinds, fmt.Sprint(got["kind"], " ", got["token"]))
		if want := (map[string]any{"type": "private_message", "user": "ada", "message_id": float64(e.ID), "text": "hi", "unread": 1.0}); !reflect.DeepEqual(got["notification"], want) {
			t.Errorf("the gateway got %v, want %v", got["notification"], want)
		}
		if len(slices.Sorted(maps.Keys(got))) != 5 || got["urgent"] != true || got["collapse"] == "" {
			t.Errorf("gateway got %v", got)
		}
	}
	slices.Sort(kinds)
	if !slices.Equal(kinds, []string{"apns abcd", "fcm a-token"}) || len(ids) != 2 {
		t.Errorf("gateway got %q with ids %v", kinds, ids)
	}
	harness.Eventually(t, "the 410 deletes the subscription", func() bool { return slices.Equal(bob.Subscriptions(), []string{"android", "ios"}) })
}

// Invalid push settings are reported before anything starts.
func TestBadPushSettings(t *testing.T) {
	t.Parallel()
	for want, change := range map[string]func(*program.Settings){
		"push-contact": func(s *program.Settings) { s.PushContact = "ops@example.com" },
		"push-url": func(s *program.Settings) {
			s.PushURL, s.PushSecret = "example", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		},
		"push-secret":          func(s *program.Settings) { s.PushURL = "https://example.com" },
		"fcm-credentials-file": func(s *program.Settings) { s.FCMCredentials = writeFile(t, "x.json", `{"type":"user"}`) },
		"apns-key-file":        func(s *program.Settings) { s.APNsKeyFile = writeFile(t, "x.p8", "no key") },
	} {
		cfg := harness.Defaults()
		cfg.DataDir = t.TempDir()
		change(&cfg)
		if wrong := cfg.Check(harness.ReadSpec(t)); len(wrong) != 1 || !strings.Contains(wrong[0].Error(), want) {
			t.Errorf("bad %s: error = %v", want, wrong)
		}
	}
}
