package store

import (
	"context"
	"fmt"
	"testing"
	"time"

	"tandem/auth"
	"tandem/chat"
	"tandem/push"
)

// device returns a subscription of u's.
func device(u chat.User, id string) push.Subscription {
	return push.Subscription{User: u.ID, ID: id, Kind: push.WebPush, Service: "push.example.com", Target: "https://push.example.com/" + u.Name + "/" + id}
}

// The log is followed for notifications while there is a subscription.
func TestPushFollowerStartsAndStops(t *testing.T) { onBoth(t, testPushFollowerStartsAndStops) }

func testPushFollowerStartsAndStops(t *testing.T, p place) {
	s, ada, _ := world(t, p, nil)
	follows := func(want bool) {
		t.Helper()
		found, err := s.Followers(t.Context(), []string{push.Follower})
		if err != nil || len(found) == 1 != want {
			t.Errorf("followers = %+v, %v, want one: %v", found, err, want)
		}
	}
	do := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	follows(false)
	do(s.UnfollowPush(t.Context()))
	do(s.PutPush(t.Context(), device(ada, "a")))
	do(s.PutPush(t.Context(), device(ada, "b")))
	follows(true)
	do(s.DeletePush(t.Context(), ada.ID, "a"))
	do(s.UnfollowPush(t.Context()))
	follows(true)
	// A user of an external issuer has no session: the subscription ends with the account.
	do(s.SetDisabled(t.Context(), ada.ID, true, false))
	follows(true) // until somebody checks
	do(s.UnfollowPush(t.Context()))
	follows(false)
	ended := device(addUser(t, s, "bob"), "a")
	ended.Session = 12345
	if err := s.PutPush(t.Context(), ended); err != auth.ErrInvalidToken { // it must not be wrapped
		t.Errorf("PutPush for an ended session: got %v, want auth.ErrInvalidToken", err)
	}
	follows(false)
}

// Storing a notice twice stores it once, even if it was sent meanwhile. A claim belongs to one node, and an expired
// claim changes nothing.
func TestPushNoticesAreRecordedOnce(t *testing.T) { onBoth(t, testPushNoticesAreRecordedOnce) }

func testPushNoticesAreRecordedOnce(t *testing.T, p place) {
	s, ada, lobby := world(t, p, nil)
	ctx := t.Context()
	bob := addUser(t, s, "bob")
	if err := s.PutPush(ctx, device(bob, "a")); err != nil {
		t.Fatal(err)
	}
	topic := chat.RoomTopic(lobby.ID)
	if err := s.SetNotify(ctx, bob.ID, topic, chat.NotifyAll, chat.NotifyRooms); err != nil {
		t.Fatal(err)
	}
	post := func() push.Sent {
		t.Helper()
		e, _, err := s.Post(ctx, guardOf(ada, lobby), message(ada, lobby, "hi"), nil)
		if err != nil {
			t.Fatal(err)
		}
		return push.Sent{ID: e.ID, Topic: topic, Author: ada.ID}
	}
	now := time.Now()
	note := func(m push.Sent) {
		t.Helper()
		if noted, err := s.NotePush(ctx, push.Happened{Main: map[chat.Topic]push.Sent{topic: m}}, now); err != nil || !noted {
			t.Fatalf("NotePush: got %t, %v, want true, nil", noted, err)
		}
	}
	claim := func(by int64, at time.Time) []push.Due {
		t.Helper()
		due, err := s.ClaimPush(ctx, push.Claim{By: by, Now: at, Until: at.Add(time.Minute), Most: 10})
		if err != nil {
			t.Fatal(err)
		}
		return due
	}
	end := func(by int64, d push.Due, e push.End) {
		t.Helper()
		if err := s.EndDue(ctx, by, d, e); err != nil {
			t.Fatal(err)
		}
	}
	nothing := func(what string, at time.Time) {
		t.Helper()
		if due := claim(99, at); len(due) > 0 {
			t.Errorf("%s: due = %+v, want none", what, due)
		}
	}
	first := post()
	note(first)
	note(first)
	due := claim(1, now)
	if len(due) != 1 || due[0].Message != first.ID || due[0].Tries != 1 || due[0].Subscription.Target != "https://push.example.com/bob/a" {
		t.Fatalf("due = %+v", due)
	}
	nothing("somebody has it", now.Add(59*time.Second))
	second := post()
	note(second) // while the first is being sent
	late := claim(2, now.Add(time.Hour))
	if len(late) != 1 || late[0].Message != second.ID || late[0].Tries != 2 {
		t.Fatalf("expired claim = %+v", late)
	}
	end(1, due[0], push.End{Notified: first.ID, At: now}) // too late
	nothing("the second has it", now.Add(time.Hour))
	end(2, late[0], push.End{Notified: second.ID, At: now})
	note(first)
	note(second)
	nothing("it is told", now.Add(24*time.Hour))
	third := post()
	note(third)
	due = claim(3, now)
	if len(due) != 1 || due[0].Notified != second.ID || due[0].Message != third.ID || due[0].Tries != 1 {
		t.Fatalf("due = %+v", due)
	}
	if at, err := s.MarkRead(ctx, bob.ID, topic, third.ID); err != nil || at != third.ID {
		t.Fatalf("MarkRead: got %d, %v, want %d", at, err, third.ID)
	}
	end(3, due[0], push.End{Notified: third.ID, At: now.Add(time.Hour)})
	if due = claim(4, now); len(due) != 1 || due[0].Notified != third.ID {
		t.Fatalf("message read during delivery is not due again: %+v", due)
	}
	end(4, due[0], push.End{Over: true, At: now})

	// Decided on an older message than the one that caused the notice, which was deleted.
	fourth, fifth := post(), post()
	note(fifth)
	due = claim(5, now)
	end(5, due[0], push.End{Notified: fourth.ID, At: now})
	nothing("it is told of the older one", now.Add(24*time.Hour))
	if _, err := s.MarkRead(ctx, bob.ID, topic, fourth.ID); err != nil {
		t.Fatal(err)
	}
	if due = claim(6, now); len(due) != 1 || due[0].Notified != fourth.ID {
		t.Fatalf("a told message that was read is not due again: %+v", due)
	}
	end(6, due[0], push.End{Over: true, At: now})
	if next, err := s.NextPush(ctx); err != nil || !next.IsZero() {
		t.Errorf("NextPush = %s, %v, want none", next, err)
	}
}

// The queries for a batch of posts cost in proportion to those who are notified, however many members a room has, and
// whatever levels they have set.
func BenchmarkNotePush(b *testing.B) {
	for _, members := range []int{10, 10_000} {
		b.Run(fmt.Sprint(members, "members"), func(b *testing.B) {
			s, topic := manyMembers(b, members)
			h := push.Happened{Main: map[chat.Topic]push.Sent{topic: {ID: 1, Topic: topic}}, Mentions: []push.Sent{{ID: 1, Topic: topic}}}
			for b.Loop() {
				if noted, err := s.NotePush(context.Background(), h, time.Now()); err != nil || noted {
					b.Fatal(noted, err)
				}
			}
		})
	}
}

// manyMembers creates a room of members with levels, none of whom is notified. Another user has a subscription.
func manyMembers(b *testing.B, members int) (*Store, chat.Topic) {
	b.Helper()
	ctx := b.Context()
	s, err := Open(ctx, Config{Dir: b.TempDir(), Now: time.Now})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	topic := chat.RoomTopic(1)
	err = s.log.do(ctx, func(t *tx) error {
		for i := range members {
			for _, q := range []string{
				`INSERT INTO users (id, name, password, created_at) VALUES (?1, 'u' || ?1, '', 0)`,
				`INSERT INTO notify_levels (user_id, topic, level) VALUES (?1, 2, 'none')`,
			} {
				if _, err := t.exec(q, i+1); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err == nil {
		err = s.PutPush(ctx, push.Subscription{User: 1, ID: "a", Kind: push.WebPush, Service: "x", Target: "x"})
	}
	if err != nil {
		b.Fatal(err)
	}
	return s, topic
}
