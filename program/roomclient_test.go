package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
)

type room struct {
	Name      string  `json:"name"`
	Title     string  `json:"title"`
	Visible   string  `json:"visibility"`
	Posting   string  `json:"posting"`
	Role      *string `json:"role"`
	Online    int     `json:"online"`
	Unread    int     `json:"unread"`
	LastID    int64   `json:"last_id"`
	CreatedBy string  `json:"created_by"`
}

// roomPath is where a room is; names go into URLs percent-encoded.
func roomPath(name string) string { return "/v1/rooms/" + url.PathEscape(name) }

func (c *client) enter(name string) room {
	c.t.Helper()
	a := c.do("PUT", roomPath(name), nil)
	if a.status != 200 {
		a.want(201)
	}
	var r room
	a.into(&r)
	return r
}

// post posts text as a raw body and returns the event with its bytes.
func (c *client) post(name, text string, headers ...string) event {
	c.t.Helper()
	return c.do("POST", roomPath(name)+"/messages", raw(text), headers...).want(201).event()
}

// tryPost is post for goroutines and for servers that may be gone: no answer is an error, as is any but 200 and 201.
func (c *client) tryPost(name, text string, headers ...string) (event, error) {
	a, err := c.try("POST", roomPath(name)+"/messages", raw(text), headers...)
	if err != nil {
		return event{}, err
	}
	if a.status != 200 && a.status != 201 {
		return event{}, fmt.Errorf("%s answered %d: %s", a.call, a.status, clip(a.body))
	}
	return parseEvent(bytes.TrimSuffix(a.body, []byte("\n")))
}

// page is a page of history; items keep their bytes.
type page struct {
	items      []event
	prev, next *int64
}

func (c *client) history(name, query string) page {
	c.t.Helper()
	return c.page(roomPath(name)+"/messages", query)
}

// page is a page of the history at that path.
func (c *client) page(path, query string) page {
	c.t.Helper()
	var p struct {
		Items      []json.RawMessage `json:"items"`
		Prev, Next *int64
	}
	c.do("GET", path+"?"+query, nil).want(200).into(&p)
	result := page{prev: p.Prev, next: p.Next}
	for _, item := range p.Items {
		e, err := parseEvent(item)
		if err != nil {
			c.t.Fatal(err)
		}
		result.items = append(result.items, e)
	}
	return result
}

// wholeHistory pages forward through all messages of a room.
func (c *client) wholeHistory(name string) []event {
	c.t.Helper()
	var all []event
	for after := int64(0); ; {
		p := c.history(name, fmt.Sprintf("after=%d&limit=100", after))
		all = append(all, p.items...)
		if p.next == nil {
			return all
		}
		if *p.next <= after {
			c.t.Fatalf("next is %d after %d: it never ends", *p.next, after)
		}
		after = *p.next
	}
}

// head is the id of the latest event of the log. A stream that asks for what cannot be yet is told the log's own
// head; the position at which a stream opens may be a moment behind.
func (c *client) head() int64 {
	c.t.Helper()
	s := c.open(overSSE, "since=9007199254740991")
	defer s.close()
	s.must("stream_open")
	return s.must("stream_reset").Head
}
