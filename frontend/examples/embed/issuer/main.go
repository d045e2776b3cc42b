// Command issuer is way 3: an identity provider signs tokens, and tandem verifies them with its public keys. This program
// is its own provider; with Keycloak, Auth0 or another, the provider serves /jwks.json and /token.
package main

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"time"

	embed "tandem/frontend/examples/embed"
)

func main() {
	public, private, _ := ed25519.GenerateKey(nil) // a real key outlives a restart
	encode := base64.RawURLEncoding.EncodeToString
	part := func(value any) string {
		b, _ := json.Marshal(value)
		return encode(b)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /login", embed.Login)
	mux.HandleFunc("GET /jwks.json", func(w http.ResponseWriter, r *http.Request) {
		key := map[string]string{"kty": "OKP", "crv": "Ed25519", "x": encode(public), "kid": "shop-1", "alg": "EdDSA", "use": "sig"}
		embed.JSON(w, http.StatusOK, map[string]any{"keys": []any{key}})
	})
	mux.HandleFunc("GET /token", func(w http.ResponseWriter, r *http.Request) {
		name, now := embed.WhoIs(r), time.Now().Unix()
		if name == "" {
			embed.JSON(w, http.StatusUnauthorized, struct{}{})
			return
		}
		claims := map[string]any{"iss": "shop", "aud": "chat", "sub": "user-" + name, "preferred_username": name, "iat": now, "exp": now + 300}
		text := part(map[string]string{"alg": "EdDSA", "kid": "shop-1"}) + "." + part(claims)
		embed.JSON(w, http.StatusOK, map[string]string{"token": text + "." + encode(ed25519.Sign(private, []byte(text)))})
	})
	embed.Serve(mux, "issuer")
}
