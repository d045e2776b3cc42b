package rooms

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// A private message reaches all devices of both users, with two consecutive ids, and nobody else.
func TestPrivateMessageReachesBothInboxes(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve")
	ada.Enter("lobby")
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob, eve := ada.In(t), bob.In(t), eve.In(t)
		adas, bobs := []*harness.Stream{ada.Open(over, ""), ada.Open(over, "room=lobby")}, []*harness.Stream{bob.Open(over, ""), bob.Open(over, "")}
		eves := eve.Open(over, "room=lobby")
		for _, s := range append(slices.Concat(adas, bobs), eves) {
			s.Opening()
		}
		sent := ada.Do("POST", harness.PrivatePath("Bob")+"/messages", harness.NewMessage{Message: "psst", Nonce: "n1"}).Want(201).Event()
		if sent.Type != "private_message" || sent.User != "ada" || sent.Target != "bob" || sent.Message != "psst" || sent.Nonce != "n1" {
			t.Errorf("response = %s", sent.Raw)
		}
		for _, s := range bobs {
			if got := s.Must("private_message"); !bytes.Equal(got.Raw, sent.Raw) {
				t.Errorf("bob got %s, want %s", got.Raw, sent.Raw)
			}
		}
		for _, s := range adas {
			got := s.Until(func(e harness.Event) bool { return e.ID != 0 })
			e := got[len(got)-1]
			if e.Type != "private_message_delivered" || e.ID != sent.ID+1 || e.MessageID != sent.ID || e.Message != "psst" || e.Target != "bob" || e.Nonce != "n1" {
				t.Errorf("ada got %s", e.Raw)
			}
		}

		edited := ada.Do("PATCH", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", sent.ID), harness.NewMessage{Message: "pssst"}).Want(200).Event()
		if edited.ID != sent.ID || edited.Message != "pssst" || edited.EditedAt == "" || edited.Type != "private_message" {
			t.Errorf("message after the edit = %s", edited.Raw)
		}
		everybody := append(adas, bobs...)
		heard := func(kind string) (e harness.Event) {
			t.Helper()
			for i, s := range everybody {
				got := s.Must(kind)
				if i == 0 {
					e = got
				} else if !bytes.Equal(got.Raw, e.Raw) {
					t.Errorf("one device got %s, another %s", e.Raw, got.Raw)
				}
			}
			return e
		}
		// Read before the deletion, which scrubs the text from unread events.
		if edit := heard("message_edited"); edit.MessageID != sent.ID || edit.User != "ada" || edit.Target != "bob" || edit.Room != "" || edit.Message != "pssst" {
			t.Errorf("edit event = %s", edit.Raw)
		}
		ada.Do("DELETE", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", sent.ID), nil).Want(204)
		if deletion := heard("message_deleted"); deletion.MessageID != sent.ID || deletion.User != "ada" || deletion.Target != "bob" || deletion.Room != "" {
			t.Errorf("deletion event = %s", deletion.Raw)
		}

		own := ada.Send("ada", "note")
		for _, s := range adas {
			if got := s.Must("private_message"); !bytes.Equal(got.Raw, own.Raw) {
				t.Errorf("message to oneself = %s, want %s", got.Raw, own.Raw)
			}
		}
		if next := ada.Send("bob", "next"); next.ID != own.ID+1 {
			t.Errorf("message to oneself used the ids %d to %d", own.ID, next.ID-1)
		}
		marker := ada.Post("lobby", "marker "+string(over))
		for _, e := range eves.UntilMessage(marker.Message) {
			if e.ID != 0 && e.Type != "chat_message" {
				t.Errorf("eve got %s", e.Raw)
			}
		}
	})
	for _, side := range []*harness.Client{ada, bob} {
		other := map[string]string{"ada": "bob", "bob": "ada"}[side.User.Username]
		var texts []string
		for _, e := range side.Page(harness.PrivatePath(other)+"/messages", "").Items {
			texts = append(texts, e.Message)
		}
		if want := slices.Repeat([]string{"", "next"}, len(harness.Transports)); !slices.Equal(texts, want) {
			t.Errorf("%s reads %q, want %q", side.User.Username, texts, want)
		}
	}
	if got := eve.Page(harness.PrivatePath("ada")+"/messages", ""); len(got.Items) != 0 {
		t.Errorf("eve's history = %s, want none", harness.Show(got.Items))
	}
}

func TestConversationsPageLatestFirst(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	others := []*harness.Client{p.Signup(t, "bob"), p.Signup(t, "eve"), p.Signup(t, "мария")}
	for i, c := range others {
		for range i + 1 {
			c.Send("ada", "hi")
		}
	}
	last := ada.Send("bob", "hello") // bob's is the latest now
	items, next := ada.Conversations("limit=2")
	if len(items) != 2 || next == nil || items[0] != (harness.Conversation{Username: "bob", Unread: 1, LastID: last.ID}) || items[1].Username != "мария" || items[1].Unread != 3 {
		t.Fatalf("first page = %v, %v", items, next)
	}
	if items, next = ada.Conversations(fmt.Sprint("limit=2&after=", *next)); len(items) != 1 || next != nil || items[0].Username != "eve" || items[0].Unread != 2 {
		t.Errorf("second page = %v, %v", items, next)
	}
	// Reading clears unread messages on all of the reader's streams. The marker never moves back.
	s := ada.Open(harness.OverSSE, "")
	s.Opening()
	ada.Do("PUT", harness.PrivatePath("мария")+"/read", map[string]int64{"id": 9007199254740991}).Want(204)
	if e := s.Must("message_read"); e.User != "мария" || e.Room != "" || e.MessageID == 0 {
		t.Errorf("read event = %s", e.Raw)
	}
	ada.Do("PUT", harness.PrivatePath("мария")+"/read", map[string]int64{"id": 0}).Want(204)
	if items, _ := ada.Conversations("limit=2"); items[1].Unread != 0 {
		t.Errorf("conversations after reading = %v", items)
	}
	if got := ada.Page(harness.PrivatePath("мария")+"/messages", "limit=2"); len(got.Items) != 2 || got.Prev == nil || got.Next != nil {
		t.Errorf("page of a conversation = %+v", got)
	}
	if items, _ := others[0].Conversations(""); len(items) != 1 || items[0].Username != "ada" || items[0].Unread != 1 {
		t.Errorf("bob's conversations = %v", items)
	}
}

func TestRefusedPrivateMessages(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	to := harness.PrivatePath("bob") + "/messages"
	ada.Do("POST", harness.PrivatePath("nobody")+"/messages", harness.Raw("hi")).WantProblem(404, "user_not_found", "username")
	ada.Do("GET", harness.PrivatePath("nobody")+"/messages", nil).WantProblem(404, "user_not_found", "username")
	ada.Do("POST", harness.PrivatePath("a b")+"/messages", harness.Raw("hi")).WantProblem(400, "", "username")
	ada.Do("POST", to, harness.Raw("")).WantProblem(400, "", "message")
	ada.Do("POST", to, harness.Raw(strings.Repeat("a", 4001))).WantProblem(400, "message_too_long", "message")

	sent := ada.Send("bob", "hi", "Idempotency-Key: k")
	if again := ada.Do("POST", to, harness.Raw("hi"), "Idempotency-Key: k").Want(200).Event(); !bytes.Equal(again.Raw, sent.Raw) {
		t.Errorf("retry = %s", again.Raw)
	}
	ada.Do("POST", to, harness.Raw("ho"), "Idempotency-Key: k").WantProblem(422, "idempotency_mismatch", "")
	at := fmt.Sprint(to, "/", sent.ID)
	bob.Do("PATCH", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", sent.ID), harness.NewMessage{Message: "mine"}).WantProblem(403, "forbidden", "")
	bob.Do("DELETE", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", sent.ID), nil).WantProblem(403, "forbidden", "")
	ada.Do("PATCH", fmt.Sprint(to, "/", sent.ID+1), harness.NewMessage{Message: "x"}).WantProblem(404, "message_not_found", "id")
	ada.Do("DELETE", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", sent.ID), nil).WantProblem(404, "message_not_found", "id")

	bob.Do("PUT", "/v1/me/blocks/ada", nil).Want(204)
	ada.Do("POST", to, harness.Raw("hi")).WantProblem(403, "blocked", "")
	ada.Do("PATCH", at, harness.NewMessage{Message: "by editing"}).WantProblem(403, "blocked", "")
	bob.Send("ada", "I may")
	bob.Do("DELETE", "/v1/me/blocks/ada", nil).Want(204)
	ada.Do("POST", to, harness.Raw("hi again")).Want(201)
	bob.Do("PUT", "/v1/me/blocks/ada", nil).Want(204)
	ada.Do("DELETE", at, nil).Want(204) // authors may delete their own messages

	// A deleted account gets no messages; its own remain.
	bob.Do("DELETE", "/v1/me", map[string]string{"current_password": bob.Password}).Want(204)
	ada.Do("POST", to, harness.Raw("hi")).WantProblem(404, "user_not_found", "username")
	if got := ada.Page(to, ""); len(got.Items) != 3 {
		t.Errorf("conversation with bob = %s", harness.Show(got.Items))
	}
}

// Messages that race with a block: none is in the log after the block.
func TestNoMessagePassesABlock(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	for range 10 {
		answers := make(chan int, 40)
		done := make(chan struct{})
		go func() {
			harness.InParallel(8, func(int) {
				for range 5 {
					a, err := ada.Try("POST", harness.PrivatePath("bob")+"/messages", harness.Raw("hi"))
					if err != nil {
						t.Error(err)
					}
					answers <- a.Status
				}
			})
			close(done)
		}()
		<-answers
		bob.Do("PUT", "/v1/me/blocks/ada", nil).Want(204)
		at := bob.Head() // everything accepted before is below it
		<-done
		if got := bob.Page(harness.PrivatePath("ada")+"/messages", fmt.Sprint("after=", at)); len(got.Items) != 0 {
			t.Fatalf("history after the block = %s, want none", harness.Show(got.Items))
		}
		bob.Do("DELETE", "/v1/me/blocks/ada", nil).Want(204)
	}
}
