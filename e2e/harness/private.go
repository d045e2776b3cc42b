package harness

import (
	"net/url"
)

// PrivatePath returns the path of the caller's conversation with a user.
func PrivatePath(with string) string { return "/v1/private/" + url.PathEscape(with) }

// Send sends a private message and returns its event.
func (c *Client) Send(to, text string, headers ...string) Event {
	c.T.Helper()
	return c.Do("POST", PrivatePath(to)+"/messages", Raw(text), headers...).Want(201).Event()
}

type Conversation struct {
	Username string `json:"username"`
	Unread   int    `json:"unread"`
	LastID   int64  `json:"last_id"`
}

func (c *Client) Conversations(query string) (items []Conversation, next *int64) {
	c.T.Helper()
	var page struct {
		Items []Conversation
		Next  *int64
	}
	c.Do("GET", "/v1/private?"+query, nil).Want(200).Into(&page)
	return page.Items, page.Next
}
