package valkey

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"testing"

	"tandem/chat"
	"tandem/realtime"
)

// BenchmarkLetter measures the size of a letter, and the cost for its sender and each receiver (docs/scaling.md).
func BenchmarkLetter(b *testing.B) {
	event := chat.Event{ID: 1234567890, Topic: chat.RoomTopic(123456), Type: chat.TypeChatMessage, Author: 1234567,
		Body: `"room":"lobby","user":"user1234567","sent_at":"2026-01-01T00:00:00.000Z","message":"forty-eight characters of a message over the wire"}`}
	user := realtime.Presence{Topic: chat.RoomTopic(123456), User: 1234567, Name: "user1234567"}
	node := "node-0123456789"
	commit := func(n int) realtime.Message {
		c := &realtime.Commit{Log: "0123456789"}
		for range n {
			c.Events = append(c.Events, event)
		}
		return realtime.Message{Commit: c}
	}
	for _, c := range []struct {
		name    string
		message realtime.Message
		per     int
	}{
		{"alive", realtime.Message{Presence: &realtime.PresenceUpdate{Node: node, Kind: "alive", Sum: 1 << 63}}, 1},
		{"join", realtime.Message{Presence: &realtime.PresenceUpdate{Node: node, Kind: "came", People: []realtime.Presence{user}}}, 1},
		{"post", commit(1), 1},
		{"64 posts", commit(64), 64},
	} {
		bus := NewBus(nil, node, []byte("secret"), slog.New(slog.DiscardHandler))
		seal := func() []byte {
			text, err := json.Marshal(letter{From: node, Messages: []realtime.Message{c.message}})
			if err != nil {
				b.Fatal(err)
			}
			return sign(bus.key, text)
		}
		signed := seal()
		b.Run(fmt.Sprint(c.name, "/send"), func(b *testing.B) {
			for b.Loop() {
				seal()
			}
			b.ReportMetric(float64(len(signed))/float64(c.per), "B/each")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.per), "ns/each")
		})
		b.Run(fmt.Sprint(c.name, "/receive"), func(b *testing.B) {
			for b.Loop() {
				if _, ok := open(bus.key, signed); !ok {
					b.Fatal("open of a signed letter: got it refused, want it accepted")
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*c.per), "ns/each")
		})
	}
}
