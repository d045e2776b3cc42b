// Package doctor finds out what is between a client and a tandem server, and what it does to streams: proxies that
// buffer, cut, refuse or rewrite. It calls the server like any client, and leaves nothing behind: it only sends
// ephemeral events to the user's own inbox.
package doctor

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"tandem/client"
	"tandem/terminal"
)

// Doctor is tandem doctor.
type Doctor struct {
	URL    string        `arg:"" predictor:"server" help:"The server as its users reach it, such as https://chat.example.com."`
	Idle   time.Duration `default:"30s" help:"How long to watch idle streams; 0 to skip. Most proxies cut at 30s, 60s or 100s."`
	Wait   time.Duration `default:"5s" help:"How long to wait for responses that should be immediate."`
	Upload int64         `default:"10485760" help:"The size of the upload to try, in bytes; nothing is kept. 0 to skip."`
	Signup bool          `help:"Sign up for an account and delete it at the end. Its name, doctor-…, is not reused."`
	JSON   bool          `name:"json" help:"Print the report as JSON."`
}

// Help is shown by --help.
func (*Doctor) Help() string {
	return `Most checks need an account: the login of 'tandem login URL', the API token in TANDEM_TOKEN, or a new account with --signup.
Other users notice nothing. The exit status is 0 if all is good, 1 if there are problems, and 2 if there are none but not
everything could be checked.`
}

// status is an error that only carries the exit status, because the report has the details.
type status int

func (s status) Error() string {
	return map[status]string{1: "problems found: see the report", 2: "no problems found, but not everything could be checked"}[s]
}
func (s status) ExitCode() int { return int(s) }

// Run runs all checks and prints the report.
func (d *Doctor) Run() error {
	base, err := client.ParseBase(d.URL)
	if err != nil {
		return err
	}
	if !d.JSON {
		fmt.Fprintf(os.Stderr, "Checking %s; this takes about %s.\n\n", base, (d.Idle + 5*time.Second).Round(time.Second))
	}
	e := &exam{Doctor: d, report: Report{URL: base.String()}, base: base}
	e.examine(context.Background())
	if d.JSON {
		err = e.report.json(os.Stdout)
	} else {
		err = e.report.text(os.Stdout, term.IsTerminal(int(os.Stdout.Fd())) && os.Getenv("NO_COLOR") == "")
	}
	if err != nil {
		return err
	}
	if s := e.report.Status(); s != 0 {
		return status(s)
	}
	return nil
}

// examine runs all checks, as far as earlier ones allow.
func (e *exam) examine(ctx context.Context) {
	if !e.reach(ctx) {
		return
	}
	leave := e.enter(ctx)
	defer leave()
	if e.me == "" {
		return
	}
	e.streams(ctx)
	e.page(ctx)
	e.sizes(ctx)
	e.address(ctx)
}

// enter obtains a login. leave undoes what it did.
func (e *exam) enter(ctx context.Context) (leave func()) {
	leave = func() {}
	unknown := func(why error) {
		e.report.add("login", Unknown, why.Error(), "Most checks need a login: run 'tandem login "+e.base.String()+"' first, or pass --signup to create an account for this and delete it again.")
	}
	if e.Signup {
		var session client.Session
		name, password := "doctor-"+strings.ToLower(rand.Text()[:12]), rand.Text()
		err := client.New(e.base, nil).Do(ctx, client.Call{
			Method: http.MethodPost, Path: "/v1/auth/signup", JSON: map[string]string{"username": name, "password": password},
		}, &session)
		if err != nil {
			unknown(err)
			return leave
		}
		e.client = client.New(e.base, client.Fixed(session.AccessToken))
		leave = func() {
			err := e.client.Do(ctx, client.Call{Method: http.MethodDelete, Path: "/v1/me", JSON: map[string]string{"current_password": password}}, nil)
			if err != nil {
				e.report.add("account", Note, "the account "+name+" could not be deleted: "+err.Error(), "")
			}
		}
	} else {
		c, err := terminal.Server{Server: e.base.String()}.Connect()
		if err != nil {
			unknown(err)
			return leave
		}
		e.client = c
	}
	var me struct{ Username string }
	within, cancel := context.WithTimeoutCause(ctx, 4*e.Wait, client.ErrUnreachable)
	defer cancel()
	if err := e.client.Do(within, client.Call{Method: http.MethodGet, Path: "/v1/me"}, &me); err != nil {
		if p, ok := errors.AsType[*client.Problem](err); ok && p.Code == "" || ok && p.Code == "missing_token" {
			e.report.add("login", Trouble, "the token does not reach the server: "+err.Error(), "Have the proxy pass on the Authorization header.")
		} else {
			unknown(err)
		}
		return leave
	}
	e.me = me.Username
	e.report.add("login", Good, "you are "+me.Username, "")
	return leave
}
