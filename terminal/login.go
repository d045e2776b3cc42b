package terminal

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"

	"golang.org/x/term"

	"tandem/client"
)

// Login is tandem login.
type Login struct {
	URL      string `arg:"" help:"The address of the server, such as https://chat.example.com."`
	Username string `short:"u" help:"Prompted for by default."`
	Token    bool   `help:"Log in with an API token instead of a password; prompted for, or read from standard input."`
}

// Help is shown by --help.
func (*Login) Help() string {
	return `Prompts for the username and the password, or reads the password from standard input if that is not a terminal.
The login is stored in tandem/logins.json in your configuration folder (~/.config), or in TANDEM_CONFIG_DIR, where only you
can read it. Each server has one login; the latest one is the default.`
}

// Run prompts, logs in and stores the login.
func (l *Login) Run() error { return exit(l.run(context.Background())) }

func (l *Login) run(ctx context.Context) error {
	base, err := client.ParseBase(l.URL)
	if err != nil {
		return err
	}
	if base.Scheme == "http" && !client.Local(base) {
		fmt.Fprintln(os.Stderr, "Warning: over http://, anyone on the way can read your password and your messages.")
	}
	logins, err := client.OpenLogins()
	if err != nil {
		return err
	}
	if _, err := logins.All(); err != nil {
		return err // before prompting
	}
	in := bufio.NewReader(os.Stdin)
	login := client.Login{Server: base.String()}
	if l.Token {
		if login.Token, err = askSecret(in, "API token: "); err != nil {
			return err
		}
		var me struct{ Username string }
		if err := get(ctx, client.New(base, client.Fixed(login.Token)), "/v1/me", nil, &me); err != nil {
			return err
		}
		login.Username = me.Username
	} else {
		if l.Username == "" {
			if !onTerminal(os.Stdin) {
				return errors.New("there is no terminal to ask for the username: pass --username")
			}
			if l.Username, err = ask(in, "Username: "); err != nil {
				return err
			}
		}
		password, err := askSecret(in, "Password: ")
		if err != nil {
			return err
		}
		var session client.Session
		err = client.New(base, nil).Do(ctx, client.Call{
			Method: http.MethodPost, Path: "/v1/auth/login", JSON: map[string]string{"username": l.Username, "password": password},
		}, &session)
		if err != nil {
			return err
		}
		login = session.Login(base.String())
	}
	if err := logins.Put(ctx, login); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "Logged in to %s as %s.\n", base, Plain(login.Username))
	return nil
}

func ask(in *bufio.Reader, prompt string) (string, error) {
	fmt.Fprint(os.Stderr, prompt)
	return readLine(in)
}

// askSecret does not show what is typed. Secrets are never read from the command line, which others can see.
func askSecret(in *bufio.Reader, prompt string) (string, error) {
	if !onTerminal(os.Stdin) {
		return readLine(in)
	}
	fmt.Fprint(os.Stderr, prompt)
	secret, err := term.ReadPassword(int(os.Stdin.Fd()))
	fmt.Fprintln(os.Stderr)
	return string(secret), err
}

func readLine(in *bufio.Reader) (string, error) {
	line, err := in.ReadString('\n')
	line = strings.TrimRight(line, "\r\n")
	if line == "" && err != nil {
		return "", errors.Join(errors.New("standard input is empty"), ignoreEnd(err))
	}
	return line, nil
}

func ignoreEnd(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// Logout is tandem logout.
type Logout struct {
	URL string `arg:"" optional:"" predictor:"server" help:"The server; by default, that of the latest login."`
}

// Run ends the session on the server and removes it here, even if the server cannot be reached.
func (l *Logout) Run() error { return exit(l.run(context.Background())) }

func (l *Logout) run(ctx context.Context) error {
	if l.URL != "" {
		base, err := client.ParseBase(l.URL)
		if err != nil {
			return err
		}
		l.URL = base.String()
	}
	logins, err := client.OpenLogins()
	if err != nil {
		return err
	}
	login, err := logins.Find(l.URL)
	if err != nil {
		return err
	}
	c, err := as(logins, login)
	if err != nil {
		return err
	}
	var ended error
	if login.Refresh != "" { // an API token stays until it is revoked
		ctx, cancel := context.WithTimeoutCause(ctx, callTimeout, client.ErrUnreachable)
		ended = c.Do(ctx, client.Call{Method: http.MethodPost, Path: "/v1/auth/logout"}, nil)
		cancel()
	}
	if err := logins.Remove(ctx, login.Server); err != nil {
		return err
	}
	if ended != nil && !errors.Is(ended, client.ErrLoggedOut) {
		return fmt.Errorf("the login is removed here, but its session could not be ended on the server: %w", ended)
	}
	fmt.Fprintf(os.Stderr, "Logged out of %s.\n", login.Server)
	return nil
}

// Servers is tandem servers.
type Servers struct{}

// Run lists the logins.
func (*Servers) Run() error {
	logins, err := client.OpenLogins()
	if err != nil {
		return exit(err)
	}
	all, err := logins.All()
	if err != nil {
		return exit(err)
	}
	for i, l := range all {
		note := ""
		if i == 0 {
			note = "\tdefault"
		}
		fmt.Printf("%s\t%s%s\n", l.Server, Plain(l.Username), note)
	}
	return nil
}

// room and user escape path segments.
func room(name string) string { return "/v1/rooms/" + url.PathEscape(name) }
func user(name string) string { return "/v1/private/" + url.PathEscape(name) }
