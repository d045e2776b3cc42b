package chat

import (
	"testing"
	"time"
)

func TestRoomEventsJSON(t *testing.T) {
	at := time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)
	room, ada, bo := Room{ID: 4, Name: "lobby", Title: "Hall", Visibility: Private, Posting: PostingAdmins}, User{ID: 9, Name: "ada"}, User{ID: 3, Name: "bo"}
	for _, tt := range []struct {
		e    Event
		also Topic
		want string
	}{
		{roomUpdated(room, ada, at), NoTopic, `{"type":"room_updated","id":7,"room":"lobby","user":"ada","title":"Hall","visibility":"private","posting":"admins","sent_at":"2026-11-20T10:00:00.000Z"}`},
		{roomDeleted(room, ada, at), NoTopic, `{"type":"room_deleted","id":7,"room":"lobby","user":"ada","sent_at":"2026-11-20T10:00:00.000Z"}`},
		{memberRemoved(room, ada, bo, at), InboxTopic(3), `{"type":"member_removed","id":7,"room":"lobby","user":"ada","target":"bo","sent_at":"2026-11-20T10:00:00.000Z"}`},
	} {
		tt.e.ID = 7
		if got := string(tt.e.JSON()); got != tt.want {
			t.Errorf("got  %s\nwant %s", got, tt.want)
		}
		if tt.e.Topic != RoomTopic(4) || tt.e.Also != tt.also || tt.e.Author != 9 || tt.e.RoomName() != "lobby" {
			t.Errorf("event: got %+v, want topic %d, also %d, author 9, room lobby", tt.e, RoomTopic(4), tt.also)
		}
	}
}
