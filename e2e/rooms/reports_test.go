package rooms

import (
	"database/sql"
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

// A user who may read a message can report it, once. The room's moderators learn of it at once. When they close the
// report it stays closed until another user reports the message.
func TestReports(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	ada, bob, cat, mod, root := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "cat"), p.Signup(t, "mod"), p.Admin(t)
	for _, over := range harness.Pushing {
		t.Run(string(over), func(t *testing.T) {
			ada, bob, cat, mod, root := ada.In(t), bob.In(t), cat.In(t), mod.In(t), root.In(t)
			room := "room-" + string(over)
			ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: room}).Want(201)
			ada.SetMember(room, "mod", "moderator").Want(200)
			path := harness.RoomPath(room) + "/reports"
			m := bob.Post(room, "something bad")
			streams := []*harness.Stream{mod.Open(over, ""), ada.Open(over, ""), root.Open(over, "")}
			others := bob.Open(over, "room="+room)
			for _, s := range append(streams, others) {
				s.Opening()
			}
			told := func(want int) {
				t.Helper()
				for _, s := range streams {
					s.OpenReports(room, want)
				}
			}
			cat.Do("POST", fmt.Sprint(harness.RoomPath(room), "/messages/", m.ID, "/report"), nil).Want(204)
			told(1)
			cat.Report(room, m.ID, "again, with a reason").Want(204) // changes nothing
			ada.Report(room, m.ID, "I think so too").Want(204)
			told(1)
			items, next := mod.Reports(path)
			if len(items) != 1 || next != nil || items[0].Count != 2 || items[0].State != "open" || items[0].MessageID != m.ID || items[0].Room != room ||
				items[0].Message == nil || items[0].Message.Message != "something bad" {
				t.Fatalf("reports = %+v", items)
			}
			if by := items[0].By(); !slices.Contains(by, "ada: I think so too") || !slices.Contains(by, "cat: ") {
				t.Errorf("reporters = %q", by)
			}
			one := fmt.Sprint(path, "/", items[0].ID)
			var r harness.Report
			mod.Do("PATCH", one, harness.Fields{"state": "dismissed"}).Want(200).Into(&r)
			if r.State != "dismissed" || r.ClosedBy != "mod" || r.ClosedAt == "" || r.Message == nil {
				t.Errorf("report = %+v", r)
			}
			told(0)
			mod.Do("PATCH", one, harness.Fields{"state": "dismissed"}).Want(200) // changes nothing
			cat.Report(room, m.ID, "still").Want(204)                            // neither does this
			if items, _ := mod.Reports(path + "?state=open"); len(items) != 0 {
				t.Errorf("open = %+v, want none", items)
			}
			if items, _ := mod.Reports(path + "?state=dismissed"); len(items) != 1 {
				t.Errorf("dismissed = %+v", items)
			}
			root.Do("POST", fmt.Sprint(harness.RoomPath(room), "/messages/", m.ID, "/report"), harness.Fields{}).Want(204)
			told(1)
			if items, _ := root.Reports(path); len(items) != 1 || items[0].State != "open" || items[0].ClosedBy != "" || items[0].Count != 3 {
				t.Errorf("reopened report = %+v", items)
			}
			root.Do("PATCH", fmt.Sprint("/v1/admin/reports/", items[0].ID), harness.Fields{"state": "resolved"}).Want(200)
			told(0)
			// Nobody else learns of any of this.
			others.UntilMessageOnly(ada.Post(room, "the end"))
			bob.Do("GET", path, nil).WantProblem(403, "forbidden", "")
			mod.Do("PATCH", harness.RoomPath(room)+"/reports/999999", harness.Fields{"state": "open"}).WantProblem(404, "report_not_found", "id")
		})
	}
}

// A report shows the text as of the report, even if the author has edited it since. A deleted text is gone from the
// report too.
func TestReportKeepsNoDeletedText(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, cat := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "cat")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	one := func() harness.Report {
		t.Helper()
		items, _ := ada.Reports("/v1/rooms/lobby/reports")
		if len(items) != 1 || items[0].Message == nil {
			t.Fatalf("reports = %+v", items)
		}
		return items[0]
	}
	m := bob.Post("lobby", "innocent at first")
	bob.Edit("lobby", m.ID, "canary-of-a-bad-text")
	cat.Report("lobby", m.ID, "look").Want(204)
	if r := one(); r.Message.Message != "canary-of-a-bad-text" || r.ReportedText != "" {
		t.Errorf("report = %+v", r)
	}
	bob.Edit("lobby", m.ID, "innocent again")
	if r := one(); r.Message.Message != "innocent again" || r.ReportedText != "canary-of-a-bad-text" {
		t.Errorf("report after the edit = %+v", r)
	}
	bob.Do("DELETE", fmt.Sprint("/v1/rooms/lobby/messages/", m.ID), nil).Want(204)
	if r := one(); !r.Message.Deleted || r.Message.Message != "" || r.ReportedText != "" || r.State != "open" || r.By()[0] != "cat: look" {
		t.Errorf("report after the deletion = %+v", r)
	}
	if a := ada.Do("GET", "/v1/rooms/lobby/reports", nil).Want(200); strings.Contains(string(a.Body), "canary") {
		t.Errorf("list contains text that it must not: %s", a.Body)
	}
	db := harness.OpenDatabase(t, p.Settings.DataDir)
	for _, table := range []string{"reports", "reporters", "events"} {
		if rows := dump(t, db, table); strings.Contains(rows, "canary") {
			t.Errorf("deleted text left in table %s", table)
		}
	}
	cat.Report("lobby", m.ID, "again").WantProblem(404, "message_not_found", "id")
	ada.Report("lobby", m.ID, "late").WantProblem(404, "message_not_found", "id")
	// Deleting the room deletes its reports.
	ada.Do("DELETE", "/v1/rooms/lobby", nil).Want(204)
	if rows := dump(t, db, "reporters"); rows != "" {
		t.Errorf("reporters = %s, want none", rows)
	}
}

// A private message is reported to the site's admins, who see it and nothing else of the conversation.
func TestPrivateMessagesAreReportedToAdmins(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	ada, bob, root := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Admin(t)
	s, others := root.Open(harness.OverWS, ""), bob.Open(harness.OverSSE, "")
	s.Opening()
	others.Opening()
	m := bob.Send("ada", "something bad")
	bob.Send("ada", "and this is nobody's business")
	ada.Do("POST", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", m.ID, "/report"), harness.Fields{"reason": "threats"}).Want(204)
	s.OpenReports("", 1)
	items, _ := root.Reports("/v1/admin/reports?state=open")
	if len(items) != 1 || items[0].Room != "" || items[0].Message == nil || items[0].Message.Message != "something bad" ||
		items[0].Message.User != "bob" || items[0].Message.Target != "ada" || items[0].By()[0] != "ada: threats" {
		t.Fatalf("reports = %+v", items)
	}
	if a := root.Do("GET", "/v1/admin/reports", nil); strings.Contains(string(a.Body), "nobody's business") {
		t.Errorf("list contains text that it must not: %s", a.Body)
	}
	root.Do("PATCH", fmt.Sprint("/v1/admin/reports/", items[0].ID), harness.Fields{"state": "resolved"}).Want(200)
	s.OpenReports("", 0)
	// Nobody else could report what the message becomes.
	again := func(reason string) {
		ada.Do("POST", fmt.Sprint(harness.PrivatePath("bob"), "/messages/", m.ID, "/report"), harness.Fields{"reason": reason}).Want(204)
	}
	again("the same text")
	if items, _ := root.Reports("/v1/admin/reports?state=open"); len(items) != 0 {
		t.Errorf("reports of the same text: got %+v, want none", items)
	}
	bob.Do("PATCH", fmt.Sprint(harness.PrivatePath("ada"), "/messages/", m.ID), harness.Fields{"message": "something worse"}).Want(200)
	again("worse threats")
	s.OpenReports("", 1)
	if items, _ := root.Reports("/v1/admin/reports?state=open"); len(items) != 1 || items[0].Message.Message != "something worse" ||
		!slices.Equal(items[0].By(), []string{"ada: worse threats"}) {
		t.Errorf("reports of the edited text: got %+v, want one by ada", items)
	}
	ada.Do("GET", "/v1/admin/reports", nil).WantProblem(403, "forbidden", "")
	// A user cannot report what they cannot read.
	eve := p.Signup(t, "eve")
	for _, path := range []string{harness.PrivatePath("bob"), harness.PrivatePath("ada"), harness.RoomPath(ada.Enter("lobby").Name)} {
		eve.Do("POST", fmt.Sprint(path, "/messages/", m.ID, "/report"), harness.Fields{}).WantProblem(404, "message_not_found", "id")
	}
}

// Reports are limited per user and listed in pages. A muted user may still report.
func TestReportsAreBounded(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "lobby"}).Want(201)
	ada.Mute("lobby", "bob", 3600).Want(200)
	var last harness.Event
	for i := range 100 {
		last = ada.Post("lobby", fmt.Sprint("message ", i))
		bob.Report("lobby", last.ID, "").Want(204)
	}
	more := ada.Post("lobby", "one more")
	bob.Report("lobby", more.ID, "").WantProblem(409, "limit_reached", "")
	bob.Report("lobby", last.ID, "").Want(204) // changes nothing, so it is not refused
	var ids []int64
	for path, next := "/v1/rooms/lobby/reports?limit=30", new(int64); next != nil; {
		var items []harness.Report
		items, next = ada.Reports(path)
		for _, r := range items {
			ids = append(ids, r.MessageID)
		}
		if next != nil {
			path = fmt.Sprint("/v1/rooms/lobby/reports?limit=30&before=", *next)
		}
	}
	if len(ids) != 100 || ids[0] != last.ID || !slices.IsSortedFunc(ids, func(a, b int64) int { return int(b - a) }) {
		t.Errorf("%d reports on all pages, want 100: %v", len(ids), ids)
	}
	items, _ := ada.Reports("/v1/rooms/lobby/reports?limit=1")
	ada.Do("PATCH", fmt.Sprint("/v1/rooms/lobby/reports/", items[0].ID), harness.Fields{"state": "resolved"}).Want(200)
	bob.Report("lobby", more.ID, "").Want(204)
	bob.Report("lobby", more.ID, strings.Repeat("a", 1001)).WantProblem(400, "invalid_request", "reason")
	bob.Report("lobby", more.ID, "a\x00b").WantProblem(400, "invalid_request", "reason")
	bob.Report("lobby", more.ID, strings.Repeat("é", 1000)).Want(204)
}

// dump returns the content of a table as text.
func dump(t *testing.T, db *sql.DB, table string) string {
	t.Helper()
	rows, err := db.Query(`SELECT * FROM ` + table)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for rows.Next() {
		values := make([]any, len(columns))
		for i := range values {
			values[i] = new(any)
		}
		if err := rows.Scan(values...); err != nil {
			t.Fatal(err)
		}
		for _, v := range values {
			fmt.Fprintf(&all, "%s ", *v.(*any))
		}
		all.WriteByte('\n')
	}
	if rows.Err() != nil {
		t.Fatal(rows.Err())
	}
	return all.String()
}
