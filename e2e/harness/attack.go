package harness

import (
	"net"
	"testing"

	"tandem/program"
)

// Attacks that anybody can try without logging in, and limits on what they may cost (docs/security.md).

func WithMetrics(cfg *program.Settings) { cfg.MetricsAddr = "127.0.0.1:0" }

// MetricsSocket connects to the metrics listener.
func (p *Program) MetricsSocket(t *testing.T) *Socket {
	t.Helper()
	conn, err := net.Dial("tcp", p.Running.MetricsAddr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &Socket{Conn: conn, t: t}
}
