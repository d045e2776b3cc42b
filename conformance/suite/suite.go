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

// Config says what to try, and how.
type Config struct {
	URL        string                                      // of the server, http:// or https://
	AdminToken string                                      // of a site admin; scenarios that need one are left out without
	Restart    func(context.Context) (url string, _ error) // stops the server cleanly and starts it on the same data; nil: cannot
	TLS        *tls.Config                                 // for https; nil: the system's roots
	Accounts   *Accounts                                   // to use and to keep; nil: make some, and delete them afterwards
	Slow       bool                                        // also what takes longer than 20 s
	Only       *regexp.Regexp                              // names of scenarios to run; nil: all
	Plain      bool                                        // without switches in the middle
	Over       []string                                    // names of transports to use; empty: all that the URL allows
	Parallel   int                                         // how many scenarios run at once; 0: 16
	Patience   time.Duration                               // how long to wait for what must come; 0: 20 s
}

// A Scenario is something that must go the same way on every transport.
type Scenario struct {
	Name  string
	Needs []string // what the server, or the Config, must have: see server.lacks
	Run   func(*T)

	Switch bool                 // run it also for each ordered pair of transports, between which Stream.Turn switches
	All    bool                 // run it once, over all transports together: see T.Each
	REST   bool                 // it opens no stream, or any one
	Only   func(Transport) bool // the transports that it is about; nil: all
	Alone  bool                 // nothing else may run meanwhile
}

// run is one run of the suite.
type run struct {
	Config
	url        atomic.Pointer[string]
	http1      *http.Transport
	http2      *http.Transport
	transports []Transport
	server     *server
	report     *Report
}

// Run tries the scenarios and returns what came of it. An error means that they could not be tried at all.
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
		return nil, fmt.Errorf("the URL %q does not begin with http:// or https://", cfg.URL)
	}
	// Idle connections end here before they end there, or a request may be on its way meanwhile.
	const idle = 20 * time.Second
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
		return nil, errors.New("there is no transport to try")
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

// lacksOver is what is missing for a scenario over a transport that it suits.
func (r *run) lacksOver(s *Scenario, missing string, tr Transport) string {
	if !s.suits(tr) {
		return ""
	}
	if missing == "" && tr.Needs != "" {
		missing = r.server.lacks(tr.Needs)
	}
	return missing
}

// lacks is what is missing for a scenario, or "".
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

// What a scenario can need of the Config.
const (
	needsAdmin   = "admin"
	needsRestart = "restart"
	needsSlow    = "slow"
)
