package harness

import (
	"tandem/program"
)

func WithAdmin(cfg *program.Settings) { cfg.Admin = "admin:correct horse of admin" }

func (c *Client) ChangeAccount(name string, change map[string]any) Answer {
	c.T.Helper()
	return c.Do("PATCH", "/v1/admin/users/"+name, change)
}
