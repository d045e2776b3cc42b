package harness

import ()

func (c *Client) Notify(place, level string) Answer {
	c.T.Helper()
	return c.Do("PUT", place+"/notify", map[string]any{"level": level})
}
