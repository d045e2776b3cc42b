package harness

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// Client uses the server as a visitor, or as a user with a session. It checks every answer against openapi.yaml.
type Client struct {
	T        *testing.T
	Server   *Server
	HTTP     *http.Client
	Password string
	Session
}

type Session struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	User         struct {
		Username string `json:"username"`
		Role     string `json:"role"`
	} `json:"user"`
}

type Problem struct {
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
	Code   string `json:"code"`
	Errors []struct {
		Field  string `json:"field"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

// Visitor returns a client without a session.
func (s *Server) Visitor(t *testing.T) *Client {
	return &Client{T: t, Server: s, HTTP: &http.Client{
		Transport: &checkingTransport{t: t, server: s},
		Timeout:   Patience,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// Signup creates an account and logs in. Hashing a password is slow by design, so tests share users where they can.
func (s *Server) Signup(t *testing.T, username string) *Client {
	t.Helper()
	c := s.Visitor(t)
	c.Password = "correct horse of " + username
	s.Logs.KeepSecret(c.Password)
	c.Do("POST", "/v1/auth/signup", Credentials{username, c.Password}).Want(201).Into(&c.Session)
	return c
}

type Credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// In returns the same user for use in a subtest.
func (c *Client) In(t *testing.T) *Client {
	other := c.Server.Visitor(t)
	other.Password, other.Session = c.Password, c.Session
	return other
}

// On returns the same user at another server with the same data.
func (c *Client) On(s *Server) *Client {
	other := s.Visitor(c.T)
	other.Password, other.Session = c.Password, c.Session
	return other
}

// WithToken returns a copy of the client with another access token.
func (c *Client) WithToken(token string) *Client {
	other := c.In(c.T)
	other.AccessToken = token
	c.Server.Logs.KeepSecret(token)
	return other
}

// Raw is a body to send unchanged. Any other body except nil is sent as JSON.
type Raw string

// Do sends a request and fails the test if there is no answer. Headers are given as "Name: value".
func (c *Client) Do(method, target string, body any, headers ...string) Answer {
	c.T.Helper()
	a, err := c.Try(method, target, body, headers...)
	if err != nil {
		c.T.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

// Try is like Do, for when the server may be gone: it returns the error.
func (c *Client) Try(method, target string, body any, headers ...string) (Answer, error) {
	var content io.Reader
	isJSON := false
	switch b := body.(type) {
	case nil:
	case Raw:
		content = strings.NewReader(string(b))
	case io.Reader:
		content = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return Answer{}, err
		}
		content, isJSON = bytes.NewReader(text), true
	}
	req, err := http.NewRequest(method, c.Server.URL+target, content)
	if err != nil {
		return Answer{}, err
	}
	if isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.AccessToken != "" {
		req.Header.Set("Authorization", "Bearer "+c.AccessToken)
	}
	AddHeaders(req.Header, headers)
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return Answer{}, err
	}
	return Answer{T: c.T, Call: method + " " + target, Status: resp.StatusCode, Header: resp.Header, Body: text}, nil
}

// AddHeaders sets each "Name: value". A value of "-" removes the header.
func AddHeaders(h http.Header, lines []string) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		if value = strings.TrimPrefix(value, " "); value == "-" {
			h.Del(name)
		} else {
			h.Set(name, value)
		}
	}
}

// checkingTransport checks every answer against the contract and remembers the secrets in it.
type checkingTransport struct {
	t      *testing.T
	server *Server
}

func (c *checkingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.server.HTTP.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	CheckAnswer(c.t, req.Method, c.server.below(req.URL), resp.StatusCode, resp.Header, body)
	var secrets struct {
		Session
		Ticket string `json:"ticket"`
	}
	if strings.HasPrefix(c.server.below(req.URL), "/v1/auth/") && json.Unmarshal(body, &secrets) == nil {
		c.server.Logs.KeepSecret(secrets.AccessToken, secrets.RefreshToken, secrets.Ticket)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// Answer is an HTTP response whose body has been read.
type Answer struct {
	T      *testing.T
	Call   string
	Status int
	Header http.Header
	Body   []byte
}

func (a Answer) Want(status int) Answer {
	a.T.Helper()
	if a.Status != status {
		a.T.Fatalf("%s: got status %d, want %d: %s", a.Call, a.Status, status, Clip(a.Body))
	}
	return a
}

func (a Answer) Into(value any) Answer {
	a.T.Helper()
	if err := json.Unmarshal(a.Body, value); err != nil {
		a.T.Fatalf("%s: cannot decode %s: %v", a.Call, Clip(a.Body), err)
	}
	return a
}

// WantProblem checks the status and code and, unless field is empty, that the problem names the field.
func (a Answer) WantProblem(status int, code, field string) Problem {
	a.T.Helper()
	a.Want(status)
	var p Problem
	a.Into(&p)
	if code != "" && p.Code != code {
		a.T.Errorf("%s: got code %q, want %q: %s", a.Call, p.Code, code, Clip(a.Body))
	}
	if field != "" && !p.Names(field) {
		a.T.Errorf("%s: problem does not name %q: %s", a.Call, field, Clip(a.Body))
	}
	return p
}

func (p Problem) Names(field string) bool {
	for _, e := range p.Errors {
		if e.Field == field {
			return true
		}
	}
	return false
}

// Event parses the body, which must be an event.
func (a Answer) Event() Event {
	a.T.Helper()
	e, err := ParseEvent(bytes.TrimSuffix(a.Body, []byte("\n")))
	if err != nil {
		a.T.Fatalf("%s: %v", a.Call, err)
	}
	return e
}
