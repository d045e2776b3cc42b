package outbound

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

func get(c *Client, url string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	return c.Do(req)
}

// Addresses that are not public are refused when they are saved and when they are called, however they are written.
func TestNonPublicAddresses(t *testing.T) {
	t.Parallel()
	c := New(nil)
	for _, host := range []string{
		"127.0.0.1", "127.1.2.3", "localhost", "localhost.", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
		"169.254.169.254", "100.64.0.1", "100.100.100.200", "168.63.129.16", "192.0.0.1", "198.18.0.1", "224.0.0.1", "255.255.255.255",
		"2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0", // which a resolver may take for addresses
		"[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::7f00:1]", "[64:ff9b:1::7f00:1]",
		"[2002:7f00:1::]", "[2002:a9fe:a9fe::]", "[fe80::1]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]", "[100::1]",
		"[2001::1]", "[2001:db8::1]", "[5f00::1]",
	} {
		url := "http://" + host + ":9/latest"
		if err := c.CheckURL(t.Context(), url); err == nil {
			t.Errorf("CheckURL accepted %s", url)
		}
		if res, err := get(c, url); err == nil {
			t.Errorf("%s was called: got %s", url, res.Status)
		} else if strings.Contains(err.Error(), "latest") {
			t.Errorf("error contains the URL: %v", err)
		} else if _, literal := netip.ParseAddr(strings.Trim(host, "[]")); literal == nil && !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

func TestForbiddenURLs(t *testing.T) {
	t.Parallel()
	c := New(prefixes("0.0.0.0/0", "::/0"))
	for _, url := range []string{
		"", "example.com", "//example.com/", "ftp://127.0.0.1/", "file:///etc/passwd", "gopher://127.0.0.1/", "unix:///run/x", "http://",
		"http:///path", "http://user@127.0.0.1/", "http://user:password@127.0.0.1/", "http://[fe80::1%25lo]/", "http://127.0.0.1:port/",
		"http://no-such-host.invalid/",
	} {
		if err := c.CheckURL(t.Context(), url); err == nil {
			t.Errorf("CheckURL accepted %q", url)
		}
		if res, err := get(c, url); err == nil {
			t.Errorf("%q was called: got %s", url, res.Status)
		}
	}
}

func TestPublicAddresses(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{"8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"} {
		if err := New(nil).check(netip.MustParseAddr(addr)); err != nil {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

// A name that is public when saved and private when called is refused.
func TestNameThatBecomesPrivateIsRefused(t *testing.T) {
	t.Parallel()
	var called atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Store(true) }))
	defer server.Close()
	c := New(nil)
	c.resolve = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("93.184.215.14")}, nil
	}
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	url := "http://localhost:" + port + "/"
	if err := c.CheckURL(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if _, err := get(c, url); !errors.Is(err, ErrForbidden) || called.Load() {
		t.Errorf("call of a name that has become private: got %v, called %t, want %v", err, called.Load(), ErrForbidden)
	}
	// One private address among several is enough to refuse.
	c.resolve = func(context.Context, string, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("93.184.215.14"), netip.MustParseAddr("10.0.0.1")}, nil
	}
	if err := c.CheckURL(t.Context(), url); !errors.Is(err, ErrForbidden) {
		t.Errorf("got %v, want ErrForbidden", err)
	}
}

// What the operator allows may be called; its redirects are not followed, and its answers are limited.
func TestAllowedAddress(t *testing.T) {
	t.Parallel()
	var followed atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/redirect":
			http.Redirect(w, r, "/target", http.StatusTemporaryRedirect)
		case "/target":
			followed.Store(true)
		case "/endless":
			_, _ = io.Copy(w, io.LimitReader(endless{}, 10*MaxAnswer))
		}
	}))
	defer server.Close()
	allow, err := ParsePrefixes([]string{"127.0.0.1", "fd00::/8"})
	if err != nil {
		t.Fatal(err)
	}
	c := New(allow)
	if err := c.CheckURL(t.Context(), server.URL); err != nil {
		t.Fatal(err)
	}
	res, err := get(c, server.URL+"/redirect")
	if err != nil || res.StatusCode != http.StatusTemporaryRedirect || followed.Load() {
		t.Errorf("redirect: got %v, %v", res, err)
	}
	res, err = get(c, server.URL+"/endless")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(res.Body); err != nil || len(got) != MaxAnswer {
		t.Errorf("read %d bytes: %v", len(got), err)
	}
	_ = res.Body.Close()
	if err := c.CheckURL(t.Context(), "http://127.0.0.2/"); !errors.Is(err, ErrForbidden) {
		t.Errorf("the next address: got %v, want ErrForbidden", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// A proxy named by the environment is not used: it would connect for us.
func TestNoProxy(t *testing.T) {
	asked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	defer asked.Close()
	t.Setenv("HTTP_PROXY", asked.URL)
	c := New(prefixes("127.0.0.0/8"))
	if proxy := c.http.Transport.(*http.Transport).Proxy; proxy != nil {
		u, err := proxy(&http.Request{URL: &url.URL{Scheme: "http", Host: "example.com"}})
		t.Errorf("proxy = %v, %v, want none", u, err)
	}
}

func TestParsePrefixes(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"", "localhost", "10.0.0.0/33", "10.0.0", "fe80::1%lo", "::ffff:10.0.0.1"} {
		if got, err := ParsePrefixes([]string{text}); err == nil {
			t.Errorf("ParsePrefixes(%q) = %v, want an error", text, got)
		}
	}
}
