package api

import (
	"net/http"
	"net/netip"
	"testing"
)

func TestClientBehindProxies(t *testing.T) {
	none, one := []string(nil), []string{"10.0.0.1"}
	many := []string{"10.0.0.0/8", "2001:db8:1::/48", " 192.0.2.7 "}
	for _, test := range []struct {
		trusted   []string
		from      string
		forwarded []string
		want      string
	}{
		{none, "203.0.113.5:1000", nil, "203.0.113.5"},
		{none, "203.0.113.5:1000", []string{"198.51.100.1"}, "203.0.113.5"},
		{none, "127.0.0.1:1000", []string{"198.51.100.1"}, "127.0.0.1"},
		{none, "[::1]:1000", []string{"198.51.100.1"}, "::1"},
		{none, "10.0.0.1:1000", []string{"198.51.100.1"}, "10.0.0.1"},
		{one, "10.0.0.1:1000", nil, "10.0.0.1"},
		{one, "10.0.0.1:1000", []string{"198.51.100.1"}, "198.51.100.1"},
		{one, "10.0.0.2:1000", []string{"198.51.100.1"}, "10.0.0.2"},
		{one, "[::ffff:10.0.0.1]:1000", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		// Everything to the left of what the trusted proxy appended was made up by the client.
		{one, "10.0.0.1:1000", []string{"1.1.1.1, 10.0.0.1, 198.51.100.1"}, "198.51.100.1"},
		{one, "10.0.0.1:1000", []string{"1.1.1.1", "junk", "198.51.100.1"}, "198.51.100.1"},
		{many, "10.0.0.1:1000", []string{"1.1.1.1, 198.51.100.1, 192.0.2.7,10.9.9.9"}, "198.51.100.1"},
		{many, "10.0.0.1:1000", []string{"1.1.1.1", "198.51.100.1", "192.0.2.7"}, "198.51.100.1"},
		{many, "[2001:db8:1::9]:1000", []string{"2001:db8:2::1"}, "2001:db8:2::1"},
		// All are trusted: the leftmost one counts.
		{many, "10.0.0.1:1000", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		// Forms.
		{one, "10.0.0.1:1000", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{one, "10.0.0.1:1000", []string{"[2001:db8::1]:4711"}, "2001:db8::1"},
		{one, "10.0.0.1:1000", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{one, "10.0.0.1:1000", []string{"fe80::1%eth0"}, "fe80::1"},
		// An unreadable entry was written by the last proxy that could be read.
		{one, "10.0.0.1:1000", []string{"unknown"}, "10.0.0.1"},
		{one, "10.0.0.1:1000", []string{"198.51.100.1,"}, "10.0.0.1"},
		{one, "10.0.0.1:1000", []string{""}, "10.0.0.1"},
		{many, "10.0.0.1:1000", []string{"198.51.100.1, x, 192.0.2.7"}, "192.0.2.7"},
		{one, "@", []string{"198.51.100.1"}, "invalid IP"}, // a Unix socket
	} {
		p, err := parseProxies(test.trusted)
		if err != nil {
			t.Fatal(err)
		}
		r := &http.Request{RemoteAddr: test.from, Header: http.Header{"X-Forwarded-For": test.forwarded}}
		if got := p.client(r).String(); got != test.want {
			t.Errorf("trusting %v: %s, forwarded for %q, is %s, want %s", test.trusted, test.from, test.forwarded, got, test.want)
		}
	}
	for _, wrong := range []string{"", "proxy.example", "10.0.0.0/33", "10.0.0.1:80", "::ffff:10.0.0.0/104"} {
		if _, err := parseProxies([]string{wrong}); err == nil {
			t.Errorf("trusted-proxies accepts %q", wrong)
		}
	}
}

func TestAddressesOfOneNetworkShareALimit(t *testing.T) {
	for _, test := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", true},
		{"2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"fe80::1%eth0", "fe80::2%eth1", true},
	} {
		if same := addressKey(parseAddr(test.a)) == addressKey(parseAddr(test.b)); same != test.same {
			t.Errorf("addressKey(%s) == addressKey(%s) = %v", test.a, test.b, same)
		}
	}
	if addressKey(netip.Addr{}) == "" {
		t.Error("unknown address has no key")
	}
}
