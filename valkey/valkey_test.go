package valkey

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"tandem/testservers"
)

// connect returns a client of the server at url that runs until the test ends.
func connect(t *testing.T, url string) *Client {
	t.Helper()
	c, err := NewClient(url, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); c.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	return c
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("timed out waiting until %s", what)
		}
	}
}

func TestURLs(t *testing.T) {
	for url, hosts := range map[string]int{
		"valkey://localhost": 1, "valkey://:secret@localhost:6380/2": 1, "valkeys://u:p@a,b:7000,c": 3,
		"redis://localhost": 0, "localhost:6379": 0, "valkey://": 0, "valkey://h:x": 0,
	} {
		option, err := parseURL(url)
		if (err == nil) != (hosts > 0) || err == nil && len(option.InitAddress) != hosts {
			t.Errorf("parseURL(%q): got %v, %v, want %d addresses", url, option.InitAddress, err, hosts)
		}
	}
}

// own is a node's own limiter, which records who asked.
type own struct{ asked int }

func (o *own) Take(context.Context, string) (int, time.Duration, error) { o.asked++; return 1, 0, nil }

func TestNodesShareLimitsAndFallBackToTheirOwn(t *testing.T) {
	v := testservers.NewValkey(t, "--requirepass", "secret")
	url := "valkey://:secret@" + v.Addr()
	var own [2]own
	var nodes [2]*Limiter
	for i := range nodes {
		c := connect(t, url)
		eventually(t, "the client is connected", func() bool { _, err := c.get(); return err == nil })
		nodes[i] = NewLimiter(c, "posts", 5, time.Minute, &own[i])
		nodes[i].patience = time.Minute // a busy machine may need longer than a request waits
	}
	allowed := 0
	for i := range 10 {
		left, wait, err := nodes[i%2].Take(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		if wait == 0 {
			allowed++
			if left != 5-allowed {
				t.Errorf("calls left after %d: got %d, want %d", allowed, left, 5-allowed)
			}
		} else if wait > time.Minute {
			t.Errorf("wait for the next call: got %s, want at most a minute", wait)
		}
	}
	if allowed != 5 || own[0].asked+own[1].asked > 0 {
		t.Errorf("calls allowed: got %d, %d of them by a node's own limiter, want 5, 0", allowed, own[0].asked+own[1].asked)
	}
	if _, wait, err := nodes[0].Take(t.Context(), "bob"); wait > 0 || err != nil {
		t.Errorf("Take with another key: got wait %s, %v, want 0, nil", wait, err)
	}
	v.Kill()
	for _, n := range nodes {
		n.patience = maxWait
	}
	if _, wait, err := nodes[0].Take(t.Context(), "ada"); err != nil || wait > 0 || own[0].asked != 1 {
		t.Errorf("Take without Valkey: got wait %s, %v, %d calls of the node's own limiter, want 0, nil, 1", wait, err, own[0].asked)
	}
	if err := v.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Valkey counts again", func() bool {
		before := own[1].asked
		_, _, err := nodes[1].Take(t.Context(), "cyd")
		return err == nil && own[1].asked == before
	})
}

func TestClientWaitsForValkey(t *testing.T) {
	v := testservers.NewValkey(t)
	v.Kill()
	c := connect(t, v.URL())
	if _, err := c.publish(t.Context(), "x", "y"); err == nil {
		t.Error("publish without a server: got nil, want an error")
	}
	if err := v.Start(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the client publishes", func() bool { _, err := c.publish(t.Context(), "x", "y"); return err == nil })
}
