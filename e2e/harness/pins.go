package harness

import ()

// Pins returns the pinned messages of a room, or of a conversation at PrivatePath, as the caller sees them.
func (c *Client) Pins(place string) []Event {
	c.T.Helper()
	return c.Page(place+"/pins", "").Items
}
