package accounts

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
	"tandem/testservers"
)

// A profile is shown wherever its user is looked up, and changing it needs no password.
func TestProfile(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	if me := ada.Me(); me.DisplayName != "ada" || me.Role != "user" || !me.Receipts || me.Invisible || me.Data != nil {
		t.Errorf("new user = %+v", me)
	}
	shows := func(name, data string) {
		t.Helper()
		all := []harness.Person{ada.Me(), bob.LookUp("ada"), bob.LookUp("Ada"), bob.People("names=ada")[0], bob.People("")[0]}
		for i, p := range all {
			if p.DisplayName != name || string(p.Data) != data || p.Username != "ada" {
				t.Errorf("look-up %d shows %+v with %s, want %q with %s", i, p, p.Data, name, data)
			}
		}
	}
	shows("ada", "")
	// The bytes are kept, except for white space between tokens.
	ada.ChangeMe(harness.Raw(`{"display_name": " Ada <Lovelace> & 👩‍👩‍👧 ", "data": { "n" : 1.0e2, "html": "<b>&\u003c", "twice" : [1 , 1] }}`))
	shows(" Ada <Lovelace> & 👩‍👩‍👧 ", `{"n":1.0e2,"html":"<b>&\u003c","twice":[1,1]}`)
	ada.ChangeMe(harness.Raw(`{"display_name":"Ада"}`))
	shows("Ада", `{"n":1.0e2,"html":"<b>&\u003c","twice":[1,1]}`)
	ada.ChangeMe(harness.Raw(`{"data":null}`))
	shows("Ада", "")
	for _, none := range []string{`null`, `""`} {
		ada.ChangeMe(harness.Raw(`{"display_name":"x"}`))
		ada.ChangeMe(harness.Raw(`{"display_name":` + none + `}`))
		shows("ada", "")
	}
	if me := ada.ChangeMe(harness.Raw(`{"receipts":false}`)); me.Receipts || me.Invisible {
		t.Errorf("profile without receipts = %+v", me)
	}
	if me := ada.ChangeMe(harness.Raw(`{"receipts":true}`)); !me.Receipts {
		t.Errorf("profile with receipts = %+v", me)
	}
	long := strings.Repeat("é", 64)
	ada.ChangeMe(harness.Fields{"display_name": long})
	deep := strings.Repeat(`{"a":`, 15) + `{}` + strings.Repeat(`}`, 15)
	full := `{"a":"` + strings.Repeat("x", 2<<10-8) + `"}`
	for _, data := range []string{`{}`, deep, full} {
		ada.ChangeMe(harness.Raw(`{"data":` + data + `}`))
		shows(long, data)
	}
	for field, values := range map[string][]string{
		"display_name": {`"` + long + `é"`, `"   "`, `"\u200b"`, `"a\u202eb"`, `"a\u200bb"`, `"a\nb"`, `"a\u0000b"`, `7`, `{}`, `["a"]`, `true`},
		"data":         {`{"a":` + deep + `}`, `{"aa":"` + full[6:], `"a"`, `[]`, `7`, `true`, `{ ` + full[1:]},
		"receipts":     {`null`, `"false"`, `0`},
		"invisible":    {`null`, `"true"`, `1`},
		"more":         {`1`},
	} {
		for _, value := range values {
			a := ada.Do("PATCH", "/v1/me", harness.Raw(`{"`+field+`":`+value+`}`), "Content-Type: application/json")
			a.WantProblem(400, "", "")
			if field != "more" {
				a.WantProblem(400, "", field)
			}
		}
	}
	shows(long, full) // none of the refused changes was applied
	for _, body := range []string{`{}`, `null`, `[]`, ``, `{"display_name":"a","display_name":"b"}`, `{"data":{"a":1,"a":2}}`} {
		ada.Do("PATCH", "/v1/me", harness.Raw(body), "Content-Type: application/json").WantProblem(400, "", "")
	}
	ada.Do("PATCH", "/v1/me", harness.Fields{"password": "another horse"}).WantProblem(400, "", "current_password")
	ada.Do("PATCH", "/v1/me", harness.Fields{"current_password": ada.Password}).WantProblem(400, "", "password")
	ada.Do("PATCH", "/v1/me", harness.Fields{"current_password": "not mine", "password": "another horse", "display_name": "x"}).WantProblem(403, "wrong_password", "")
	shows(long, full)
	p.Logs.KeepSecret("another horse of ada")
	ada.Do("PATCH", "/v1/me", harness.Fields{"current_password": ada.Password, "password": "another horse of ada", "display_name": "Both"}).Want(200)
	shows("Both", full)
	ada.Token(harness.Fields{"name": "bot"}).Do("PATCH", "/v1/me", harness.Fields{"display_name": "x"}).WantProblem(403, "token_scope", "")
}

// A refused change of the profile leaves the password as it was.
func TestRefusedChangeKeepsThePassword(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	for field, value := range map[string]string{"avatar": strings.Repeat("A", 22), "display_name": strings.Repeat("x", 200)} {
		ada.Do("PATCH", "/v1/me", harness.Fields{"current_password": ada.Password, "password": "another horse", field: value}).WantProblem(400, "", field)
	}
	p.Login(t, "ada", ada.Password)
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "another horse"}).WantProblem(401, "bad_credentials", "")
	ada.ChangeMe(harness.Fields{"current_password": ada.Password, "password": "another horse", "display_name": "Ada"})
	p.Login(t, "ada", "another horse")
	if me := ada.Me(); me.DisplayName != "Ada" {
		t.Errorf("display name after a change of both: got %q, want Ada", me.DisplayName)
	}
}

// One call looks up several users by name. Duplicates and unknown names are left out.
func TestUsersByName(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Admin = "admin:correct horse of admin" })
	ada, bob, gone, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "gone"), p.Signup(t, "eve")
	gone.Do("DELETE", "/v1/me", harness.Fields{"current_password": gone.Password}).Want(204)
	p.Admin(t).ChangeAccount("eve", harness.Fields{"disabled": true}).Want(200)
	bob.ChangeMe(harness.Fields{"display_name": "Bobby"})
	var names []string
	for _, found := range ada.People("names=" + url.QueryEscape("bob,Ada,nobody,gone,eve,bob,a b,../x")) {
		names = append(names, found.Username+" "+found.DisplayName)
	}
	if !slices.Equal(names, []string{"ada ada", "bob Bobby"}) {
		t.Errorf("found = %q, want [\"ada ada\" \"bob Bobby\"]", names)
	}
	if got := ada.People("names=nobody"); len(got) != 0 {
		t.Errorf("lookup of no names = %v, want none", got)
	}
	many := strings.Repeat("nobody,", 99)
	if got := ada.People("names=" + many + "ada"); len(got) != 1 {
		t.Errorf("lookup of a hundred names = %v", got)
	}
	for _, query := range []string{"names=" + many + "ada,bob", "names=ada&q=b", "names=ada&online=true", "names=ada&after=a",
		"names=ada&names=bob", "names=" + strings.Repeat("a", 65), "names=a,,b"} {
		ada.Do("GET", "/v1/users?"+query, nil).WantProblem(400, "", "")
	}
	for _, name := range []string{"nobody", "gone", "eve"} {
		ada.Do("GET", "/v1/users/"+name, nil).WantProblem(404, "user_not_found", "username")
	}
	ada.Do("GET", "/v1/users/a%20b", nil).WantProblem(400, "", "username")
	_ = eve
}

// Deleting an account deletes its profile.
func TestProfileIsDeletedWithTheAccount(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Notify(harness.RoomPath("lobby"), "all").Want(204)
	ada.ChangeMe(harness.Raw(`{"display_name":"canary","data":{"a":"canary"},"receipts":false,"invisible":true}`))
	db := harness.OpenDatabase(t, p.Settings.DataDir)
	left := func() (n int) {
		t.Helper()
		if err := db.QueryRow(`SELECT (SELECT count(*) FROM users WHERE display_name IS NOT NULL OR data IS NOT NULL OR avatar IS NOT NULL
			OR NOT receipts OR invisible OR last_seen IS NOT NULL) + (SELECT count(*) FROM notify_levels)`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := left(); n != 2 {
		t.Fatalf("got %d rows before", n)
	}
	s := ada.Open(harness.OverSSE, "")
	s.Opening()
	ada.Do("DELETE", "/v1/me", harness.Fields{"current_password": ada.Password}).Want(204)
	s.Ending()
	if n := left(); n != 0 {
		t.Errorf("%d rows left", n)
	}
}

// A profile change is announced once to everybody who shares a room or a conversation with the user, and to nobody
// else.
func TestUserUpdatedReachesSharedRoomsAndConversations(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, carol, eve := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "carol"), p.Signup(t, "eve")
	ada.PrivateRoom("den")
	ada.Enter("lobby")
	ada.SetMember("den", "bob", "member").Want(200)
	eve.Enter("elsewhere")
	carol.Send("ada", "hi")
	ada.Send("bob", "hi")
	harness.OnPushing(t, func(t *testing.T, over harness.Transport) {
		ada, bob, carol, eve := ada.In(t), bob.In(t), carol.In(t), eve.In(t)
		streams := []*harness.Stream{
			bob.Open(over, "room=den&room=lobby"), carol.Open(over, ""), eve.Open(over, "room=lobby"), // these are notified
			ada.Open(over, ""),
			eve.Open(over, "room=elsewhere"), // these are not
		}
		for _, s := range streams {
			s.Opening()
		}
		marks := 0
		told := func(want int) {
			t.Helper()
			marks++
			mark := fmt.Sprint("mark ", over, marks)
			ada.Post("lobby", mark)
			ada.Post("den", mark)
			eve.Post("elsewhere", mark)
			ada.Send("carol", mark)
			for i, s := range streams {
				got := 0
				last := map[int]string{0: "den", 1: "", 2: "lobby", 3: "", 4: "elsewhere"}[i]
				for _, e := range s.Until(func(e harness.Event) bool { return e.Message == mark && e.Room == last }) {
					if e.Type == "user_updated" {
						if got++; string(e.Raw) != `{"type":"user_updated","user":"ada"}` {
							t.Errorf("stream %d got %s", i, e.Raw)
						}
					}
				}
				if expected := want; i == 4 && got != 0 || i < 4 && got != expected {
					t.Errorf("stream %d got %d events, want %d", i, got, want)
				}
			}
		}
		ada.ChangeMe(harness.Fields{"display_name": "Ada " + string(over)})
		told(1)
		ada.ChangeMe(harness.Fields{"display_name": "Ada " + string(over)}) // no change
		ada.ChangeMe(harness.Fields{"receipts": false})
		ada.ChangeMe(harness.Fields{"receipts": true})
		told(0)
		ada.ChangeMe(harness.Fields{"data": harness.Fields{"over": over}})
		ada.ChangeMe(harness.Raw(`{"display_name":null}`))
		told(2)
	})
}

// last_seen is when a user's last stream ended. It is absent while they are online, and calls do not change it.
func TestLastSeenIsTheEndOfTheLastStream(t *testing.T) {
	harness.Slow(t, "it waits for the grace of presence")
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	if got := ada.LookUp("bob"); got.LastSeen != "" || got.Online {
		t.Errorf("user who never had a stream = %+v", got)
	}
	began := time.Now()
	s := bob.Open(harness.OverWS, "")
	s.Opening()
	if got := ada.LookUp("bob"); got.LastSeen != "" || !got.Online {
		t.Errorf("online user = %+v", got)
	}
	s.Close()
	seen := func(c *harness.Client) (at time.Time) {
		t.Helper()
		harness.Eventually(t, "bob has a last_seen", func() bool {
			got := c.LookUp("bob")
			if got.LastSeen == "" || got.Online {
				return false
			}
			var err error
			at, err = time.Parse(time.RFC3339, got.LastSeen)
			if err != nil {
				t.Fatal(err)
			}
			return true
		})
		return at
	}
	first := seen(ada)
	if first.Before(began.Truncate(time.Millisecond)) || first.After(time.Now().Add(-2*time.Second)) {
		t.Errorf("last_seen = %s, want between %s and 2 s ago", first, began)
	}
	bob.Enter("lobby")
	bob.Post("lobby", "hi")
	bob.Me()
	if again := seen(ada); !again.Equal(first) {
		t.Errorf("API calls changed last_seen from %s to %s", first, again)
	}
	// A server that stops records last_seen for everybody who is connected.
	s = bob.Open(harness.OverSSE, "")
	s.Opening()
	p.Stop(t)
	if at := seen(ada.On(p.Again(t).Server)); !at.After(first) {
		t.Errorf("last_seen after a restart = %s, want a later time", at)
	}
}

// The other node's streams and answers have it too.
func TestProfileAcrossNodes(t *testing.T) {
	t.Parallel()
	nodes := harness.StartNodes(t, 2, testservers.NewValkey(t))
	ada, bob := nodes[0].Signup(t, "ada"), nodes[1].Signup(t, "bob")
	ada.Enter("lobby")
	for _, over := range []harness.Transport{harness.OverSSE, harness.OverWS} {
		s := bob.Open(over, "room=lobby")
		s.Opening()
		harness.Eventually(t, "the other node delivers user_updated", func() bool { // the bus may not be connected yet
			ada.ChangeMe(harness.Fields{"display_name": fmt.Sprint("Ada ", time.Now())})
			e, err := s.Next(time.Second)
			return err == nil && e.Type == "user_updated" && e.User == "ada"
		})
		s.Close()
	}
	if got, want := bob.LookUp("ada").DisplayName, ada.Me().DisplayName; got != want || got == "ada" {
		t.Errorf("the other node has %q, want %q", got, want)
	}
}
