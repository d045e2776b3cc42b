//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tandem/testservers"
)

// benchNodes measures two nodes that share a PostgreSQL, with and without Valkey: posts go to one and readers are at
// the other. It also measures posts over HTTP to one node on PostgreSQL, as fast as they are answered.
func benchNodes(ctx context.Context, o *options, r *report) error {
	progress("\nnodes: posts to one node, readers at another\n")
	pg, err := testservers.StartPostgres("shared_buffers=512MB", "max_connections=200")
	var valkey *testservers.Valkey
	if err == nil {
		defer pg.Remove()
		if valkey, err = testservers.StartValkey(); err == nil {
			defer valkey.Remove()
		}
	}
	if errors.Is(err, testservers.ErrMissing) {
		progress("  left out: %v\n", err)
		return nil
	}
	if err != nil {
		return err
	}
	table := r.section("across nodes", "delivery p50", "p99", "answer p50", "p99", "CPU/post where posted", "where read")
	for _, with := range []string{"with Valkey", "without Valkey"} {
		database, err := pg.NewDatabase()
		if err != nil {
			return err
		}
		own := *o
		own.serverFlags = append(slices.Clone(o.serverFlags), "--database-url", pg.URL(database))
		if with == "with Valkey" {
			own.serverFlags = append(own.serverFlags, "--valkey-url", valkey.URL())
		}
		if err := acrossNodes(ctx, &own, r, table, with); err != nil {
			return fmt.Errorf("%s: %w", with, err)
		}
	}
	return nil
}

func acrossNodes(ctx context.Context, o *options, r *report, table *section, with string) error {
	here, tokens, err := startLobby(ctx, o)
	if err != nil {
		return err
	}
	defer here.close()
	there, err := startServer(ctx, o)
	if err != nil {
		return err
	}
	defer there.close()
	for _, rate := range []float64{100, 2000} {
		a, err := openAudience(ctx, there, &transports[0], tokens, parsed+8)
		if err != nil {
			return err
		}
		time.Sleep(2 * time.Second) // let the nodes find each other
		p, err := newPosters(here.port, tokens, lobby, connections, message{characters: shortText})
		if err != nil {
			a.close()
			return err
		}
		cpu := here.cpu()
		f, wrong, err := a.play(ctx, there, p, rate, o.seconds)
		cpu = here.cpu() - cpu
		p.close()
		a.close()
		if err != nil {
			return err
		}
		name := fmt.Sprintf("%s, %.0f posts/s", with, rate)
		for _, what := range wrong {
			r.fail("%s: %s", name, what)
		}
		table.add(name, millis(percentile(f.latency, 0.5)), millis(percentile(f.latency, 0.99)),
			millis(percentile(f.answers, 0.5)), millis(percentile(f.answers, 0.99)),
			micros(float64(cpu)/float64(f.posts)), micros(float64(f.cpu)/float64(f.posts)))
	}
	c := &contender{name: with, port: here.port, tokens: tokens, rooms: lobby, characters: shortText, cpu: serverCPU(here)}
	if err := postInTurn(ctx, []*contender{c}, connections, 1, time.Second, o.seconds, 0); err != nil {
		return err
	}
	table.add(with+", flat out", "–", "–", millis(percentile(c.latency, 0.5)), millis(percentile(c.latency, 0.99)), micros(c.each[0]), "–")
	progress("  %s posts/s over HTTP to one node\n", thousands(c.rate()))
	return nil
}
