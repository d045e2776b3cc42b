package realtime

import (
	"fmt"
	"testing"
	"time"

	"tandem/chat"
)

func TestTabsCountOnceAndLeavingHasAGrace(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		ada := b.open("ada", Request{Rooms: []string{"lobby"}})
		expect(t, ada.seen(), "stream_open", "user_list:[ada]")

		first := b.open("bo", Request{Rooms: []string{"lobby"}})
		expect(t, first.seen(), "stream_open", "user_list:[ada bo]") // and no user_join of one's own
		second := b.open("bo", Request{Rooms: []string{"lobby"}})
		expect(t, second.seen(), "stream_open", "user_list:[ada bo]")
		expect(t, ada.seen(), "user_join:bo")

		first.conn.Close()
		time.Sleep(2 * grace)
		expect(t, ada.seen()) // the other tab is still open
		second.conn.Close()
		time.Sleep(grace - time.Second)
		expect(t, ada.seen())
		time.Sleep(2 * time.Second)
		expect(t, ada.seen(), "user_leave:bo")
	})
}

func TestReloadIsNotAnnounced(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		ada := b.open("ada", Request{Rooms: []string{"lobby"}})
		bo := b.open("bo", Request{Rooms: []string{"lobby"}})
		ada.seen()
		for range 5 {
			bo.conn.Close()
			time.Sleep(grace - time.Second)
			bo = b.open("bo", Request{Rooms: []string{"lobby"}})
			expect(t, bo.seen(), "stream_open", "user_list:[ada bo]")
		}
		time.Sleep(2 * grace)
		expect(t, ada.seen())
	})
}

func TestGraceIsThatOfTheLastLeave(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		ada := b.open("ada", Request{Rooms: []string{"lobby"}})
		for range 2 {
			b.open("bo", Request{Rooms: []string{"lobby"}}).conn.Close()
			time.Sleep(grace - time.Second)
		}
		time.Sleep(500 * time.Millisecond) // the first grace is over
		expect(t, ada.seen(), "stream_open", "user_list:[ada]", "user_join:bo")
		time.Sleep(grace)
		expect(t, ada.seen(), "user_leave:bo")
	})
}

// Presence is not in the log: a stream that was behind when it changed gets the current list.
func TestStreamThatFellBehindGetsANewList(t *testing.T) {
	inBubble(t, 0, func(b *bench) { // without a ring every stream is always behind
		ada := b.open("ada", Request{Rooms: []string{"lobby"}})
		ada.seen()
		b.post(lobby)
		expect(t, ada.seen(), "chat_message:1") // no presence was missed
		bo := b.open("bo", Request{Rooms: []string{"lobby"}})
		expect(t, bo.seen(), "stream_open", "user_list:[ada bo]")
		expect(t, ada.seen(), "user_list:[ada bo]")
		bo.conn.Close()
		time.Sleep(2 * grace)
		expect(t, ada.seen(), "user_list:[ada]")
	})
}

func TestFailedOpeningLeavesNoPresence(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		ada := b.open("ada", Request{Rooms: []string{"lobby"}})
		ada.seen()
		b.acc.onCheck = func() { b.log.fail(true) }
		if _, err := b.Open(b.ctx, chat.Viewer{User: 2, Name: "bo"}, SSE, Request{Rooms: []string{"lobby"}, History: 1}); err == nil {
			t.Error("Open with an unreadable log: got no error, want one")
		}
		b.log.fail(false)
		time.Sleep(2 * grace)
		expect(t, ada.seen())
		if n := b.Online(int64(len("lobby")), 0); n != 1 {
			t.Errorf("users in the room: got %d, want 1", n)
		}
	})
}

func TestLargeRoomsSendCountsInsteadOfJoins(t *testing.T) {
	inBubble(t, bigRing, func(b *bench) {
		ada := b.open("a", Request{Rooms: []string{"lobby"}})
		ada.seen()
		var streams []*Stream
		for i := range chat.MaxListed + 9 {
			s, err := b.Open(b.ctx, chat.Viewer{User: int64(1000 + i), Name: fmt.Sprintf("u%03d", i)}, SSE, Request{Rooms: []string{"lobby"}})
			if err != nil {
				t.Fatal(err)
			}
			streams = append(streams, s)
		}
		if got := len(ada.seen()); got != chat.MaxListed-1 {
			t.Errorf("joins: got %d, want those up to %d users", got, chat.MaxListed)
		}
		late := b.open("zz", Request{Rooms: []string{"lobby"}})
		late.seen()
		<-late.raw
		if list := <-late.raw; list["count"] != float64(chat.MaxListed+11) || len(list["users"].([]any)) != chat.MaxListed {
			t.Errorf("user_list: got count %v and %d names, want %d and %d", list["count"], len(list["users"].([]any)), chat.MaxListed+11, chat.MaxListed)
		}
		for _, s := range streams {
			s.Drop()
		}
		time.Sleep(2 * grace)
		got := ada.seen()
		// When the room is small enough again, everybody gets the list, and then single leaves again.
		if len(got) != chat.MaxListed-1 || len(got[0]) < 100 || got[1][:10] != "user_leave" {
			t.Errorf("events after %d leaves: got %d, want a list and %d leaves", len(streams), len(got), chat.MaxListed-2)
		}
	})
}
