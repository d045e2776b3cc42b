package store

import (
	"reflect"
	"testing"

	"tandem/chat"
)

// Older rows have emoji as typed: all forms of one are one reaction, and each user counts once.
func TestOldReactionsAreReadQualified(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s, ada, r := world(t, p, nil)
		bob := addUser(t, s, "bob")
		m, _, err := s.Post(t.Context(), guardOf(ada, r), message(ada, r, "hi"), nil)
		if err != nil {
			t.Fatal(err)
		}
		topic := chat.RoomTopic(r.ID)
		react := func(u chat.User, emoji string, on bool) {
			t.Helper()
			e := chat.Event{Topic: topic, Type: chat.TypeReactionAdded, Author: u.ID, Body: `"x":1}`}
			if err := s.React(t.Context(), chat.Guard{Room: r.ID, RoomVersion: r.Version}, topic, m.ID, emoji, on, e); err != nil {
				t.Fatal(err)
			}
		}
		want := func(want ...chat.Reaction) {
			t.Helper()
			got, err := s.Changes(t.Context(), ada.ID, []int64{m.ID})
			if err != nil || len(want) != len(got[m.ID].Reactions) || len(want) > 0 && !reflect.DeepEqual(got[m.ID].Reactions, want) {
				t.Errorf("reactions = %+v, %v; want %+v", got[m.ID].Reactions, err, want)
			}
		}
		for i, old := range []struct {
			user  chat.User
			emoji string
		}{{ada, "❤"}, {bob, "❤️"}, {ada, "❤️"}, {bob, "1⃣"}} {
			err := s.log.do(t.Context(), func(t *tx) error {
				_, err := t.exec(`INSERT INTO reactions (message_id, emoji, user_id, event_id) VALUES (?, ?, ?, ?)`, m.ID, old.emoji, old.user.ID, 100+i)
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		want(chat.Reaction{Emoji: "❤️", Count: 2, Me: true, Users: []string{"ada", "bob"}}, chat.Reaction{Emoji: "1️⃣", Count: 1, Users: []string{"bob"}})
		react(bob, "1️⃣", true) // it is there
		react(ada, "❤️", false)
		want(chat.Reaction{Emoji: "❤️", Count: 1, Users: []string{"bob"}}, chat.Reaction{Emoji: "1️⃣", Count: 1, Users: []string{"bob"}})
		react(bob, "1️⃣", false)
		react(bob, "❤️", false)
		want()
	})
}
