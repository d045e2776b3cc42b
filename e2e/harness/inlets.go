package harness

import (
	"strings"
	"testing"
)

type Inlet struct {
	ID        int64
	URL       string
	Name      string
	CreatedBy string `json:"created_by"`
}

// Inlet creates an inlet. Its secret must not appear in the log from then on.
func (c *Client) Inlet(room, name string, headers ...string) (in Inlet) {
	c.T.Helper()
	c.Do("POST", RoomPath(room)+"/inlets", Fields{"name": name}, headers...).Want(201).Into(&in)
	c.Server.Logs.KeepSecret(in.Secret())
	return in
}

func (in Inlet) Secret() string { return in.URL[strings.LastIndexByte(in.URL, '/')+1:] }

// Path returns the path to post to, on the server that created the inlet.
func (in Inlet) Path() string { return "/in/" + in.Secret() }

// Deliver posts to an inlet without a session.
func (s *Server) Deliver(t *testing.T, in Inlet, body string, headers ...string) Answer {
	t.Helper()
	return s.Visitor(t).Do("POST", in.Path(), Raw(body), headers...)
}
