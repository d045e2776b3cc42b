package harness

import (
	"net/http"
	"testing"
)

// CookieOf returns the stream cookie that an answer sets, or nil.
func CookieOf(t *testing.T, h http.Header) *http.Cookie {
	t.Helper()
	for _, line := range h.Values("Set-Cookie") {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			t.Fatal(err)
		}
		if c.Name == "tandem_stream" {
			return c
		}
	}
	return nil
}

// LoginWithCookie starts another session and returns it with its cookie as a request header.
func (c *Client) LoginWithCookie() (*Client, string) {
	c.T.Helper()
	other := c.Server.Visitor(c.T)
	other.Password = c.Password
	a := other.Do("POST", "/v1/auth/login", map[string]any{"username": c.User.Username, "password": c.Password, "cookie": true}).Want(200).Into(&other.Session)
	set := CookieOf(c.T, a.Header)
	if set == nil || !set.HttpOnly || set.SameSite != http.SameSiteStrictMode || set.Path != "/" || set.MaxAge < 86400 || set.Secure {
		c.T.Fatalf("cookies set by the login = %v", set)
	}
	c.Server.Logs.KeepSecret(set.Value)
	return other, "Cookie: tandem_stream=" + set.Value
}
