// Package outbound calls addresses that users provide: hooks and push services. They must not reach what only this
// server can reach: other programs on its machine, its network, its cloud's metadata. So the address is checked when
// the connection is made, after names are resolved; redirects are not followed, and proxies are not used.
package outbound

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"syscall"
	"time"
)

const (
	connectTimeout = 5 * time.Second
	// MaxAnswer is how much of a response can be read, in bytes.
	MaxAnswer = 64 << 10
)

// ErrForbidden means that users may not use the address.
var ErrForbidden = errors.New("the address is not public")

// Client calls public addresses, and those that the operator allows. It may be used concurrently.
type Client struct {
	allow []netip.Prefix
	http  http.Client
	// resolve looks a host up; tests replace it.
	resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// New returns a Client. Addresses within allow may be called although they are not public.
func New(allow []netip.Prefix) *Client { return newClient(allow, net.DefaultResolver) }

func newClient(allow []netip.Prefix, resolver *net.Resolver) *Client {
	c := &Client{allow: allow, resolve: resolver.LookupNetIP}
	dialer := &net.Dialer{
		Timeout:  connectTimeout,
		Resolver: resolver,
		// The address is the resolved one, so that DNS rebinding does not work.
		Control: func(_, address string, _ syscall.RawConn) error {
			to, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("%w: %s", ErrForbidden, address)
			}
			return c.check(to.Addr())
		},
	}
	c.http = http.Client{
		Transport: &http.Transport{
			DialContext:            dialer.DialContext,
			ForceAttemptHTTP2:      true,
			TLSHandshakeTimeout:    connectTimeout,
			MaxIdleConns:           256,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
			DisableCompression:     true, // a response could be larger than what was sent
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Do sends a request; its context bounds its duration. A redirect is an ordinary response. The body ends after
// MaxAnswer bytes. Errors do not contain the URL, which may be a secret.
func (c *Client) Do(req *http.Request) (*http.Response, error) {
	if err := checkForm(req.URL); err != nil {
		return nil, err
	}
	res, err := c.http.Do(req)
	var inURL *url.Error
	if errors.As(err, &inURL) {
		err = inURL.Err
	}
	if err != nil {
		return nil, err
	}
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(res.Body, MaxAnswer), res.Body}
	return res, nil
}

// Close closes idle connections.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// CheckURL checks whether a URL can be called, so that the user who enters it gets an error. It resolves the name,
// which may lead to another address later: Do checks again.
func (c *Client) CheckURL(ctx context.Context, raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("it is not a URL")
	}
	if err := checkForm(u); err != nil {
		return err
	}
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		return c.check(addr)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	addrs, err := c.resolve(ctx, "ip", host)
	if err != nil || len(addrs) == 0 {
		return errors.New("its host cannot be resolved")
	}
	for _, addr := range addrs {
		if err := c.check(addr); err != nil {
			return err
		}
	}
	return nil
}

// CheckForm returns why a URL cannot be called wherever its host is, in words for the URL's owner.
func CheckForm(raw string) error {
	u, err := url.Parse(raw)
	if err != nil {
		return errors.New("it is not a URL")
	}
	return checkForm(u)
}

func checkForm(u *url.URL) error {
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return errors.New("it does not start with https:// or http://")
	case u.Hostname() == "" || strings.ContainsAny(u.Hostname(), " %"):
		return errors.New("it has no host")
	case u.User != nil:
		return errors.New("it contains a username or a password")
	}
	return nil
}

func (c *Client) check(addr netip.Addr) error {
	if addr.Zone() == "" {
		for _, p := range c.allow {
			if p.Contains(addr.Unmap()) {
				return nil
			}
		}
	}
	if !public(addr) {
		return ErrForbidden
	}
	return nil
}
