package doctor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tandem/client"
)

// foreign is an origin that no server should allow.
const foreign = "https://doctor.invalid"

const streamCookie = "tandem_stream"

// page does what the server's own page does, and one of another origin: a stream with a ticket, which sets the cookie,
// and streams with the cookie.
func (e *exam) page(ctx context.Context) {
	own := e.base.Scheme + "://" + e.base.Host
	resp, err := e.byTicket(ctx, http.Header{"Origin": {own}})
	if err != nil {
		if p, ok := errors.AsType[*client.Problem](err); ok && p.Code == "token_scope" {
			e.report.add("cookie", Unknown, "API tokens cannot open the streams of pages", "Log in with a password, or pass --signup.")
			return
		}
		e.report.add("cookie", Trouble, "a page cannot open a stream with a ticket: "+err.Error(), "")
		return
	}
	cookie := cookieOf(resp)
	if cookie == nil {
		e.noCookie(ctx)
		return
	}
	e.cookie(cookie)
	carry := cookie.Name + "=" + cookie.Value
	mine, stranger := e.byCookie(ctx, carry, own), e.byCookie(ctx, carry, foreign)
	switch p, refused := errors.AsType[*client.Problem](stranger); {
	case mine != nil:
		e.report.add("Origin", Trouble, "the server's own page cannot open a stream with its cookie: "+mine.Error(), "Have the proxy pass on the Cookie, Origin and Host headers unchanged.")
	case stranger == nil:
		e.report.add("Origin", Trouble, "a page of "+foreign+" can open a stream as the user who visits it", "The proxy changes or removes the Origin header, or adds Sec-Fetch-Site: have it pass them on unchanged.")
	case refused && p.Code == "bad_origin":
		e.report.add("Origin", Good, "the server's own page can open a stream with its cookie; one of another origin is refused", "")
	default:
		e.report.add("Origin", Unknown, "a page of another origin is refused, but not by tandem: "+stranger.Error(), "")
	}
	e.cors(ctx)
}

// byTicket polls like a browser's page.
func (e *exam) byTicket(ctx context.Context, header http.Header) (*http.Response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*e.Wait, errors.New("no response in time"))
	defer cancel()
	var ticket struct{ Ticket string }
	if err := e.client.Do(ctx, client.Call{Method: http.MethodPost, Path: "/v1/auth/ticket"}, &ticket); err != nil {
		return nil, err
	}
	return e.poll0(ctx, url.Values{"ticket": {ticket.Ticket}}, header)
}

// byCookie returns why a page cannot open a stream with the cookie; nil if it can.
func (e *exam) byCookie(ctx context.Context, cookie, origin string) error {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*e.Wait, errors.New("no response in time"))
	defer cancel()
	_, err := e.poll0(ctx, url.Values{}, http.Header{"Cookie": {cookie}, "Origin": {origin}})
	return err
}

// poll0 opens a stream without a token, for an immediate poll, and reads it.
func (e *exam) poll0(ctx context.Context, query url.Values, header http.Header) (*http.Response, error) {
	query.Set("wait", "0")
	header.Set("Accept", "application/json")
	resp, err := client.New(e.base, nil).Send(ctx, client.Call{Method: http.MethodGet, Path: "/v1/events", Query: query, Header: header})
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, client.MaxAnswer))
	return resp, err
}

func cookieOf(resp *http.Response) *http.Cookie {
	for _, c := range resp.Cookies() {
		if c.Name == streamCookie {
			return c
		}
	}
	return nil
}

// noCookie finds out why there is none: a client that sends no Origin gets one with any Host.
func (e *exam) noCookie(ctx context.Context) {
	resp, err := e.byTicket(ctx, http.Header{"Sec-Fetch-Site": {"same-origin"}})
	if err == nil && cookieOf(resp) != nil {
		e.report.add("Origin", Trouble, "the server does not recognize its own page: it sees a Host other than "+e.base.Host,
			"Have the proxy pass on the Host header (nginx: proxy_set_header Host $http_host), or list this origin in --origins.")
		return
	}
	e.report.add("cookie", Trouble, "none is set with a page's stream, so that a browser's EventSource cannot reconnect",
		"Have the proxy pass on Set-Cookie.")
}

// cookie checks the attributes.
func (e *exam) cookie(c *http.Cookie) {
	var wrong []string
	if !c.HttpOnly {
		wrong = append(wrong, "HttpOnly is missing")
	}
	if c.SameSite != http.SameSiteStrictMode {
		wrong = append(wrong, "SameSite is not Strict")
	}
	if c.Domain != "" {
		wrong = append(wrong, "Domain is "+c.Domain+", so that other hosts get it")
	}
	at := e.base.Path + "/v1/events"
	if path := strings.TrimSuffix(c.Path, "/"); path != "" && at != path && !strings.HasPrefix(at, path+"/") {
		wrong = append(wrong, "Path is "+c.Path+", where no stream is")
	}
	switch {
	case len(wrong) > 0:
		e.report.add("cookie", Trouble, strings.Join(wrong, "; "), "Have the proxy pass on Set-Cookie unchanged.")
	case e.base.Scheme == "https" && !c.Secure:
		e.report.add("cookie", Note, "HttpOnly, SameSite=Strict, but not Secure: tandem cannot see that the proxy uses TLS",
			"List the proxy in trusted-proxies and have it send X-Forwarded-Proto, let it add the flag (nginx: proxy_cookie_flags tandem_stream secure), or redirect all of http:// to https:// with Strict-Transport-Security.")
	default:
		e.report.add("cookie", Good, "HttpOnly, SameSite=Strict, Path="+c.Path+secure(c), "")
	}
}

func secure(c *http.Cookie) string {
	if c.Secure {
		return ", Secure"
	}
	return ""
}

// cors checks whether pages of other origins may read responses.
func (e *exam) cors(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*e.Wait, errors.New("no response in time"))
	defer cancel()
	resp, err := e.client.Send(ctx, client.Call{Method: http.MethodGet, Path: "/v1/me", Header: http.Header{"Origin": {foreign}}})
	if err != nil {
		e.report.add("CORS", Unknown, err.Error(), "")
		return
	}
	defer resp.Body.Close()
	switch allowed := resp.Header.Get("Access-Control-Allow-Origin"); {
	case allowed == "":
		e.report.add("CORS", Good, "pages of other origins are refused, except those in --origins", "")
	default:
		e.report.add("CORS", Trouble, "Access-Control-Allow-Origin: "+allowed+" for a page of "+foreign,
			"The proxy adds it: remove it there, and list the allowed origins in --origins.")
	}
}

// sizes sends a body of the maximum size where tandem refuses it for another reason, and an avatar that is not a
// picture, which tandem reads to its end before refusing it: nothing is kept, and a proxy with a smaller limit shows
// itself.
func (e *exam) sizes(ctx context.Context) {
	const most = 60 << 10
	body := map[string]any{"name": "", "data": map[string]string{"x": strings.Repeat("x", most)}}
	err := e.size(ctx, client.Call{Method: http.MethodPost, Path: "/v1/private/" + url.PathEscape(e.me) + "/events", JSON: body})
	e.sized("messages", "bodies of 60 KiB get through", err, "Let bodies of 64 KiB through (nginx: client_max_body_size).")
	if e.Upload <= 0 {
		return
	}
	err = e.size(ctx, client.Call{
		Method: http.MethodPost, Path: "/v1/me/files", Query: url.Values{"name": {"doctor"}},
		Header: http.Header{"Content-Type": {"application/octet-stream"}}, Size: e.Upload,
		Open: func() (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(zeros{}, e.Upload)), nil
		},
	})
	e.sized("uploads", fmt.Sprintf("files of %.1f MiB get through", float64(e.Upload)/(1<<20)), err,
		"Let bodies as large as --limit-file-size through (nginx: client_max_body_size 11m).")
}

func (e *exam) size(ctx context.Context, call client.Call) error {
	ctx, cancel := context.WithTimeoutCause(ctx, time.Minute, errors.New("no response within a minute"))
	defer cancel()
	return e.client.Do(ctx, call, nil)
}

// sized reports on a large body: tandem's own refusal shows that it arrived.
func (e *exam) sized(check, good string, err error, advice string) {
	p, answered := errors.AsType[*client.Problem](err)
	switch {
	case err == nil || answered && p.Code != "":
		e.report.add(check, Good, good, "")
	case answered && p.Status == http.StatusRequestEntityTooLarge:
		e.report.add(check, Trouble, "a proxy in front of tandem answers 413, too large", advice)
	default:
		e.report.add(check, Trouble, err.Error(), advice)
	}
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	return copy(p, bytes.Repeat([]byte{0}, len(p))), nil
}

// address checks which address the server sees for this login.
func (e *exam) address(ctx context.Context) {
	ctx, cancel := context.WithTimeoutCause(ctx, 2*e.Wait, client.ErrUnreachable)
	defer cancel()
	var page struct {
		Items []struct {
			Address string
			Current bool
		}
	}
	if err := e.client.Do(ctx, client.Call{Method: http.MethodGet, Path: "/v1/me/sessions"}, &page); err != nil {
		e.report.add("client address", Note, "the server does not report which it sees", "")
		return
	}
	for _, login := range page.Items {
		ip := net.ParseIP(login.Address)
		if !login.Current || ip == nil {
			continue
		}
		inside := ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()
		switch {
		case inside && !e.inside(ctx):
			e.report.add("client address", Trouble, "the server sees you as "+login.Address+", which is its proxy",
				"List the proxy in --trusted-proxies, and have it send X-Forwarded-For; otherwise all clients share the limits of one address.")
		default:
			e.report.add("client address", Note, "the server sees you as "+login.Address+": if that is a proxy, list it in --trusted-proxies", "")
		}
		return
	}
	e.report.add("client address", Note, "the server does not report which it sees", "")
}

// inside reports whether the server's own address is in a private network, where clients' may be too.
func (e *exam) inside(ctx context.Context) bool {
	all, err := net.DefaultResolver.LookupIPAddr(ctx, e.base.Hostname())
	for _, a := range all {
		if a.IP.IsLoopback() || a.IP.IsPrivate() || a.IP.IsLinkLocalUnicast() {
			return true
		}
	}
	return err != nil
}
