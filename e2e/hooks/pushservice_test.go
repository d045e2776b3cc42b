package hooks

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// pushService is a Web Push service. It accepts what RFC 8030 specifies from a sender who proves by RFC 8292 to have
// the key, and decrypts by RFC 8291 for the browsers that it knows. It shares no code with the sender.
type pushService struct {
	t      *testing.T
	server *httptest.Server
	key    string // the VAPID key that browsers subscribed with; empty for any

	mu       sync.Mutex
	browsers map[string]*harness.Browser // by path
	got      map[string][]pushed
	came     chan struct{}                                 // closed when something comes
	answer   func(path string, w http.ResponseWriter) bool // reports whether it has answered; nil answers 201
}

// pushed is a message that arrived for a browser.
type pushed struct {
	Type      string `json:"type"`
	Room      string `json:"room"`
	User      string `json:"user"`
	MessageID int64  `json:"message_id"`
	Text      *string
	Unread    int

	topic, urgency string
	at             time.Time
	raw            []byte
	length         int // of the body
}

func newPushService(t *testing.T) *pushService {
	s := &pushService{t: t, browsers: map[string]*harness.Browser{}, got: map[string][]pushed{}, came: make(chan struct{})}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	return s
}

// subscribe subscribes a browser of c's here, and tells the program.
func (s *pushService) subscribe(c *harness.Client, device string) {
	c.T.Helper()
	b := harness.NewBrowser()
	path := "/push/" + c.User.Username + "/" + device
	s.mu.Lock()
	s.browsers[path] = b
	if s.key == "" {
		var key struct{ Key string }
		c.Do("GET", "/v1/push/key", nil).Want(200).Into(&key)
		s.key = key.Key
	}
	s.mu.Unlock()
	c.Server.Logs.KeepSecret(s.server.URL + path)
	c.Subscribe(device, b.Subscription(s.server.URL+path))
}

// ServeHTTP implements http.Handler.
func (s *pushService) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the program was killed while it sent
	}
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if answer != nil && answer(r.URL.Path, w) {
		return
	}
	p, err := s.receive(r, body)
	if err != nil {
		s.t.Errorf("invalid push request: %v\n%v", err, r.Header)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	s.mu.Lock()
	s.got[r.URL.Path] = append(s.got[r.URL.Path], p)
	close(s.came)
	s.came = make(chan struct{})
	s.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

var topicHeader = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

func (s *pushService) receive(r *http.Request, body []byte) (p pushed, err error) {
	s.mu.Lock()
	b := s.browsers[r.URL.Path]
	key := s.key
	s.mu.Unlock()
	if r.Method != http.MethodPost || b == nil {
		return p, fmt.Errorf("%s %s", r.Method, r.URL.Path)
	}
	if ttl, err := strconv.Atoi(r.Header.Get("TTL")); err != nil || ttl < 3600 || ttl > 28*24*3600 {
		return p, fmt.Errorf("TTL = %q", r.Header.Get("TTL"))
	}
	if p.topic = r.Header.Get("Topic"); !topicHeader.MatchString(p.topic) {
		return p, fmt.Errorf("Topic = %q", p.topic)
	}
	if p.urgency = r.Header.Get("Urgency"); p.urgency != "normal" && p.urgency != "high" {
		return p, fmt.Errorf("Urgency = %q", p.urgency)
	}
	if r.Header.Get("Content-Encoding") != "aes128gcm" || len(body) > 4096 {
		return p, fmt.Errorf("%d bytes of %q", len(body), r.Header.Get("Content-Encoding"))
	}
	if err := checkVAPID(r.Header.Get("Authorization"), "http://"+r.Host, key, time.Now()); err != nil {
		return p, err
	}
	if p.raw, err = decryptPush(body, b.Key, b.Auth); err != nil {
		return p, err
	}
	p.at, p.length = time.Now(), len(body)
	d := json.NewDecoder(strings.NewReader(string(p.raw)))
	d.DisallowUnknownFields()
	return p, d.Decode(&p)
}

// checkVAPID checks by RFC 8292 that a request comes from the owner of the key.
func checkVAPID(authorization, origin, key string, now time.Time) error {
	var token, k string
	rest, ok := strings.CutPrefix(authorization, "vapid ")
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		switch name {
		case "t":
			token = value
		case "k":
			k = value
		}
	}
	if !ok || k != key {
		return fmt.Errorf("key = %q, want %q, in %q", k, key, authorization)
	}
	point, err := base64.RawURLEncoding.DecodeString(k)
	if err != nil || len(point) != 65 || point[0] != 4 {
		return fmt.Errorf("key %q is not a point on the curve", k)
	}
	header, claims, err := verifyES256(token, point)
	if err != nil {
		return err
	}
	exp, _ := claims["exp"].(float64)
	end := time.Unix(int64(exp), 0)
	sub, _ := claims["sub"].(string)
	switch {
	case header["typ"] != "JWT":
		return fmt.Errorf("token's header = %v", header)
	case claims["aud"] != origin:
		return fmt.Errorf("aud = %v, want %s", claims["aud"], origin)
	case !end.After(now) || end.After(now.Add(24*time.Hour)):
		return fmt.Errorf("exp = %s", end)
	}
	if address, ok := strings.CutPrefix(sub, "mailto:"); ok {
		_, err := mail.ParseAddress(address)
		return err
	}
	if !strings.HasPrefix(sub, "https://") {
		return fmt.Errorf("sub = %q", sub)
	}
	return nil
}

// verifyES256 verifies a JWT by RFC 7518 §3.4 with a public key given as an uncompressed point.
func verifyES256(token string, point []byte) (header, claims map[string]any, err error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil, fmt.Errorf("not a JWT: %q", token)
	}
	for i, to := range []*map[string]any{&header, &claims} {
		text, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(text, to)
		}
		if err != nil {
			return nil, nil, err
		}
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 || header["alg"] != "ES256" {
		return nil, nil, fmt.Errorf("signature of %q has %d bytes: %w", token, len(signature), err)
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return nil, nil, err
	}
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return nil, nil, errors.New("the signature is another's")
	}
	return header, claims, nil
}

// decryptPush decrypts by RFC 8291, with the single record that it allows (§4), and RFC 8188.
func decryptPush(body []byte, key *ecdh.PrivateKey, auth []byte) ([]byte, error) {
	if len(body) < 21 || len(body) < 21+int(body[20]) {
		return nil, errors.New("the header is cut short")
	}
	salt, size, sender := body[:16], int(body[16])<<24|int(body[17])<<16|int(body[18])<<8|int(body[19]), body[21:21+int(body[20])]
	record := body[21+len(sender):]
	if len(record) > size || len(record) < 18 {
		return nil, fmt.Errorf("record of %d bytes, want %d", len(record), size)
	}
	public, err := ecdh.P256().NewPublicKey(sender)
	if err != nil {
		return nil, err
	}
	shared, err := key.ECDH(public)
	if err != nil {
		return nil, err
	}
	derive := func(secret, salt []byte, info string, n int) []byte {
		out, hkdfErr := hkdf.Key(sha256.New, secret, salt, info, n)
		err = errors.Join(err, hkdfErr)
		return out
	}
	ikm := derive(shared, auth, "WebPush: info\x00"+string(key.PublicKey().Bytes())+string(sender), 32)
	cek := derive(ikm, salt, "Content-Encoding: aes128gcm\x00", 16)
	nonce := derive(ikm, salt, "Content-Encoding: nonce\x00", 12)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(cek)
	if err != nil {
		return nil, err
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	plain, err := gcm.Open(nil, nonce, record, nil)
	if err != nil {
		return nil, err
	}
	end := len(plain) - 1
	for end >= 0 && plain[end] == 0 {
		end--
	}
	if end < 0 || plain[end] != 2 { // the delimiter of the last record
		return nil, errors.New("the padding is wrong")
	}
	return plain[:end], nil
}

// The example in RFC 8291 §5 and appendix A proves that the tests decrypt correctly.
func TestDecryptsTheExampleOfRFC8291(t *testing.T) {
	t.Parallel()
	decode := func(text string) []byte {
		b, err := base64.RawURLEncoding.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	key, err := ecdh.P256().NewPrivateKey(decode("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"))
	if err != nil {
		t.Fatal(err)
	}
	body := decode("DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml" +
		"mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT" +
		"pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN")
	got, err := decryptPush(body, key, decode("BTBZMqHH6r4Tts7J_aSIgg"))
	if err != nil || string(got) != "When I grow up, I want to be a watermelon" {
		t.Errorf("decrypted %q: %v", got, err)
	}
}

// to returns what has arrived for a device of c's.
func (s *pushService) to(c *harness.Client, device string) []pushed {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]pushed(nil), s.got["/push/"+c.User.Username+"/"+device]...)
}

// answers sets what the service answers; nil means 201.
func (s *pushService) answers(f func(path string, w http.ResponseWriter) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = f
}

// await waits until a device has n notifications, and returns them.
func (s *pushService) await(c *harness.Client, device string, n int) []pushed {
	c.T.Helper()
	deadline := time.After(harness.Patience)
	for {
		s.mu.Lock()
		came := s.came
		s.mu.Unlock()
		if got := s.to(c, device); len(got) >= n {
			return got
		}
		select {
		case <-came:
		case <-deadline:
			c.T.Fatalf("%s's %s got %d notifications, want %d", c.User.Username, device, len(s.to(c, device)), n)
		}
	}
}

// brief returns a notification's essentials on one line.
func (p pushed) brief() string {
	text := "-"
	if p.Text != nil {
		text = *p.Text
	}
	return fmt.Sprintf("%s room=%s user=%s %d %q unread=%d", p.Type, p.Room, p.User, p.MessageID, text, p.Unread)
}
