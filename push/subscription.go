package push

import (
	"context"
	"crypto/ecdh"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"tandem/chat"
)

// Kind is a kind of push service.
type Kind string

// The values of Kind.
const (
	WebPush Kind = "webpush" // RFC 8030: browsers, and UnifiedPush
	FCM     Kind = "fcm"
	APNs    Kind = "apns"
)

// MaxSubscriptions is how many a user can have; one more ends the one registered longest ago.
const MaxSubscriptions = 50

// Subscription is where notifications for one device are sent.
type Subscription struct {
	Number    int64 // assigned by the store
	User      int64
	Session   int64  // it ends with this session; 0 for an outside issuer's user
	ID        string // the device's, chosen by the app
	Kind      Kind
	Service   string // its push service: a slow or broken one only delays its own subscriptions
	Target    string // the endpoint, or the token
	P256dh    []byte // of WebPush: what to encrypt with
	Auth      []byte
	CreatedAt time.Time
	PutAt     time.Time // when the app last registered it
	LastError string    // why the last notification failed; empty if it did not
}

// Draft is a subscription as an app sends it. Fields that its kind does not need are empty.
type Draft struct {
	Kind         Kind
	Endpoint     string
	P256dh, Auth string // base64url
	Token        string
}

// Put stores a subscription of v under id, replacing the previous one. It returns a *chat.Invalid if n is invalid.
func (s *Service) Put(ctx context.Context, v chat.Viewer, id string, n Draft) error {
	sub := Subscription{User: v.User, Session: v.Session, ID: id, Kind: n.Kind, Service: string(n.Kind)}
	if !s.serves(n.Kind) {
		return &chat.Invalid{Field: "kind", Detail: fmt.Sprintf("this server sends no notifications by %s", n.Kind)}
	}
	var err error
	switch n.Kind {
	case WebPush:
		err = s.fillWebPush(ctx, &sub, n)
	case FCM:
		sub.Target, err = n.Token, checkToken(n.Token)
	case APNs:
		sub.Target = strings.ToLower(n.Token)
		if _, hexErr := hex.DecodeString(n.Token); hexErr != nil || n.Token == "" || len(n.Token) > 400 {
			err = &chat.Invalid{Field: "token", Detail: "an APNs device token must be hexadecimal"}
		}
	}
	if err != nil {
		return err
	}
	return s.store.PutPush(ctx, sub)
}

func (s *Service) serves(k Kind) bool { return s.senders[k] != nil }

func checkToken(token string) error {
	wrong := token == ""
	for i := range len(token) {
		wrong = wrong || token[i] <= ' ' || token[i] > '~'
	}
	if wrong {
		return &chat.Invalid{Field: "token", Detail: "a registration token must have printable ASCII characters"}
	}
	return nil
}

// fillWebPush reads the subscription that the app got from a browser or a UnifiedPush distributor.
func (s *Service) fillWebPush(ctx context.Context, sub *Subscription, n Draft) (err error) {
	u, err := url.Parse(n.Endpoint)
	if err != nil || u.Host == "" {
		return &chat.Invalid{Field: "endpoint", Detail: "an endpoint must be a URL, https://…"}
	}
	if err := s.check(ctx, n.Endpoint); err != nil {
		return &chat.Invalid{Field: "endpoint", Detail: err.Error()}
	}
	sub.Target, sub.Service = n.Endpoint, strings.ToLower(u.Host)
	if sub.P256dh, err = decodeKey(n.P256dh); err == nil {
		_, err = ecdh.P256().NewPublicKey(sub.P256dh)
	}
	if err != nil {
		return &chat.Invalid{Field: "keys.p256dh", Detail: "this is not a P-256 point in base64url"}
	}
	if sub.Auth, err = decodeKey(n.Auth); err != nil || len(sub.Auth) != 16 { // RFC 8291 §3.2
		return &chat.Invalid{Field: "keys.auth", Detail: "this is not 16 bytes in base64url"}
	}
	return nil
}

// decodeKey accepts base64url with or without padding, and base64, which some libraries send.
func decodeKey(text string) ([]byte, error) {
	text = strings.NewReplacer("+", "-", "/", "_").Replace(strings.TrimRight(text, "="))
	return base64.RawURLEncoding.DecodeString(text)
}

// Delete ends v's subscription with that id; it does nothing if there is none.
func (s *Service) Delete(ctx context.Context, v chat.Viewer, id string) error {
	return s.store.DeletePush(ctx, v.User, id)
}

// List returns v's subscriptions, by id.
func (s *Service) List(ctx context.Context, v chat.Viewer) ([]Subscription, error) {
	return s.store.Pushes(ctx, v.User)
}

// Key returns the public key that web apps subscribe with, base64url.
func (s *Service) Key() string { return s.key.public }

// Kinds returns the kinds that the service supports.
func (s *Service) Kinds() (kinds []Kind) {
	for _, k := range []Kind{WebPush, FCM, APNs} {
		if s.serves(k) {
			kinds = append(kinds, k)
		}
	}
	return kinds
}

// vapidKey identifies the sender to push services (RFC 8292), in the library's format.
type vapidKey struct{ private, public string }

var errBadKey = errors.New("push: the VAPID key in the database is invalid")

func readKey(scalar []byte) (vapidKey, error) {
	k, err := ecdh.P256().NewPrivateKey(scalar)
	if err != nil {
		return vapidKey{}, errBadKey
	}
	return vapidKey{
		private: base64.RawURLEncoding.EncodeToString(scalar),
		public:  base64.RawURLEncoding.EncodeToString(k.PublicKey().Bytes()),
	}, nil
}
