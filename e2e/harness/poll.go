package harness

import (
	"strings"
)

// Poll makes one long poll.
func (c *Client) Poll(query string) PollAnswer {
	c.T.Helper()
	got, err := ParsePoll(c.Do("GET", "/v1/events?"+query, nil, "Accept: application/json").Want(200).Body)
	if err != nil {
		c.T.Fatal(err)
	}
	return got
}

// KindOf returns the Content-Type of a stream.
func (c *Client) KindOf(over Transport, query, accept string) string {
	c.T.Helper()
	s := c.Server.Socket(c.T)
	defer s.Close()
	lines := []string{over.Method() + " /v1/events?" + query + " HTTP/1.1", "Host: x", c.Bearer(), "Content-Length: 0"}
	if accept != "-" {
		lines = append(lines, "Accept: "+accept)
	}
	s.Send("", append(lines, "")...)
	for {
		line, err := s.Reader.ReadString('\n')
		if err != nil {
			c.T.Fatalf("?%s with Accept %q: %v", query, accept, err)
		}
		if kind, is := strings.CutPrefix(line, "Content-Type: "); is {
			return strings.TrimSpace(kind)
		}
	}
}
