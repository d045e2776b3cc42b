package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// metricsServer serves /metrics on its own address, which can stay within a private network.
type metricsServer struct {
	http     *http.Server
	listener net.Listener
	done     chan struct{}
}

// startMetrics serves on addr; without one it does nothing and returns nil.
func startMetrics(ctx context.Context, addr string, handler http.Handler, logger *slog.Logger) (*metricsServer, error) {
	if addr == "" {
		return nil, nil
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("metrics-addr: %w", err)
	}
	m := &metricsServer{
		http: &http.Server{
			Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
			WriteTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 8 << 10,
			ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		},
		listener: l, done: make(chan struct{}),
	}
	go func() {
		defer close(m.done)
		if err := m.http.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			logger.Error("metrics are no longer served", "error", err)
		}
	}()
	return m, nil
}

// stop ends it at once: a scraper tries again.
func (m *metricsServer) stop() error {
	if m == nil {
		return nil
	}
	err := m.http.Close()
	<-m.done
	return err
}
