package harness

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
)

type Room struct {
	Name      string  `json:"name"`
	Title     string  `json:"title"`
	Visible   string  `json:"visibility"`
	Posting   string  `json:"posting"`
	Role      *string `json:"role"`
	Online    int     `json:"online"`
	Unread    int     `json:"unread"`
	LastID    int64   `json:"last_id"`
	CreatedBy string  `json:"created_by"`
	Notify    string  `json:"notify"`
	Receipts  bool    `json:"receipts"`
	Retention int64   `json:"retention"`
}

// RoomPath returns the path of a room, with its name percent-encoded.
func RoomPath(name string) string { return "/v1/rooms/" + url.PathEscape(name) }

func (c *Client) Enter(name string) Room {
	c.T.Helper()
	a := c.Do("PUT", RoomPath(name), nil)
	if a.Status != 200 {
		a.Want(201)
	}
	var r Room
	a.Into(&r)
	return r
}

// Post posts text as a raw body and returns the event with its bytes.
func (c *Client) Post(name, text string, headers ...string) Event {
	c.T.Helper()
	return c.Do("POST", RoomPath(name)+"/messages", Raw(text), headers...).Want(201).Event()
}

// TryPost is like Post, for goroutines and for servers that may be gone: it returns an error unless the status is 200 or
// 201.
func (c *Client) TryPost(name, text string, headers ...string) (Event, error) {
	a, err := c.Try("POST", RoomPath(name)+"/messages", Raw(text), headers...)
	if err != nil {
		return Event{}, err
	}
	if a.Status != 200 && a.Status != 201 {
		return Event{}, fmt.Errorf("%s answered %d: %s", a.Call, a.Status, Clip(a.Body))
	}
	return ParseEvent(bytes.TrimSuffix(a.Body, []byte("\n")))
}

// Page is a page of history. Its items keep their bytes.
type Page struct {
	Items      []Event
	Prev, Next *int64
}

func (c *Client) History(name, query string) Page {
	c.T.Helper()
	return c.Page(RoomPath(name)+"/messages", query)
}

// Page returns the page of history at path.
func (c *Client) Page(path, query string) Page {
	c.T.Helper()
	var p struct {
		Items      []json.RawMessage `json:"items"`
		Prev, Next *int64
	}
	c.Do("GET", path+"?"+query, nil).Want(200).Into(&p)
	result := Page{Prev: p.Prev, Next: p.Next}
	for _, item := range p.Items {
		e, err := ParseEvent(item)
		if err != nil {
			c.T.Fatal(err)
		}
		result.Items = append(result.Items, e)
	}
	return result
}

// WholeHistory pages forward through all messages of a room.
func (c *Client) WholeHistory(name string) []Event {
	c.T.Helper()
	var all []Event
	for after := int64(0); ; {
		p := c.History(name, fmt.Sprintf("after=%d&limit=100", after))
		all = append(all, p.Items...)
		if p.Next == nil {
			return all
		}
		if *p.Next <= after {
			c.T.Fatalf("next is %d after %d: it never ends", *p.Next, after)
		}
		after = *p.Next
	}
}

// Head returns the id of the latest event in the log. It asks for a stream from beyond the head, since such a stream is
// told the log's own head; the position at which other streams open may be slightly behind.
func (c *Client) Head() int64 {
	c.T.Helper()
	s := c.Open(OverSSE, "since=9007199254740991")
	defer s.Close()
	s.Must("stream_open")
	return s.Must("stream_reset").Head
}
