// Package client implements tandem's wire contract for the command line: calls, streams over each transport that
// reconnect automatically, and logins stored in a file. Like any other client it relies on openapi.yaml, and imports
// none of tandem's packages. It starts no goroutine that outlives the call or the Conn that needs it.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Tokens returns the access token for calls. It is safe for concurrent use.
type Tokens interface {
	// Token returns a token that the server should accept. refused is one that it has just refused, or "".
	Token(ctx context.Context, refused string) (string, error)
}

// Fixed is a token that cannot be refreshed, such as an API token.
type Fixed string

// Token returns t, or ErrLoggedOut if the server has refused it.
func (t Fixed) Token(_ context.Context, refused string) (string, error) {
	if refused == string(t) {
		return "", ErrLoggedOut
	}
	return string(t), nil
}

// Client calls one server. Create it with New; a copy may have a different HTTP or Tokens.
type Client struct {
	Base   *url.URL // without a trailing slash
	HTTP   *http.Client
	Tokens Tokens // nil for anonymous calls
}

// New returns a client of the server at base. It follows no redirects, because a token must not go elsewhere.
func New(base *url.URL, tokens Tokens) *Client {
	return &Client{base, &http.Client{
		Transport:     NewTransport(),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, tokens}
}

// NewTransport returns the connection settings that New uses.
func NewTransport() *http.Transport {
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		IdleConnTimeout:     30 * time.Second,
		ForceAttemptHTTP2:   true,
	}
}

// ParseBase parses a server's address as people write it: without a scheme it is https, or http on this machine.
func ParseBase(text string) (*url.URL, error) {
	if !strings.Contains(text, "://") {
		scheme := "https://"
		if u, err := url.Parse(scheme + text); err == nil && Local(u) {
			scheme = "http://"
		}
		text = scheme + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return nil, fmt.Errorf("%q is not a server address; write one like https://chat.example.com", text)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fmt.Errorf("%q: write only the address, without a login, ? or #", u.Redacted())
	}
	u.Host, u.Path, u.RawPath = strings.ToLower(u.Host), strings.TrimRight(u.Path, "/"), ""
	return u, nil
}

// Local reports whether u is on this machine.
func Local(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Call is one request. The body is JSON, or what Open returns, called again for each try.
type Call struct {
	Method, Path string
	Query        url.Values
	Header       http.Header
	JSON         any
	Open         func() (io.ReadCloser, error)
	Size         int64 // of what Open returns; -1 if it is not known
}

// MaxAnswer bounds the responses that are read, in bytes: far more than the server sends.
const MaxAnswer = 32 << 20

// Do makes a call and decodes its response into out, unless that is nil. It returns a *Problem for status 300 and
// above, ErrUnreachable if there is no response, and ErrLoggedOut if no token is accepted. Anything but JSON is an
// error: a captive portal answers every call with 200 and a page.
func (c *Client) Do(ctx context.Context, call Call, out any) error {
	resp, err := c.Send(ctx, call)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(io.LimitReader(resp.Body, MaxAnswer))
	if err != nil {
		return &unreachable{err}
	}
	if out == nil {
		return nil
	}
	if err := decode(resp.Header, text, out); err != nil {
		return fmt.Errorf("%s %s: the response is not from tandem: %w", call.Method, call.Path, err)
	}
	return nil
}

func decode(header http.Header, text []byte, out any) error {
	kind := header.Get("Content-Type")
	if name, _, _ := mime.ParseMediaType(kind); name != "application/json" {
		return fmt.Errorf("its content type is %q, not application/json", kind)
	}
	return json.Unmarshal(text, out)
}

// Send makes a call and returns a response below 300, whose body the caller must close. A refused token is refreshed
// once.
func (c *Client) Send(ctx context.Context, call Call) (*http.Response, error) {
	for refused := ""; ; {
		token, err := c.token(ctx, refused)
		if err != nil {
			return nil, err
		}
		resp, err := c.try(ctx, call, token)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode < 300 {
			return resp, nil
		}
		problem := ReadProblem(resp)
		_ = resp.Body.Close()
		if !problem.badToken() || token == "" || refused != "" {
			return nil, problem
		}
		refused = token
	}
}

func (c *Client) token(ctx context.Context, refused string) (string, error) {
	if c.Tokens == nil {
		return "", nil
	}
	return c.Tokens.Token(ctx, refused)
}

func (c *Client) try(ctx context.Context, call Call, token string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, call.Method, c.url(call.Path, call.Query), nil)
	if err != nil {
		return nil, err
	}
	if call.Header != nil {
		req.Header = call.Header.Clone()
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	switch {
	case call.JSON != nil:
		text, err := json.Marshal(call.JSON)
		if err != nil {
			return nil, err
		}
		req.Header.Set("Content-Type", "application/json")
		req.Body, req.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(text)), nil }
	case call.Open != nil:
		if req.Body, err = call.Open(); err != nil {
			return nil, err
		}
		req.ContentLength = call.Size
	}
	resp, err := c.HTTP.Do(req)
	if err != nil {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		return nil, &unreachable{err}
	}
	return resp, nil
}

func (c *Client) url(path string, query url.Values) string {
	text := c.Base.String() + path
	if len(query) > 0 {
		text += "?" + query.Encode()
	}
	return text
}

// Problem is a response of 300 or more. Code is empty if it is not from tandem.
type Problem struct {
	Status     int
	Code       string        `json:"code"`
	Title      string        `json:"title"`
	Detail     string        `json:"detail"`
	RetryAfter time.Duration `json:"-"`
	Location   string        `json:"-"` // of a redirect
}

// ReadProblem reads resp's body; the caller closes it.
func ReadProblem(resp *http.Response) *Problem {
	p := &Problem{}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 64<<10)) // a truncated one does no harm
	if kind, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); kind != "application/problem+json" || json.Unmarshal(text, p) != nil {
		p = &Problem{}
	}
	p.Status, p.Location = resp.StatusCode, resp.Header.Get("Location")
	p.RetryAfter, _ = time.ParseDuration(resp.Header.Get("Retry-After") + "s")
	return p
}

func (p *Problem) Error() string {
	switch {
	case p.Code != "" && p.Detail != "":
		return p.Detail
	case p.Code != "":
		return p.Title
	case p.Location != "":
		return fmt.Sprintf("the server redirects to %s: use that address", p.Location)
	}
	return fmt.Sprintf("%d %s, which is not from tandem: the address is wrong, or a proxy answered", p.Status, http.StatusText(p.Status))
}

func (p *Problem) badToken() bool {
	return p.Status == http.StatusUnauthorized && (p.Code == "token_expired" || p.Code == "invalid_token")
}

// Passing reports whether the same call may succeed later.
func (p *Problem) Passing() bool {
	return p.Status == http.StatusRequestTimeout || p.Status == http.StatusTooManyRequests || p.Status >= 500 && p.Code != "storage_full"
}

// ErrUnreachable means that there was no response: the network, the name, the certificate or the server fails.
var ErrUnreachable = errors.New("the server cannot be reached")

// ErrLoggedOut means that there is no login, or it has ended.
var ErrLoggedOut = errors.New("not logged in, or the login has ended: run tandem login")

type unreachable struct{ err error }

func (u *unreachable) Error() string   { return fmt.Sprintf("%v: %v", ErrUnreachable, u.err) }
func (u *unreachable) Unwrap() []error { return []error{ErrUnreachable, u.err} }

// Passing reports whether what failed with err may succeed later.
func Passing(err error) bool {
	if p, ok := errors.AsType[*Problem](err); ok {
		return p.Passing()
	}
	return errors.Is(err, ErrUnreachable)
}
