package security

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// dataOf returns the data in the JSON of an event, byte for byte.
func dataOf(t *testing.T, e harness.Event) string {
	t.Helper()
	if len(e.Data) > 0 && !strings.Contains(string(e.Raw), `"data":`+string(e.Data)+`,`) {
		t.Errorf("data %s not found in %s", e.Data, e.Raw)
	}
	return string(e.Data)
}

// An app's data is stored and delivered as it was sent, without white space between tokens.
func TestDataIsStoredAsSent(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	const given = ` { "z" : 1.50e+3, "a" : [ true , null, "<b>&amp;\u00e9é\u2028\/ " ], "big":123456789012345678901234567890, "":{} } `
	const kept = `{"z":1.50e+3,"a":[true,null,"<b>&amp;\u00e9é\u2028\/ "],"big":123456789012345678901234567890,"":{}}`
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		s, inbox := bob.Open(over, "room=lobby"), bob.Open(over, "")
		s.Opening()
		inbox.Opening()
		posted := ada.Do("POST", harness.RoomPath("lobby")+"/messages", harness.Raw(`{"message":"hi","data":`+given+`,"nonce":"n"}`), "Content-Type: application/json").Want(201).Event()
		if dataOf(t, posted) != kept {
			t.Errorf("response = %s", posted.Raw)
		}
		if e := s.Must("chat_message"); string(e.Raw) != string(posted.Raw) {
			t.Errorf("want %s, got %s", posted.Raw, e.Raw)
		}
		alone := ada.Do("POST", harness.PrivatePath("bob")+"/messages", harness.Raw(`{"data":`+given+`}`), "Content-Type: application/json").Want(201).Event()
		s.Must("private_message")
		if e := inbox.Must("private_message"); string(e.Raw) != string(alone.Raw) || dataOf(t, e) != kept || e.Message != "" {
			t.Errorf("want %s, got %s", alone.Raw, e.Raw)
		}
		if got := bob.History("lobby", "limit=1").Items[0]; string(got.Raw) != string(posted.Raw) {
			t.Errorf("history = %s", got.Raw)
		}
		path := harness.MessagePath("lobby", posted.ID)
		patch := func(body string, message, data string) {
			t.Helper()
			now := ada.Do("PATCH", path, harness.Raw(body), "Content-Type: application/json").Want(200).Event()
			e := s.Must("message_edited")
			for _, e := range []harness.Event{now, e} {
				if e.Message != message || string(e.Data) != data {
					t.Errorf("message after the edit %s = %s", body, e.Raw)
				}
			}
		}
		patch(`{"message":"ho"}`, "ho", kept)
		patch(`{"data": {"b" : 1}}`, "ho", `{"b":1}`)
		patch(`{"message":""}`, "", `{"b":1}`)
		ada.Do("PATCH", path, harness.Raw(`{"data":null}`), "Content-Type: application/json").WantProblem(400, "message_empty", "message")
		patch(`{"message":"he","data":null}`, "he", "")
		ada.Do("PATCH", path, harness.Raw(`{"message":" "}`), "Content-Type: application/json").WantProblem(400, "message_empty", "message")
	})
}

// nested returns an object nested to the given depth.
func nested(depth int) json.RawMessage {
	return json.RawMessage(strings.Repeat(`{"a":`, depth-1) + `{}` + strings.Repeat(`}`, depth-1))
}

func TestBadData(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	// 8 KiB as sent, white space included.
	atMost := func(n int) json.RawMessage { return json.RawMessage(`{"a":"` + strings.Repeat("x", n-8) + `"}`) }
	for _, path := range []string{harness.RoomPath("lobby") + "/messages", harness.RoomPath("lobby") + "/events"} {
		for _, c := range []struct {
			data string
			fits bool
		}{
			{string(atMost(8192)), true}, {string(atMost(8193)), false}, {`{}`, true}, {string(nested(16)), true}, {string(nested(17)), false},
			{`null`, false}, {`[]`, false}, {`"x"`, false}, {`1`, false}, {`{"a":` + strings.Repeat(" ", 8192) + `1}`, false},
			{`{"a":` + strings.Repeat(`[`, 15) + strings.Repeat(`]`, 15) + `}`, true}, {`{"a":` + strings.Repeat(`[`, 16) + strings.Repeat(`]`, 16) + `}`, false},
		} {
			a := ada.Do("POST", path, harness.Raw(`{"name":"x","data":`+c.data+`}`), "Content-Type: application/json")
			if strings.HasSuffix(path, "messages") {
				a = ada.Do("POST", path, harness.Raw(`{"data":`+c.data+`}`), "Content-Type: application/json")
			}
			if c.fits {
				a.Want(201)
			} else {
				a.WantProblem(400, "invalid_request", "data")
			}
		}
	}
	for _, body := range []string{`{}`, `{"message":""}`, `{"message":"\u200b"}`, `{"nonce":"n"}`} {
		ada.Do("POST", harness.RoomPath("lobby")+"/messages", harness.Raw(body), "Content-Type: application/json").WantProblem(400, "message_empty", "message")
	}
	m := ada.Post("lobby", "hi")
	ada.Do("PATCH", harness.MessagePath("lobby", m.ID), harness.Raw(`{}`), "Content-Type: application/json").WantProblem(400, "invalid_request", "")
	if e := ada.PostJSON("lobby", harness.Fields{"message": " \n", "data": harness.Fields{"a": 1}}); e.Message != "" {
		t.Errorf("blank text = %s", e.Raw)
	}
	key := "Idempotency-Key: k"
	first := ada.Do("POST", harness.RoomPath("lobby")+"/messages", harness.Fields{"data": harness.Fields{"a": 1}}, key).Want(201).Event()
	if again := ada.Do("POST", harness.RoomPath("lobby")+"/messages", harness.Fields{"data": harness.Fields{"a": 1}}, key).Want(200).Event(); again.ID != first.ID {
		t.Errorf("retry of %d returned %d", first.ID, again.ID)
	}
	ada.Do("POST", harness.RoomPath("lobby")+"/messages", harness.Fields{"data": harness.Fields{"a": 2}}, key).WantProblem(422, "idempotency_mismatch", "Idempotency-Key")
}

// If one call changes a message's text while another changes its data, both changes are kept.
func TestEditsOfTextAndDataDoNotUndoEachOther(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for i := range 20 {
		m := ada.Post("lobby", "hi")
		harness.InParallel(2, func(which int) {
			body := harness.Fields{"message": fmt.Sprint("text ", i)}
			if which == 1 {
				body = harness.Fields{"data": harness.Fields{"n": i}}
			}
			ada.Do("PATCH", harness.MessagePath("lobby", m.ID), body).Want(200)
		})
		if now := ada.History("lobby", "limit=1").Items[0]; now.Message != fmt.Sprint("text ", i) || string(now.Data) != fmt.Sprintf(`{"n":%d}`, i) {
			t.Fatalf("message after the edit = %s", now.Raw)
		}
	}
}

// An app's own events are stored in the log of a room, or pass through it.
func TestCustomEvents(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		start := ada.Head()
		s, own := bob.Open(over, "room=lobby"), ada.Open(over, "")
		s.Opening()
		own.Opening()
		note := ada.Do("POST", harness.RoomPath("lobby")+"/events", harness.Fields{"name": "note.added:1_-", "data": harness.Fields{"text": "<b>"}}).Want(201).Event()
		if note.Type != "custom_event" || note.Room != "lobby" || note.User != "ada" || note.Name != "note.added:1_-" || dataOf(t, note) != `{"text":"\u003cb\u003e"}` || note.SentAt == "" {
			t.Errorf("event = %s", note.Raw)
		}
		if e := s.Must("custom_event"); string(e.Raw) != string(note.Raw) {
			t.Errorf("want %s, got %s", note.Raw, e.Raw)
		}
		private := ada.Do("POST", harness.PrivatePath("bob")+"/events", harness.Fields{"name": "poke"}).Want(201).Event()
		if private.Target != "bob" || private.Room != "" || private.Data != nil {
			t.Errorf("event = %s", private.Raw)
		}
		for _, s := range []*harness.Stream{s, own} {
			if e := s.Must("custom_event"); string(e.Raw) != string(private.Raw) {
				t.Errorf("want %s, got %s", private.Raw, e.Raw)
			}
		}
		// A replay has the durable ones, in one order.
		again := bob.Open(over, fmt.Sprint("room=lobby&since=", start))
		again.Opening()
		for _, want := range []harness.Event{note, private} {
			if e := again.Must("custom_event"); string(e.Raw) != string(want.Raw) {
				t.Errorf("want %s, got %s", want.Raw, e.Raw)
			}
		}
		if got := bob.History("lobby", "").Items; len(got) != 0 {
			t.Errorf("history = %s, want none", harness.Show(got))
		}
	})
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		s, own, late := bob.Open(over, "room=lobby"), ada.Open(over, ""), bob.Open(over, "room=lobby&history=20")
		s.Opening()
		own.Opening()
		late.Opening()
		head := ada.Head()
		moved := ada.Do("POST", harness.RoomPath("lobby")+"/events", harness.Fields{"name": "cursor.moved", "data": harness.Fields{"x": 1}, "ephemeral": true}).Want(202)
		if e := s.Until(func(e harness.Event) bool { return e.Type == "custom_event" }); string(e[len(e)-1].Raw) != string(moved.Body) || e[len(e)-1].ID != 0 {
			t.Errorf("want %s, got %s", moved.Body, harness.Show(e))
		}
		poked := ada.Do("POST", harness.PrivatePath("bob")+"/events", harness.Fields{"name": "poke", "ephemeral": true}).Want(202)
		for _, s := range []*harness.Stream{s, own, late} {
			if e := s.Until(func(e harness.Event) bool { return e.Name == "poke" }); string(e[len(e)-1].Raw) != string(poked.Body) {
				t.Errorf("want %s, got %s", poked.Body, harness.Show(e))
			}
		}
		if now := ada.Head(); now != head {
			t.Errorf("log head moved from %d to %d", head, now)
		}
	})
}

func TestCustomEventsAreBounded(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.StillLimits, func(cfg *program.Settings) { cfg.LimitPosts, cfg.LimitEphemeral = 1, 2 })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "news", Posting: "admins"}).Want(201)
	path := harness.RoomPath("news") + "/events"
	for _, name := range []string{"", "Upper", "with blank", "ü", strings.Repeat("x", 65), "a/b"} {
		bob.Do("POST", path, harness.Fields{"name": name, "ephemeral": true}).WantProblem(400, "invalid_request", "name")
	}
	bob.Do("POST", path, harness.Fields{"name": "x", "ephemeral": true}).WantProblem(403, "posting_restricted", "")
	bob.Do("POST", harness.RoomPath("nowhere")+"/events", harness.Fields{"name": "x", "ephemeral": true}).WantProblem(404, "room_not_found", "room")
	bob.Do("PUT", "/v1/me/blocks/ada", nil).Want(204)
	refused := map[string]int{}
	for _, ephemeral := range []bool{true, false} {
		kind := fmt.Sprint("ephemeral ", ephemeral)
		for range 8 {
			a := ada.Do("POST", path, harness.Fields{"name": "x", "ephemeral": ephemeral})
			if a.Status == 429 {
				refused[kind]++
			}
		}
	}
	if refused["ephemeral true"] != 4 || refused["ephemeral false"] != 6 {
		t.Errorf("refused of 8 each = %v, want 4 ephemeral and 6 others", refused)
	}
	key := "Idempotency-Key: k"
	cara := p.Signup(t, "cara")
	cara.Enter("lobby")
	first := cara.Do("POST", harness.RoomPath("lobby")+"/events", harness.Fields{"name": "x"}, key).Want(201).Event()
	if again := cara.Do("POST", harness.RoomPath("lobby")+"/events", harness.Fields{"name": "x"}, key).Want(200).Event(); string(again.Raw) != string(first.Raw) {
		t.Errorf("retry of %s returned %s", first.Raw, again.Raw)
	}
}

// The short form over the WebSocket keeps data unchanged too.
func TestCustomEventOverTheSocket(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	s, inbox := ada.Open(harness.OverWS, "room=lobby"), bob.Open(harness.OverWS, "")
	s.Opening()
	inbox.Opening()
	for _, c := range []struct{ frame, data string }{
		{`{"type":"custom_event","name":"a","data":{"x": "<&>\u2028"},"ref":"1"}`, `{"x":"<&>\u2028"}`},
		{`{"type":"custom_event","room":"lobby","name":"a","data":{"y":1.0},"ephemeral":true}`, `{"y":1.0}`},
	} {
		s.Say(c.frame)
		e := s.Until(func(e harness.Event) bool { return e.Type == "custom_event" })
		if got := e[len(e)-1]; string(got.Data) != c.data {
			t.Errorf("frame %s delivered as %s", c.frame, got.Raw)
		}
	}
	s.Say(`{"type":"custom_event","target":"bob","name":"poke"}`)
	if e := inbox.Must("custom_event"); e.Target != "bob" || e.Name != "poke" || e.User != "ada" {
		t.Errorf("bob got %s", e.Raw)
	}
}
