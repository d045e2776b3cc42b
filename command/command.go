// Package command is tandem's command line: what a user types becomes calls of the packages that do the work. It owns the
// process: signals, standard input and output, the exit code. It has no goroutines of its own.
package command

import (
	"strings"

	"github.com/alecthomas/kong"

	"tandem/doctor"
	"tandem/terminal"
)

type line struct {
	Serve  serveCommand  `cmd:"" default:"withargs" help:"Serve (the default)."`
	Check  checkCommand  `cmd:"" help:"Check the settings without starting."`
	User   userCommand   `cmd:"" help:"Manage users: add, promote, disable, password."`
	Token  tokenCommand  `cmd:"" help:"Manage API tokens for scripts: create."`
	Export exportCommand `cmd:"" help:"Write rooms and messages as JSON lines to standard output."`
	Import importCommand `cmd:"" help:"Import rooms, users, messages and files from an export of tandem, Slack or Mattermost."`
	Backup backupCommand `cmd:"" help:"Copy the database (SQLite) to a file, while the server runs."`
	Health healthCommand `cmd:"" help:"Exit with 0 if a running tandem is healthy, for container health checks."`

	Login      terminal.Login      `cmd:"" help:"Log in to a server, for the commands below."`
	Logout     terminal.Logout     `cmd:"" help:"Log out of a server."`
	Servers    terminal.Servers    `cmd:"" help:"List the servers that you are logged in to."`
	Rooms      terminal.Rooms      `cmd:"" help:"List the rooms of a server."`
	Tail       terminal.Tail       `cmd:"" help:"Print the latest messages of rooms and follow them."`
	Post       terminal.Post       `cmd:"" help:"Post a message, standard input or files to a room."`
	Private    terminal.Private    `cmd:"" help:"List private conversations, follow one, or send a private message."`
	Doctor     doctor.Doctor       `cmd:"" help:"Check what the network between here and a server does to streams."`
	Completion terminal.Completion `cmd:"" help:"Print a completion script for bash, zsh or fish."`

	HashPasswords hashCommand       `cmd:"" hidden:""`
	Complete      terminal.Complete `cmd:"" hidden:""`
}

// contract is the text of openapi.yaml, which is embedded in the program. Kong passes it to the commands that need it.
type contract []byte

// Run parses os.Args, runs the command named there and exits the process if that fails. spec is the text of openapi.yaml.
func Run(spec []byte) {
	run := kong.Parse(&line{}, kong.Name("tandem"), kong.UsageOnError(),
		kong.Description("A self-hosted chat backend: the same typed events over WebSocket and plain HTTP."),
		kong.Bind(contract(spec)))
	run.FatalIfErrorf(plain(run.Run()))
}

// plain returns err with a text that has no effect on a terminal: it can have data of others, such as names of files.
// Lines stay: an error may join several.
func plain(err error) error {
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i, line := range lines {
		lines[i] = terminal.Plain(line)
	}
	return &plainError{err, strings.Join(lines, "\n")}
}

type plainError struct {
	error
	text string
}

func (p *plainError) Error() string { return p.text }
func (p *plainError) Unwrap() error { return p.error }
