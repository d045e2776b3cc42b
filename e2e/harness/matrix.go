package harness

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// Admin returns the user from the admin setting, "admin:correct horse of admin".
func (p *Program) Admin(t *testing.T) *Client {
	t.Helper()
	c := p.Visitor(t)
	c.Password = "correct horse of admin"
	c.Do("POST", "/v1/auth/login", Credentials{"admin", c.Password}).Want(200).Into(&c.Session)
	return c
}

func StatusAndCode(a Answer) string {
	if a.Status < 400 {
		return fmt.Sprint(a.Status)
	}
	var p Problem
	a.Into(&p)
	return fmt.Sprintf("%d %s", a.Status, p.Code)
}

// SameAnswer checks that two answers differ at most in the room's name and the request id.
func SameAnswer(t *testing.T, a Answer, aRoom string, b Answer, bRoom string) {
	t.Helper()
	if text := strings.ReplaceAll(string(b.Body), bRoom, aRoom); a.Status != b.Status || string(a.Body) != text {
		t.Errorf("%s: got %d %s, but %s: got %d %s", a.Call, a.Status, a.Body, b.Call, b.Status, b.Body)
	}
	plain := func(h http.Header) http.Header {
		h = h.Clone()
		for _, name := range []string{"X-Request-Id", "Date", "Content-Length"} {
			h.Del(name)
		}
		return h
	}
	if !maps.EqualFunc(plain(a.Header), plain(b.Header), slices.Equal) {
		t.Errorf("%s: got headers %v, but %s: got %v", a.Call, a.Header, b.Call, b.Header)
	}
}
