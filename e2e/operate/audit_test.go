package operate

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

// auditEntry is an entry of GET /v1/admin/audit without its time and id.
type auditEntry struct {
	ID                                       int64
	At                                       time.Time
	Actor, Via, Action, Room, Target, Object string
	Token                                    int64
	Detail                                   json.RawMessage
}

func (e auditEntry) String() string {
	return strings.Join(strings.Fields(fmt.Sprint(e.Actor, " ", e.Via, " ", e.Action, " ", e.Room, " ", e.Target, " ", string(e.Detail))), " ")
}

// audit reads the whole audit log page by page, and returns it oldest first.
func audit(t *testing.T, c *harness.Client, page int) (entries []auditEntry) {
	t.Helper()
	for before := ""; ; {
		var p struct {
			Items []auditEntry
			Next  *int64
		}
		c.Do("GET", fmt.Sprint("/v1/admin/audit?limit=", page, before), nil).Want(200).Into(&p)
		if len(p.Items) > page {
			t.Fatalf("a page of %d has %d entries", page, len(p.Items))
		}
		for _, e := range p.Items {
			entries = append([]auditEntry{e}, entries...)
		}
		if p.Next == nil {
			return entries
		}
		before = fmt.Sprint("&before=", *p.Next)
	}
}

// The audit log has what admins and moderators did, in order: who, how (login, token, WebSocket or command line), what,
// and to whom. It does not have refused calls, or what users do to themselves.
func TestAuditLogRecordsActions(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, harness.WithAdmin)
	root, ada, bob := p.Admin(t), p.Signup(t, "ada"), p.Signup(t, "bob")
	began := time.Now().Add(-time.Minute)
	ada.Enter("lobby")
	bob.Enter("lobby")
	bob.Do("PUT", "/v1/rooms/lobby/members/bob", nil)
	theirs := bob.Post("lobby", "spam")
	own := ada.Post("lobby", "mistake")

	bob.Do("PUT", "/v1/rooms/lobby/bans/ada", nil).WantProblem(403, "forbidden", "")
	ada.Do("DELETE", fmt.Sprint("/v1/rooms/lobby/messages/", own.ID), nil).Want(204)
	ada.Do("DELETE", fmt.Sprint("/v1/rooms/lobby/messages/", theirs.ID), nil).Want(204)
	ada.Do("PATCH", "/v1/rooms/lobby", harness.Fields{"title": "A secret title", "slow_mode": 5}).Want(200)
	var token struct {
		ID    int64
		Token string
	}
	ada.Do("POST", "/v1/tokens", harness.Fields{"name": "bot"}).Want(201).Into(&token)
	p.Logs.KeepSecret(token.Token)
	ada.WithToken(token.Token).Do("PUT", "/v1/rooms/lobby/bans/Bob", nil).Want(204)
	ws := ada.Open(harness.OverWS, "room=lobby")
	ws.Opening()
	ws.Call("DELETE", "/v1/rooms/lobby/bans/bob", nil).Want(204)
	root.Do("PATCH", "/v1/admin/users/bob", harness.Fields{"disabled": true}).Want(200)
	root.Do("POST", "/v1/admin/users", harness.Fields{"username": "carl", "password": "correct horse battery"}).Want(201)
	line, err := program.OpenAdmin(t.Context(), p.Settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := line.SetAdmin(t.Context(), "ada", true); err != nil {
		t.Error(err)
	}
	if err := line.Close(); err != nil {
		t.Error(err)
	}
	ada.Do("DELETE", "/v1/rooms/lobby", nil).Want(204)

	want := []string{
		`ada login deleteMessage lobby`,
		`ada login changeRoom lobby {"slow_mode":5}`,
		`ada token ban lobby bob`,
		`ada login unban lobby bob`,
		`admin login changeAccount bob {"disabled":true}`,
		`admin login createAccount carl`,
		`command_line changeAccount ada {"role":"admin"}`,
		`ada login deleteRoom lobby`,
	}
	for _, page := range []int{50, 3} {
		entries := audit(t, root, page)
		var got []string
		for _, e := range entries {
			got = append(got, e.String())
			if e.At.Before(began) || e.At.After(time.Now().Add(time.Minute)) {
				t.Errorf("time of %s = %v", e, e.At)
			}
		}
		if strings.Join(got, "\n") != strings.Join(want, "\n") {
			t.Errorf("audit log in pages of %d =\n%s\nwant\n%s", page, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if len(entries) > 2 && (entries[0].Object != fmt.Sprint(theirs.ID) || entries[2].Token != token.ID || entries[1].Token != 0) {
			t.Errorf("entries = %+v", entries[:3])
		}
	}
	bob.Do("GET", "/v1/admin/audit", nil).WantProblem(401, "invalid_token", "")
	carl := p.Visitor(t)
	carl.Do("POST", "/v1/auth/login", harness.Credentials{Username: "carl", Password: "correct horse battery"}).Want(200).Into(&carl.Session)
	carl.In(t).Do("GET", "/v1/admin/audit", nil).WantProblem(403, "forbidden", "")
}
