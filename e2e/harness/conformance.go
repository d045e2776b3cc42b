package harness

import (
	"testing"
)

func (p *Program) Login(t *testing.T, name, password string) string {
	t.Helper()
	c := p.Visitor(t)
	c.Do("POST", "/v1/auth/login", Credentials{name, password}).Want(200).Into(&c.Session)
	return c.AccessToken
}
