package api

import (
	"fmt"
	"net/http"
	"net/netip"
	"strings"
)

// proxies are those whose X-Forwarded-For is trusted.
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
			return nil, fmt.Errorf("trusted-proxies: %q is neither an address nor a CIDR prefix", text)
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

// client returns the address that a request comes from, the zero Addr if there is none (a Unix socket).
//
// Each proxy appends the address that called it to X-Forwarded-For, so the list is true from its right end as far as
// trusted proxies wrote it: the first address from there that is not a trusted proxy is the client's. Anything left of
// it may be forged. If a trusted proxy passes on something that is not an address, the proxy counts as the client.
//
// Echo's ExtractIPFromXFFHeader does nearly this, but it does not accept ports, which some load balancers append, and
// takes the last proxy for the client if anything in the chain is unreadable.
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

// parseAddr reads 192.0.2.1, 192.0.2.1:80, 2001:db8::1, [2001:db8::1] and [2001:db8::1]:80; it unmaps IPv4 addresses
// mapped into IPv6. Zones only have a meaning on one machine.
func parseAddr(s string) netip.Addr {
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"))
	if err != nil {
		withPort, _ := netip.ParseAddrPort(s) // the zero value if it is neither
		addr = withPort.Addr()
	}
	return addr.Unmap().WithZone("")
}

// addressKey returns the key of a caller's limits by address. For IPv6 it is the network, not the address: every line
// has a /64 with 2⁶⁴ addresses (RFC 6177).
func addressKey(addr netip.Addr) string {
	if addr.Is6() {
		network, _ := addr.Prefix(64) // only fails beyond 128
		return network.String()
	}
	return addr.String()
}
