package harness

import (
	"testing"
)

// Bearer returns a client with an access token from the issuer.
func (s *Server) Bearer(t *testing.T, token string) *Client {
	t.Helper()
	c := s.Visitor(t).WithToken(token)
	return c
}

// Name returns the username that the server sees for the client.
func (c *Client) Name() string {
	c.T.Helper()
	var me struct{ Username string }
	c.Do("GET", "/v1/me", nil).Want(200).Into(&me)
	return me.Username
}
