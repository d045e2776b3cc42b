package harness

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// Eventually polls ok until it returns true, and fails the test after Patience. what completes "timed out waiting until".
func Eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(Patience); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if ok() {
			return
		}
	}
	t.Errorf("timed out waiting until %s", what)
}

// Login starts another session of the same user.
func (c *Client) Login() *Client {
	c.T.Helper()
	other := c.Server.Visitor(c.T)
	other.Password = c.Password
	other.Do("POST", "/v1/auth/login", Credentials{c.User.Username, c.Password}).Want(200).Into(&other.Session)
	return other
}

// WantClose reads to the end, which must be a stream_close with that reason.
func (s *Stream) WantClose(reason string) {
	s.t.Helper()
	if last, _ := s.Ending(); last.Type != "stream_close" || last.Reason != reason {
		s.t.Errorf("%s: the stream ended with %s, want reason %s", s.Over, last.Raw, reason)
	}
}

func (c *Client) Dead() bool {
	a := c.Do("GET", "/v1/me", nil)
	return a.Status == 401 && strings.Contains(string(a.Body), `"code":"invalid_token"`)
}

// Token creates an API token for c and returns a client that uses it.
func (c *Client) Token(body map[string]any) *Client {
	c.T.Helper()
	var made struct {
		ID    int64
		Token string
	}
	c.Do("POST", "/v1/tokens", body).Want(201).Into(&made)
	if !strings.HasPrefix(made.Token, "tandem_") {
		c.T.Errorf("token = %q", made.Token)
	}
	other := c.WithToken(made.Token)
	other.Password, other.RefreshToken = "", fmt.Sprint(made.ID) // the id by which to revoke it
	return other
}
