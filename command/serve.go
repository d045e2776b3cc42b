package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"

	"tandem/program"
)

// stopWithin is how long a clean stop may take.
const stopWithin = 10 * time.Second

type serveCommand struct {
	program.Settings `embed:""`
}

// Run serves until SIGTERM or SIGINT, then stops cleanly; a second signal kills.
func (c *serveCommand) Run(text contract) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	c.HashCommand = ourselves("hash-passwords")
	level := newLogLevel(c.LogLevel)
	logger := newLogger(os.Stderr, &level.now, c.LogFormat)
	defer level.switchOnHangup(logger)()
	// Without GOMEMLIMIT, it is 90 % of the container's limit, which the garbage collector does not know otherwise.
	if _, err := memlimit.Set(); err != nil && !errors.Is(err, memlimit.ErrNoCgroup) && !errors.Is(err, memlimit.ErrCgroupsNotSupported) {
		logger.Warn("the container's memory limit is not known; set GOMEMLIMIT", "error", err)
	}
	spec, err := program.ReadSpec(text)
	if err != nil {
		return err
	}
	p, err := program.Start(ctx, c.Settings, spec, logger)
	if err != nil {
		return err
	}
	greet(os.Stdout, p.URL()+strings.TrimSuffix(c.BasePath, "/"), c.Place())
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

// greet prints the server's address and what to do first.
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

func newLogger(to io.Writer, level slog.Leveler, format string) *slog.Logger {
	options := &slog.HandlerOptions{Level: level}
	if format == "json" {
		return slog.New(slog.NewJSONHandler(to, options))
	}
	return slog.New(slog.NewTextHandler(to, options))
}
