// Package terminal implements tandem for terminals and scripts: log in, list rooms, follow them, post. Its commands are
// kong's, registered by package command. All it knows about the server is package client's.
package terminal

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"os"
	"time"

	"golang.org/x/term"

	"tandem/client"
)

// The exit codes, next to kong's 80 for a command line that does not parse.
const (
	exitFailed   = 1 // anything else
	exitRefused  = 2 // the server understood and refused
	exitLoggedIn = 3 // there is no login, or it has ended
	exitLater    = 4 // the server cannot be reached or is busy: try again later
)

// failure is an error with an exit code.
type failure struct {
	error
	code int
}

// Error returns a text without effect on a terminal, because much of it comes from servers.
func (f *failure) Error() string { return Plain(f.error.Error()) }
func (f *failure) ExitCode() int { return f.code }
func (f *failure) Unwrap() error { return f.error }

// exit gives err its exit code.
func exit(err error) error {
	if err == nil {
		return nil
	}
	p, answered := errors.AsType[*client.Problem](err)
	switch {
	case errors.Is(err, client.ErrLoggedOut), answered && p.Status == http.StatusUnauthorized:
		return &failure{err, exitLoggedIn}
	case client.Passing(err):
		return &failure{err, exitLater}
	case answered && p.Code != "":
		return &failure{err, exitRefused}
	}
	return &failure{err, exitFailed}
}

// Server selects the server and its login.
type Server struct {
	Server string `env:"TANDEM_SERVER" placeholder:"URL" predictor:"server" help:"The server; by default, that of the latest login. If TANDEM_TOKEN is set, that token is used instead of a login."`
}

// Connect returns a client of the server as the logged-in user.
func (s Server) Connect() (*client.Client, error) {
	address := ""
	if s.Server != "" {
		base, err := client.ParseBase(s.Server)
		if err != nil {
			return nil, err
		}
		address = base.String()
	}
	if token := os.Getenv("TANDEM_TOKEN"); token != "" {
		if address == "" {
			return nil, errors.New("TANDEM_TOKEN is set without a server: pass --server or set TANDEM_SERVER")
		}
		base, err := client.ParseBase(address)
		return client.New(base, client.Fixed(token)), err
	}
	logins, err := client.OpenLogins()
	if err != nil {
		return nil, err
	}
	login, err := logins.Find(address)
	if err != nil {
		return nil, err
	}
	return as(logins, login)
}

// as returns a client of a login's server.
func as(logins *client.Logins, login client.Login) (*client.Client, error) {
	base, err := client.ParseBase(login.Server)
	if err != nil {
		return nil, err
	}
	c := client.New(base, nil)
	c.Tokens = logins.Tokens(login, client.New(base, nil))
	return c, nil
}

// with runs f with a client, and gives its error an exit code.
func (s Server) with(f func(ctx context.Context, c *client.Client) error) error {
	c, err := s.Connect()
	if err == nil {
		err = f(context.Background(), c)
	}
	return exit(err)
}

// callTimeout bounds one try of a call.
const callTimeout = 30 * time.Second

// get makes a reading call, retrying if that may help, for as long as a person waits.
func get(ctx context.Context, c *client.Client, path string, query url.Values, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, client.ErrUnreachable)
	defer cancel()
	return c.Insist(ctx, callTimeout, client.Call{Method: http.MethodGet, Path: path, Query: query}, out)
}

// onTerminal reports whether f is a terminal.
func onTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// inColour reports whether output to f may have colours (no-color.org).
func inColour(f *os.File) bool {
	return onTerminal(f) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}
