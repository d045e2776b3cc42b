//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"tandem/frontend"
)

const (
	binaryAtMost = 40  // MB
	startAtMost  = 100 // ms
	starts       = 10
)

// benchProgram measures the binary's size, and the time from its start to its first answer with an existing database.
func benchProgram(ctx context.Context, o *options, r *report) error {
	info, err := os.Stat(o.binary)
	if err != nil {
		return err
	}
	progress("\nprogram: its size, and %d starts\n", starts)
	s, err := startServer(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	var took []float64
	for range starts {
		if err := s.stop(); err != nil {
			return err
		}
		began := time.Now()
		if err := s.exec(ctx); err != nil {
			return err
		}
		if err := s.firstAnswer(began.Add(15 * time.Second)); err != nil {
			return err
		}
		took = append(took, time.Since(began).Seconds()*1e3)
	}
	app := ", the app in it"
	if !frontend.Built() { // the bench and the server are built from the same files
		app = ", without the app"
	}
	size := float64(info.Size()) / 1e6
	table := r.section("program", "median", "slowest")
	table.add("binary"+app, fmt.Sprintf("%.1f MB", size), "–")
	table.add("start to first answer", fmt.Sprintf("%.0f ms", median(took)), fmt.Sprintf("%.0f ms", slices.Max(took)))
	r.bound("size of the binary, MB"+app, size, binaryAtMost, "")
	r.bound("start to first answer, ms", median(took), startAtMost, "")
	return nil
}

// firstAnswer returns when /healthz is answered. It tries every millisecond.
func (s *server) firstAnswer(deadline time.Time) error {
	for ; time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		conn, err := net.DialTimeout("tcp", s.addr(), time.Second)
		if err != nil {
			continue
		}
		_ = conn.SetDeadline(deadline)
		answer := make([]byte, 64)
		n := 0
		if _, err = fmt.Fprintf(conn, "GET /healthz HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", s.addr()); err == nil {
			n, err = conn.Read(answer)
		}
		_ = conn.Close()
		if err == nil && strings.HasPrefix(string(answer[:n]), "HTTP/1.1 200 ") {
			return nil
		}
	}
	return errors.New("no 200 from /healthz")
}
