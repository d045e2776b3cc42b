//go:build linux

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
)

// benchTraces measures a post with and without traces. The generator receives the traces, and reads and answers them.
func benchTraces(ctx context.Context, o *options, r *report) error {
	progress("\ntraces: posts without and with OTEL_EXPORTER_OTLP_ENDPOINT; all of them sampled, and one in ten\n")
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, q *http.Request) { _, _ = io.Copy(io.Discard, q.Body) }))
	defer receiver.Close()
	var all []*contender
	for _, c := range []struct{ name, endpoint, sampler, share string }{
		{name: "no traces"},
		{"traces of all", receiver.URL, "always_on", ""},
		{"traces of one in ten", receiver.URL, "traceidratio", "0.1"},
	} {
		for name, value := range map[string]string{
			"OTEL_EXPORTER_OTLP_ENDPOINT": c.endpoint, "OTEL_TRACES_SAMPLER": c.sampler, "OTEL_TRACES_SAMPLER_ARG": c.share,
		} {
			_ = os.Setenv(name, value) // for the server started next; an empty value counts as unset
		}
		s, err := startServer(ctx, o)
		if err != nil {
			return err
		}
		defer s.close()
		posts, err := postsTo(ctx, s, c.name)
		if err != nil {
			return err
		}
		all = append(all, posts)
	}
	table := r.section("traced posts", "posts/s", "p50", "p99", "CPU/post", "times without")
	for _, connections := range []int{4, connections} {
		if err := postInTurn(ctx, all, connections, postTurns, o.warmup/5, o.seconds/4, 0); err != nil {
			return err
		}
		for _, c := range all {
			table.add(fmt.Sprintf("%d connections, %s", connections, c.name), thousands(c.rate()), millis2(percentile(c.latency, 0.50)),
				millis2(percentile(c.latency, 0.99)), micros(median(c.each)), fmt.Sprintf("%.2f", c.times(all[0])))
		}
	}
	for _, c := range all {
		if err := checkPosts(ctx, c.server, r, c.tokens[0], c.acknowledged); err != nil {
			return err
		}
	}
	return nil
}
