package harness

import ()

// Fields is a JSON body with the names used on the wire.
type Fields map[string]any

func (c *Client) PostJSON(room string, body Fields) Event {
	c.T.Helper()
	return c.Do("POST", RoomPath(room)+"/messages", body).Want(201).Event()
}
