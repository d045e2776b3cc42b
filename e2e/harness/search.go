package harness

import (
	"fmt"
	"net/url"
	"slices"
)

func (c *Client) Search(path, q, more string) (texts []string) {
	c.T.Helper()
	for _, e := range c.Page(path, "q="+url.QueryEscape(q)+more).Items {
		texts = append(texts, e.Message)
	}
	return texts
}

// WantPages checks that a search finds these messages, page by page in both directions.
func (c *Client) WantPages(room, q string, want []int64) {
	c.T.Helper()
	var backward, forward []int64
	for query := ""; ; {
		page := c.History(room, "limit=3&q="+q+query)
		backward = append(IDs(page.Items), backward...)
		if page.Prev == nil {
			break
		}
		query = fmt.Sprint("&before=", *page.Prev)
	}
	for after := int64(0); ; {
		page := c.History(room, fmt.Sprint("limit=3&q=", q, "&after=", after))
		forward = append(forward, IDs(page.Items)...)
		if page.Next == nil {
			break
		}
		after = *page.Next
	}
	if !slices.Equal(backward, want) || !slices.Equal(forward, want) {
		c.T.Errorf("got backward %v\nforward %v\nwant %v", backward, forward, want)
	}
}
