package program

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// accessMatrix says what each operation answers to whom: a status, or the short name of a problem (see shortProblems).
//
// In rooms, stranger is a user who is no member, and admin one of the site who is none either. disabled has a token of
// before, token is the owner's API token that is limited to another room, nobody has no credentials, and anyone has
// none either where anonymous-read is on. A room is public, private, or news: public with posting for admins.
// What stands behind a + is a variant of the call (see the calls below).
const accessMatrix = `
operation                                             room     stranger  member    moderator owner     admin     disabled  token     nobody    anyone

POST   /v1/auth/signup                                -        bad       bad       bad       bad       bad       bad       bad       bad       bad
POST   /v1/auth/login                                 -        bad       bad       bad       bad       bad       bad       bad       bad       bad
POST   /v1/auth/refresh                               -        bad       bad       bad       bad       bad       bad       bad       bad       bad
POST   /v1/auth/logout                                -        204       204       204       204       204       invalid   scope     missing   missing
POST   /v1/auth/ticket                                -        201       201       201       201       201       invalid   scope     missing   missing
GET    /v1/me                                         -        200       200       200       200       200       invalid   200       missing   missing
PATCH  /v1/me                                         -        password  password  password  password  password  invalid   scope     missing   missing
DELETE /v1/me                                         -        password  password  password  password  password  invalid   scope     missing   missing
GET    /v1/me/blocks                                  -        200       200       200       200       200       invalid   scope     missing   missing
PUT    /v1/me/blocks/{username}                       -        204       204       204       204       204       invalid   scope     missing   missing
DELETE /v1/me/blocks/{username}                       -        204       204       204       204       204       invalid   scope     missing   missing
GET    /v1/tokens                                     -        200       200       200       200       200       invalid   scope     missing   missing
POST   /v1/tokens                                     -        201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/tokens+room                                public   201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/tokens+room                                private  noroom    201       201       201       noroom    invalid   scope     missing   missing
DELETE /v1/tokens/{id}                                -        notoken   notoken   notoken   notoken   notoken   invalid   scope     missing   missing
GET    /v1/users                                      -        200       200       200       200       200       invalid   scope     missing   missing
GET    /v1/admin/users                                -        forbid    forbid    forbid    forbid    200       invalid   scope     missing   missing
PATCH  /v1/admin/users/{username}                     -        forbid    forbid    forbid    forbid    200       invalid   scope     missing   missing
GET    /v1/admin/stats                                -        forbid    forbid    forbid    forbid    200       invalid   scope     missing   missing

GET    /v1/rooms                                      -        200       200       200       200       200       invalid   200       missing   200
POST   /v1/rooms                                      public   201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/rooms+taken                                private  exists    exists    exists    exists    exists    invalid   scope     missing   missing
GET    /v1/rooms/{room}                               public   200       200       200       200       200       invalid   noroom    missing   200
GET    /v1/rooms/{room}                               private  noroom    200       200       200       200       invalid   noroom    missing   noroom
PUT    /v1/rooms/{room}                               public   200       200       200       200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}                               private  exists    200       200       200       exists    invalid   noroom    missing   missing
PATCH  /v1/rooms/{room}                               public   forbid    forbid    forbid    200       200       invalid   noroom    missing   missing
PATCH  /v1/rooms/{room}                               private  noroom    forbid    forbid    200       200       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}                               public   forbid    forbid    forbid    204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}                               private  noroom    forbid    forbid    204       204       invalid   noroom    missing   missing

GET    /v1/rooms/{room}/members                       public   200       200       200       200       200       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/members                       private  noroom    200       200       200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/members/{username}            public   forbid    forbid    200       200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/members/{username}            private  noroom    forbid    200       200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/members/{username}+promote    public   forbid    forbid    forbid    200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/members/{username}+promote    private  noroom    forbid    forbid    200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/members/{username}+unknown    private  noroom    forbid    nouser    nouser    nouser    invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/members/{username}            public   forbid    forbid    204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/members/{username}            private  noroom    forbid    204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/members/{username}+owner      public   forbid    forbid    forbid    204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/members/{username}+owner      private  noroom    forbid    forbid    lastowner lastowner invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/members/{username}+self       public   204       204       204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/members/{username}+self       private  noroom    204       204       lastowner 204       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/bans                          public   forbid    forbid    200       200       200       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/bans                          private  noroom    forbid    200       200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/bans/{username}               public   forbid    forbid    204       204       204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/bans/{username}               private  noroom    forbid    204       204       204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/bans/{username}+moderator     public   forbid    forbid    forbid    204       204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/bans/{username}+owner         public   forbid    forbid    forbid    forbid    204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/bans/{username}+owner         private  noroom    forbid    forbid    forbid    lastowner invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/bans/{username}+admin         public   forbid    forbid    forbid    forbid    forbid    invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/bans/{username}               public   forbid    forbid    204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/bans/{username}               private  noroom    forbid    204       204       204       invalid   noroom    missing   missing

GET    /v1/rooms/{room}/messages                      public   200       200       200       200       200       invalid   noroom    missing   200
GET    /v1/rooms/{room}/messages                      private  noroom    200       200       200       noroom    invalid   noroom    missing   noroom
POST   /v1/rooms/{room}/messages                      public   201       201       201       201       201       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/messages                      private  noroom    201       201       201       noroom    invalid   noroom    missing   missing
PATCH  /v1/rooms/{room}/messages/{id}                 public   forbid    forbid    forbid    forbid    forbid    invalid   noroom    missing   missing
PATCH  /v1/rooms/{room}/messages/{id}                 private  noroom    forbid    forbid    forbid    noroom    invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/messages/{id}                 public   forbid    forbid    204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/messages/{id}                 private  noroom    forbid    204       204       204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/messages/{id}/reactions/{emoji} public   204       204       204       204       204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/messages/{id}/reactions/{emoji} private  noroom    204       204       204       noroom    invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/messages/{id}/reactions/{emoji} public   204       204       204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/messages/{id}/reactions/{emoji} private  noroom    204       204       204       noroom    invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/read                          public   204       204       204       204       204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/read                          private  noroom    204       204       204       noroom    invalid   noroom    missing   missing
POST   /v1/rooms/{room}/messages                      news     restrict  restrict  201       201       201       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/typing                        public   204       204       204       204       204       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/typing                        private  noroom    204       204       204       noroom    invalid   noroom    missing   missing
POST   /v1/rooms/{room}/typing                        news     restrict  restrict  204       204       204       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/users                         public   200       200       200       200       200       invalid   noroom    missing   200
GET    /v1/rooms/{room}/users                         private  noroom    200       200       200       noroom    invalid   noroom    missing   noroom

GET    /v1/private                                    -        200       200       200       200       200       invalid   scope     missing   missing
GET    /v1/private/{username}/messages                -        200       200       200       200       200       invalid   scope     missing   missing
POST   /v1/private/{username}/messages                -        201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/private/{username}/messages+unknown        -        nouser    nouser    nouser    nouser    nouser    invalid   scope     missing   missing
PATCH  /v1/private/{username}/messages/{id}           -        nomsg     nomsg     nomsg     nomsg     nomsg     invalid   scope     missing   missing
DELETE /v1/private/{username}/messages/{id}           -        nomsg     nomsg     nomsg     nomsg     nomsg     invalid   scope     missing   missing
PUT    /v1/private/{username}/read                    -        204       204       204       204       204       invalid   scope     missing   missing

GET    /v1/events                                     public   200       200       200       200       200       invalid   noroom    missing   200
POST   /v1/events                                     public   200       200       200       200       200       invalid   noroom    missing   200
GET    /v1/events                                     private  noroom    200       200       200       noroom    invalid   noroom    missing   noroom
POST   /v1/events                                     private  noroom    200       200       200       noroom    invalid   noroom    missing   noroom
GET    /ws/chat/{room}                                public   upgrade   upgrade   upgrade   upgrade   upgrade   upgrade   upgrade   upgrade   upgrade
GET    /.well-known/jwks.json                         -        200       200       200       200       200       200       200       200       200
GET    /healthz                                       -        200       200       200       200       200       200       200       200       200
GET    /readyz                                        -        200       200       200       200       200       200       200       200       200
GET    /openapi.yaml                                  -        200       200       200       200       200       200       200       200       200
`

var shortProblems = map[string]string{
	"bad":       "400 invalid_request",
	"upgrade":   "426 upgrade_required", // the call is no WebSocket handshake; tutorial_test.go has who may
	"invalid":   "401 invalid_token",
	"missing":   "401 missing_token",
	"forbid":    "403 forbidden",
	"restrict":  "403 posting_restricted",
	"password":  "403 wrong_password",
	"scope":     "403 token_scope",
	"noroom":    "404 room_not_found",
	"notoken":   "404 token_not_found",
	"nouser":    "404 user_not_found",
	"nomsg":     "404 message_not_found",
	"exists":    "409 room_exists",
	"lastowner": "409 last_owner",
}

// call is how an operation of the matrix is called where it takes a body, or another user than the target.
type call struct {
	body     func(room string) any
	username string // "self" is the caller
}

func sends(body any) call { return call{body: func(string) any { return body }} }

// calls are those of the matrix that need more than their path. Passwords are wrong and tokens unknown, so that
// nobody loses their account on the way.
var calls = map[string]call{
	"POST /v1/auth/signup":                             sends(map[string]any{}),
	"POST /v1/auth/login":                              sends(map[string]any{}),
	"POST /v1/auth/refresh":                            sends(map[string]any{}),
	"PATCH /v1/me":                                     sends(map[string]any{"current_password": "not the password", "password": "another password"}),
	"DELETE /v1/me":                                    sends(map[string]any{"current_password": "not the password"}),
	"POST /v1/tokens":                                  sends(map[string]any{"name": "script"}),
	"POST /v1/tokens+room":                             {body: func(room string) any { return map[string]any{"name": "script", "rooms": []string{room}} }},
	"PATCH /v1/admin/users/{username}":                 sends(map[string]any{"disabled": false}),
	"POST /v1/rooms":                                   {body: func(room string) any { return newRoom{Name: room + "-new"} }},
	"POST /v1/rooms+taken":                             {body: func(room string) any { return newRoom{Name: room} }},
	"PATCH /v1/rooms/{room}":                           sends(map[string]any{"title": "another"}),
	"PUT /v1/rooms/{room}/members/{username}":          {body: func(string) any { return map[string]any{"role": "member"} }, username: "guest"},
	"PUT /v1/rooms/{room}/members/{username}+promote":  sends(map[string]any{"role": "moderator"}),
	"PUT /v1/rooms/{room}/members/{username}+unknown":  {body: func(string) any { return map[string]any{"role": "member"} }, username: "unheard-of"},
	"DELETE /v1/rooms/{room}/members/{username}+owner": {username: "owner"},
	"DELETE /v1/rooms/{room}/members/{username}+self":  {username: "self"},
	"PUT /v1/rooms/{room}/bans/{username}+moderator":   {username: called("moderator")},
	"PUT /v1/rooms/{room}/bans/{username}+owner":       {username: "owner"},
	"PUT /v1/rooms/{room}/bans/{username}+admin":       {username: "admin"},
	"POST /v1/rooms/{room}/messages":                   sends(raw("hello")),
	"PATCH /v1/rooms/{room}/messages/{id}":             sends(newMessage{Message: "hello"}),
	"PUT /v1/rooms/{room}/read":                        sends(map[string]any{"id": 1}),
	"POST /v1/private/{username}/messages":             sends(raw("hello")),
	"POST /v1/private/{username}/messages+unknown":     {body: func(string) any { return raw("hello") }, username: "unheard-of"},
	"PATCH /v1/private/{username}/messages/{id}":       sends(newMessage{Message: "hello"}),
	"PUT /v1/private/{username}/read":                  sends(map[string]any{"id": 1}),
}

// matrixWorld is a server with the matrix's users.
type matrixWorld struct {
	t      *testing.T
	users  map[string]*client // by column, and the target, who is a member, and the guest, who is none
	rooms  int
	server *testProgram
}

// called is the username of who stands in a column; some columns have names that are reserved.
func called(column string) string {
	if column == "moderator" {
		return "mod"
	}
	return column
}

func newMatrixWorld(t *testing.T, anonymousRead bool) *matrixWorld {
	p := startProgram(t, func(cfg *Settings) {
		cfg.Admin, cfg.AnonymousRead = "admin:correct horse of admin", anonymousRead
		cfg.LimitRooms, cfg.LimitMemberships = 0, 0 // each row makes rooms of its own
	})
	p.logs.keepSecret("correct horse of admin")
	w := &matrixWorld{t: t, users: map[string]*client{}, server: p}
	for _, name := range []string{"stranger", "member", "moderator", "owner", "disabled", "target", "guest"} {
		w.users[name] = p.signup(t, called(name))
	}
	w.users["admin"] = p.admin(t)
	w.users["nobody"], w.users["anyone"] = p.visitor(t), p.visitor(t)
	w.users["owner"].enter("elsewhere")
	var made struct{ Token string }
	w.users["owner"].do("POST", "/v1/tokens", map[string]any{"name": "t", "rooms": []string{"elsewhere"}}).want(201).into(&made)
	w.users["token"] = w.users["owner"].withToken(made.Token)
	w.users["admin"].do("PATCH", "/v1/admin/users/disabled", map[string]any{"disabled": true}).want(200)
	return w
}

// admin is the one of the admin setting, "admin:correct horse of admin".
func (p *testProgram) admin(t *testing.T) *client {
	t.Helper()
	c := p.visitor(t)
	c.password = "correct horse of admin"
	c.do("POST", "/v1/auth/login", credentials{"admin", c.password}).want(200).into(&c.session)
	return c
}

// room makes a room for one call: what that changes meets no other.
func (w *matrixWorld) room(kind string) string {
	if kind == "-" {
		return "elsewhere"
	}
	w.rooms++
	r := newRoom{Name: fmt.Sprintf("%s%d", kind, w.rooms)}
	if kind == "private" {
		r.Visibility = "private"
	}
	if kind == "news" {
		r.Posting = "admins"
	}
	owner := w.users["owner"]
	owner.do("POST", "/v1/rooms", r).want(201)
	for name, role := range map[string]string{"moderator": "moderator", "member": "member", "target": "member"} {
		owner.do("PUT", roomPath(r.Name)+"/members/"+called(name), map[string]any{"role": role}).want(200)
	}
	return r.Name
}

// call calls an operation as somebody.
func (w *matrixWorld) call(method, path, who, room string) answer {
	w.t.Helper()
	c := w.users[who]
	special := calls[method+" "+path]
	path, _, _ = strings.Cut(path, "+")
	if path == "/v1/events" {
		over := overSSE
		if method == "POST" {
			over = overPost
		}
		s, refusal, err := c.dial(over, how{query: "room=" + room})
		if err != nil {
			w.t.Fatal(err)
		}
		if refusal != nil {
			return *refusal
		}
		s.close()
		return answer{t: w.t, status: http.StatusOK}
	}
	username := special.username
	switch {
	case username == "self" && c.User.Username != "":
		username = c.User.Username
	case username == "self" || username == "":
		username = "target"
	}
	id := "1" // nothing of anybody's
	if strings.HasPrefix(path, "/v1/rooms/{room}/messages/{id}") && room != "nowhere" {
		id = fmt.Sprint(w.users["target"].post(room, "hello").ID)
	}
	path = strings.NewReplacer("{room}", room, "{username}", username, "{id}", id, "{emoji}", "%F0%9F%91%8D").Replace(path)
	var body any
	if special.body != nil {
		body = special.body(room)
	}
	return c.do(method, path, body)
}

// Every operation of openapi.yaml has its rows here, and answers as they say. Whoever gets a room's 404 gets the very
// same from a room that does not exist.
func TestAccessMatrix(t *testing.T) {
	t.Parallel()
	closed, open := newMatrixWorld(t, false), newMatrixWorld(t, true)
	rows := strings.Split(strings.TrimSpace(accessMatrix), "\n")
	columns := strings.Fields(rows[0])[2:]
	missing := map[string]bool{}
	for path, item := range contract().Paths.Map() {
		for method := range item.Operations() {
			missing[method+" "+path] = true
		}
	}
	described := maps.Clone(missing)
	for _, row := range rows[1:] {
		cells := strings.Fields(row)
		if len(cells) == 0 {
			continue
		}
		method, path, kind := cells[0], cells[1], cells[2]
		plain, _, _ := strings.Cut(path, "+")
		if !described[method+" "+plain] || len(cells) != 3+len(columns) {
			t.Fatalf("openapi.yaml has no such operation, or the row has no %d columns: %s", len(columns), row)
		}
		delete(missing, method+" "+plain)
		for i, who := range columns {
			w := closed
			if who == "anyone" {
				w = open
			}
			room := w.room(kind)
			a := w.call(method, path, who, room)
			want := cells[3+i]
			if long, ok := shortProblems[want]; ok {
				want = long
			}
			if got := statusAndCode(a); got != want {
				t.Errorf("%s %s in a %s room as %s: %s, not %s: %s", method, path, kind, who, got, want, clip(a.body))
			}
			if want == shortProblems["noroom"] {
				sameAnswer(t, a, room, w.call(method, path, who, "nowhere"), "nowhere")
			}
			if path == "/v1/auth/logout" && a.status == http.StatusNoContent {
				c := w.users[who]
				c.do("POST", "/v1/auth/login", credentials{c.User.Username, c.password}).want(200).into(&c.session)
			}
		}
	}
	for operation := range missing {
		t.Errorf("the matrix has no row for %s", operation)
	}
}

func statusAndCode(a answer) string {
	if a.status < 400 {
		return fmt.Sprint(a.status)
	}
	var p problem
	a.into(&p)
	return fmt.Sprintf("%d %s", a.status, p.Code)
}

// sameAnswer asserts that two answers differ in the room's name and the request's id at most.
func sameAnswer(t *testing.T, a answer, aRoom string, b answer, bRoom string) {
	t.Helper()
	if text := strings.ReplaceAll(string(b.body), bRoom, aRoom); a.status != b.status || string(a.body) != text {
		t.Errorf("%s answers %d %s, and %s %d %s", a.call, a.status, a.body, b.call, b.status, b.body)
	}
	plain := func(h http.Header) http.Header {
		h = h.Clone()
		for _, name := range []string{"X-Request-Id", "Date", "Content-Length"} {
			h.Del(name)
		}
		return h
	}
	if !maps.EqualFunc(plain(a.header), plain(b.header), slices.Equal) {
		t.Errorf("%s has the headers %v, and %s %v", a.call, a.header, b.call, b.header)
	}
}
