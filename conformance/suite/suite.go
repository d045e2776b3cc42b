package suite

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Config says what to test, and how.
type Config struct {
	URL        string                                      // of the server, http:// or https://
	AdminToken string                                      // of a site admin; without it, scenarios that need one are left out
	Restart    func(context.Context) (url string, _ error) // stops the server cleanly and restarts it on the same data; nil: not possible
	TLS        *tls.Config                                 // for https; nil: the system's roots
	Accounts   *Accounts                                   // accounts to use and keep; nil: create some, and delete them afterwards
	Slow       bool                                        // include what takes longer than 20 s
	Only       *regexp.Regexp                              // names of the scenarios to run; nil: all
	Plain      bool                                        // no switches of transport
	Over       []string                                    // names of the transports to use; empty: all that the URL allows
	Parallel   int                                         // how many scenarios run concurrently; 0: 16
	Patience   time.Duration                               // how long to wait for expected events; 0: 20 s
}

// A Scenario must have the same outcome on every transport.
type Scenario struct {
	Name  string
	Needs []string // what the server or the Config must have: see server.lacks
	Run   func(*T)

	Switch bool                 // also run it for each ordered pair of transports, between which Stream.Turn switches
	All    bool                 // run it once, over all transports together: see T.Each
	REST   bool                 // it opens no stream, or any
	Only   func(Transport) bool // the transports that it applies to; nil: all
	Alone  bool                 // nothing else may run at the same time
}

// run is a run of the suite.
type run struct {
	Config
	url        atomic.Pointer[string]
	http1      *http.Transport
	http2      *http.Transport
	transports []Transport
	server     *server
	report     *Report
}

// Run runs the scenarios and returns their outcomes. An error means that they could not be run at all.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	if cfg.Parallel == 0 {
		cfg.Parallel = 16
	}
	if cfg.Patience == 0 {
		cfg.Patience = 20 * time.Second
	}
	r := &run{Config: cfg}
	r.setURL(cfg.URL)
	if !strings.HasPrefix(cfg.URL, "http://") && !strings.HasPrefix(cfg.URL, "https://") {
		return nil, fmt.Errorf("URL %q does not start with http:// or https://", cfg.URL)
	}
	// Idle connections must end here before the server closes them, or a request may be in flight at that moment.
	// Servers' shortest timeout is for connections without any request, which an http.Transport keeps if it dialed more
	// than it needed; it does not retry a request that fails on one.
	const idle = 3 * time.Second
	r.http1 = &http.Transport{
		TLSClientConfig: cfg.TLS.Clone(), MaxIdleConnsPerHost: 64, IdleConnTimeout: idle,
		TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{},
	}
	r.http2 = &http.Transport{TLSClientConfig: cfg.TLS.Clone(), ForceAttemptHTTP2: true, IdleConnTimeout: idle}
	defer r.http1.CloseIdleConnections()
	defer r.http2.CloseIdleConnections()

	var err error
	if r.server, err = r.describe(ctx); err != nil {
		return nil, err
	}
	columns := []string{columnREST}
	for _, over := range transports {
		if over.HTTP2 && !strings.HasPrefix(cfg.URL, "https:") || len(cfg.Over) > 0 && !slices.Contains(cfg.Over, over.Name) {
			continue
		}
		r.transports = append(r.transports, over)
		columns = append(columns, over.Name)
	}
	if len(r.transports) == 0 {
		return nil, errors.New("no transport to test")
	}
	r.report = newReport(columns)
	if cfg.Accounts == nil {
		r.Accounts = &Accounts{}
		defer r.Accounts.leave(r)
	}
	r.try(ctx, false)
	r.try(ctx, true)
	return r.report, ctx.Err()
}

func (r *run) setURL(url string) {
	url = strings.TrimSuffix(url, "/")
	r.url.Store(&url)
}

// try runs the scenarios, or those that must run alone.
func (r *run) try(ctx context.Context, alone bool) {
	var all sync.WaitGroup
	slots := make(chan struct{}, r.Parallel)
	if alone {
		slots = make(chan struct{}, 1)
	}
	start := func(t *T) {
		slots <- struct{}{}
		all.Go(func() { t.try(); <-slots })
	}
	for i := range scenarios {
		s := &scenarios[i]
		if s.Alone != alone || r.Only != nil && !r.Only.MatchString(s.Name) {
			continue
		}
		missing := r.lacks(s)
		switch {
		case s.REST && missing != "":
			r.report.lacks(s, columnREST, missing)
		case s.REST:
			start(newT(ctx, r, s, r.transports[:1], columnREST))
		case s.All:
			var over []Transport
			for _, tr := range r.transports {
				if why := r.lacksOver(s, missing, tr); why != "" {
					r.report.lacks(s, tr.Name, why)
				} else if s.suits(tr) {
					over = append(over, tr)
				}
			}
			if len(over) > 0 {
				start(newT(ctx, r, s, over, ""))
			}
		default:
			for _, tr := range r.transports {
				if why := r.lacksOver(s, missing, tr); why != "" {
					r.report.lacks(s, tr.Name, why)
					continue
				}
				if !s.suits(tr) {
					continue
				}
				start(newT(ctx, r, s, []Transport{tr}, tr.Name))
				for _, then := range r.transports {
					if s.Switch && !r.Plain && then.Name != tr.Name && r.lacksOver(s, missing, then) == "" {
						start(newT(ctx, r, s, []Transport{tr, then}, tr.Name))
					}
				}
			}
		}
	}
	all.Wait()
}

func (s *Scenario) suits(tr Transport) bool { return s.Only == nil || s.Only(tr) }

// lacksOver returns what is missing for a scenario over a transport that it applies to.
func (r *run) lacksOver(s *Scenario, missing string, tr Transport) string {
	if !s.suits(tr) {
		return ""
	}
	if missing == "" && tr.Needs != "" {
		missing = r.server.lacks(tr.Needs)
	}
	return missing
}

// lacks returns what is missing for a scenario, or "".
func (r *run) lacks(s *Scenario) string {
	for _, need := range s.Needs {
		missing := ""
		switch need {
		case needsAdmin:
			if r.AdminToken == "" {
				missing = "needs an admin token"
			}
		case needsRestart:
			if r.Restart == nil {
				missing = "needs a way to restart the server"
			}
		case needsSlow:
			if !r.Slow {
				missing = "slow, and not asked for"
			}
		default:
			missing = r.server.lacks(need)
		}
		if missing != "" {
			return missing
		}
	}
	return ""
}

// What a scenario can need from the Config.
const (
	needsAdmin   = "admin"
	needsRestart = "restart"
	needsSlow    = "slow"
)
