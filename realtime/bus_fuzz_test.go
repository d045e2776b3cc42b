package realtime

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"tandem/chat"
	"tandem/panics"
)

// Whatever another node's message contains, the hub continues, and never reaches a position that is not in the log.
func FuzzBusMessage(f *testing.F) {
	for _, s := range []string{
		`{}`, `{"Commit":{"Log":"test","Events":[{"ID":1,"Topic":5,"Type":"chat_message","Body":"\"message\":\"hi\"}"}]}}`,
		`{"Commit":{"Log":"test","Events":[{"ID":-1},{"ID":9007199254740991,"Topic":0,"Type":"control","Body":"{"}]}}`,
		`{"Commit":{"Log":"other","Events":null}}`, `{"Notice":{"Topic":5,"Event":{"Type":"user_typing","JSON":"e30="}}}`,
		`{"Statement":{"Node":"b","Kind":"came","People":[{"Topic":5,"User":3,"Name":"ada"},{"Topic":-2,"User":0,"Name":""}]}}`,
		`{"Statement":{"Node":"b","Kind":"all","People":[]}}`, `{"Statement":{"Node":"b","Kind":"bye","Hold":-1}}`, `{"Statement":{"Node":"b","Kind":"ask"}}`,
		`{"Statement":{"Node":"b","Kind":"left","People":[{"Topic":5,"User":3,"Name":"ada"}]}}`, `{"Reached":2}`,
	} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		log := &logbook{}
		log.commit(lobby)
		h, err := New(ctx, log, &rooms{}, NewMemory(), Config{RingBytes: bigRing, Plain: true, Logger: slog.New(slog.DiscardHandler), Node: "a"})
		if err != nil {
			t.Fatal(err)
		}
		h.meet()
		s, err := h.Open(ctx, chat.Viewer{User: 3, Name: "ada"}, SSE, Request{Rooms: []string{"lobby"}, All: true, Site: true})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Drop()
		before := panics.Total()
		for _, text := range []string{first, second} {
			var m Message
			if json.Unmarshal([]byte(text), &m) == nil {
				h.receive(ctx, m)
			}
		}
		h.tick(time.Now().Add(time.Hour))
		if _, _, err := s.Next(ctx, nil); err != nil {
			t.Error(err)
		}
		h.look(ctx)
		if panics.Total() != before {
			t.Error("message causes a panic")
		}
		h.in.Lock()
		if h.gap != nil {
			h.gap.Stop()
		}
		h.in.Unlock()
	})
}
