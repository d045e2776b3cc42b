package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"tandem/auth"
	"tandem/beforepost"
	"tandem/chat"
	"tandem/outbound"
)

// benchStore has one user, one session and one room, and stores nothing.
type benchStore struct {
	chat.Store
	id   int64
	hook *chat.BeforePost // the room's; nil for none
}

func (s *benchStore) User(_ context.Context, id int64) (chat.User, error) {
	return chat.User{ID: id, Name: "ada", Version: 1}, nil
}

func (s *benchStore) Room(_ context.Context, name string, _ int64) (chat.RoomView, error) {
	return chat.RoomView{Room: chat.Room{ID: 1, Name: name, Visibility: chat.Public, Posting: chat.PostingEveryone}, BeforePost: s.hook}, nil
}

func (s *benchStore) KeyUsed(context.Context, int64, chat.Topic, string) (bool, error) {
	return false, nil
}

func (s *benchStore) Post(_ context.Context, _ chat.Guard, m chat.Message, _ *chat.Key) (chat.Event, bool, error) {
	s.id++
	m.ID = s.id
	return m.Event, true, nil
}

type benchAccounts struct{ auth.Store }

func (benchAccounts) CreateUser(_ context.Context, name, _ string, login *auth.Session) (auth.User, int64, error) {
	return auth.User{ID: 1, Name: name}, 1, nil
}

func (benchAccounts) UserByName(context.Context, string) (auth.User, error) {
	return auth.User{}, auth.ErrNoUser
}

func (benchAccounts) Session(_ context.Context, id int64) (auth.Session, error) {
	return auth.Session{ID: id, User: 1, Username: "ada"}, nil
}

// discard is a ResponseWriter that accepts deadlines, as net/http's does.
type discard struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (d *discard) Header() http.Header               { return d.header }
func (d *discard) WriteHeader(status int)            { d.status = status }
func (d *discard) Write(p []byte) (int, error)       { return d.body.Write(p) }
func (d *discard) SetReadDeadline(_ time.Time) error { return nil }

// BenchmarkPost measures everything between net/http and the store.
func BenchmarkPost(b *testing.B) {
	spec := readSpec(b)
	accounts, err := auth.New(benchAccounts{}, auth.Config{Secret: bytes.Repeat([]byte{1}, 32), Issuer: "i", Audience: "a", Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	defer accounts.Close()
	newServer := func(hook *chat.BeforePost) *Server {
		rooms := chat.NewService(&benchStore{hook: hook}, time.Now)
		loopback := outbound.New([]netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")})
		b.Cleanup(loopback.Close)
		rooms.AskBefore(chat.Asking{Asker: beforepost.New(loopback, loopback, time.Minute, slog.New(slog.DiscardHandler))})
		s, err := New(Config{Spec: spec, Logger: slog.New(slog.DiscardHandler), Page: os.DirFS("../frontend/unbuilt"), Auth: accounts, Chat: rooms})
		if err != nil {
			b.Fatal(err)
		}
		return s
	}
	yes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(io.Discard, r.Body) }))
	defer yes.Close()
	unasked, asked := newServer(nil), newServer(&chat.BeforePost{Room: 1, URL: yes.URL, Secret: outbound.NewSecret(), Closed: true})
	grant, err := accounts.Signup(b.Context(), "ada", "correct horse", auth.Device{})
	if err != nil {
		b.Fatal(err)
	}
	const text = `{"message":"over the wire over the wire over the wire over the wire over the wire over the wire over the wire over the wire"`
	data := `,"data":{` + strings.Repeat(`"member":[1.5,true,"x"],`, 41)
	for i := range 41 {
		data = strings.Replace(data, "member", fmt.Sprintf("m%05d", i), 1)
	}
	for _, m := range []struct {
		name, key, body string
		server          *Server
	}{
		{"plain", "", text + "}", unasked}, {"keyed", "bench-000000000001", text + "}", unasked},
		{"1 KiB of data", "", text + data + `"last":1}}`, unasked},
		{"a hook is asked", "", text + "}", asked}, // in another goroutine of this process, so its time is included
	} {
		body, s := m.body, m.server
		b.Run(m.name, func(b *testing.B) {
			header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + grant.AccessToken}}
			if m.key != "" {
				header.Set("Idempotency-Key", m.key)
			}
			w := &discard{header: make(http.Header)}
			b.ReportAllocs()
			for b.Loop() {
				r, err := http.NewRequestWithContext(b.Context(), http.MethodPost, "/v1/rooms/room00001/messages", io.NopCloser(strings.NewReader(body)))
				if err != nil {
					b.Fatal(err)
				}
				r.Header, r.ContentLength = header, int64(len(body))
				clear(w.header)
				w.body.Reset()
				s.ServeHTTP(w, r)
				if w.status != http.StatusCreated {
					b.Fatalf("%d %s", w.status, w.body.String())
				}
			}
		})
	}
}
