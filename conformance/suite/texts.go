package suite

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// blanks are texts that no client would show.
var blanks = []string{" ", "\n\n", "\u200b", "\u200d\u200d", "\u2800", "\u2028", "\u3164"}

// blankMessages are refused in every way of posting, and nothing is posted.
func blankMessages(t *T) {
	ada := t.User()
	room := t.Room(ada)
	post := ada.Post(room, "the only one")
	path := roomPath(room, "messages")
	for _, text := range blanks {
		body := map[string]string{"message": text}
		ada.Do("POST", path, body).Problem(400, "message_empty", "message")
		ada.Do("POST", path, Raw(text), "Content-Type: text/plain").Problem(400, "message_empty", "message")
		if t.server.lacks("PATCH /v1/rooms/{room}/messages/{id}") == "" {
			ada.Do("PATCH", fmt.Sprint(path, "/", post.ID), body).Problem(400, "message_empty", "message")
		}
		if t.server.lacks(privateMessages) == "" {
			ada.Do("POST", "/v1/private/"+url.PathEscape(ada.Name)+"/messages", body).Problem(400, "message_empty", "message")
		}
		if t.server.lacks("PATCH /v1/rooms/{room}") == "" {
			ada.Do("PATCH", roomPath(room), map[string]string{"title": text}).Problem(400, "", "title")
		}
	}
	if got := ada.History(room); len(got) != 1 || got[0].Message != "the only one" {
		t.Errorf("history has %d messages after the refused posts", len(got))
	}
}

// blankCommands are refused like the calls that they stand for.
func blankCommands(t *T) {
	ada := t.User()
	room := t.Room(ada)
	s := t.takingCommands(ada, rooms(room))
	for _, text := range blanks {
		frame, err := json.Marshal(map[string]string{"type": "chat_message", "message": text})
		if err != nil {
			t.Fatalf("%v", err)
		}
		s.Send(string(frame))
		for _, e := range []Event{s.reply(), s.command("POST", roomPath(room, "messages"), map[string]string{"message": text}, nil)} {
			if e.Status != 400 || !strings.Contains(string(e.Body), `"code":"message_empty"`) {
				t.Errorf("%+q: reply = %s", text, e.Raw)
			}
		}
	}
	if got := ada.History(room); len(got) != 0 {
		t.Errorf("history has %d messages after the refused posts", len(got))
	}
}

// search finds all words, the last one as a prefix, and tokens as users type them.
func search(t *T) {
	ada := t.User()
	room := t.Room(ada)
	var posts []string
	for _, text := range []string{"hello world", "привет, мир", "released v4.2", "write to ada@example.org", "小明去了北京大学", "Zürich"} {
		posts = append(posts, ada.Post(room, text).Message)
	}
	for q, want := range map[string][]int{
		"hel": {0}, "hello wor": {0}, "hel ": {0}, "hel world": nil, "ello": nil, "при": {1}, "4.2": {2}, "4.3": nil,
		"ada@example.org": {3}, "bob@example.org": nil, "北京": {4}, "zur": {5},
	} {
		var page struct{ Items []Event }
		ada.Do("GET", roomPath(room, "messages")+"?q="+url.QueryEscape(q), nil).Want(200).Into(&page)
		var got, texts []string
		for _, e := range page.Items {
			got = append(got, e.Message)
		}
		for _, i := range want {
			texts = append(texts, posts[i])
		}
		if !slices.Equal(got, texts) {
			t.Errorf("%q finds %q, want %q", q, got, texts)
		}
	}
}
