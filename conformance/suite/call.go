package suite

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Raw is a body to send unchanged. Any other body except nil is sent as JSON.
type Raw string

// Answer is an HTTP response whose body has been read.
type Answer struct {
	t      *T
	call   string
	Status int
	Header http.Header
	Body   string
}

// Do calls the API as u. Headers are given as "Name: value".
func (u *User) Do(method, path string, body any, headers ...string) Answer {
	return u.t.do(u.token, method, path, body, headers...)
}

// Do calls the API without a session.
func (t *T) Do(method, path string, body any, headers ...string) Answer {
	return t.do("", method, path, body, headers...)
}

// Below returns a path on the server as Do takes it: relative to the server's base path.
func (t *T) Below(path string) string {
	u, err := url.Parse(*t.url.Load())
	if err != nil {
		t.Fatalf("%v", err)
	}
	return strings.TrimPrefix(path, strings.TrimRight(u.Path, "/"))
}

func (t *T) do(token, method, path string, body any, headers ...string) Answer {
	a, err := t.call(token, method, path, body, headers...)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	a.t = t
	return a
}

// maxLimited is how often a call refused by the server's limits is repeated.
const maxLimited = 20

// call sends a request, and repeats it when the server's limits ask it to wait.
func (r *run) call(token, method, path string, body any, headers ...string) (Answer, error) {
	for n := 0; ; n++ {
		a, err := r.callOnce(token, method, path, body, headers...)
		// A login gets 503 if too many passwords are being hashed at once.
		limited := a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable && strings.HasPrefix(path, "/v1/auth/")
		if err != nil || !limited || n == maxLimited {
			return a, err
		}
		wait, err := strconv.Atoi(a.Header.Get("Retry-After"))
		if err != nil || wait > 120 {
			return a, nil // the scenario reports what is wrong
		}
		time.Sleep(time.Duration(max(wait, 1)) * time.Second)
	}
}

func (r *run) callOnce(token, method, path string, body any, headers ...string) (Answer, error) {
	var content io.Reader
	isJSON := false
	switch b := body.(type) {
	case nil:
	case Raw:
		content = strings.NewReader(string(b))
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return Answer{}, err
		}
		content, isJSON = bytes.NewReader(text), true
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*r.Patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, *r.url.Load()+path, content)
	if err != nil {
		return Answer{}, err
	}
	if isJSON {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	for _, line := range headers {
		req.Header.Set(splitHeader(line))
	}
	resp, err := r.http1.RoundTrip(req)
	if err != nil {
		return Answer{}, err
	}
	return readAnswer(method+" "+path, resp)
}

func readAnswer(call string, resp *http.Response) (Answer, error) {
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return Answer{call: call, Status: resp.StatusCode, Header: resp.Header, Body: string(text)}, err
}

// Want ends the scenario unless the answer has this status.
func (a Answer) Want(status int) Answer {
	if a.Status != status {
		a.t.Fatalf("%s: got status %d, want %d: %s", a.call, a.Status, status, clip(a.Body))
	}
	return a
}

// Into decodes the body.
func (a Answer) Into(value any) Answer {
	if err := json.Unmarshal([]byte(a.Body), value); err != nil {
		a.t.Fatalf("%s: cannot decode %s: %v", a.call, clip(a.Body), err)
	}
	return a
}

// Event returns the body, which must be the bytes of an event.
func (a Answer) Event() Event {
	e, err := parseEvent([]byte(strings.TrimSuffix(a.Body, "\n")))
	if err != nil {
		a.t.Fatalf("%s: %v", a.call, err)
	}
	return e
}

// Problem checks for a problem+json with this status and code, "" for any, that names the field unless it is empty.
func (a Answer) Problem(status int, code, field string) {
	if a.Status != status {
		a.t.Errorf("%s: got status %d, want %d: %s", a.call, a.Status, status, clip(a.Body))
		return
	}
	var p struct {
		Type, Title, Detail, Code string
		Status                    int
		Errors                    []struct{ Field, Detail string }
	}
	a.Into(&p)
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	switch {
	case kind != "application/problem+json":
		a.t.Errorf("%s: got status %d with Content-Type %q", a.call, status, kind)
	case p.Status != status || p.Type == "" || p.Title == "" || p.Code == "":
		a.t.Errorf("%s: the problem is not whole: %s", a.call, clip(a.Body))
	case code != "" && p.Code != code:
		a.t.Errorf("%s: code = %q, want %q: %s", a.call, p.Code, code, clip(a.Body))
	case field != "" && !slices.ContainsFunc(p.Errors, func(e struct{ Field, Detail string }) bool { return e.Field == field && e.Detail != "" }):
		a.t.Errorf("%s: the problem does not name %q: %s", a.call, field, clip(a.Body))
	case status == 401 && a.Header.Get("WWW-Authenticate") == "":
		a.t.Errorf("%s: 401 without WWW-Authenticate", a.call)
	case a.Header.Get("X-Request-Id") == "":
		a.t.Errorf("%s: no X-Request-Id", a.call)
	}
}

func (a Answer) String() string { return fmt.Sprintf("%s: %d %s", a.call, a.Status, clip(a.Body)) }

// OK ends the scenario unless the status is 2xx.
func (a Answer) OK() Answer {
	if a.Status/100 != 2 {
		a.t.Fatalf("%s", a)
	}
	return a
}
