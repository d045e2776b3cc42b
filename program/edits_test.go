package program

import (
	"bytes"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func messagePath(room string, id int64) string { return fmt.Sprint(roomPath(room), "/messages/", id) }

func (c *client) edit(room string, id int64, text string) event {
	c.t.Helper()
	return c.do("PATCH", messagePath(room, id), newMessage{Message: text}).want(200).event()
}

func TestEditedMessageShowsItsPresentText(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	onEach(t, func(t *testing.T, over transport) {
		ada, bob := ada.in(t), bob.in(t)
		s := bob.open(over, "room=lobby")
		s.opening()
		key := "Idempotency-Key: " + string(over)
		posted := ada.do("POST", posting, newMessage{"first", "n"}, key).want(201).event()
		reply := ada.do("POST", posting, map[string]any{"message": "reply", "reply_to": posted.ID}, key+" reply").want(201).event()
		if reply.ReplyTo != posted.ID {
			t.Errorf("the reply is %s", reply.raw)
		}
		ada.do("POST", posting, newMessage{"reply", ""}, key+" reply").wantProblem(422, "idempotency_mismatch", "")
		ada.edit("lobby", posted.ID, "second")
		edited := ada.edit("lobby", posted.ID, "<third>")
		if edited.Message != "<third>" || edited.Nonce != "n" || edited.SentAt != posted.SentAt || edited.EditedAt < posted.SentAt || edited.ID != posted.ID {
			t.Errorf("the edited message is %s", edited.raw)
		}
		for _, want := range [][]byte{posted.raw, reply.raw} {
			if e := s.must("chat_message"); !bytes.Equal(e.raw, want) {
				t.Errorf("the stream has %s", e.raw)
			}
		}
		for _, text := range []string{"second", "<third>"} {
			if e := s.must("message_edited"); e.MessageID != posted.ID || e.Message != text || e.User != "ada" || e.Room != "lobby" || e.Target != "" {
				t.Errorf("the edit is told as %s", e.raw)
			}
		}
		got := bob.history("lobby", "limit=2").items
		if !bytes.Equal(got[0].raw, edited.raw) || !bytes.Equal(got[1].raw, reply.raw) {
			t.Errorf("history says %s", show(got))
		}
		if again := ada.do("POST", posting, newMessage{"first", "n"}, key).want(200).event(); !bytes.Equal(again.raw, edited.raw) {
			t.Errorf("the retry got %s, not %s", again.raw, edited.raw)
		}
		// Whoever replays sees what was said when, from memory and from the log.
		for _, ring := range []*client{bob, bob.on(p.onTheSameData(t).testServer)} {
			r := ring.open(over, fmt.Sprint("room=lobby&since=", posted.ID-1))
			r.opening()
			if e := r.must("chat_message"); !bytes.Equal(e.raw, posted.raw) {
				t.Errorf("replayed is %s", e.raw)
			}
			r.close()
		}
	})
}

// onTheSameData is a second program that reads everything from the log.
func (p *testProgram) onTheSameData(t *testing.T) *testProgram {
	t.Helper()
	return startProgram(t, func(cfg *Settings) {
		*cfg = p.settings
		cfg.Addr = "127.0.0.1:0"
		cfg.RingBytes = 0
	})
}

func TestWhoMayEditAndDelete(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.Admin = "root:root's own password" })
	owner, ada, bob := p.signup(t, "owner"), p.signup(t, "ada"), p.signup(t, "bob")
	owner.enter("lobby")
	ada.enter("dev")
	root := p.visitor(t)
	root.do("POST", "/v1/auth/login", credentials{"root", "root's own password"}).want(200).into(&root.session)

	m := ada.post("lobby", "mine")
	at := messagePath("lobby", m.ID)
	bob.do("PATCH", at, newMessage{Message: "x"}).wantProblem(403, "forbidden", "")
	owner.do("PATCH", at, newMessage{Message: "x"}).wantProblem(403, "forbidden", "")
	root.do("PATCH", at, newMessage{Message: "x"}).wantProblem(403, "forbidden", "")
	bob.do("DELETE", at, nil).wantProblem(403, "forbidden", "")
	ada.do("PATCH", at, newMessage{}).wantProblem(400, "", "message")
	ada.do("PATCH", at, map[string]any{"message": "x", "nonce": "n"}).wantProblem(400, "", "nonce")
	ada.do("PATCH", at, newMessage{Message: strings.Repeat("a", 4001)}).wantProblem(400, "message_too_long", "message")
	ada.do("PATCH", messagePath("dev", m.ID), newMessage{Message: "x"}).wantProblem(404, "message_not_found", "id")
	ada.do("DELETE", messagePath("dev", m.ID), nil).wantProblem(404, "message_not_found", "id")
	ada.do("PATCH", messagePath("lobby", 1), newMessage{Message: "x"}).wantProblem(404, "message_not_found", "id") // no message
	ada.do("PATCH", messagePath("lobby", 9007199254740991), newMessage{Message: "x"}).wantProblem(404, "message_not_found", "id")
	ada.do("PATCH", roomPath("lobby")+"/messages/0", newMessage{Message: "x"}).wantProblem(400, "", "id")
	ada.do("PATCH", roomPath("lobby")+"/messages/x", newMessage{Message: "x"}).wantProblem(400, "", "id")
	ada.do("PATCH", messagePath("nowhere", m.ID), newMessage{Message: "x"}).wantProblem(404, "room_not_found", "room")
	ada.do("POST", posting, map[string]any{"message": "x", "reply_to": ada.post("dev", "elsewhere").ID}).wantProblem(400, "", "reply_to")
	ada.do("POST", posting, map[string]any{"message": "x", "reply_to": m.ID + 1000}).wantProblem(400, "", "reply_to")

	before := ada.head()
	ada.do("DELETE", at, nil).want(204)
	ada.do("DELETE", at, nil).want(204)
	if ada.head() != before+1 {
		t.Error("deleting twice is two events")
	}
	ada.do("PATCH", at, newMessage{Message: "back"}).wantProblem(404, "message_not_found", "id")
	for _, moderator := range []*client{owner, root} {
		moderator.do("DELETE", messagePath("lobby", ada.post("lobby", "away").ID), nil).want(204)
	}
}

// Where a deletion and edits race, the deletion wins for ever.
func TestDeletionWinsOverEdits(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for range 20 {
		m := ada.post("lobby", "canary zero")
		inParallel(8, func(i int) {
			var err error
			if i == 3 {
				_, err = ada.try("DELETE", messagePath("lobby", m.ID), nil)
			} else {
				_, err = ada.try("PATCH", messagePath("lobby", m.ID), newMessage{Message: fmt.Sprint("canary ", i)})
			}
			if err != nil {
				t.Error(err)
			}
		})
		if got := ada.history("lobby", "limit=1").items[0]; got.ID != m.ID || !got.Deleted || got.Message != "" || got.EditedAt != "" {
			t.Fatalf("after deletion and edits it is %s", got.raw)
		}
	}
	if got := ada.history("lobby", "q=canary").items; len(got) != 0 { // the index is up to date then
		t.Errorf("searching finds %s", show(got))
	}
	assertNowhere(t, p, "canary")
}

// assertNowhere looks for a text in every row of the database and of the index.
func assertNowhere(t *testing.T, p *testProgram, text string) {
	t.Helper()
	index, err := sql.Open("sqlite", "file:"+filepath.Join(p.settings.DataDir, "search.db")+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer index.Close()
	const sqlite = `SELECT name FROM sqlite_schema WHERE type = 'table' AND rootpage > 0`
	tables := sqlite
	if onPostgres {
		tables = `SELECT table_name FROM information_schema.tables WHERE table_schema = current_schema()`
	}
	for _, place := range []struct {
		db     *sql.DB
		tables string
	}{{openDatabase(t, p.settings.DataDir), tables}, {index, sqlite}} {
		names := column(t, place.db, place.tables)
		if len(names) < 2 {
			t.Errorf("there are only the tables %v", names)
		}
		for _, table := range names {
			for _, row := range column(t, place.db, `SELECT * FROM "`+table+`"`) {
				if strings.Contains(row, text) {
					t.Errorf("%s: %s", table, row)
				}
			}
		}
	}
}

// column gives the rows of a query, each with its columns joined.
func column(t *testing.T, db *sql.DB, query string) (all []string) {
	t.Helper()
	rows, err := db.Query(query)
	if err != nil {
		t.Fatal(query, err)
	}
	defer rows.Close()
	names, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	values, to := make([]sql.RawBytes, len(names)), make([]any, len(names))
	for i := range values {
		to[i] = &values[i]
	}
	for rows.Next() {
		if err := rows.Scan(to...); err != nil {
			t.Fatal(err)
		}
		all = append(all, string(bytes.Join(bytesOf(values), []byte{'|'})))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func bytesOf(raw []sql.RawBytes) (all [][]byte) {
	for _, r := range raw {
		all = append(all, r)
	}
	return all
}

// A deleted text is looked for everywhere and found nowhere: rows, memory, replays on every transport, history, search,
// retries, and the files themselves.
func TestDeletedTextIsGoneFromEverywhere(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("lobby")
	const canary = "xylophonecanary"
	const key = "Idempotency-Key: k"
	start := ada.head()
	in := ada.post("lobby", canary+" one", key)
	ada.edit("lobby", in.ID, canary+" two")
	ada.edit("lobby", in.ID, canary+" three")
	ada.do("PUT", messagePath("lobby", in.ID)+"/reactions/"+url.PathEscape("👍"), nil).want(204)
	sent := ada.send("bob", canary+" four", key)
	ada.do("PATCH", fmt.Sprint(privatePath("bob"), "/messages/", sent.ID), newMessage{Message: canary + " five"}).want(200)
	note := ada.do("POST", privatePath("ada")+"/messages", newMessage{canary + " six", canary}).want(201).event()
	kept := ada.post("lobby", "kept")
	if got := bob.history("lobby", "q="+canary); len(got.items) != 1 { // it is in the index
		t.Fatalf("searching finds %s", show(got.items))
	}
	for _, path := range []string{messagePath("lobby", in.ID), fmt.Sprint(privatePath("bob"), "/messages/", sent.ID), fmt.Sprint(privatePath("ada"), "/messages/", note.ID)} {
		ada.do("DELETE", path, nil).want(204)
	}

	fromLog := p.onTheSameData(t)
	onEach(t, func(t *testing.T, over transport) {
		for _, from := range []*testServer{p.testServer, fromLog.testServer} {
			for _, c := range []*client{ada.on(from).in(t), bob.on(from).in(t)} {
				s := c.open(over, fmt.Sprint("room=lobby&since=", start))
				s.opening()
				end := ada.in(t).post("lobby", "end")
				var last event
				for _, e := range s.until(func(e event) bool { return e.ID == end.ID }) {
					if bytes.Contains(e.raw, []byte(canary)) {
						t.Errorf("replayed is %s", e.raw)
					}
					switch e.Type {
					case "message_edited", "private_message", "private_message_delivered":
						if !e.Deleted || e.Message != "" {
							t.Errorf("replayed is %s", e.raw)
						}
					case "chat_message":
						if (e.ID == in.ID) != e.Deleted {
							t.Errorf("replayed is %s", e.raw)
						}
					}
					if last.ID >= e.ID && e.ID != 0 {
						t.Errorf("%d came behind %d", e.ID, last.ID)
					}
					last = e
				}
				s.close()
			}
		}
	})
	if got := bob.history("lobby", fmt.Sprint("limit=2&before=", kept.ID+1)).items; !got[0].Deleted || got[0].Message != "" || got[0].Reactions != nil || got[0].EditedAt != "" {
		t.Errorf("history says %s", show(got))
	}
	if got := bob.page(privatePath("ada")+"/messages", "").items; len(got) != 1 || !got[0].Deleted || got[0].Message != "" {
		t.Errorf("bob reads %s", show(got))
	}
	if got := bob.history("lobby", "q="+canary).items; len(got) != 0 {
		t.Errorf("searching finds %s", show(got))
	}
	for _, path := range []string{"/v1/rooms/lobby/messages", privatePath("bob") + "/messages"} {
		text := map[bool]string{true: " one", false: " four"}[strings.Contains(path, "rooms")]
		if again := ada.do("POST", path, raw(canary+text), key).want(200).event(); !again.Deleted || again.Message != "" {
			t.Errorf("the retry got %s", again.raw)
		}
	}
	assertNowhere(t, p, canary)
	fromLog.stop(t)
	p.stop(t)
	if onPostgres {
		return
	}
	files, err := filepath.Glob(filepath.Join(p.settings.DataDir, "*"))
	if err != nil || len(files) < 2 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("after a stop %s has the text", filepath.Base(f))
		}
	}
}
