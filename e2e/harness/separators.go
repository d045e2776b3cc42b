package harness

import (
	"bufio"
	"bytes"
	"fmt"
	"net/http"
	"testing"
)

// EventStream returns the bytes of an event stream after a Last-Event-ID, up to the end of the event with the given id.
func (c *Client) EventStream(t *testing.T, last string, upto int64) []byte {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), "GET", c.Server.URL+"/v1/events?room=lobby", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+c.AccessToken)
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Last-Event-ID", last)
	resp, err := c.Server.Transport(OverSSE).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var all []byte
	for r := bufio.NewReader(resp.Body); ; {
		line, err := r.ReadBytes('\n')
		if err != nil {
			t.Fatalf("after %s: %v", last, err)
		}
		all = append(all, line...)
		if bytes.HasPrefix(line, []byte(fmt.Sprintf("id: %d.", upto))) {
			for range 3 { // event, data and the blank line
				line, err := r.ReadBytes('\n')
				if err != nil {
					t.Fatal(err)
				}
				all = append(all, line...)
			}
			return all
		}
	}
}
