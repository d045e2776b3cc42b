package program

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
)

// client is someone who uses the server: a visitor, or a user with a session. Every answer that it
// gets is held against openapi.yaml.
type client struct {
	t        *testing.T
	server   *testServer
	http     *http.Client
	password string
	session
}

type session struct {
	AccessToken  string `json:"access_token"`
	ExpiresIn    int    `json:"expires_in"`
	RefreshToken string `json:"refresh_token"`
	User         struct {
		Username string `json:"username"`
		Role     string `json:"role"`
	} `json:"user"`
}

type problem struct {
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

// visitor is a client without a session.
func (s *testServer) visitor(t *testing.T) *client {
	return &client{t: t, server: s, http: &http.Client{
		Transport: &checkingTransport{t: t, server: s},
		Timeout:   patience,
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

// signup makes an account and logs in. Hashing a password is slow by design: tests share users where
// they can.
func (s *testServer) signup(t *testing.T, username string) *client {
	t.Helper()
	c := s.visitor(t)
	c.password = "correct horse of " + username
	s.logs.keepSecret(c.password)
	c.do("POST", "/v1/auth/signup", credentials{username, c.password}).want(201).into(&c.session)
	return c
}

type credentials struct {
	Username string `json:"username"`
	Password string `json:"password"`
}

// in is the same user within a subtest.
func (c *client) in(t *testing.T) *client {
	other := c.server.visitor(t)
	other.password, other.session = c.password, c.session
	return other
}

// on is the same user at another server that has the same data.
func (c *client) on(s *testServer) *client {
	other := s.visitor(c.t)
	other.password, other.session = c.password, c.session
	return other
}

// withToken is a client whose access token is replaced.
func (c *client) withToken(token string) *client {
	other := c.in(c.t)
	other.AccessToken = token
	c.server.logs.keepSecret(token)
	return other
}

// raw is a body that is sent as it is; anything else but nil is sent as JSON.
type raw string

// do sends a request and fails the test where there is no answer. Headers are given as "Name: value".
func (c *client) do(method, target string, body any, headers ...string) answer {
	c.t.Helper()
	a, err := c.try(method, target, body, headers...)
	if err != nil {
		c.t.Fatalf("%s %s: %v", method, target, err)
	}
	return a
}

// try is do for where the server may be gone.
func (c *client) try(method, target string, body any, headers ...string) (answer, error) {
	var content io.Reader
	isJSON := false
	switch b := body.(type) {
	case nil:
	case raw:
		content = strings.NewReader(string(b))
	case io.Reader:
		content = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return answer{}, err
		}
		content, isJSON = bytes.NewReader(text), true
	}
	req, err := http.NewRequest(method, c.server.url+target, content)
	if err != nil {
		return answer{}, err
	}
	if isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.AccessToken != "" {
		req.Header.Set("Authorization", "Bearer "+c.AccessToken)
	}
	addHeaders(req.Header, headers)
	resp, err := c.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{t: c.t, call: method + " " + target, status: resp.StatusCode, header: resp.Header, body: text}, nil
}

// addHeaders sets each "Name: value"; a value of "-" takes the header away.
func addHeaders(h http.Header, lines []string) {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ":")
		if value = strings.TrimPrefix(value, " "); value == "-" {
			h.Del(name)
		} else {
			h.Set(name, value)
		}
	}
}

// checkingTransport holds every answer against the contract, and remembers the secrets in it.
type checkingTransport struct {
	t      *testing.T
	server *testServer
}

func (c *checkingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := c.server.http.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	checkAnswer(c.t, req.Method, req.URL.RequestURI(), resp.StatusCode, resp.Header, body)
	var secrets struct {
		session
		Ticket string `json:"ticket"`
	}
	if strings.HasPrefix(req.URL.Path, "/v1/auth/") && json.Unmarshal(body, &secrets) == nil {
		c.server.logs.keepSecret(secrets.AccessToken, secrets.RefreshToken, secrets.Ticket)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// answer is an HTTP answer, read whole.
type answer struct {
	t      *testing.T
	call   string
	status int
	header http.Header
	body   []byte
}

func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("%s answered %d, not %d: %s", a.call, a.status, status, clip(a.body))
	}
	return a
}

func (a answer) into(value any) answer {
	a.t.Helper()
	if err := json.Unmarshal(a.body, value); err != nil {
		a.t.Fatalf("%s answered %s: %v", a.call, clip(a.body), err)
	}
	return a
}

// wantProblem asserts status and code, and that the field is named where one is given.
func (a answer) wantProblem(status int, code, field string) problem {
	a.t.Helper()
	a.want(status)
	var p problem
	a.into(&p)
	if code != "" && p.Code != code {
		a.t.Errorf("%s: code is %q, not %q: %s", a.call, p.Code, code, clip(a.body))
	}
	if field != "" && !p.names(field) {
		a.t.Errorf("%s: the problem does not name %q: %s", a.call, field, clip(a.body))
	}
	return p
}

func (p problem) names(field string) bool {
	for _, e := range p.Errors {
		if e.Field == field {
			return true
		}
	}
	return false
}

// event is an answer's body as the event that it must be.
func (a answer) event() event {
	a.t.Helper()
	e, err := parseEvent(bytes.TrimSuffix(a.body, []byte("\n")))
	if err != nil {
		a.t.Fatalf("%s: %v", a.call, err)
	}
	return e
}
