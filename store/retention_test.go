package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"tandem/chat"
)

// dated is a message with the given sent_at.
func dated(u chat.User, r chat.Room, at time.Time) chat.Message {
	m := message(u, r, "x")
	m.Body = fmt.Sprintf(`"message":"x","sent_at":%q}`, chat.FormatTime(at))
	return m
}

// Expired events are deleted in steps. If a store stops half way, one of several nodes that start at once continues,
// while others post. Young and pinned messages stay, and no id is reused.
func TestInterruptedRetentionContinues(t *testing.T) { onBoth(t, testInterruptedRetentionContinues) }

func testInterruptedRetentionContinues(t *testing.T, p place) {
	const count = 4 * expireStep
	now := time.Now()
	s, u, lobby := world(t, p, nil)
	var old, want []int64
	post := func(age time.Duration) int64 {
		t.Helper()
		e, _, err := s.Post(t.Context(), guardOf(u, lobby), dated(u, lobby, now.Add(-age)), nil)
		if err != nil {
			t.Fatal(err)
		}
		return e.ID
	}
	for range count {
		old = append(old, post(40*24*time.Hour))
	}
	want = []int64{old[3], old[count-2]}
	for _, message := range want {
		if err := s.Pin(t.Context(), guardOf(u, lobby), chat.RoomTopic(lobby.ID), message, true, chat.Event{Topic: chat.RoomTopic(lobby.ID), Type: "message_pinned", Body: `"x":1}`}); err != nil {
			t.Fatal(err)
		}
	}
	want = append(want, post(20*24*time.Hour))
	cfg := RetentionConfig{Site: 30 * 24 * time.Hour, Now: func() time.Time { return now }, Every: time.Millisecond}
	job := s.Retention(cfg)
	step := func(do func(context.Context) (time.Duration, error)) {
		t.Helper()
		again, err := do(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(min(again, 3*time.Second))
	}
	step(job.Do) // announces what will be deleted
	step(job.Do) // and starts
	var left int
	count0 := func() int {
		t.Helper()
		if err := s.queryRow(t.Context(), `SELECT count(*) FROM events WHERE id <= ?`, old[count-1]).Scan(&left); err != nil {
			t.Fatal(err)
		}
		return left
	}
	if n := count0(); n >= count || n < count/2 {
		t.Fatalf("after a step %d of %d left", n, count)
	}
	if state, err := s.Head(t.Context()); err != nil || state.Floor <= old[count-1] || state.Floor > want[2] {
		t.Fatalf("log = %+v, %v", state, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = p.open(t, Config{})
	other := p.open(t, Config{})
	var all sync.WaitGroup
	for _, node := range []*Store{s, other} {
		do := node.Retention(cfg).Do
		all.Go(func() {
			for deadline := time.Now().Add(patience); time.Now().Before(deadline); {
				again, err := do(context.Background())
				if err != nil {
					t.Error(err)
					return
				}
				var swept bool
				if err := node.queryRow(context.Background(), `SELECT swept >= floor FROM log`).Scan(&swept); err != nil {
					t.Error(err)
					return
				}
				if swept {
					return
				}
				time.Sleep(min(again, 50*time.Millisecond))
			}
			t.Error("timed out waiting for the deletion")
		})
	}
	for range 20 {
		want = append(want, post(0))
	}
	all.Wait()
	kept, err := s.Read(t.Context(), []chat.TopicSince{{Topic: chat.RoomTopic(lobby.ID)}}, chat.MaxID, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var got []int64
	for _, e := range kept {
		if e.Type == chat.TypeChatMessage {
			got = append(got, e.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("kept = %v, want %v", got, want)
	}
	// Each deleted message is announced once.
	log, err := s.ReadAll(t.Context(), 0, chat.MaxID, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	expired := make(map[int64]int)
	for _, e := range log {
		if e.Type == chat.TypeControl {
			var c chat.ControlEvent
			if err := json.Unmarshal([]byte("{"+e.Body), &c); err != nil {
				t.Fatal(err)
			}
			for _, message := range c.Expired {
				expired[message]++
			}
		}
	}
	for _, message := range old {
		if times := expired[message]; (times != 1) != slices.Contains(want, message) {
			t.Errorf("%d was announced %d times", message, times)
		}
	}
	// The pinned ones go with the room.
	if err := s.DeleteRoom(t.Context(), guardOf(u, lobby), lobby.ID, chat.Event{Topic: chat.RoomTopic(lobby.ID), Type: chat.TypeRoomDeleted, Body: `"x":1}`}); err != nil {
		t.Fatal(err)
	}
	if n := count0(); n != 0 {
		t.Errorf("after the room is deleted, %d of its expired messages are left", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	p.open(t, Config{}) // so that the database is not taken for damaged
}

// If a clock was wrong, young messages stay, whatever their position.
func TestRetentionKeepsRecentMessages(t *testing.T) { onBoth(t, testRetentionKeepsRecentMessages) }

func testRetentionKeepsRecentMessages(t *testing.T, p place) {
	now := time.Now()
	s, u, lobby := world(t, p, nil)
	const day = 24 * time.Hour
	var young []int64
	for i := range 40 {
		age := 40 * day
		if i == 10 || i >= 38 {
			age = day
		}
		e, _, err := s.Post(t.Context(), guardOf(u, lobby), dated(u, lobby, now.Add(-age)), nil)
		if err != nil {
			t.Fatal(err)
		}
		if age == day {
			young = append(young, e.ID)
		}
	}
	job := s.Retention(RetentionConfig{Site: 30 * day, Now: func() time.Time { return now }, Every: time.Millisecond})
	for range 6 {
		again, err := job.Do(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(min(again, 3*time.Second))
	}
	events, err := s.ReadAll(t.Context(), 0, chat.MaxID, 1000)
	if err != nil {
		t.Fatal(err)
	}
	kept := ids(events)
	for _, id := range young {
		if !slices.Contains(kept, id) {
			t.Errorf("event %d deleted, want it kept", id)
		}
	}
	if slices.Contains(kept, young[0]-1) {
		t.Error("no event was deleted")
	}
}

// Messages with old dates behind younger ones, as an import brings them, stay until those are old too; readers are not
// reset before. Then they go.
func TestRetentionOfOldMessagesBehindRecentOnes(t *testing.T) {
	onBoth(t, testRetentionOfOldMessagesBehindRecentOnes)
}

func testRetentionOfOldMessagesBehindRecentOnes(t *testing.T, p place) {
	const day = 24 * time.Hour
	began := time.Now()
	now := began
	s, u, lobby := world(t, p, nil)
	var all []int64
	for i := range 60 {
		age := time.Duration(0)
		if i >= 10 && i < 50 {
			age = 1000 * day
		}
		e, _, err := s.Post(t.Context(), guardOf(u, lobby), dated(u, lobby, began.Add(-age)), nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.ID)
	}
	job := s.Retention(RetentionConfig{Site: 30 * day, Now: func() time.Time { return now }, Every: time.Millisecond})
	step := func() {
		again, err := job.Do(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(min(again, 3*time.Second))
	}
	kept := func() []int64 {
		events, err := s.Read(t.Context(), []chat.TopicSince{{Topic: chat.RoomTopic(lobby.ID)}}, chat.MaxID, 1000)
		if err != nil {
			t.Fatal(err)
		}
		return slices.DeleteFunc(ids(events), func(id int64) bool { return !slices.Contains(all, id) })
	}
	for range 4 {
		step()
	}
	if state, err := s.Head(t.Context()); err != nil || state.Floor > all[0] || !slices.Equal(kept(), all) {
		t.Errorf("log = %+v, %v, with %v of %v", state, err, kept(), all)
	}
	now = began.Add(31 * day)
	for deadline := time.Now().Add(patience); len(kept()) > 0 && time.Now().Before(deadline); {
		step()
	}
	if left := kept(); len(left) > 0 {
		t.Errorf("events left: %v", left)
	}
}

// If somebody pins a message, or writes about one, after a step was planned, the step does nothing; the next one keeps
// what is pinned.
func TestRetentionRespectsPinsMadeAfterItsPlan(t *testing.T) {
	onBoth(t, testRetentionRespectsPinsMadeAfterItsPlan)
}

func testRetentionRespectsPinsMadeAfterItsPlan(t *testing.T, p place) {
	s, u, lobby := world(t, p, nil)
	if s.dialect.expire == nil {
		t.Skip("SQLite plans within the transaction")
	}
	old := time.Now().Add(-1000 * time.Hour)
	var all []int64
	for range 5 {
		e, _, err := s.Post(t.Context(), guardOf(u, lobby), dated(u, lobby, old), nil)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, e.ID)
	}
	topic := chat.RoomTopic(lobby.ID)
	events, err := s.ReadAll(t.Context(), all[0]-1, all[4], 10)
	if err != nil {
		t.Fatal(err)
	}
	x, err := s.planExpiry(t.Context(), events)
	if err != nil {
		t.Fatal(err)
	}
	pin := chat.Event{Topic: topic, Type: "message_pinned", Body: `"x":1}`}
	if err := s.Pin(t.Context(), guardOf(u, lobby), topic, all[2], true, pin); err != nil {
		t.Fatal(err)
	}
	before, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	j := &job{done: make(chan struct{}), apart: func(w *writer) ([]chat.Event, error) {
		told, _, err := s.dialect.expire(w, x, statement{`UPDATE log SET swept = ? WHERE swept = ?`, []any{all[4] + 1, 1}})
		return told, err
	}}
	if err := s.log.submit(t.Context(), j); !errors.Is(err, errReplan) {
		t.Errorf("the outdated plan: got %v, want errReplan", err)
	}
	if after, err := s.Head(t.Context()); err != nil || after != before {
		t.Errorf("log = %+v, %v, want %+v", after, err, before)
	}
	if _, _, _, _, err := s.expire(t.Context(), &expiring{swept: 1, floor: all[4] + 1, before: time.Now().Add(-time.Hour)}); err != nil {
		t.Fatal(err)
	}
	left, err := s.ReadAll(t.Context(), all[0]-1, chat.MaxID, 100)
	if err != nil {
		t.Fatal(err)
	}
	last := left[len(left)-1]
	if !slices.Contains(ids(left), all[2]) || slices.Contains(ids(left), all[1]) || last.Type != chat.TypeControl {
		t.Errorf("left = %+v", left)
	}
	if c, err := chat.ParseControl(last); err != nil || !slices.Equal(c.Expired, []int64{all[0], all[1], all[3], all[4]}) {
		t.Errorf("control message = %+v, %v", c, err)
	}
	// What has gone cannot be pinned any more.
	if err := s.Pin(t.Context(), guardOf(u, lobby), topic, all[1], true, pin); !errors.Is(err, chat.ErrNoMessage) {
		t.Errorf("pinning a deleted message: got %v, want chat.ErrNoMessage", err)
	}
}
