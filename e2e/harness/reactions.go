package harness

import (
	"net/url"
)

func (c *Client) React(method, room string, id int64, emoji string) Answer {
	c.T.Helper()
	return c.Do(method, MessagePath(room, id)+"/reactions/"+url.PathEscape(emoji), nil)
}
