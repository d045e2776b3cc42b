package rooms

import (
	"bytes"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestEditedMessageShowsItsCurrentText(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		s := bob.Open(over, "room=lobby")
		s.Opening()
		key := "Idempotency-Key: " + string(over)
		posted := ada.Do("POST", harness.Posting, harness.NewMessage{Message: "first", Nonce: "n"}, key).Want(201).Event()
		reply := ada.Do("POST", harness.Posting, map[string]any{"message": "reply", "reply_to": posted.ID}, key+" reply").Want(201).Event()
		if reply.ReplyTo != posted.ID {
			t.Errorf("reply = %s", reply.Raw)
		}
		ada.Do("POST", harness.Posting, harness.NewMessage{Message: "reply", Nonce: ""}, key+" reply").WantProblem(422, "idempotency_mismatch", "")
		ada.Edit("lobby", posted.ID, "second")
		edited := ada.Edit("lobby", posted.ID, "<third>")
		if edited.Message != "<third>" || edited.Nonce != "n" || edited.SentAt != posted.SentAt || edited.EditedAt < posted.SentAt || edited.ID != posted.ID {
			t.Errorf("edited message = %s", edited.Raw)
		}
		for _, want := range [][]byte{posted.Raw, reply.Raw} {
			if e := s.Must("chat_message"); !bytes.Equal(e.Raw, want) {
				t.Errorf("stream got %s", e.Raw)
			}
		}
		for _, text := range []string{"second", "<third>"} {
			if e := s.Must("message_edited"); e.MessageID != posted.ID || e.Message != text || e.User != "ada" || e.Room != "lobby" || e.Target != "" {
				t.Errorf("edit event = %s", e.Raw)
			}
		}
		got := bob.History("lobby", "limit=2").Items
		if !bytes.Equal(got[0].Raw, edited.Raw) || !bytes.Equal(got[1].Raw, reply.Raw) {
			t.Errorf("history = %s", harness.Show(got))
		}
		if again := ada.Do("POST", harness.Posting, harness.NewMessage{Message: "first", Nonce: "n"}, key).Want(200).Event(); !bytes.Equal(again.Raw, edited.Raw) {
			t.Errorf("retry returned %s, want %s", again.Raw, edited.Raw)
		}
		// A replay shows each text as of its time, from memory and from the log.
		for _, ring := range []*harness.Client{bob, bob.On(p.OnTheSameData(t).Server)} {
			r := ring.Open(over, fmt.Sprint("room=lobby&since=", posted.ID-1))
			r.Opening()
			if e := r.Must("chat_message"); !bytes.Equal(e.Raw, posted.Raw) {
				t.Errorf("replayed event = %s", e.Raw)
			}
			r.Close()
		}
	})
}

func TestWhoMayEditAndDelete(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Admin = "root:root's own password" })
	owner, ada, bob := p.Signup(t, "owner"), p.Signup(t, "ada"), p.Signup(t, "bob")
	owner.Enter("lobby")
	ada.Enter("dev")
	root := p.Visitor(t)
	root.Do("POST", "/v1/auth/login", harness.Credentials{Username: "root", Password: "root's own password"}).Want(200).Into(&root.Session)

	m := ada.Post("lobby", "mine")
	at := harness.MessagePath("lobby", m.ID)
	bob.Do("PATCH", at, harness.NewMessage{Message: "x"}).WantProblem(403, "forbidden", "")
	owner.Do("PATCH", at, harness.NewMessage{Message: "x"}).WantProblem(403, "forbidden", "")
	root.Do("PATCH", at, harness.NewMessage{Message: "x"}).WantProblem(403, "forbidden", "")
	bob.Do("DELETE", at, nil).WantProblem(403, "forbidden", "")
	ada.Do("PATCH", at, harness.NewMessage{}).WantProblem(400, "", "message")
	ada.Do("PATCH", at, map[string]any{"message": "x", "nonce": "n"}).WantProblem(400, "", "nonce")
	ada.Do("PATCH", at, harness.NewMessage{Message: strings.Repeat("a", 4001)}).WantProblem(400, "message_too_long", "message")
	ada.Do("PATCH", harness.MessagePath("dev", m.ID), harness.NewMessage{Message: "x"}).WantProblem(404, "message_not_found", "id")
	ada.Do("DELETE", harness.MessagePath("dev", m.ID), nil).WantProblem(404, "message_not_found", "id")
	ada.Do("PATCH", harness.MessagePath("lobby", 1), harness.NewMessage{Message: "x"}).WantProblem(404, "message_not_found", "id") // not a message
	ada.Do("PATCH", harness.MessagePath("lobby", 9007199254740991), harness.NewMessage{Message: "x"}).WantProblem(404, "message_not_found", "id")
	ada.Do("PATCH", harness.RoomPath("lobby")+"/messages/0", harness.NewMessage{Message: "x"}).WantProblem(400, "", "id")
	ada.Do("PATCH", harness.RoomPath("lobby")+"/messages/x", harness.NewMessage{Message: "x"}).WantProblem(400, "", "id")
	ada.Do("PATCH", harness.MessagePath("nowhere", m.ID), harness.NewMessage{Message: "x"}).WantProblem(404, "room_not_found", "room")
	ada.Do("POST", harness.Posting, map[string]any{"message": "x", "reply_to": ada.Post("dev", "elsewhere").ID}).WantProblem(400, "", "reply_to")
	ada.Do("POST", harness.Posting, map[string]any{"message": "x", "reply_to": m.ID + 1000}).WantProblem(400, "", "reply_to")

	before := ada.Head()
	ada.Do("DELETE", at, nil).Want(204)
	ada.Do("DELETE", at, nil).Want(204)
	if ada.Head() != before+1 {
		t.Error("deleting twice wrote two events, want one")
	}
	ada.Do("PATCH", at, harness.NewMessage{Message: "back"}).WantProblem(404, "message_not_found", "id")
	for _, moderator := range []*harness.Client{owner, root} {
		moderator.Do("DELETE", harness.MessagePath("lobby", ada.Post("lobby", "away").ID), nil).Want(204)
	}
}

// If a deletion races with edits, the deletion always wins.
func TestDeletionWinsOverEdits(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for range 20 {
		m := ada.Post("lobby", "canary zero")
		harness.InParallel(8, func(i int) {
			var err error
			if i == 3 {
				_, err = ada.Try("DELETE", harness.MessagePath("lobby", m.ID), nil)
			} else {
				_, err = ada.Try("PATCH", harness.MessagePath("lobby", m.ID), harness.NewMessage{Message: fmt.Sprint("canary ", i)})
			}
			if err != nil {
				t.Error(err)
			}
		})
		if got := ada.History("lobby", "limit=1").Items[0]; got.ID != m.ID || !got.Deleted || got.Message != "" || got.EditedAt != "" {
			t.Fatalf("message after deletion and edits = %s", got.Raw)
		}
	}
	if got := ada.History("lobby", "q=canary").Items; len(got) != 0 { // makes sure that the index is up to date
		t.Errorf("search finds %s, want none", harness.Show(got))
	}
	harness.AssertNowhere(t, p, "canary")
}

// A deleted text is found nowhere: in rows, memory, replays on every transport, history, search, retries, and the files
// themselves.
func TestDeletedTextIsGoneFromEverywhere(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	const canary = "xylophonecanary"
	const key = "Idempotency-Key: k"
	start := ada.Head()
	in := ada.Post("lobby", canary+" one", key)
	ada.Edit("lobby", in.ID, canary+" two")
	ada.Edit("lobby", in.ID, canary+" three")
	ada.Do("PUT", harness.MessagePath("lobby", in.ID)+"/reactions/"+url.PathEscape("👍"), nil).Want(204)
	withFile := ada.PostFiles(harness.RoomPath("lobby"), ada.Upload(harness.RoomPath("lobby"), canary+" seven.txt", canary+" eight"))
	sentFile := ada.PostFiles(harness.PrivatePath("bob"), ada.Upload(harness.PrivatePath("bob"), canary+" nine.txt", canary+" ten"))
	sent := ada.Send("bob", canary+" four", key)
	ada.Do("PATCH", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", sent.ID), harness.NewMessage{Message: canary + " five"}).Want(200)
	note := ada.Do("POST", harness.PrivatePath("ada")+"/messages", harness.NewMessage{Message: canary + " six", Nonce: canary}).Want(201).Event()
	rich := ada.PostJSON("lobby", harness.Fields{"message": "@bob", "data": harness.Fields{canary: canary}, "thread": in.ID})
	ada.Do("PATCH", harness.MessagePath("lobby", rich.ID), harness.Fields{"data": harness.Fields{canary: 2}}).Want(200)
	kept := ada.Post("lobby", "kept")
	if got := bob.History("lobby", "q="+canary); len(got.Items) != 1 { // now it is in the index
		t.Fatalf("search finds %s", harness.Show(got.Items))
	}
	for _, path := range []string{harness.MessagePath("lobby", rich.ID), harness.MessagePath("lobby", in.ID), harness.MessagePath("lobby", withFile.ID), fmt.Sprint(harness.PrivatePath("bob"), "/messages/", sentFile.ID), fmt.Sprint(harness.PrivatePath("bob"), "/messages/", sent.ID), fmt.Sprint(harness.PrivatePath("ada"), "/messages/", note.ID)} {
		ada.Do("DELETE", path, nil).Want(204)
	}

	fromLog := p.OnTheSameData(t)
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		for _, from := range []*harness.Server{p.Server, fromLog.Server} {
			for _, c := range []*harness.Client{ada.On(from).In(t), bob.On(from).In(t)} {
				s := c.Open(over, fmt.Sprint("room=lobby&since=", start))
				s.Opening()
				end := ada.In(t).Post("lobby", "end")
				var last harness.Event
				for _, e := range s.Until(func(e harness.Event) bool { return e.ID == end.ID }) {
					if bytes.Contains(e.Raw, []byte(canary)) {
						t.Errorf("replayed event = %s", e.Raw)
					}
					switch e.Type {
					case "message_edited", "private_message", "private_message_delivered":
						if !e.Deleted || e.Message != "" {
							t.Errorf("replayed event = %s", e.Raw)
						}
					case "chat_message":
						if (e.ID == in.ID || e.ID == rich.ID || e.ID == withFile.ID) != e.Deleted || e.Deleted && (e.Data != nil || e.Mentions != nil) {
							t.Errorf("replayed event = %s", e.Raw)
						}
					}
					if last.ID >= e.ID && e.ID != 0 {
						t.Errorf("event %d followed %d", e.ID, last.ID)
					}
					last = e
				}
				s.Close()
			}
		}
	})
	if got := bob.History("lobby", fmt.Sprint("limit=3&before=", kept.ID+1)).Items; !got[0].Deleted || got[0].Message != "" || got[0].Reactions != nil || got[0].EditedAt != "" {
		t.Errorf("history = %s", harness.Show(got))
	}
	if got := bob.Page(harness.PrivatePath("ada")+"/messages", "").Items; len(got) != 2 || !got[0].Deleted || !got[1].Deleted || got[1].Message != "" {
		t.Errorf("bob's history = %s", harness.Show(got))
	}
	if got, _ := bob.Mentioning(""); len(got) != 0 {
		t.Errorf("bob is mentioned in %v, want none", got)
	}
	if got := bob.History("lobby", "q="+canary).Items; len(got) != 0 {
		t.Errorf("search finds %s, want none", harness.Show(got))
	}
	for _, path := range []string{"/v1/rooms/lobby/messages", harness.PrivatePath("bob") + "/messages"} {
		text := map[bool]string{true: " one", false: " four"}[strings.Contains(path, "rooms")]
		if again := ada.Do("POST", path, harness.Raw(canary+text), key).Want(200).Event(); !again.Deleted || again.Message != "" {
			t.Errorf("retry returned %s", again.Raw)
		}
	}
	harness.AssertNowhere(t, p, canary)
	fromLog.Stop(t)
	p.Stop(t)
	if harness.OnPostgres {
		return
	}
	if left := harness.WhatIsLeft(t, p.Settings.DataDir, canary); len(left) > 0 {
		t.Errorf("deleted text left in the files after shutdown: %v", left)
	}
	if left := harness.WhatIsLeft(t, p.Settings.DataDir, "kept"); len(left) == 0 {
		t.Error("kept text not found in the files: the check looks in the wrong place")
	}
}
