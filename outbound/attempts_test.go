package outbound

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/net/dns/dnsmessage"
)

// names is a name server: for each name it has the answers to consecutive lookups, the last one repeated.
type names map[string][]string

// serve returns a resolver that uses it.
func (n names) serve(t *testing.T) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	go func() {
		asked := make(map[string]int)
		buf := make([]byte, 512)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(buf[:size]) != nil || len(m.Questions) != 1 {
				continue
			}
			q := m.Questions[0]
			m.Response, m.Additionals = true, nil
			answers := n[strings.TrimSuffix(q.Name.String(), ".")]
			if len(answers) == 0 {
				m.RCode = dnsmessage.RCodeNameError
			} else {
				key := q.Name.String() + q.Type.String() // a lookup asks for both A and AAAA
				answer := answers[min(asked[key], len(answers)-1)]
				asked[key]++
				for text := range strings.FieldsSeq(answer) {
					addr := netip.MustParseAddr(text)
					head := dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class}
					switch {
					case addr.Is4() && q.Type == dnsmessage.TypeA:
						m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AResource{A: addr.As4()}})
					case !addr.Is4() && q.Type == dnsmessage.TypeAAAA:
						m.Answers = append(m.Answers, dnsmessage.Resource{Header: head, Body: &dnsmessage.AAAAResource{AAAA: addr.As16()}})
					}
				}
			}
			if packed, err := m.Pack(); err == nil {
				_, _ = conn.WriteTo(packed, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

// ownAddresses lists ways to write or disguise an address that only the server, its network or its cloud can reach.
var ownAddresses = []string{
	"127.0.0.1", "127.1.2.3", "0.0.0.0", "0.1.2.3", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", // plain
	"169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "[fd00:ec2::254]", // metadata
	"100.64.0.1", "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1", "192.88.99.1", // special
	"224.0.0.1", "239.255.255.250", "255.255.255.255", "240.0.0.1", "[ff02::1]", "[ff0e::1]", // multicast, broadcast
	"[::1]", "[::]", "[fe80::1]", "[fe80::1%25eth0]", "[fc00::1]", "[fd12:3456::1]", "[fec0::1]", // IPv6
	"[2001:db8::1]", "[3fff::1]", "[100::1]", "[5f00::1]", "[2001:4860:4860::8888%25eth0]",
	"[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::ffff:10.0.0.1]", "[::ffff:169.254.169.254]", "[::ffff:0:127.0.0.1]", // mapped
	"[::127.0.0.1]", "[::7f00:1]", // IPv4-compatible
	"[64:ff9b::127.0.0.1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::10.0.0.1]", // NAT64
	"[2002:7f00:1::]", "[2002:a9fe:a9fe::1]", "[2001:0:7f00:1::]", // 6to4, Teredo
	"2130706433", "017700000001", "0x7f000001", "0x7F.1", "127.1", "127.0.1", "0177.0.0.1", "0x7f.0x0.0x0.0x1", "127.0.0.1.", // as inet_aton reads it
	"１２７.０.０.１", "127。0。0。1", "①②⑦.0.0.1", // as IDNA maps it
	"%31%32%37.0.0.1",
}

// However it is written, an address that only the server can reach is neither saved nor called.
func TestOddAddressesAreRefused(t *testing.T) {
	t.Parallel()
	c := newClient(nil, names{"2130706433": {"127.0.0.1"}}.serve(t))
	for _, host := range ownAddresses {
		for _, url := range []string{"https://" + host + "/", "http://" + host + ":8080/hook"} {
			if err := c.CheckURL(t.Context(), url); err == nil {
				t.Errorf("CheckURL accepted %s", url)
			}
			if res, err := get(c, url); err == nil {
				_ = res.Body.Close()
				t.Errorf("%s was called: got %s", url, res.Status)
			}
		}
	}
}

func TestNamesOfPrivateAddressesAreRefused(t *testing.T) {
	t.Parallel()
	dns := names{
		"own.example":    {"127.0.0.1"},
		"own6.example":   {"::1"},
		"mapped.example": {"::ffff:10.0.0.1"},
		"meta.example":   {"169.254.169.254"},
		"both.example":   {"1.1.1.1 192.168.0.1"},
		"mixed.example":  {"1.1.1.1 fd00::1"},
		"public.example": {"1.1.1.1 2606:4700::1111"},
	}
	c := newClient(nil, dns.serve(t))
	for host := range dns {
		err := c.CheckURL(t.Context(), "https://"+host+"/")
		if host == "public.example" {
			if err != nil {
				t.Errorf("%s: %v", host, err)
			}
			continue
		}
		if !errors.Is(err, ErrForbidden) {
			t.Errorf("%s: got %v, want ErrForbidden", host, err)
		}
		if host == "both.example" || host == "mixed.example" { // the public address may be called
			continue
		}
		if _, err := get(c, "http://"+host+":9/"); !errors.Is(err, ErrForbidden) {
			t.Errorf("calling %s: got %v, want ErrForbidden", host, err)
		}
	}
}

// DNS rebinding: a name server answers the check with one address and the call with another.
func TestRebindingIsRefused(t *testing.T) {
	t.Parallel()
	var called atomic.Int32
	own := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called.Add(1) }))
	t.Cleanup(own.Close)
	url := strings.Replace(own.URL, "127.0.0.1", "rebind.example", 1)
	c := newClient(nil, names{"rebind.example": {"1.1.1.1", "127.0.0.1"}}.serve(t))
	if err := c.CheckURL(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	if _, err := get(c, url); !errors.Is(err, ErrForbidden) {
		t.Errorf("the call: got %v, want ErrForbidden", err)
	}
	if called.Load() != 0 {
		t.Error("the server called itself")
	}
}
