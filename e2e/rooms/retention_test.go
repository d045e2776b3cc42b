package rooms

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

const day = 24 * time.Hour

// aging is a point in time that a test moves: everything before it has exceeded the retention.
type aging struct{ line atomic.Int64 }

// settings makes everything before the line exceed the retention, and nothing after it.
func (a *aging) settings(kept time.Duration) func(cfg *program.Settings) {
	return func(cfg *program.Settings) {
		cfg.RetentionEvery = 20 * time.Millisecond
		cfg.RetentionNow = func() time.Time { return time.UnixMilli(a.line.Load()).Add(kept) }
	}
}

// draw moves the line to now, so that everything so far has expired.
func (a *aging) draw() {
	time.Sleep(5 * time.Millisecond) // sent_at has millisecond resolution
	a.line.Store(time.Now().UnixMilli())
	time.Sleep(5 * time.Millisecond)
}

func textsOn(p harness.Page) []string { return messagesOf(p.Items) }

// Messages older than the site's retention are found nowhere, except pinned ones, which go when they are unpinned.
// Older cursors are reset; later ones continue.
func TestRetentionOfTheSite(t *testing.T) {
	t.Parallel()
	const canary = "xylophonecanary"
	var age aging
	p := harness.StartProgram(t, age.settings(30*day), func(cfg *program.Settings) { cfg.Retention = "30d" })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	bob.Enter("lobby")
	before := ada.Open(harness.OverSSE, "room=lobby").Opening().Since
	edited := ada.Post("lobby", canary+" one")
	ada.Edit("lobby", edited.ID, canary+" two")
	ada.Do("PUT", harness.MessagePath("lobby", edited.ID)+"/reactions/"+url.PathEscape("👍"), nil).Want(204)
	upload := ada.Upload(harness.RoomPath("lobby"), canary+" three.txt", canary+" four")
	ada.PostFiles(harness.RoomPath("lobby"), upload)
	root := ada.PostJSON("lobby", harness.Fields{"message": canary + " @bob", "data": harness.Fields{canary: canary}})
	ada.PostJSON("lobby", harness.Fields{"message": canary + " five", "thread": root.ID})
	bob.Do("POST", harness.MessagePath("lobby", root.ID)+"/report", harness.Fields{"reason": canary}).Want(204)
	deleted := ada.Post("lobby", canary+" six")
	ada.Do("DELETE", harness.MessagePath("lobby", deleted.ID), nil).Want(204)
	ada.Send("bob", canary+" seven")
	ada.Do("POST", harness.RoomPath("lobby")+"/events", harness.Fields{"name": "poke", "data": harness.Fields{canary: 1}}).Want(201)
	pinned := ada.Post("lobby", "pinnedcanary")
	ada.Edit("lobby", pinned.ID, "pinnedcanary, edited")
	ada.Do("PUT", harness.MessagePath("lobby", pinned.ID)+"/pin", nil).Want(204)
	ada.PostJSON("lobby", harness.Fields{"message": canary + " eight", "thread": pinned.ID})
	letter := ada.Send("bob", "a pinned letter")
	ada.Do("PUT", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", letter.ID, "/pin"), nil).Want(204)
	late := ada.Post("lobby", canary+" nine")
	if got := bob.Search(harness.RoomPath("lobby")+"/messages", canary, ""); len(got) == 0 { // now it is in the index
		t.Fatal("the search does not find the canary before it expires")
	}
	age.draw()
	ada.Edit("lobby", late.ID, canary+" ten") // an edit that is younger than its message
	young := ada.Post("lobby", "young")

	harness.Eventually(t, "the expired messages are deleted", func() bool {
		return slices.Equal(textsOn(bob.History("lobby", "")), []string{"pinnedcanary, edited", "young"})
	})
	harness.Eventually(t, "the expired private messages are deleted", func() bool {
		return slices.Equal(textsOn(bob.Page(harness.PrivatePath("ada")+"/messages", "")), []string{"a pinned letter"})
	})
	harness.Eventually(t, "the deleted text is erased", func() bool { return p.Swept(t) })
	if got := bob.Search(harness.RoomPath("lobby")+"/messages", canary, ""); got != nil { // waits for the index
		t.Errorf("search finds %q, want none", got)
	}
	harness.AssertNowhere(t, p, canary)
	ada.Do("GET", "/v1/files/"+upload.ID, nil).WantProblem(404, "file_not_found", "")
	ada.Do("GET", harness.RoomPath("lobby")+"/messages?thread="+fmt.Sprint(root.ID), nil).Want(404)
	if got := ada.History("lobby", "").Items[0]; got.Thread != nil {
		t.Errorf("thread of the pinned message = %s", got.Raw)
	}
	if got, _ := bob.Mentioning(""); len(got) != 0 {
		t.Errorf("bob is mentioned in %v, want none", got)
	}
	for q, want := range map[string][]string{canary: nil, "pinnedcanary": {"pinnedcanary, edited"}, "young": {"young"}} {
		if got := bob.Search(harness.RoomPath("lobby")+"/messages", q, ""); !slices.Equal(got, want) {
			t.Errorf("search for %s finds %q", q, got)
		}
	}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		s := ada.In(t).Open(over, "room=lobby&since="+before)
		if open := s.Opening(); open.Resumed {
			t.Errorf("expired cursor accepted: %s", open.Raw)
		}
		if reset := s.Must("stream_reset"); reset.Reason != "before_floor" || reset.Floor <= pinned.ID || reset.Floor > young.ID || reset.Head < young.ID {
			t.Errorf("stream got %s", reset.Raw)
		}
		s.Close()
		s = ada.In(t).Open(over, fmt.Sprint("room=lobby&since=", young.ID-1))
		if open := s.Opening(); !open.Resumed {
			t.Errorf("valid cursor not accepted: %s", open.Raw)
		}
		if e := s.Until(func(e harness.Event) bool { return e.ID != 0 }); e[len(e)-1].ID != young.ID {
			t.Errorf("first events after resuming = %s", e[len(e)-1].Raw)
		}
		s.Close()
	})
	if out, err := harness.Tandem(t, p.Settings.DataDir, "export", "--private"); err != nil || bytes.Contains(out, []byte(canary)) ||
		!bytes.Contains(out, []byte("pinnedcanary, edited")) || !bytes.Contains(out, []byte("a pinned letter")) || !bytes.Contains(out, []byte("young")) {
		t.Errorf("export = %s, %v", out, err)
	}

	ada.Do("DELETE", harness.MessagePath("lobby", pinned.ID)+"/pin", nil).Want(204)
	if got := textsOn(ada.History("lobby", "")); !slices.Equal(got, []string{"young"}) {
		t.Errorf("messages after unpinning = %q, want [\"young\"]", got)
	}
	if got := bob.Search(harness.RoomPath("lobby")+"/messages", "pinnedcanary", ""); got != nil {
		t.Errorf("search finds %q, want none", got)
	}
	harness.AssertNowhere(t, p, "pinnedcanary")
	p.Stop(t)
	if !harness.OnPostgres {
		if left := harness.WhatIsLeft(t, p.Settings.DataDir, canary); len(left) > 0 {
			t.Errorf("deleted text left in the files after shutdown: %v", left)
		}
		if left := harness.WhatIsLeft(t, p.Settings.DataDir, "young"); len(left) == 0 {
			t.Error("kept text not found in the files: the check looks in the wrong place")
		}
	}
	again := p.Again(t)
	if got := textsOn(ada.On(again.Server).History("lobby", "")); !slices.Equal(got, []string{"young"}) {
		t.Errorf("messages after a restart = %q, want [\"young\"]", got)
	}
}

// A room's owners set how long its messages are kept. Only that room is affected: its streams are reset if their cursor
// is older, and streams of other rooms continue without a gap.
func TestRetentionOfARoom(t *testing.T) {
	t.Parallel()
	var age aging
	p := harness.StartProgram(t, age.settings(day))
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	for _, room := range []string{"short", "long"} {
		ada.Enter(room)
		bob.Enter(room)
	}
	watching := bob.Open(harness.OverSSE, "room=short&room=long")
	watching.Opening()
	for _, c := range []struct {
		value any
		as    *harness.Client
		code  string
	}{{86399, ada, ""}, {-1, ada, ""}, {315360001, ada, ""}, {"1d", ada, ""}, {86400, bob, "forbidden"}} {
		a := c.as.Do("PATCH", harness.RoomPath("short"), harness.Fields{"retention": c.value})
		if c.code != "" {
			a.WantProblem(403, c.code, "")
			continue
		}
		a.WantProblem(400, "", "retention")
	}
	var r harness.Room
	ada.Do("PATCH", harness.RoomPath("short"), harness.Fields{"retention": 86400}).Want(200).Into(&r)
	if e := watching.Must("room_updated"); r.Retention != 86400 || e.Retention != 86400 || e.Room != "short" {
		t.Errorf("room = %+v, the event %s", r, e.Raw)
	}
	before := ada.Open(harness.OverSSE, "room=short&room=long").Opening().Since
	var short, long []harness.Event
	for i := range 120 { // more than one step deletes
		short = append(short, ada.Post("short", fmt.Sprint("short ", i)))
		if i%10 == 0 {
			long = append(long, ada.Post("long", fmt.Sprint("long ", i)))
		}
	}
	ada.Do("PUT", harness.MessagePath("short", short[7].ID)+"/pin", nil).Want(204)
	lastOld := short[119].ID + 1 // the pin
	age.draw()
	young := ada.Post("short", "young")
	last := ada.Post("long", "last")
	harness.Eventually(t, "the expired messages are deleted", func() bool { return slices.Equal(textsOn(bob.History("short", "")), []string{"short 7", "young"}) })
	if got := bob.History("long", "limit=100").Items; len(got) != len(long)+1 {
		t.Errorf("other room has %d messages, want %d", len(got), len(long)+1)
	}
	// On another node too, which did not run at the time.
	for _, from := range []*harness.Server{p.Server, p.OnTheSameData(t).Server} {
		harness.OnEach(t, func(t *testing.T, over harness.Transport) {
			ada := ada.On(from).In(t)
			for _, rooms := range []string{"room=short", "room=long&room=short", "room=*"} {
				s := ada.Open(over, rooms+"&since="+before)
				if open := s.Opening(); open.Resumed {
					t.Errorf("%s: expired cursor accepted: %s", rooms, open.Raw)
				}
				if reset := s.Must("stream_reset"); reset.Reason != "before_floor" || reset.Floor != lastOld+1 {
					t.Errorf("%s: stream got %s", rooms, reset.Raw)
				}
				s.Close()
			}
			s := ada.Open(over, "room=long&since="+before)
			if open := s.Opening(); !open.Resumed {
				t.Errorf("a cursor of another room was not accepted: %s", open.Raw)
			}
			var got []int64
			for _, e := range s.Until(func(e harness.Event) bool { return e.ID == last.ID }) {
				if e.Type == "chat_message" {
					got = append(got, e.ID)
				}
			}
			if len(got) != len(long)+1 {
				t.Errorf("first events after resuming = %v", got)
			}
			s.Close()
			s = ada.Open(over, fmt.Sprint("room=short&since=", lastOld))
			if open := s.Opening(); !open.Resumed {
				t.Errorf("a cursor from after the deleted events was not accepted: %s", open.Raw)
			}
			s.Close()
		})
	}
	r = harness.Room{}
	ada.Do("PATCH", harness.RoomPath("short"), harness.Fields{"retention": 0}).Want(200).Into(&r)
	told := watching.Until(func(e harness.Event) bool { return e.Type == "room_updated" })
	if e := told[len(told)-1]; r.Retention != 0 || bytes.Contains(e.Raw, []byte("retention")) {
		t.Errorf("room without a retention = %+v, the event %s", r, e.Raw)
	}
	age.draw()
	ada.Do("PUT", harness.MessagePath("short", young.ID)+"/pin", nil).Want(204)
	ada.Do("DELETE", harness.MessagePath("short", young.ID)+"/pin", nil).Want(204)
	time.Sleep(100 * time.Millisecond) // it has checked several times
	if got := textsOn(bob.History("short", "")); !slices.Equal(got, []string{"short 7", "young"}) {
		t.Errorf("messages = %q, want [\"short 7\" \"young\"]", got)
	}
}

// A room cannot keep messages for longer than the site. Invalid retentions are refused.
func TestRetentionSettings(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	for value, fits := range map[string]bool{"": true, "1d": true, "90d": true, "3650d": true, "0d": false, "3651d": false, "90": false, "1h": false, "-1d": false, "99999999d": false} {
		cfg := harness.Defaults()
		cfg.DataDir, cfg.Retention = dataDir, value
		if wrong := cfg.Check(harness.ReadSpec(t)); (len(wrong) == 0) != fits {
			t.Errorf("retention %q: problems = %v", value, wrong)
		}
	}
	var age aging
	p := harness.StartProgram(t, age.settings(2*day), func(cfg *program.Settings) { cfg.Retention = "2d" })
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Do("PATCH", harness.RoomPath("lobby"), harness.Fields{"retention": 30 * 86400}).Want(200)
	ada.Post("lobby", "old")
	age.draw()
	ada.Post("lobby", "young")
	harness.Eventually(t, "the expired messages are deleted", func() bool { return slices.Equal(textsOn(ada.History("lobby", "")), []string{"young"}) })
}
