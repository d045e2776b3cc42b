package harness

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
)

// Browser is the device's side of Web Push: the keys that a browser generates when an app subscribes.
type Browser struct {
	Key  *ecdh.PrivateKey
	Auth []byte
}

func NewBrowser() *Browser {
	key, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		panic(err)
	}
	b := &Browser{Key: key, Auth: make([]byte, 16)}
	_, _ = rand.Read(b.Auth) // never fails (crypto/rand)
	return b
}

// Subscription returns the body of PUT /v1/me/push/{id} for a browser.
func (b *Browser) Subscription(endpoint string) Fields {
	return Fields{"kind": "webpush", "endpoint": endpoint, "keys": b.Keys()}
}

func (b *Browser) Keys() Fields {
	return Fields{
		"p256dh": base64.RawURLEncoding.EncodeToString(b.Key.PublicKey().Bytes()),
		"auth":   base64.RawURLEncoding.EncodeToString(b.Auth),
	}
}

type PushSubscription struct {
	ID        string
	Kind      string
	CreatedAt string `json:"created_at"`
	LastError string `json:"last_error"`
}

func (c *Client) Subscribe(id string, subscription Fields) {
	c.T.Helper()
	c.Do("PUT", "/v1/me/push/"+id, subscription).Want(204)
}

// Subscriptions returns the ids of the user's subscriptions.
func (c *Client) Subscriptions() (ids []string) {
	c.T.Helper()
	var page struct{ Items []PushSubscription }
	c.Do("GET", "/v1/me/push", nil).Want(200).Into(&page)
	for _, s := range page.Items {
		ids = append(ids, s.ID)
	}
	return ids
}
