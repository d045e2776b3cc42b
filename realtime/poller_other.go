//go:build !linux

package realtime

import (
	"context"
	"log/slog"
	"net"
)

// poller only exists on Linux: elsewhere streams use their own goroutines.
type poller struct{}

func newPoller(*slog.Logger) *poller { return nil }

func (*poller) run(context.Context) {}

func (*poller) take(*Stream, net.Conn, Commands) bool { return false }

// polled is never used.
type polled struct{ net.Conn }

func (*polled) send([]byte, bool) (bool, error) { panic("no poller") }

func (*polled) sendRest() (bool, bool, error) { panic("no poller") }
