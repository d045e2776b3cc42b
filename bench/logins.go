//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"time"
)

const (
	// crowdOfLogins is the number of concurrent logins. With about a second of argon2id for every forty of them, most
	// wait as long as the server lets them.
	crowdOfLogins = 1000
	// audienceOfLogins is small, to measure the logins and not the deliveries.
	audienceOfLogins = 200
)

// benchLogins measures how many concurrent logins affect the chat: the latency of answers and deliveries, with and
// without them.
func benchLogins(ctx context.Context, o *options, r *report) error {
	progress("\nlogins: 100 posts/s to %d readers over %s, without and with %s logins at once\n",
		audienceOfLogins, transports[0].name, thousands(crowdOfLogins))
	s, tokens, err := startLobby(ctx, o)
	if err != nil {
		return err
	}
	defer s.close()
	a, err := openAudience(ctx, s, &transports[0], tokens, audienceOfLogins)
	if err != nil {
		return err
	}
	defer a.close()
	time.Sleep(time.Second) // let presence settle

	table := r.section("the chat meanwhile", "post p50", "post p99", "delivery p50", "delivery p99", "server cores", "200", "401", "503", "all after")
	// What this many connections cost without logins, and finally how much the machine itself varies.
	crowd := thousands(crowdOfLogins)
	for _, run := range []struct {
		name string
		path string
		n    int
	}{{"nobody else", "", 0}, {crowd + " calls without a token", "/v1/me", crowdOfLogins}, {crowd + " logins", loginPath, crowdOfLogins}, {"nobody else again", "", 0}} {
		if err := o.chatMeanwhile(ctx, s, r, table, a, tokens, run.name, run.path, run.n); err != nil {
			return fmt.Errorf("%s: %w", run.name, err)
		}
	}
	return nil
}

func (o *options) chatMeanwhile(ctx context.Context, s *server, r *report, table *section, a *audience, tokens []string, name, path string, n int) error {
	posters, err := newPosters(s.port, tokens, lobby, 4, message{characters: shortText})
	if err != nil {
		return err
	}
	defer posters.close()
	crowd, err := gather(ctx, s, path, n)
	if err != nil {
		return err
	}
	f, wrong, err := a.play(ctx, s, posters, 100, o.seconds)
	if err != nil {
		return err
	}
	for _, what := range wrong {
		r.fail("%s: %s", name, what)
	}
	out, err := crowd()
	if err != nil {
		return err
	}
	answered, last := 0, time.Duration(0)
	for _, status := range []int{http.StatusOK, http.StatusUnauthorized, http.StatusServiceUnavailable} {
		answered, last = answered+out[status].Count, max(last, out[status].Last)
	}
	if answered != n {
		r.fail("%s: %d of %d were answered 200, 401 or 503", name, answered, n)
	}
	table.add(name, millis(percentile(f.answers, 0.50)), millis(percentile(f.answers, 0.99)),
		millis(percentile(f.latency, 0.50)), millis(percentile(f.latency, 0.99)),
		fmt.Sprintf("%.2f", f.cpu.Seconds()/f.took.Seconds()),
		thousands(out[http.StatusOK].Count), thousands(out[http.StatusUnauthorized].Count), thousands(out[http.StatusServiceUnavailable].Count),
		fmt.Sprintf("%.1f s", last.Seconds()))
	return nil
}

const loginPath = "/v1/auth/login"

// answered counts the calls with one status; 0 means no answer.
type answered struct {
	Count int
	Last  time.Duration // from the beginning
}

// gather makes n users log in, or call another path without a token, at once. It returns a function that waits until
// the last is answered, for at most 30 s. They are a separate low-priority process: real clients run elsewhere, and
// their cost must not be measured.
func gather(ctx context.Context, s *server, path string, n int) (wait func() (map[int]answered, error), err error) {
	ctx, cancel := context.WithTimeout(ctx, 40*time.Second)
	self, err := os.Executable()
	if err != nil {
		cancel()
		return nil, err
	}
	cmd := exec.CommandContext(ctx, "nice", "-n", "19", self, "crowd", s.addr(), path, strconv.Itoa(n))
	cmd.Stderr = os.Stderr
	var answer bytes.Buffer
	cmd.Stdout = &answer
	if err := startChild(cmd); err != nil {
		cancel()
		return nil, err
	}
	return func() (map[int]answered, error) {
		defer cancel()
		if err := cmd.Wait(); err != nil {
			return nil, err
		}
		var out map[int]answered
		return out, json.Unmarshal(answer.Bytes(), &out)
	}, nil
}

// crowdCalls is that process: it makes n calls, each over a new connection, and prints the results.
func crowdCalls(args []string) error {
	if len(args) != 3 {
		return errors.New("usage: bench crowd ADDRESS PATH CALLS")
	}
	n, _ := strconv.Atoi(args[2])
	method := "GET"
	if args[1] == loginPath {
		method = "POST"
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	crowd := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	out := map[int]answered{}
	var mu sync.Mutex
	var all sync.WaitGroup
	began := time.Now()
	for i := range n {
		all.Go(func() {
			body := fmt.Sprintf(`{"username":"bench%02d","password":"correct horse"}`, i%users)
			req, err := http.NewRequestWithContext(ctx, method, "http://"+args[0]+args[1], bytes.NewReader([]byte(body)))
			status := 0
			if err == nil {
				req.Header.Set("Content-Type", "application/json")
				if res, err := crowd.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, res.Body)
					res.Body.Close()
					status = res.StatusCode
				}
			}
			mu.Lock()
			defer mu.Unlock()
			out[status] = answered{out[status].Count + 1, time.Since(began)}
		})
	}
	all.Wait()
	return json.NewEncoder(os.Stdout).Encode(out)
}
