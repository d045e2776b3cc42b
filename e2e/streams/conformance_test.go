package streams

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
	"tandem/e2e/harness"
	"tandem/program"
)

// TestConformance runs the suite, which reads the contract itself, against this program. What it cannot test here is
// listed, so that nothing drops out of it unnoticed.
func TestConformance(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Admin = "root:" + adminPassword })
	report := conform(t, suite.Config{
		URL:        p.URL,
		Accounts:   &suite.Accounts{}, // rooms that need not be deleted
		AdminToken: p.Login(t, "root", adminPassword),
		Slow:       !testing.Short(),
		Restart: func(context.Context) (string, error) {
			p.Stop(t)
			p = p.Again(t)
			return p.URL, nil
		},
	})
	lacked := []string{"the server has no limit of streams, or one too high to try"} // see TestConformanceWithLimits
	if testing.Short() {
		lacked = append(lacked, "slow, and not asked for")
	}
	wantLacked(t, report, lacked)
}

// wantLacked checks that a report's reasons for testing less are exactly these.
func wantLacked(t *testing.T, report *suite.Report, want []string) {
	t.Helper()
	got := map[string]bool{}
	for _, why := range report.Reasons(suite.Lacked) {
		if got[why.Text] = true; !slices.Contains(want, why.Text) {
			t.Errorf("%s did not run over %s: %s", why.Scenario, why.Transport, why.Text)
		}
	}
	for _, text := range want {
		if !got[text] {
			t.Errorf("known departure %q no longer happens: delete it from the list", text)
		}
	}
}

const adminPassword = "the admin's own horse"

func TestConformanceWithLimits(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitStreams = 4 })
	report := conform(t, suite.Config{URL: p.URL, Accounts: &suite.Accounts{}, Only: regexp.MustCompile("^too_many_streams$")})
	wantLacked(t, report, nil)
}

// Over HTTP/2 a stream shares its connection, which cannot be taken over by the poller.
func TestConformanceOverHTTP2(t *testing.T) {
	t.Parallel()
	p := harness.StartTLS(t)
	conform(t, suite.Config{URL: p.URL, TLS: p.TLS, Accounts: &suite.Accounts{}, Over: []string{"ws", "sse-h2", "ndjson-h2"}})
}

// conform runs the suite, which must not fail.
func conform(t *testing.T, cfg suite.Config) *suite.Report {
	t.Helper()
	cfg.Patience = harness.Patience
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

// everyEvent lists scenarios that must notice any damage to events. The breaker below proves that they do.
var everyEvent = []string{"delivery", "order of many posters", "cuts at any byte"}

// TestSuiteDetectsBrokenTransports puts a proxy between suite and server that damages the events of all transports in one way:
// each scenario must fail. With a proxy that does nothing, all pass.
func TestSuiteDetectsBrokenTransports(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	cfg := suite.Config{
		Accounts: &suite.Accounts{}, Parallel: 8,
		Only: regexp.MustCompile("^(" + strings.Join(everyEvent, "|") + "|bytes of chat_message)$"),
	}
	everything := func(*http.Request) bool { return true }
	t.Run("nothing", func(t *testing.T) {
		report := conform(t, behind(t, p, cfg, breaker.Nothing, everything))
		if got := len(report.Scenarios()); got != 4 {
			t.Errorf("%d scenarios ran, want 4", got)
		}
	})
	cfg.Plain = true
	cfg.Patience = 4 * time.Second // used up when an event is missing at the end
	for _, breakage := range breaker.Breakages() {
		t.Run(string(breakage), func(t *testing.T) {
			t.Parallel()
			report, err := suite.Run(t.Context(), behind(t, p, cfg, breakage, everything))
			if err != nil {
				t.Fatal(err)
			}
			for _, over := range report.Transports()[1:] {
				for _, scenario := range everyEvent {
					if got := report.Outcome(scenario, over); got != suite.Failed && got != suite.Lacked {
						t.Errorf("breakage %s: scenario %q over %s = %s, want a failure", breakage, scenario, over, got)
					}
				}
			}
		})
	}
}

// When all transports are compared, the one that differs is blamed.
func TestSuiteBlamesTheBrokenTransport(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	const scenario = "bytes of chat_message"
	cfg := suite.Config{Accounts: &suite.Accounts{}, Only: regexp.MustCompile("^" + scenario + "$")}
	for _, broken := range suite.Transports() {
		for _, breakage := range []breaker.Breakage{breaker.Respell, breaker.Drop} {
			t.Run(broken+" "+string(breakage), func(t *testing.T) {
				t.Parallel()
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
						t.Errorf("breakage %s: %s = %s", broken, over, got)
					}
				}
			})
		}
	}
}

// behind puts a breaker in front of a program, with TLS to include HTTP/2.
func behind(t *testing.T, p *harness.Program, cfg suite.Config, breakage breaker.Breakage, breaks func(*http.Request) bool) suite.Config {
	t.Helper()
	target, err := url.Parse(p.URL)
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

// transportOf returns the suite's name for the transport of a stream request.
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
