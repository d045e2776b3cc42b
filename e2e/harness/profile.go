package harness

import (
	"encoding/json"
	"net/url"
)

// Person is a user as GET /v1/users returns them, and the further fields of GET /v1/me.
type Person struct {
	Username    string          `json:"username"`
	DisplayName string          `json:"display_name"`
	Avatar      string          `json:"avatar"`
	Data        json.RawMessage `json:"data"`
	Online      bool            `json:"online"`
	LastSeen    string          `json:"last_seen"`

	Role      string `json:"role"`
	Receipts  bool   `json:"receipts"`
	Invisible bool   `json:"invisible"`
}

func (c *Client) Me() (p Person) {
	c.T.Helper()
	c.Do("GET", "/v1/me", nil).Want(200).Into(&p)
	return p
}

func (c *Client) ChangeMe(body any) (p Person) {
	c.T.Helper()
	c.Do("PATCH", "/v1/me", body, "Content-Type: application/json").Want(200).Into(&p)
	return p
}

func (c *Client) LookUp(username string) (p Person) {
	c.T.Helper()
	c.Do("GET", "/v1/users/"+url.PathEscape(username), nil).Want(200).Into(&p)
	return p
}

func (c *Client) People(query string) []Person {
	c.T.Helper()
	var page struct{ Items []Person }
	c.Do("GET", "/v1/users?"+query, nil).Want(200).Into(&page)
	return page.Items
}
