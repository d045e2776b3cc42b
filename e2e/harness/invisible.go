package harness

import ()

func (c *Client) Present(room string) (names []string, count int) {
	c.T.Helper()
	var present struct {
		Users []string
		Count int
	}
	c.Do("GET", RoomPath(room)+"/users", nil).Want(200).Into(&present)
	return present.Users, present.Count
}

func (c *Client) Online(room string) int {
	c.T.Helper()
	var r struct{ Online int }
	c.Do("GET", RoomPath(room), nil).Want(200).Into(&r)
	return r.Online
}
