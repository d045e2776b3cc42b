package harness

import (
	"fmt"
	"testing"
	"time"

	"tandem/store"
)

func (c *Client) Read(place string, id int64) {
	c.T.Helper()
	c.Do("PUT", place+"/read", Fields{"id": id}).Want(204)
}

// Seen returns how far others have read, as "bob 7".
func (c *Client) Seen(place string) (all []string) {
	c.T.Helper()
	var list struct {
		Items []struct {
			Username  string
			MessageID int64 `json:"message_id"`
		}
	}
	c.Do("GET", place+"/seen", nil).Want(200).Into(&list)
	for _, s := range list.Items {
		all = append(all, fmt.Sprint(s.Username, " ", s.MessageID))
	}
	return all
}

// AddUsers creates accounts that nobody logs in to, without the cost of hashing passwords.
func (p *Program) AddUsers(t *testing.T, names ...string) {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{URL: p.Settings.DatabaseURL, Dir: p.Settings.DataDir, Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, name := range names {
		if _, _, err := s.CreateUser(t.Context(), name, "none", nil); err != nil {
			t.Fatal(err)
		}
	}
}
