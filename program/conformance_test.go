package program

import (
	"bytes"
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/conformance/breaker"
	"tandem/conformance/suite"
)

// TestConformance runs the suite, which reads the contract by itself, against this program. What it cannot try here
// is named, so that nothing drops out of it unnoticed.
func TestConformance(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.Admin = "root:" + adminPassword })
	report := conform(t, suite.Config{
		URL:        p.url,
		Accounts:   &suite.Accounts{}, // which need not be deleted
		AdminToken: p.login(t, "root", adminPassword),
		Slow:       !testing.Short(),
		Restart: func(context.Context) (string, error) {
			p.stop(t)
			p = p.again(t)
			return p.url, nil
		},
	})
	lacked := []string{"the server has no limit of streams, or one too high to try"} // see TestConformanceWithLimits
	if testing.Short() {
		lacked = append(lacked, "slow, and not asked for")
	}
	wantLacked(t, report, lacked)
}

// wantLacked asserts that a report's reasons for trying less are exactly these.
func wantLacked(t *testing.T, report *suite.Report, want []string) {
	t.Helper()
	got := map[string]bool{}
	for _, why := range report.Reasons(suite.Lacked) {
		if got[why.Text] = true; !slices.Contains(want, why.Text) {
			t.Errorf("%s was not tried over %s: %s", why.Scenario, why.Transport, why.Text)
		}
	}
	for _, text := range want {
		if !got[text] {
			t.Errorf("%q is no longer so; strike it out", text)
		}
	}
}

const adminPassword = "the admin's own horse"

func (p *testProgram) login(t *testing.T, name, password string) string {
	t.Helper()
	c := p.visitor(t)
	c.do("POST", "/v1/auth/login", credentials{name, password}).want(200).into(&c.session)
	return c.AccessToken
}

func TestConformanceWithLimits(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.LimitStreams = 4 })
	report := conform(t, suite.Config{URL: p.url, Accounts: &suite.Accounts{}, Only: regexp.MustCompile("^too_many_streams$")})
	wantLacked(t, report, nil)
}

// Over HTTP/2 a stream is one of many on a connection that cannot be taken over.
func TestConformanceOverHTTP2(t *testing.T) {
	t.Parallel()
	p := startTLS(t)
	conform(t, suite.Config{URL: p.url, TLS: p.tls, Accounts: &suite.Accounts{}, Over: []string{"ws", "sse-h2", "ndjson-h2"}})
}

// conform runs the suite, in which nothing may fail.
func conform(t *testing.T, cfg suite.Config) *suite.Report {
	t.Helper()
	report, err := suite.Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	var table bytes.Buffer
	report.Print(&table)
	if report.Failed() {
		t.Errorf("\n%s", &table)
	} else {
		t.Logf("\n%s", &table)
	}
	return report
}

// everyEvent are scenarios that must notice whatever happens to an event. The suite's own proof is that they do.
var everyEvent = []string{"delivery", "order of many posters", "cuts at any byte"}

// TestSuiteSeesWhatIsBroken puts a proxy between suite and server that spoils the events of all transports in one
// way: each must fail. With the proxy doing nothing all is well.
func TestSuiteSeesWhatIsBroken(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	cfg := suite.Config{
		Accounts: &suite.Accounts{}, Parallel: 8,
		Only: regexp.MustCompile("^(" + strings.Join(everyEvent, "|") + "|bytes of chat_message)$"),
	}
	everything := func(*http.Request) bool { return true }
	t.Run("nothing", func(t *testing.T) {
		report := conform(t, behind(t, p, cfg, breaker.Nothing, everything))
		if got := len(report.Scenarios()); got != 4 {
			t.Errorf("%d scenarios were tried", got)
		}
	})
	cfg.Plain = true
	cfg.Patience = 4 * time.Second // it is spent where an event is missing at the end
	for _, breakage := range breaker.Breakages() {
		t.Run(string(breakage), func(t *testing.T) {
			report, err := suite.Run(t.Context(), behind(t, p, cfg, breakage, everything))
			if err != nil {
				t.Fatal(err)
			}
			for _, over := range report.Transports()[1:] {
				for _, scenario := range everyEvent {
					if got := report.Outcome(scenario, over); got != suite.Failed && got != suite.Lacked {
						t.Errorf("with %s, %q over %s is %s", breakage, scenario, over, got)
					}
				}
			}
		})
	}
}

// Where all transports are compared, the one that differs is the one that is blamed.
func TestSuiteBlamesTheTransportThatIsBroken(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	const scenario = "bytes of chat_message"
	cfg := suite.Config{Accounts: &suite.Accounts{}, Only: regexp.MustCompile("^" + scenario + "$")}
	for _, broken := range suite.Transports() {
		for _, breakage := range []breaker.Breakage{breaker.Respell, breaker.Drop} {
			t.Run(broken+" "+string(breakage), func(t *testing.T) {
				report, err := suite.Run(t.Context(), behind(t, p, cfg, breakage, func(r *http.Request) bool { return transportOf(r) == broken }))
				if err != nil {
					t.Fatal(err)
				}
				for _, over := range report.Transports()[1:] {
					got, want := report.Outcome(scenario, over), suite.Passed
					if over == broken {
						want = suite.Failed
					}
					if got != want && got != suite.Lacked {
						t.Errorf("with %s broken, %s is %s", broken, over, got)
					}
				}
			})
		}
	}
}

// behind puts a breaker in front of a program: by TLS, so that HTTP/2 is tried too.
func behind(t *testing.T, p *testProgram, cfg suite.Config, breakage breaker.Breakage, breaks func(*http.Request) bool) suite.Config {
	t.Helper()
	target, err := url.Parse(p.url)
	if err != nil {
		t.Fatal(err)
	}
	b := breaker.New(target, breakage, breaks)
	front := httptest.NewUnstartedServer(b)
	front.EnableHTTP2 = true
	front.Config.ErrorLog = log.New(io.Discard, "", 0) // the suite cuts connections
	front.StartTLS()
	t.Cleanup(func() { front.CloseClientConnections(); front.Close(); b.Close() })
	cfg.URL, cfg.TLS = front.URL, front.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
	cfg.TLS.NextProtos = nil
	return cfg
}

// transportOf is the suite's name of how a stream is asked for.
func transportOf(r *http.Request) string {
	accept := r.Header.Get("Accept")
	name := ""
	switch {
	case r.Header.Get("Upgrade") != "":
		return "ws"
	case accept == "application/json":
		return "poll"
	case accept == "application/x-ndjson":
		name = "ndjson"
	case accept == "text/event-stream":
		name = "sse"
	}
	switch {
	case r.ProtoMajor == 2:
		name += "-h2"
	case name == "sse" && r.Method == "POST":
		name += "-post"
	}
	return name
}
