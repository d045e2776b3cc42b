// Command conformance tests a deployed tandem against its wire contract and prints a table of scenarios and transports.
// It exits with 1 if anything failed and with 2 if nothing could be tested. See docs/conformance.md.
package main

import (
	"context"
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"strings"

	"github.com/alecthomas/kong"

	"tandem/conformance/suite"
)

type options struct {
	URL            string   `env:"TANDEM_URL" placeholder:"URL" help:"The server's URL."`
	AdminToken     string   `env:"TANDEM_ADMIN_TOKEN" placeholder:"TOKEN" help:"An access or API token of a site admin, for the scenarios that need one."`
	RestartCommand string   `placeholder:"COMMAND" help:"A command that restarts the server cleanly on the same data and address, and returns when it is ready."`
	Insecure       bool     `help:"Accept any TLS certificate."`
	Slow           bool     `help:"Also run what takes longer than 20 s."`
	Only           string   `placeholder:"REGEXP" help:"Only run scenarios whose name matches."`
	Plain          bool     `help:"Skip switching transports in the middle."`
	Over           []string `placeholder:"NAME,…" help:"Only try these transports: ${transports}."`
	Parallel       int      `default:"16" help:"How many scenarios run at once."`
	List           bool     `help:"List the scenarios and exit."`
}

func main() {
	var o options
	kong.Parse(&o, kong.Name("conformance"), kong.UsageOnError(), kong.Vars{"transports": strings.Join(suite.Transports(), ", ")},
		kong.Description("Tries a deployed tandem: every scenario over every transport, and with a switch in the middle."))
	if o.List {
		fmt.Println(strings.Join(suite.Scenarios(), "\n"))
		return
	}
	report, err := o.run()
	if report != nil {
		report.Print(os.Stdout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(2)
	}
	if report.Failed() {
		os.Exit(1)
	}
}

func (o *options) run() (*suite.Report, error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	only, err := regexp.Compile(o.Only)
	if err != nil {
		return nil, fmt.Errorf("--only: %w", err)
	}
	cfg := suite.Config{
		URL: o.URL, AdminToken: o.AdminToken, Slow: o.Slow, Only: only, Plain: o.Plain, Over: o.Over, Parallel: o.Parallel,
		TLS: &tls.Config{InsecureSkipVerify: o.Insecure}, // skipped on request
	}
	if o.RestartCommand != "" {
		cfg.Restart = func(ctx context.Context) (string, error) {
			if out, err := exec.CommandContext(ctx, "sh", "-c", o.RestartCommand).CombinedOutput(); err != nil {
				return "", fmt.Errorf("%w\n%s", err, out)
			}
			return o.URL, nil
		}
	}
	return suite.Run(ctx, cfg)
}
