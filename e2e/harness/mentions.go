package harness

import ()

// Mentions returns how many unread messages in a room mention the caller.
func (c *Client) Mentions(room string) int {
	c.T.Helper()
	var r struct{ Mentions int }
	c.Do("GET", RoomPath(room), nil).Want(200).Into(&r)
	return r.Mentions
}

// Mentioning returns the ids on a page of the messages that mention the caller.
func (c *Client) Mentioning(query string) ([]int64, *int64) {
	c.T.Helper()
	p := c.Page("/v1/me/mentions", query)
	return IDs(p.Items), p.Prev
}
