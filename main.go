// Command tandem is a self-hosted chat backend: a REST API and one stream of typed events over WebSocket and
// Server-Sent Events. This package reads the settings, wires the parts and starts and stops them in order.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/alecthomas/kong"
)

// settings are flags and TANDEM_* variables.
type settings struct {
	Addr        string `default:":8080" env:"TANDEM_ADDR" help:"Where to listen."`
	DataDir     string `default:"./data" env:"TANDEM_DATA_DIR" type:"path" help:"Where the SQLite database lies; made if missing."`
	JWTSecret   string `env:"TANDEM_JWT_SECRET" help:"Signs access tokens, 32 bytes or more; made at the first start and kept in the database if not given."`
	JWTIssuer   string `default:"tandem" env:"TANDEM_JWT_ISSUER" help:"The iss claim of access tokens."`
	JWTAudience string `default:"tandem" env:"TANDEM_JWT_AUDIENCE" help:"The aud claim of access tokens."`
	Signup      string `default:"open" enum:"open,closed" env:"TANDEM_SIGNUP" help:"Whether people may sign up: open or closed."`
	RingBytes   int    `default:"67108864" env:"TANDEM_RING_BYTES" help:"How many bytes of recent events to keep in memory for streams that come back."`
	LogLevel    string `default:"info" enum:"debug,info,warn,error" env:"TANDEM_LOG_LEVEL" help:"debug, info, warn or error."`
	LogFormat   string `default:"text" enum:"text,json" env:"TANDEM_LOG_FORMAT" help:"text or json."`
}

type commandLine struct {
	Serve  serveCommand  `cmd:"" default:"withargs" help:"Serve (the default)."`
	Health healthCommand `cmd:"" help:"Exit with 0 if a running tandem is healthy, for container health checks."`
}

// stopWithin is how long a clean stop may take.
const stopWithin = 10 * time.Second

func main() {
	var line commandLine
	run := parser(&line)
	parsed, err := run.Parse(os.Args[1:])
	run.FatalIfErrorf(err)
	run.FatalIfErrorf(parsed.Run())
}

func parser(line *commandLine) *kong.Kong {
	return kong.Must(line, kong.Name("tandem"), kong.UsageOnError(),
		kong.Description("A self-hosted chat backend: the same typed events over WebSocket and over plain HTTP."))
}

// defaultSettings are those of an empty command line.
func defaultSettings() settings {
	var line commandLine
	if _, err := parser(&line).Parse(nil); err != nil {
		panic(err) // the defaults above are valid
	}
	return line.Serve.settings
}

type serveCommand struct {
	settings `embed:""`
}

// Run serves until SIGTERM or SIGINT, then stops cleanly; a second signal kills.
func (c *serveCommand) Run() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	p, err := start(ctx, c.settings, newLogger(os.Stderr, c.LogLevel, c.LogFormat))
	if err != nil {
		return err
	}
	p.greet(os.Stdout)
	select {
	case <-ctx.Done():
	case err = <-p.failed:
	}
	stop()
	within, cancel := context.WithTimeout(context.Background(), stopWithin)
	defer cancel()
	if stopErr := p.Stop(within); err == nil {
		err = stopErr
	}
	return err
}

// greet says where tandem is and what to do first.
func (p *program) greet(to *os.File) {
	dir, err := filepath.Abs(p.settings.DataDir)
	if err != nil {
		dir = p.settings.DataDir
	}
	url := strings.Replace(p.URL(), "127.0.0.1", "localhost", 1)
	fmt.Fprintf(to, `tandem listens on %[1]s and keeps its data in %[2]s

Open %[1]s in a browser, or post from a shell:
  curl --json '{"username":"ada","password":"correct horse"}' %[1]s/v1/auth/signup
  T=…                                   # the access_token of that answer
  curl -X PUT -H "Authorization: Bearer $T" %[1]s/v1/rooms/lobby
  curl -d hello -H "Authorization: Bearer $T" %[1]s/v1/rooms/lobby/messages
`, url, dir)
}

type healthCommand struct {
	URL string `default:"http://127.0.0.1:8080" env:"TANDEM_HEALTH_URL" help:"Of the server to ask."`
}

// Run asks /healthz.
func (c *healthCommand) Run() error {
	client := http.Client{Timeout: 5 * time.Second}
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
