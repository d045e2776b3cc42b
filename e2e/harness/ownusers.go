package harness

import (
	"testing"
)

// Backend returns a client with an API token that may create sessions for users.
func (p *Program) Backend(t *testing.T) (root, backend *Client) {
	t.Helper()
	root = p.Admin(t)
	return root, root.Token(map[string]any{"name": "shop", "scopes": []string{"sessions"}})
}

// SessionFor creates a session for a user as a backend does.
func (c *Client) SessionFor(body map[string]any) Answer {
	c.T.Helper()
	return c.Do("POST", "/v1/admin/sessions", body)
}

// As returns a client with the session in an answer.
func (a Answer) As(s *Server) *Client {
	a.T.Helper()
	c := s.Visitor(a.T)
	a.Into(&c.Session)
	s.Logs.KeepSecret(c.AccessToken, c.RefreshToken)
	return c
}

type Login struct {
	ID        int64
	Device    string
	Address   string
	CreatedAt string `json:"created_at"`
	LastSeen  string `json:"last_seen"`
	Current   bool
}

func (c *Client) Logins(query string) (items []Login, next *int64) {
	c.T.Helper()
	var page struct {
		Items []Login
		Next  *int64
	}
	c.Do("GET", "/v1/me/sessions"+query, nil).Want(200).Into(&page)
	return page.Items, page.Next
}
