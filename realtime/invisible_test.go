package realtime

import (
	"slices"
	"testing"
	"time"

	"tandem/chat"
)

// hide commits that a user is invisible, or no longer.
func (l *logbook) hide(user int64, invisible bool) chat.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := chat.ControlEvent{User: user, Invisible: &invisible}.Event(user)
	e.ID = int64(len(l.events) + 1)
	l.events = append(l.events, e)
	return e
}

// Hiding within the grace is the leave, at once and only once. Hiding or showing oneself without a stream is not
// announced.
func TestHidingDuringTheGraceIsTheLeave(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		ada := b.open("ada", Request{Rooms: []string{"lobby"}})
		bo := b.open("bo", Request{Rooms: []string{"lobby"}})
		user := int64(len("bo"))
		expect(t, ada.seen(), "stream_open", "user_list:[ada]", "user_join:bo")
		bo.conn.Close()
		time.Sleep(time.Second)
		b.publish([]chat.Event{b.log.hide(user, true)})
		expect(t, ada.seen(), "user_leave:bo")
		time.Sleep(2 * grace)
		expect(t, ada.seen())
		b.publish([]chat.Event{b.log.hide(user, true)}) // no change
		bo = b.open("bo", Request{Rooms: []string{"lobby"}})
		expect(t, bo.seen(), "stream_open", "user_list:[ada bo]")
		if b.UserOnline(user, 0) || !b.UserOnline(user, user) || b.Online(lobby.Number(), 0) != 1 {
			t.Error("invisible user is online for others, or offline for themselves")
		}
		bo.conn.Close()
		time.Sleep(2 * grace)
		b.publish([]chat.Event{b.log.hide(user, false)})
		expect(t, ada.seen())
		bo = b.open("bo", Request{Rooms: []string{"lobby"}})
		expect(t, ada.seen(), "user_join:bo")
		bo.conn.Close()
		time.Sleep(2 * grace)
		expect(t, ada.seen(), "user_leave:bo")
	})
}

// A stream that opens on a node that does not know yet who hid on another node waits until it does.
func TestHidingIsKnownBeforeAStreamBegins(t *testing.T) {
	inCluster(t, func(c *cluster) {
		one, killOne := c.node("one")
		two, killTwo := c.node("two")
		defer killTwo()
		defer killOne()
		bob := enter(c.t, one, 2, "bob")
		wantUsers(c.t, "before", []string{"bob"}, one, two)
		time.Sleep(100 * time.Millisecond) // between two polls of the log
		c.log.hide(1, true)                // and nobody is notified
		ada := enter(c.t, two, 1, "ada")
		wantUsers(c.t, "while ada hides", []string{"bob"}, one, two)
		if names, _ := two.Users(lobby.Number(), 1); !slices.Equal(names, []string{"ada", "bob"}) {
			t.Errorf("ada sees %v, want [ada bob]", names)
		}
		c.log.hide(1, false)
		time.Sleep(2 * time.Second) // both have polled
		wantUsers(c.t, "behind it", []string{"ada", "bob"}, one, two)
		ada.Drop()
		bob.Drop()
	})
}
