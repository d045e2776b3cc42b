package suite

import (
	"encoding/json"
	"net/url"
	"strings"
	"sync"
	"time"
)

// User is an account. A scenario has its users to itself while it runs.
type User struct {
	t        *T
	Name     string
	password string
	token    string
	until    time.Time // when to log in again
}

// Accounts are kept for later scenarios, since creating one is slow by design. The zero value is empty. It may be
// shared by runs against the same server.
type Accounts struct {
	mu   sync.Mutex
	idle []*User
	all  []*User
}

func (p *Accounts) take() *User {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	u := p.idle[n-1]
	p.idle = p.idle[:n-1]
	return u
}

func (p *Accounts) add(u *User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.all = append(p.all, u)
}

func (p *Accounts) giveBack(users []*User) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = append(p.idle, users...)
}

// leave deletes the accounts.
func (p *Accounts) leave(r *run) {
	for _, u := range p.all {
		u.leave(r) // one by one: the server hashes a password for each
	}
}

// User returns an account that nobody else uses at the same time.
func (t *T) User() *User {
	u := t.Accounts.take()
	if u == nil {
		u = t.signup()
		t.Accounts.add(u)
	}
	t.own.mu.Lock()
	t.own.users = append(t.own.users, u)
	t.own.mu.Unlock()
	u.t = t
	if time.Now().After(u.until) {
		u.take(u.login())
	}
	return u
}

// Fresh creates an account for the scenario, which may leave it in any state.
func (t *T) Fresh() *User {
	u := t.signup()
	t.own.mu.Lock()
	t.own.fresh = append(t.own.fresh, u)
	t.own.mu.Unlock()
	return u
}

type session struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	User        struct {
		Username string `json:"username"`
		Role     string `json:"role"`
	} `json:"user"`
}

func (t *T) signup() *User {
	u := &User{t: t, Name: t.Name(), password: "correct horse " + t.Name()}
	var s session
	t.Do("POST", "/v1/auth/signup", map[string]string{"username": u.Name, "password": u.password}).Want(201).Into(&s)
	u.take(s)
	return u
}

func (u *User) login() (s session) {
	u.t.Do("POST", "/v1/auth/login", map[string]string{"username": u.Name, "password": u.password}).Want(200).Into(&s)
	return s
}

func (u *User) take(s session) {
	u.token, u.until = s.AccessToken, time.Now().Add(time.Duration(s.ExpiresIn)*time.Second/2)
}

// With returns the user with another token; "" means no session.
func (u *User) With(token string) *User {
	other := *u
	other.token = token
	return &other
}

// Again returns the user with a new session.
func (u *User) Again() *User { return u.With(u.login().AccessToken) }

// leave deletes the account, if possible.
func (u *User) leave(r *run) {
	if r.server.lacks("DELETE /v1/me") == "" {
		_, _ = r.call(u.token, "DELETE", "/v1/me", map[string]string{"current_password": u.password})
	}
}

// Room creates a public room owned by u.
func (t *T) Room(u *User) string {
	name := t.Name()
	u.Do("PUT", roomPath(name), nil).Want(201)
	t.deleteAfterwards(u, name)
	return name
}

// PrivateRoom creates a private room owned by u.
func (t *T) PrivateRoom(u *User) string {
	name := t.Name()
	u.Do("POST", "/v1/rooms", map[string]string{"name": name, "visibility": "private"}).Want(201)
	t.deleteAfterwards(u, name)
	return name
}

func (t *T) deleteAfterwards(u *User, room string) {
	owner := *u
	if t.server.lacks("DELETE /v1/rooms/{room}") == "" {
		t.Cleanup(func() { _, _ = t.call(owner.token, "DELETE", roomPath(room), nil) })
	}
}

func roomPath(room string, more ...string) string {
	path := "/v1/rooms/" + url.PathEscape(room)
	for _, part := range more {
		path += "/" + url.PathEscape(part)
	}
	return path
}

func privatePath(user string, more ...string) string {
	path := "/v1/private/" + url.PathEscape(user)
	for _, part := range more {
		path += "/" + url.PathEscape(part)
	}
	return path
}

// Enter makes u a member of a public room.
func (u *User) Enter(room string) { u.Do("PUT", roomPath(room), nil).Want(200) }

// Post posts a message and returns the event in the answer.
func (u *User) Post(room, text string) Event {
	return u.Do("POST", roomPath(room, "messages"), map[string]string{"message": text}).Want(201).Event()
}

// History returns a room's history, oldest first, at most 100 messages.
func (u *User) History(room string) []Event {
	var page struct {
		Items []json.RawMessage `json:"items"`
	}
	u.Do("GET", roomPath(room, "messages")+"?limit=100", nil).Want(200).Into(&page)
	var events []Event
	for _, raw := range page.Items {
		e := Event{Raw: string(raw)}
		if err := json.Unmarshal(raw, &e); err != nil {
			u.t.Fatalf("history = %s: %v", clip(string(raw)), err)
		}
		events = append(events, e)
	}
	return events
}

// splitHeader splits "Name: value".
func splitHeader(line string) (name, value string) {
	name, value, _ = strings.Cut(line, ":")
	return name, strings.TrimSpace(value)
}
