package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"tandem/client"
)

// exam is one run of all checks.
type exam struct {
	*Doctor
	report Report
	base   *url.URL
	client *client.Client // as the user
	me     string         // "": nobody
	http2  bool
	proxy  string // what reveals a proxy; "" if nothing does
}

// reach checks whether tandem answers at the address, over which protocol, and what is in front. Without it nothing
// else can be checked.
func (e *exam) reach(ctx context.Context) bool {
	ctx, cancel := context.WithTimeoutCause(ctx, max(10*time.Second, 2*e.Wait), client.ErrUnreachable)
	defer cancel()
	began := time.Now()
	resp, err := e.ask(ctx, e.base.String()+"/v1/me")
	took := time.Since(began)
	if err != nil {
		e.report.add("reachable", Trouble, err.Error(), adviseUnreachable(err))
		return false
	}
	if p := client.ReadProblem(resp); !tandems(p) {
		e.report.add("reachable", Trouble, "something answers, but it is not tandem: "+p.Error(), e.adviseStranger(ctx, p))
		return false
	}
	e.report.add("reachable", Good, fmt.Sprintf("tandem answers in %s", ms(took)), "")
	e.security(resp)
	e.clock(resp, began, took)
	e.front(resp)
	return true
}

// tandems reports whether a refusal of /v1/me is from tandem; at a wrong path it does not know the call.
func tandems(p *client.Problem) bool { return p.Code != "" && p.Code != "not_found" }

// ask makes an anonymous call.
func (e *exam) ask(ctx context.Context, address string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	resp, err := client.New(e.base, nil).HTTP.Do(req)
	if err == nil {
		context.AfterFunc(ctx, func() { _ = resp.Body.Close() })
	}
	return resp, err
}

func adviseUnreachable(err error) string {
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return "This machine does not know the certificate's authority. If browsers accept it, the server does not send the intermediate certificates: configure the whole chain (fullchain.pem)."
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return "The certificate is for other names: get one for this name."
	}
	if bad, ok := errors.AsType[x509.CertificateInvalidError](err); ok && bad.Reason == x509.Expired {
		return "The certificate has expired, or this machine's clock is wrong."
	}
	if _, ok := errors.AsType[tls.RecordHeaderError](err); ok {
		return "This port does not speak TLS: try http://, or serve HTTPS there."
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return "The name cannot be resolved: check its DNS."
	}
	return "Check that the server runs and listens there, and that no firewall blocks it."
}

// adviseStranger looks for tandem in other places.
func (e *exam) adviseStranger(ctx context.Context, p *client.Problem) string {
	switch {
	case p.Location != "":
		return "Use the address that it redirects to: clients do not follow redirects, because a POST would lose its body."
	case p.Status == http.StatusBadGateway, p.Status == http.StatusServiceUnavailable, p.Status == http.StatusGatewayTimeout:
		return "The proxy cannot reach tandem: check that it runs, and check the proxy's upstream."
	}
	if e.base.Path != "" {
		if resp, err := e.ask(ctx, e.base.Scheme+"://"+e.base.Host+"/v1/me"); err == nil && tandems(client.ReadProblem(resp)) {
			return "tandem answers at " + e.base.Scheme + "://" + e.base.Host + " without the path " + e.base.Path + ": use that address."
		}
	}
	return "Check where the proxy sends this address, and whether it removes a part of the path."
}

// soon is when a certificate should have been renewed; Let's Encrypt's are with 30 days left.
const soon = 14 * 24 * time.Hour

// security checks TLS and HTTP/2.
func (e *exam) security(resp *http.Response) {
	e.http2 = resp.ProtoMajor == 2
	if resp.TLS == nil {
		if client.Local(e.base) {
			e.report.add("TLS", Note, "none, on this machine", "")
		} else {
			e.report.add("TLS", Trouble, "none: anyone on the way can read passwords and messages", "Serve HTTPS: Caddy gets certificates itself, and tandem has --tls-cert and --tls-key.")
		}
		return
	}
	leaf := resp.TLS.PeerCertificates[0]
	left := time.Until(leaf.NotAfter)
	detail := fmt.Sprintf("%s, certificate of %s, valid until %s", tls.VersionName(resp.TLS.Version), strings.TrimSpace(leaf.Issuer.CommonName+" "+strings.Join(leaf.Issuer.Organization, " ")), leaf.NotAfter.Format(time.DateOnly))
	if left < soon {
		e.report.add("TLS", Trouble, detail, fmt.Sprintf("It expires in %d days: find out why it is not renewed, and restart programs that read it only at start.", int(left.Hours()/24)))
	} else {
		e.report.add("TLS", Good, detail, "")
	}
	if e.http2 {
		e.report.add("HTTP/2", Good, "spoken", "")
	} else {
		e.report.add("HTTP/2", Note, "not spoken", "Browsers open at most six connections to a server over HTTP/1.1, and each SSE stream uses one: enable HTTP/2 in the proxy, or let WebSocket through.")
	}
}

// clock compares this machine's clock with the server's; the Date header has whole seconds.
func (e *exam) clock(resp *http.Response, began time.Time, took time.Duration) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		e.report.add("clock", Unknown, "the response has no date", "")
		return
	}
	off := date.Add(time.Second / 2).Sub(began.Add(took / 2))
	switch detail := fmt.Sprintf("the server's differs from this machine's by %.0f s", off.Seconds()); {
	case off.Abs() > 30*time.Second:
		e.report.add("clock", Trouble, detail, "Synchronize both with NTP: if the clocks of nodes or token issuers differ, tokens are refused as expired or not yet valid.")
	case off.Abs() > 3*time.Second:
		e.report.add("clock", Note, detail, "")
	default:
		e.report.add("clock", Good, "the server's agrees with this machine's", "")
	}
}

// front reports proxies in front that reveal themselves: tandem itself sends none of these headers.
func (e *exam) front(resp *http.Response) {
	var seen []string
	for _, name := range []string{"Via", "Server", "X-Cache", "Cf-Ray", "X-Amz-Cf-Id", "X-Served-By", "X-Envoy-Upstream-Service-Time", "X-Vercel-Id", "Fly-Request-Id"} {
		if value := resp.Header.Get(name); value != "" {
			seen = append(seen, name+": "+value)
		}
	}
	e.proxy = strings.Join(seen, ", ")
	switch {
	case e.proxy != "":
		e.report.add("proxy", Note, e.proxy, "")
	case resp.Header.Get("X-Request-Id") == "":
		e.report.add("proxy", Note, "something removes the header X-Request-Id", "")
	default:
		e.report.add("proxy", Note, "no header reveals one", "")
	}
}

// ms formats a duration.
func ms(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", max(1, d.Milliseconds()))
	}
	return fmt.Sprintf("%.1f s", d.Seconds())
}
