package command

import (
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"
)

// logLevel is the level of the settings, or debug while it is switched on.
type logLevel struct {
	now slog.LevelVar
	set slog.Level
}

func newLogLevel(setting string) *logLevel {
	l := new(logLevel)
	if err := l.set.UnmarshalText([]byte(setting)); err != nil {
		panic(err) // kong only accepts the four levels
	}
	l.now.Set(l.set)
	return l
}

// switchOnHangup makes SIGHUP switch between debug and the configured level (or info, if that is debug) until the
// returned function is called. In a terminal SIGHUP still ends the server: there it means that the terminal was closed.
func (l *logLevel) switchOnHangup(logger *slog.Logger) (stop func()) {
	if term.IsTerminal(int(os.Stdin.Fd())) {
		return func() {}
	}
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range hangups {
			l.toggle()
			logger.Warn("the log level has changed, by SIGHUP", "log-level", l.now.Level())
		}
	}()
	return func() {
		signal.Stop(hangups)
		close(hangups)
		<-done
	}
}

func (l *logLevel) toggle() {
	switch {
	case l.now.Level() != slog.LevelDebug:
		l.now.Set(slog.LevelDebug)
	case l.set != slog.LevelDebug:
		l.now.Set(l.set)
	default:
		l.now.Set(slog.LevelInfo)
	}
}
