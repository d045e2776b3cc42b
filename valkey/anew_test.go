package valkey

import (
	"context"
	"log/slog"
	"regexp"
	"testing"
	"time"

	"tandem/realtime"
	"tandem/testservers"
)

// Each time a subscription is confirmed the node sends its own users and asks for the others': messages sent while it
// was not subscribed are lost.
func TestResubscribedNodeAsksTheOthers(t *testing.T) {
	v := testservers.NewValkey(t)
	c := raw(t, v.Addr())
	subscribers := func() (ids []string) {
		t.Helper()
		list, err := c.Do(t.Context(), c.B().Arbitrary("CLIENT", "LIST", "TYPE", "pubsub").Build()).ToString()
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`id=(\d+) addr=`).FindAllStringSubmatch(list, -1) {
			ids = append(ids, m[1])
		}
		return ids
	}
	other := listen(t, v.URL(), "b", "secret")
	others := subscribers()[0] // this connection is not killed
	sent := func(kind string) int {
		return other.count(func(m realtime.Message) bool {
			return m.Presence != nil && m.Presence.Node == "a" && m.Presence.Kind == kind
		})
	}
	hub, err := realtime.New(t.Context(), &diary{}, nil, NewBus(connect(t, v.URL()), "a", []byte("secret"), slog.New(slog.DiscardHandler)),
		realtime.Config{Logger: slog.New(slog.DiscardHandler), Node: "a", LookEvery: 24 * time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); hub.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-ended })
	for round := 1; round <= 5; round++ {
		eventually(t, "the node asks the others and sends its own users", func() bool { return sent("ask") >= round && sent("all") >= round })
		var killed int
		for _, id := range subscribers() {
			if id == others {
				continue
			}
			killed++
			if err := c.Do(t.Context(), c.B().Arbitrary("CLIENT", "KILL", "ID", id).Build()).Error(); err != nil {
				t.Fatal(err)
			}
		}
		if killed != 1 {
			t.Fatalf("subscribed connections of the node: got %d, want 1", killed)
		}
	}
}
