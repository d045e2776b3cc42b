package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tandem/chat"
)

// someTraces traces every write.
type someTraces struct{}

func (someTraces) Parent(context.Context) string {
	return "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
}
func (someTraces) Committed(int64, string, time.Time, time.Duration, int) {}

// BenchmarkTracedPost measures a post's allocations with and without traces.
func BenchmarkTracedPost(b *testing.B) {
	for name, traces := range map[string]Traces{"off": nil, "on": someTraces{}} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(b.Context(), Config{Dir: b.TempDir(), Now: time.Now, Traces: traces})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			post := chat.Message{Event: chat.Event{Topic: chat.RoomTopic(7), Author: 1, Type: chat.TypeChatMessage, Body: `"message":"hi"}`}}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, fresh, err := s.Post(b.Context(), chat.Guard{}, post, nil); err != nil || !fresh {
					b.Fatal(fmt.Sprint(i, fresh, err))
				}
			}
		})
	}
}
