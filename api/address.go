package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// proxies are those whose X-Forwarded-For counts.
type proxies []netip.Prefix

// parseProxies reads addresses and CIDR prefixes.
func parseProxies(list []string) (proxies, error) {
	var p proxies
	for _, text := range list {
		text = strings.TrimSpace(text)
		prefix, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			prefix, err = netip.PrefixFrom(addr.Unmap().WithZone(""), addr.Unmap().BitLen()), nil
		}
		if err != nil || prefix.Addr().Is4In6() { // addresses are compared unmapped
			return nil, fmt.Errorf("trusted-proxies: %q is no address and no CIDR prefix", text)
		}
		p = append(p, prefix.Masked())
	}
	return p, nil
}

func (p proxies) trust(addr netip.Addr) bool {
	for _, prefix := range p {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}

// client is the address that a request comes from, the zero Addr where there is none (a Unix socket).
//
// Each proxy appends to X-Forwarded-For whom it was called by, so the list is true from its right end as far as
// trusted proxies wrote it: the first address there that is none of theirs is the client's. What stands left of
// it the client may have made up. Where a trusted proxy passes on what is no address, the proxy is who calls.
//
// Echo's ExtractIPFromXFFHeader does nearly this; it knows no ports, which some load balancers append, and takes
// the last proxy for the client where anything in the chain is unreadable.
func (p proxies) client(r *http.Request) netip.Addr {
	caller := parseAddr(r.RemoteAddr)
	lines := r.Header["X-Forwarded-For"]
	for i := len(lines) - 1; i >= 0; i-- {
		for rest := lines[i]; rest != ""; {
			if !p.trust(caller) {
				return caller
			}
			comma := strings.LastIndexByte(rest, ',')
			addr := parseAddr(strings.TrimSpace(rest[comma+1:]))
			if !addr.IsValid() {
				return caller
			}
			caller, rest = addr, rest[:max(0, comma)]
		}
	}
	return caller
}

// parseAddr reads 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] and [2001:db8::1]:80; an IPv4 address mapped
// into IPv6 is the former. Zones mean something on one machine only.
func parseAddr(s string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		withPort, _ := netip.ParseAddrPort(s) // the zero one where it is neither
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone("")
}

// addressKey is whose share of a limit by address a caller uses. It is an IPv6 network's and not a single address's:
// everyone with a line of their own has a /64 of 2⁶⁴ addresses (RFC 6177).
func addressKey(addr netip.Addr) string {
	if addr.Is6() {
		network, _ := addr.Prefix(64) // fails beyond 128 alone
		return network.String()
	}
	return addr.String()
}
