package harness

import (
	"strings"

	"github.com/MicahParks/keyfunc/v3"
	"github.com/golang-jwt/jwt/v5"
)

// Refresh exchanges the refresh token for a new session.
func (c *Client) Refresh() *Client {
	c.T.Helper()
	other := c.In(c.T)
	c.Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": c.RefreshToken}).Want(200).Into(&other.Session)
	return other
}

// WantDead checks that the server no longer accepts the client's access token anywhere.
func (c *Client) WantDead() {
	c.T.Helper()
	c.Do("GET", "/v1/me", nil).WantProblem(401, "invalid_token", "")
	c.Do("POST", "/v1/auth/ticket", nil).WantProblem(401, "invalid_token", "")
	for _, over := range Transports {
		c.Refused(over, "").WantProblem(401, "invalid_token", "")
	}
}

// VerifyByJWKS verifies the token with the published JWK Set, as another service would.
func (c *Client) VerifyByJWKS(token string) {
	c.T.Helper()
	a := c.Do("GET", "/.well-known/jwks.json", nil).Want(200)
	if got := a.Header.Get("Cache-Control"); got != "public, max-age=300" {
		c.T.Errorf("Cache-Control = %q", got)
	}
	set, err := keyfunc.NewJWKSetJSON(a.Body)
	if err != nil {
		c.T.Fatalf("cannot parse the JWK Set: %v\n%s", err, a.Body)
	}
	if _, err := jwt.Parse(token, set.Keyfunc, jwt.WithIssuer("tandem"), jwt.WithAudience("tandem"), jwt.WithExpirationRequired()); err != nil {
		c.T.Errorf("the token does not verify with the JWK Set: %v", err)
	}
	if strings.Contains(string(a.Body), `"d"`) || strings.Contains(string(a.Body), `"p"`) {
		c.T.Errorf("the JWK Set shows a private key: %s", a.Body)
	}
}
