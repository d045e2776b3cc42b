//go:build !linux

package realtime

import (
	"context"
	"log/slog"
	"net"
)

// poller is there on Linux alone: elsewhere streams have goroutines of their own.
type poller struct{}

func newPoller(*slog.Logger) *poller { return nil }

func (*poller) run(context.Context) {}

func (*poller) take(*Stream, net.Conn, Commands) bool { return false }

// polled is never made.
type polled struct{ net.Conn }

func (*polled) send([]byte, bool) (bool, error) { panic("no poller") }

func (*polled) sendRest() (bool, bool, error) { panic("no poller") }
