// Command tandem is a self-hosted chat backend: a REST API and one stream of typed events over WebSocket and
// plain HTTP. This file is its command line; package program is the rest.
package main

import (
	"context"
	"crypto/tls"
	_ "embed"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"tandem/program"
)

//go:embed openapi.yaml
var spec []byte

type commandLine struct {
	Serve  serveCommand  `cmd:"" default:"withargs" help:"Serve (the default)."`
	Check  checkCommand  `cmd:"" help:"Name what is wrong with the settings, without starting."`
	User   userCommand   `cmd:"" help:"People: add, promote, disable, password."`
	Token  tokenCommand  `cmd:"" help:"API tokens for scripts: create."`
	Export exportCommand `cmd:"" help:"Write rooms and messages as JSON lines to standard output."`
	Backup backupCommand `cmd:"" help:"Copy the database (SQLite) to a file, while the server runs."`
	Health healthCommand `cmd:"" help:"Exit with 0 if a running tandem is healthy, for container health checks."`

	HashPasswords hashCommand `cmd:"" hidden:""`
}

// stopWithin is how long a clean stop may take.
const stopWithin = 10 * time.Second

func main() {
	var line commandLine
	run := kong.Parse(&line, kong.Name("tandem"), kong.UsageOnError(),
		kong.Description("A self-hosted chat backend: the same typed events over WebSocket and over plain HTTP."))
	run.FatalIfErrorf(run.Run())
}

type serveCommand struct {
	program.Settings `embed:""`
}

// Run serves until SIGTERM or SIGINT, then stops cleanly; a second signal kills.
func (c *serveCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	c.HashCommand = ourselves("hash-passwords")
	p, err := program.Start(ctx, c.Settings, spec, newLogger(os.Stderr, c.LogLevel, c.LogFormat))
	if err != nil {
		return err
	}
	greet(os.Stdout, p.URL(), c.Place())
	select {
	case <-ctx.Done():
	case err = <-p.Failed():
	}
	stop()
	within, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if stopErr := p.Stop(within); err == nil {
		err = stopErr
	}
	return err
}

// hashCommand is what serve starts beside itself.
type hashCommand struct{}

// Run ends when the server does, however that does; signals that a terminal or a supervisor sends to all are the server's.
func (hashCommand) Run() error {
	signal.Ignore(syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	return program.HashPasswords(os.Stdin, os.Stdout)
}

// ourselves is a command line of this program, or nil where its file is not known.
func ourselves(args ...string) []string {
	self := "/proc/self/exe" // also when the file was replaced by a new version
	if runtime.GOOS != "linux" {
		var err error
		if self, err = os.Executable(); err != nil {
			return nil
		}
	}
	return append([]string{self}, args...)
}

type checkCommand struct {
	program.Settings `embed:""`
}

// Run prints all that is wrong.
func (c *checkCommand) Run() error {
	wrong := c.Check(spec)
	for _, err := range wrong {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of the settings do not fit", len(wrong))
	}
	fmt.Println("the settings fit")
	return nil
}

// greet says where tandem is and what to do first.
func greet(to io.Writer, url, place string) {
	url = strings.Replace(url, "127.0.0.1", "localhost", 1)
	fmt.Fprintf(to, `tandem listens on %[1]s and keeps its data in %[2]s

Open %[1]s in a browser, or post from a shell:
  curl --json '{"username":"ada","password":"correct horse"}' %[1]s/v1/auth/signup
  T=…                                   # the access_token of that answer
  curl -X PUT -H "Authorization: Bearer $T" %[1]s/v1/rooms/lobby
  curl -d hello -H "Authorization: Bearer $T" %[1]s/v1/rooms/lobby/messages
`, url, place)
}

type healthCommand struct {
	Addr string `default:":8080" env:"TANDEM_ADDR" help:"Where the server listens."`
	URL  string `env:"TANDEM_HEALTH_URL" placeholder:"URL" help:"Of the server to ask, if it is not this machine's at --addr."`
	// The serve command's own setting says which protocol to speak.
	TLSCert string `env:"TANDEM_TLS_CERT" type:"path" placeholder:"FILE" help:"Set if the server has a certificate: it is asked over HTTPS then, and not by its name."`
}

// Run asks /healthz.
func (c *healthCommand) Run() error {
	client := http.Client{Timeout: 5 * time.Second}
	if c.URL == "" {
		host, port, err := net.SplitHostPort(c.Addr)
		if err != nil {
			return fmt.Errorf("addr: %w", err)
		}
		if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
			host = "127.0.0.1"
		}
		scheme := "http://"
		if c.TLSCert != "" {
			scheme = "https://"
			// Certificates are not made out for the loopback address that is asked here, and nothing is told.
			client.Transport = &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}
		}
		c.URL = scheme + net.JoinHostPort(host, port)
	}
	answer, err := client.Get(c.URL + "/healthz")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%s/healthz answered %s", c.URL, answer.Status)
	}
	return nil
}

func newLogger(to io.Writer, level, format string) *slog.Logger {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		panic(err) // kong admits the four levels only
	}
	options := &slog.HandlerOptions{Level: l}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
