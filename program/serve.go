package program

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"tandem/api"
	"tandem/panics"
)

const (
	// AnswerTimeout is how long a response may take to produce and read.
	AnswerTimeout = time.Minute
	// MaxH2Streams is how many requests and streams one HTTP/2 connection may have at once. A proxy opens more
	// connections.
	MaxH2Streams = 250
)

// serve starts the parts that run until Stop, and the HTTP server.
func (p *Program) serve(cert *tls.Certificate) {
	ctx, cancel := context.WithCancel(context.Background())
	p.stopRuns, p.httpDone = cancel, make(chan struct{})
	p.runsDone.Go(func() { panics.Keep(ctx, p.logger, "falling silent", func() { p.gate.Run(ctx) }) })
	p.runsDone.Go(func() { p.hub.Run(ctx) })
	p.runsDone.Go(func() { p.cleaner.Run(ctx) })
	p.runsDone.Go(func() { p.followers.Run(ctx) })
	p.runsDone.Go(func() { p.push.Run(ctx) })
	if p.valkey != nil {
		p.runsDone.Go(func() { panics.Keep(ctx, p.logger, "connecting to Valkey", func() { p.valkey.Run(ctx) }) })
	}
	if p.issuer != nil {
		p.runsDone.Go(func() { panics.Keep(ctx, p.logger, "the issuer's keys", func() { p.issuer.Run(ctx) }) })
	}
	p.http = &http.Server{
		Handler:           p.api,
		ReadHeaderTimeout: 5 * time.Second,
		// For responses; streams take over their connection, or clear this. A client that reads a response byte by byte
		// would hold it in memory indefinitely.
		WriteTimeout:   AnswerTimeout,
		IdleTimeout:    2 * time.Minute,
		MaxHeaderBytes: 32 << 10,
		// OPTIONS * gets a problem from us like any other unknown path.
		DisableGeneralOptionsHandler: true,
		// No ReadTimeout: api sets deadlines for bodies.
		ErrorLog:  slog.NewLogLogger(p.logger.Handler(), slog.LevelDebug),
		ConnState: p.noteSilent,
		Protocols: new(http.Protocols),
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: MaxH2Streams,
			// What a connection may send before anyone reads it: no body is larger, and no more are needed at once.
			MaxReceiveBufferPerStream:     api.MaxBody,
			MaxReceiveBufferPerConnection: 4 * api.MaxBody,
			SendPingTimeout:               30 * time.Second, // ping an idle connection to check that it is alive
			PingTimeout:                   15 * time.Second,
		},
	}
	p.http.Protocols.SetHTTP1(true)
	p.http.Protocols.SetHTTP2(true)
	p.http.Protocols.SetUnencryptedHTTP2(true) // from a proxy that knows the server
	serve := p.http.Serve
	if cert != nil {
		p.http.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*cert}, MinVersion: tls.VersionTLS12}
		serve = func(l net.Listener) error { return p.http.ServeTLS(l, "", "") }
	}
	p.http.RegisterOnShutdown(p.closeSilent)
	go func() {
		defer close(p.httpDone)
		if err := serve(p.listener); !errors.Is(err, http.ErrServerClosed) {
			p.failed <- fmt.Errorf("serve: %w", err)
		}
	}()
}

// noteSilent tracks the connections that browsers open in advance: Shutdown would wait 5 s for each to send something.
func (p *Program) noteSilent(c net.Conn, state http.ConnState) {
	switch state {
	case http.StateNew:
		p.silent.Store(c, nil)
	default:
		p.silent.Delete(c)
	}
}

func (p *Program) closeSilent() {
	p.silent.Range(func(c, _ any) bool {
		_ = c.(net.Conn).Close()
		return true
	})
}
