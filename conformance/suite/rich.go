package suite

import (
	"encoding/json"
	"fmt"
	"strings"
)

// jsonType marks a body that is JSON already.
const jsonType = "Content-Type: application/json"

// data belongs to an app, and is delivered as the same bytes except for white space between tokens.
const (
	dataAsSent = ` { "z" : 1.50e+3, "a" : [ true , null, "<b>&amp; \u00e9é\u2028\/ " ], "big":123456789012345678901234567890, "":{} } `
	dataAsKept = `{"z":1.50e+3,"a":[true,null,"<b>&amp; \u00e9é\u2028\/ "],"big":123456789012345678901234567890,"":{}}`
)

func bytesOfData(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	say := func(path, body string) Event {
		return c.Answered(ada.Do("POST", path, Raw(body), jsonType).Want(201).Event())
	}
	posted := say(roomPath(room, "messages"), `{"message":"hi","data":`+dataAsSent+`,"nonce":"n"}`)
	last := say(roomPath(room, "messages"), `{"data":`+dataAsSent+`}`)
	for _, e := range []Event{posted, last} {
		if !strings.Contains(e.Raw, `"data":`+dataAsKept+`,`) {
			t.Errorf("data delivered as %s", e.Raw)
		}
	}
	for _, change := range []string{`{"message":"ho"}`, `{"data":{"b": 1}}`, `{"data":null}`} {
		ada.Do("PATCH", roomPath(room, "messages", id(posted)), Raw(change), jsonType).OK()
	}
	c.Check(c.Answered(ada.Post(room, "the end")), "chat_message", "chat_message", "message_edited", "message_edited", "message_edited", "chat_message")
	for _, r := range c.readings {
		for _, want := range []string{`"message":"ho","data":` + dataAsKept + `,`, `"message":"ho","data":{"b":1},`, `"message":"ho","sent_at"`} {
			found := false
			for _, raw := range r.events {
				found = found || strings.Contains(raw, want)
			}
			if !found {
				t.Errorf("%s: no event contains %s", r.column, want)
			}
		}
	}
}

func bytesOfThreads(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	root := c.Answered(ada.Post(room, "a thread begins"))
	reply := c.Answered(ada.Do("POST", roomPath(room, "messages"), map[string]any{"message": "and goes on", "thread": root.ID, "data": map[string]int{"a": 1}}).Want(201).Event())
	if !strings.Contains(reply.Raw, fmt.Sprintf(`"data":{"a":1},"thread":%d,"sent_at":`, root.ID)) {
		t.Errorf("message of the thread = %s", reply.Raw)
	}
	c.Check(c.Answered(ada.Post(room, "the end")), "chat_message", "chat_message", "chat_message")
}

func bytesOfMentions(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	post := c.Answered(ada.Post(room, "@"+bob.Name+" and @"+ada.Name+", see @all"))
	if want := fmt.Sprintf(`"mentions":[%q,%q],"mentions_all":true,"sent_at":`, bob.Name, ada.Name); !strings.Contains(post.Raw, want) {
		t.Errorf("message %s lacks %s", post.Raw, want)
	}
	ada.Do("PATCH", roomPath(room, "messages", id(post)), map[string]string{"message": "only @" + ada.Name}).OK()
	c.Check(c.Answered(ada.Post(room, "the end")), "chat_message", "message_edited", "chat_message")
}

func bytesViaInlet(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	var in struct{ URL string }
	if err := json.Unmarshal([]byte(ada.Do("POST", roomPath(room, "inlets"), map[string]string{"name": "CI <main>"}).Want(201).Body), &in); err != nil {
		t.Errorf("decoding the inlet: %v", err)
		return
	}
	c := t.Compare(bob, rooms(room))
	_, secret, _ := strings.Cut(in.URL, "/in/")
	ada.Do("POST", "/in/"+secret, Raw(`{"text":"<https://example.com|done> &amp; @all"}`), jsonType).Want(200)
	c.Check(c.Answered(ada.Post(room, "the end")), "chat_message", "chat_message")
	want := fmt.Sprintf(`"room":%q,"user":"CI <main>[bot]","via":"inlet","message":"done (https://example.com) & @all","sent_at":`, room)
	for _, r := range c.readings {
		found := false
		for _, raw := range r.events {
			found = found || strings.Contains(raw, want)
		}
		if !found {
			t.Errorf("%s: no event contains %s", r.column, want)
		}
	}
}

func bytesOfCustomEvents(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	answered := func(path, body string) Event {
		return c.Answered(ada.Do("POST", path, Raw(body), jsonType).Want(201).Event())
	}
	e := answered(roomPath(room, "events"), `{"name":"note.added:1_-","data":`+dataAsSent+`}`)
	if want := fmt.Sprintf(`"room":%q,"user":%q,"name":"note.added:1_-","data":%s,"sent_at":`, room, ada.Name, dataAsKept); !strings.Contains(e.Raw, want) {
		t.Errorf("event %s lacks %s", e.Raw, want)
	}
	answered(roomPath(room, "events"), `{"name":"bare"}`)
	answered(privatePath(bob.Name, "events"), `{"name":"poke"}`)
	c.Check(c.Answered(ada.Post(room, "the end")), "custom_event", "custom_event", "custom_event", "chat_message")
}

func bytesOfEphemeralCustomEvents(t *T) {
	ada, bob := t.User(), t.User()
	room := t.Room(ada)
	c := t.Compare(bob, rooms(room))
	cause := func() {
		ada.Do("POST", roomPath(room, "events"), Raw(`{"name":"cursor.moved","data":{"x": 1},"ephemeral":true}`), jsonType).Want(202)
	}
	c.Ephemeral("custom_event", cause, func() Event { return ada.Post(room, "mark") }, func(e Event) bool {
		return e.Type == "custom_event" && e.User == ada.Name && e.Room == room && strings.Contains(e.Raw, `"name":"cursor.moved","data":{"x":1},"sent_at":`)
	})
}
