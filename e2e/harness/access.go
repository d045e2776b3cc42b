package harness

import (
	"net/url"
)

func (c *Client) SetMember(room, username, role string) Answer {
	c.T.Helper()
	return c.Do("PUT", RoomPath(room)+"/members/"+url.PathEscape(username), map[string]string{"role": role})
}

func (c *Client) PrivateRoom(name string) {
	c.T.Helper()
	c.Do("POST", "/v1/rooms", NewRoom{Name: name, Visibility: "private"}).Want(201)
}

// Names returns the names of the items in a list of one page.
func (c *Client) Names(target string) []string {
	c.T.Helper()
	var page struct {
		Items []struct{ Username, Name string }
	}
	c.Do("GET", target, nil).Want(200).Into(&page)
	all := []string{}
	for _, item := range page.Items {
		all = append(all, item.Username+item.Name)
	}
	return all
}
