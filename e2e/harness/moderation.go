package harness

import (
	"net/url"
	"time"
)

func (c *Client) Mute(room, username string, seconds int) Answer {
	c.T.Helper()
	return c.Do("PUT", RoomPath(room)+"/mutes/"+url.PathEscape(username), Fields{"seconds": seconds})
}

func (c *Client) SlowMode(room string, seconds int) Answer {
	c.T.Helper()
	return c.Do("PATCH", RoomPath(room), Fields{"slow_mode": seconds})
}

// Until returns when a refusal ends, and checks that both Retry-After and the body say so.
func (a Answer) Until(status int, code string) time.Time {
	a.T.Helper()
	var p struct{ Until time.Time }
	a.WantProblem(status, code, "")
	a.Into(&p)
	if a.Header.Get("Retry-After") == "" || p.Until.IsZero() {
		a.T.Errorf("%s: Retry-After is %q, until is %v", a.Call, a.Header.Get("Retry-After"), p.Until)
	}
	return p.Until
}
