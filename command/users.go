package command

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"tandem/program"
)

// data is the server's data directory; the server may be running.
type data struct {
	DataDir string `default:"./data" env:"TANDEM_DATA_DIR" type:"path" help:"The server's data directory. With PostgreSQL, also set TANDEM_DATABASE_URL, as for the server."`
}

// opener is program.OpenAdmin or program.OpenOrCreateAdmin.
type opener func(context.Context, program.Settings) (*program.Admin, error)

// with runs f on the server's data.
func (d data) with(open opener, f func(ctx context.Context, a *program.Admin) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	return d.withContext(ctx, open, f)
}

// withContext is with for operations that may take long.
func (d data) withContext(ctx context.Context, open opener, f func(ctx context.Context, a *program.Admin) error) error {
	settings, err := program.Defaults()
	if err != nil {
		return err
	}
	settings.DataDir = d.DataDir
	a, err := open(ctx, settings)
	if err != nil {
		return err
	}
	return errors.Join(f(ctx, a), a.Close())
}

type userCommand struct {
	Add      addUserCommand  `cmd:"" help:"Create an account; the password is prompted for, or read from standard input."`
	Promote  promoteCommand  `cmd:"" help:"Make a user an admin, or no longer with --undo."`
	Disable  disableCommand  `cmd:"" help:"Disable a user, or enable it again with --undo."`
	Password passwordCommand `cmd:"" help:"Change a user's password, prompted for or read from standard input; ends their sessions."`
}

type addUserCommand struct {
	data     `embed:""`
	Username string `arg:""`
	Admin    bool   `help:"Give the account the role admin."`
}

func (c *addUserCommand) Run() error {
	password, err := readPassword()
	if err != nil {
		return err
	}
	return c.with(program.OpenOrCreateAdmin, func(ctx context.Context, a *program.Admin) error {
		return a.AddUser(ctx, c.Username, password, c.Admin)
	})
}

type promoteCommand struct {
	data     `embed:""`
	Username string `arg:""`
	Undo     bool   `help:"Remove the role."`
}

func (c *promoteCommand) Run() error {
	return c.with(program.OpenAdmin, func(ctx context.Context, a *program.Admin) error { return a.SetAdmin(ctx, c.Username, !c.Undo) })
}

type disableCommand struct {
	data     `embed:""`
	Username string `arg:""`
	Undo     bool   `help:"Enable the user again."`
}

func (c *disableCommand) Run() error {
	return c.with(program.OpenAdmin, func(ctx context.Context, a *program.Admin) error { return a.SetDisabled(ctx, c.Username, !c.Undo) })
}

type passwordCommand struct {
	data     `embed:""`
	Username string `arg:""`
}

func (c *passwordCommand) Run() error {
	password, err := readPassword()
	if err != nil {
		return err
	}
	return c.with(program.OpenAdmin, func(ctx context.Context, a *program.Admin) error { return a.SetPassword(ctx, c.Username, password) })
}

type tokenCommand struct {
	Create createTokenCommand `cmd:"" help:"Create an API token for a user's script and print it."`
}

type createTokenCommand struct {
	data      `embed:""`
	Username  string        `arg:""`
	Name      string        `required:"" help:"A name for the token, such as deploys."`
	Rooms     []string      `name:"room" help:"Limit the token to this room; can be repeated."`
	Scopes    []string      `name:"scope" enum:"sessions" help:"Limit the token to this scope; sessions: create sessions for users of your own app. For admins only."`
	ExpiresIn time.Duration `help:"How long it is valid, such as 720h; unlimited by default."`
}

func (c *createTokenCommand) Run() error {
	return c.with(program.OpenAdmin, func(ctx context.Context, a *program.Admin) error {
		token, err := a.CreateToken(ctx, c.Username, c.Name, c.ExpiresIn, c.Rooms, c.Scopes)
		if err == nil {
			fmt.Println(token)
		}
		return err
	})
}

// readPassword never takes a password from the command line, where every process of the machine can read it.
func readPassword() (string, error) {
	if stdin := int(os.Stdin.Fd()); term.IsTerminal(stdin) {
		fmt.Fprint(os.Stderr, "Password: ")
		password, err := term.ReadPassword(stdin)
		fmt.Fprintln(os.Stderr)
		return string(password), err
	}
	line := bufio.NewScanner(os.Stdin)
	if !line.Scan() {
		return "", errors.Join(errors.New("no password on standard input"), line.Err())
	}
	return strings.TrimSuffix(line.Text(), "\r"), nil
}
