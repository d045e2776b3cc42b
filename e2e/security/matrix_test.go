package security

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// accessMatrix lists what each operation answers to each caller: a status, or the short name of a problem (see
// shortProblems).
//
// stranger is a user and admin a site admin who are not members of the room. disabled is a disabled user with a token from
// before, token is the owner's API token limited to another room, nobody has no credentials, and anyone has none with
// anonymous-read on. A room is public, private, or news, which is public with posting for admins. A suffix after + is a
// variant of the call (see calls below).
const accessMatrix = `
operation                                             room     stranger  member    moderator owner     admin     disabled  token     nobody    anyone

POST   /v1/auth/signup                                -        bad       bad       bad       bad       bad       bad       bad       bad       bad
POST   /v1/auth/login                                 -        bad       bad       bad       bad       bad       bad       bad       bad       bad
POST   /v1/auth/refresh                               -        bad       bad       bad       bad       bad       bad       bad       bad       bad
POST   /v1/auth/logout                                -        204       204       204       204       204       invalid   scope     missing   missing
POST   /v1/auth/ticket                                -        201       201       201       201       201       invalid   scope     missing   missing
GET    /v1/me                                         -        200       200       200       200       200       invalid   200       missing   missing
PATCH  /v1/me                                         -        password  password  password  password  password  invalid   scope     missing   missing
PATCH  /v1/me+profile                                 -        200       200       200       200       200       invalid   scope     missing   missing
DELETE /v1/me                                         -        password  password  password  password  password  invalid   scope     missing   missing
GET    /v1/me/mentions                                -        200       200       200       200       200       invalid   scope      missing   missing
GET    /v1/me/sessions                                -         200       200       200       200       200       invalid   scope     missing   missing
DELETE /v1/me/sessions/{id}                           -         nosession nosession nosession nosession nosession invalid   scope     missing   missing
GET    /v1/me/blocks                                  -        200       200       200       200       200       invalid   scope     missing   missing
PUT    /v1/me/blocks/{username}                       -        204       204       204       204       204       invalid   scope     missing   missing
DELETE /v1/me/blocks/{username}                       -        204       204       204       204       204       invalid   scope     missing   missing
GET    /v1/me/push                                    -        200       200       200       200       200       invalid   scope     missing   missing
PUT    /v1/me/push/{id}                               -        204       204       204       204       204       invalid   scope     missing   missing
DELETE /v1/me/push/{id}                               -        204       204       204       204       204       invalid   scope     missing   missing
GET    /v1/push/key                                   -        200       200       200       200       200       200       200       200       200
GET    /v1/tokens                                     -        200       200       200       200       200       invalid   scope     missing   missing
POST   /v1/tokens                                     -        201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/tokens+room                                public   201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/tokens+room                                private  noroom    201       201       201       noroom    invalid   scope     missing   missing
DELETE /v1/tokens/{id}                                -        notoken   notoken   notoken   notoken   notoken   invalid   scope     missing   missing
GET    /v1/users                                      -        200       200       200       200       200       invalid   scope     missing   missing
GET    /v1/users/{username}                           -        200       200       200       200       200       invalid   scope     missing   missing
GET    /v1/admin/users                                -        forbid    forbid    forbid    forbid    200       invalid   scope     missing   missing
POST   /v1/admin/users                                -         forbid    forbid    forbid    forbid    201       invalid   scope     missing   missing
POST   /v1/admin/sessions                             -         scope     scope     scope     scope     scope     invalid   scope     missing   missing
PATCH  /v1/admin/users/{username}                     -        forbid    forbid    forbid    forbid    200       invalid   scope     missing   missing
GET    /v1/admin/stats                                -        forbid    forbid    forbid    forbid    200       invalid   scope     missing   missing
GET    /v1/admin/reports                              -        forbid    forbid    forbid    forbid    200       invalid   scope     missing   missing
GET    /v1/admin/audit                                -        forbid    forbid    forbid    forbid    200       invalid   scope     missing   missing
PATCH  /v1/admin/reports/{id}                         -        forbid    forbid    forbid    forbid    noreport  invalid   scope     missing   missing

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
GET    /v1/rooms/{room}/mutes                         public   forbid    forbid    200       200       200       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/mutes                         private  noroom    forbid    200       200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/mutes/{username}              public   forbid    forbid    200       200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/mutes/{username}              private  noroom    forbid    200       200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/mutes/{username}+moderator    public   forbid    forbid    forbid    200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/mutes/{username}+admin        public   forbid    forbid    forbid    forbid    forbid    invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/mutes/{username}              public   forbid    forbid    204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/mutes/{username}              private  noroom    forbid    204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/mutes/{username}+moderator    public   forbid    forbid    forbid    204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/mutes/{username}+admin        public   forbid    forbid    forbid    forbid    204       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/reports                       public   forbid    forbid    200       200       200       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/reports                       private  noroom    forbid    200       200       200       invalid   noroom    missing   missing
PATCH  /v1/rooms/{room}/reports/{id}                  public   forbid    forbid    noreport  noreport  noreport  invalid   noroom    missing   missing
PATCH  /v1/rooms/{room}/reports/{id}                  private  noroom    forbid    noreport  noreport  noreport  invalid   noroom    missing   missing
POST   /v1/rooms/{room}/messages/{id}/report          public   204       204       204       204       204       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/messages/{id}/report          private  noroom    204       204       204       noroom    invalid   noroom    missing   missing
GET    /v1/rooms/{room}/before-post                   public   forbid    forbid    forbid    nohook    nohook    invalid   noroom    missing   missing
GET    /v1/rooms/{room}/before-post                   private  noroom    forbid    forbid    nohook    nohook    invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/before-post                   public   forbid    forbid    forbid    200       200       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/before-post                   private  noroom    forbid    forbid    200       200       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/before-post                   public   forbid    forbid    forbid    204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/before-post                   private  noroom    forbid    forbid    204       204       invalid   noroom    missing   missing

GET    /v1/rooms/{room}/hooks                         public   forbid    forbid    forbid    200       200       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/hooks                         private  noroom    forbid    forbid    200       200       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/hooks                         public   forbid    forbid    forbid    201       201       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/hooks                         private  noroom    forbid    forbid    201       201       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/hooks/{id}                    public   forbid    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
GET    /v1/rooms/{room}/hooks/{id}                    private  noroom    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
PATCH  /v1/rooms/{room}/hooks/{id}                    public   forbid    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
PATCH  /v1/rooms/{room}/hooks/{id}                    private  noroom    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/hooks/{id}                    public   forbid    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/hooks/{id}                    private  noroom    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
POST   /v1/rooms/{room}/hooks/{id}/replay             public   forbid    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
POST   /v1/rooms/{room}/hooks/{id}/replay             private  noroom    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
POST   /v1/rooms/{room}/hooks/{id}/test               public   forbid    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
POST   /v1/rooms/{room}/hooks/{id}/test               private  noroom    forbid    forbid    gonehook  gonehook  invalid   noroom    missing   missing
GET    /v1/admin/hooks                                -        forbid    forbid    forbid    forbid    200       invalid   scope     missing   missing
POST   /v1/admin/hooks                                -        forbid    forbid    forbid    forbid    201       invalid   scope     missing   missing
GET    /v1/admin/hooks/{id}                           -        forbid    forbid    forbid    forbid    gonehook  invalid   scope     missing   missing
PATCH  /v1/admin/hooks/{id}                           -        forbid    forbid    forbid    forbid    gonehook  invalid   scope     missing   missing
DELETE /v1/admin/hooks/{id}                           -        forbid    forbid    forbid    forbid    gonehook  invalid   scope     missing   missing
POST   /v1/admin/hooks/{id}/replay                    -        forbid    forbid    forbid    forbid    gonehook  invalid   scope     missing   missing
POST   /v1/admin/hooks/{id}/test                      -        forbid    forbid    forbid    forbid    gonehook  invalid   scope     missing   missing

GET    /v1/rooms/{room}/inlets                        public    forbid    forbid    200       200       200       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/inlets                        private   noroom    forbid    200       200       200       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/inlets                        public    forbid    forbid    201       201       201       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/inlets                        private   noroom    forbid    201       201       201       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/inlets/{id}                   public    forbid    forbid    noinlet   noinlet   noinlet   invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/inlets/{id}                   private   noroom    forbid    noinlet   noinlet   noinlet   invalid   noroom    missing   missing
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
PUT    /v1/rooms/{room}/messages/{id}/pin             public   forbid    forbid    204       204       204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/messages/{id}/pin             private  noroom    forbid    204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/messages/{id}/pin             public   forbid    forbid    204       204       204       invalid   noroom    missing   missing
DELETE /v1/rooms/{room}/messages/{id}/pin             private  noroom    forbid    204       204       204       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/pins                          public   200       200       200       200       200       invalid   noroom    missing   200
GET    /v1/rooms/{room}/pins                          private  noroom    200       200       200       noroom    invalid   noroom    missing   noroom
PUT    /v1/rooms/{room}/notify                        public   204       204       204       204       204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/notify                        private  noroom    204       204       204       noroom    invalid   noroom    missing   missing
GET    /v1/rooms/{room}/seen                          public   200       200       200       200       200       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/seen                          private  noroom    200       200       200       noroom    invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/read                          public   204       204       204       204       204       invalid   noroom    missing   missing
PUT    /v1/rooms/{room}/read                          private  noroom    204       204       204       noroom    invalid   noroom    missing   missing
POST   /v1/rooms/{room}/messages                      news     restrict  restrict  201       201       201       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/typing                        public   204       204       204       204       204       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/typing                        private  noroom    204       204       204       noroom    invalid   noroom    missing   missing
POST   /v1/rooms/{room}/typing                        news     restrict  restrict  204       204       204       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/events                        public   201       201       201       201       201       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/events                        private  noroom    201       201       201       noroom    invalid   noroom    missing   missing
POST   /v1/rooms/{room}/events                        news     restrict  restrict  201       201       201       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/events+ephemeral              public   202       202       202       202       202       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/events+ephemeral              private  noroom    202       202       202       noroom    invalid   noroom    missing   missing
POST   /v1/rooms/{room}/events+ephemeral              news     restrict  restrict  202       202       202       invalid   noroom    missing   missing
GET    /v1/rooms/{room}/users                         public   200       200       200       200       200       invalid   noroom    missing   200
GET    /v1/rooms/{room}/users                         private  noroom    200       200       200       noroom    invalid   noroom    missing   noroom

POST   /v1/me/files                                   -        201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/rooms/{room}/files                         public   201       201       201       201       201       invalid   noroom    missing   missing
POST   /v1/rooms/{room}/files                         private  noroom    201       201       201       noroom    invalid   noroom    missing   missing
POST   /v1/rooms/{room}/files                         news     restrict  restrict  201       201       201       invalid   noroom    missing   missing
POST   /v1/private/{username}/files                   -        201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/private/{username}/files+unknown           -        nouser    nouser    nouser    nouser    nouser    invalid   scope     missing   missing
GET    /v1/files/{id}                                 public   200       200       200       200       200       invalid   nofile    missing   200
GET    /v1/files/{id}                                 private  nofile    200       200       200       nofile    invalid   nofile    missing   nofile
POST   /v1/files/{id}/link                            public   200       200       200       200       200       invalid   nofile    missing   missing
POST   /v1/files/{id}/link                            private  nofile    200       200       200       nofile    invalid   nofile    missing   missing

GET    /v1/private                                    -        200       200       200       200       200       invalid   scope     missing   missing
GET    /v1/private/{username}/messages                -        200       200       200       200       200       invalid   scope     missing   missing
POST   /v1/private/{username}/messages                -        201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/private/{username}/messages+unknown        -        nouser    nouser    nouser    nouser    nouser    invalid   scope     missing   missing
PATCH  /v1/private/{username}/messages/{id}           -        nomsg     nomsg     nomsg     nomsg     nomsg     invalid   scope     missing   missing
DELETE /v1/private/{username}/messages/{id}           -        nomsg     nomsg     nomsg     nomsg     nomsg     invalid   scope     missing   missing
POST   /v1/private/{username}/events                  -        201       201       201       201       201       invalid   scope     missing   missing
POST   /v1/private/{username}/events+ephemeral        -        202       202       202       202       202       invalid   scope     missing   missing
POST   /v1/private/{username}/events+unknown          -        nouser    nouser    nouser    nouser    nouser    invalid   scope     missing   missing
PUT    /v1/private/{username}/messages/{id}/pin       -        nomsg     nomsg     nomsg     nomsg     nomsg     invalid   scope     missing   missing
DELETE /v1/private/{username}/messages/{id}/pin       -        nomsg     nomsg     nomsg     nomsg     nomsg     invalid   scope     missing   missing
POST   /v1/private/{username}/messages/{id}/report    -        nomsg     nomsg     nomsg     nomsg     nomsg     invalid   scope     missing   missing
GET    /v1/private/{username}/pins                    -        200       200       200       200       200       invalid   scope     missing   missing
PUT    /v1/private/{username}/notify                  -        204       204       204       204       204       invalid   scope     missing   missing
GET    /v1/private/{username}/seen                    -        200       200       200       200       200       invalid   scope     missing   missing
PUT    /v1/private/{username}/read                    -        204       204       204       204       204       invalid   scope     missing   missing

GET    /v1/events                                     public   200       200       200       200       200       invalid   noroom    missing   200
POST   /v1/events                                     public   200       200       200       200       200       invalid   noroom    missing   200
GET    /v1/events                                     private  noroom    200       200       200       noroom    invalid   noroom    missing   noroom
POST   /v1/events                                     private  noroom    200       200       200       noroom    invalid   noroom    missing   noroom
GET    /ws/chat/{room}                                public   upgrade   upgrade   upgrade   upgrade   upgrade   upgrade   upgrade   upgrade   upgrade
GET    /in/{secret}                                   -         noinlet   noinlet   noinlet   noinlet   noinlet   noinlet   noinlet   noinlet   noinlet
POST   /in/{secret}                                   -         noinlet   noinlet   noinlet   noinlet   noinlet   noinlet   noinlet   noinlet   noinlet
GET    /.well-known/jwks.json                         -        200       200       200       200       200       200       200       200       200
GET    /healthz                                       -        200       200       200       200       200       200       200       200       200
GET    /readyz                                        -        200       200       200       200       200       200       200       200       200
GET    /openapi.yaml                                  -        200       200       200       200       200       200       200       200       200
`

var shortProblems = map[string]string{
	"bad":       "400 invalid_request",
	"upgrade":   "426 upgrade_required", // these calls are not WebSocket handshakes; see tutorial_test.go
	"invalid":   "401 invalid_token",
	"missing":   "401 missing_token",
	"forbid":    "403 forbidden",
	"restrict":  "403 posting_restricted",
	"password":  "403 wrong_password",
	"scope":     "403 token_scope",
	"noroom":    "404 room_not_found",
	"nofile":    "404 file_not_found",
	"notoken":   "404 token_not_found",
	"nouser":    "404 user_not_found",
	"nomsg":     "404 message_not_found",
	"noreport":  "404 report_not_found",
	"noinlet":   "404 inlet_not_found",
	"nosession": "404 session_not_found",
	"nohook":    "404 before_post_not_found",
	"gonehook":  "404 hook_not_found",
	"exists":    "409 room_exists",
	"lastowner": "409 last_owner",
}

// call says how an operation is called if it takes a body, or concerns a user other than the target.
type call struct {
	body     func(room string) any
	username string // "self" is the caller
}

func sends(body any) call { return call{body: func(string) any { return body }} }

// calls lists the operations that need more than their path. Passwords are wrong and tokens unknown, so that no account
// is lost on the way.
var calls = map[string]call{
	"POST /v1/auth/signup":                             sends(map[string]any{}),
	"POST /v1/auth/login":                              sends(map[string]any{}),
	"POST /v1/auth/refresh":                            sends(map[string]any{}),
	"PATCH /v1/me":                                     sends(map[string]any{"current_password": "not the password", "password": "another password"}),
	"PATCH /v1/me+profile":                             sends(map[string]any{"display_name": "Somebody"}),
	"DELETE /v1/me":                                    sends(map[string]any{"current_password": "not the password"}),
	"POST /v1/tokens":                                  sends(map[string]any{"name": "script"}),
	"POST /v1/tokens+room":                             {body: func(room string) any { return map[string]any{"name": "script", "rooms": []string{room}} }},
	"PUT /v1/me/push/{id}":                             {body: func(string) any { return harness.NewBrowser().Subscription("https://127.0.0.1:9/x") }},
	"PATCH /v1/admin/users/{username}":                 sends(map[string]any{"disabled": false}),
	"POST /v1/rooms":                                   {body: func(room string) any { return harness.NewRoom{Name: room + "-new"} }},
	"POST /v1/rooms+taken":                             {body: func(room string) any { return harness.NewRoom{Name: room} }},
	"PATCH /v1/rooms/{room}":                           sends(map[string]any{"title": "another"}),
	"PUT /v1/rooms/{room}/members/{username}":          {body: func(string) any { return map[string]any{"role": "member"} }, username: "guest"},
	"PUT /v1/rooms/{room}/members/{username}+promote":  sends(map[string]any{"role": "moderator"}),
	"PUT /v1/rooms/{room}/members/{username}+unknown":  {body: func(string) any { return map[string]any{"role": "member"} }, username: "unheard-of"},
	"DELETE /v1/rooms/{room}/members/{username}+owner": {username: "owner"},
	"DELETE /v1/rooms/{room}/members/{username}+self":  {username: "self"},
	"PUT /v1/rooms/{room}/bans/{username}+moderator":   {username: called("moderator")},
	"PUT /v1/rooms/{room}/bans/{username}+owner":       {username: "owner"},
	"PUT /v1/rooms/{room}/bans/{username}+admin":       {username: "admin"},
	"POST /v1/rooms/{room}/messages":                   sends(harness.Raw("hello")),
	"PATCH /v1/rooms/{room}/messages/{id}":             sends(harness.NewMessage{Message: "hello"}),
	"PUT /v1/rooms/{room}/notify":                      sends(map[string]any{"level": "all"}),
	"PUT /v1/private/{username}/notify":                sends(map[string]any{"level": "none"}),
	"PUT /v1/rooms/{room}/read":                        sends(map[string]any{"id": 1}),
	"POST /v1/private/{username}/messages":             sends(harness.Raw("hello")),
	"POST /v1/private/{username}/messages+unknown":     {body: func(string) any { return harness.Raw("hello") }, username: "unheard-of"},
	"POST /v1/me/files":                                {body: func(string) any { return harness.TinyPicture() }},
	"POST /v1/rooms/{room}/files":                      sends(harness.Raw("hello")),
	"POST /v1/rooms/{room}/inlets":                     sends(harness.Fields{"name": "CI"}),
	"POST /in/{secret}":                                sends(harness.Raw("hello")),
	"POST /v1/admin/users":                             sends(harness.Fields{"username": "made"}),
	"POST /v1/admin/sessions":                          sends(harness.Fields{"username": "target"}),
	"POST /v1/private/{username}/files":                sends(harness.Raw("hello")),
	"POST /v1/private/{username}/files+unknown":        {body: func(string) any { return harness.Raw("hello") }, username: "unheard-of"},
	"PATCH /v1/private/{username}/messages/{id}":       sends(harness.NewMessage{Message: "hello"}),
	"POST /v1/rooms/{room}/events":                     sends(harness.Fields{"name": "x"}),
	"POST /v1/rooms/{room}/events+ephemeral":           sends(harness.Fields{"name": "x", "ephemeral": true}),
	"POST /v1/private/{username}/events":               sends(harness.Fields{"name": "x"}),
	"POST /v1/private/{username}/events+ephemeral":     sends(harness.Fields{"name": "x", "ephemeral": true}),
	"POST /v1/private/{username}/events+unknown":       {body: func(string) any { return harness.Fields{"name": "x"} }, username: "unheard-of"},
	"PUT /v1/private/{username}/read":                  sends(map[string]any{"id": 1}),

	"PUT /v1/rooms/{room}/mutes/{username}":              sends(harness.Fields{"seconds": 60}),
	"PUT /v1/rooms/{room}/mutes/{username}+moderator":    {body: func(string) any { return harness.Fields{"seconds": 60} }, username: called("moderator")},
	"PUT /v1/rooms/{room}/mutes/{username}+admin":        {body: func(string) any { return harness.Fields{"seconds": 60} }, username: "admin"},
	"DELETE /v1/rooms/{room}/mutes/{username}+moderator": {username: called("moderator")},
	"DELETE /v1/rooms/{room}/mutes/{username}+admin":     {username: "admin"},
	"PATCH /v1/rooms/{room}/reports/{id}":                sends(harness.Fields{"state": "resolved"}),
	"PUT /v1/rooms/{room}/before-post":                   sends(harness.Fields{"url": "http://127.0.0.1:1/"}),
	"POST /v1/rooms/{room}/hooks":                        sends(harness.Fields{"url": "http://127.0.0.1:1/"}),
	"PATCH /v1/rooms/{room}/hooks/{id}":                  sends(harness.Fields{"paused": true}),
	"POST /v1/rooms/{room}/hooks/{id}/replay":            sends(harness.Fields{"since": "0"}),
	"POST /v1/admin/hooks":                               sends(harness.Fields{"url": "http://127.0.0.1:1/"}),
	"PATCH /v1/admin/hooks/{id}":                         sends(harness.Fields{"paused": true}),
	"POST /v1/admin/hooks/{id}/replay":                   sends(harness.Fields{"since": "0"}),
	"PATCH /v1/admin/reports/{id}":                       sends(harness.Fields{"state": "resolved"}),
}

// matrixWorld is a server with the matrix's users.
type matrixWorld struct {
	t      *testing.T
	users  map[string]*harness.Client // by column; also the target, who is a member, and the guest, who is not
	rooms  int
	server *harness.Program
}

// called returns the username for a column. Some columns have reserved names.
func called(column string) string {
	if column == "moderator" {
		return "mod"
	}
	return column
}

func newMatrixWorld(t *testing.T, anonymousRead bool) *matrixWorld {
	p := harness.StartProgram(t, func(cfg *program.Settings) {
		cfg.Admin, cfg.AnonymousRead = "admin:correct horse of admin", anonymousRead
		harness.AllowLoopback(cfg)
		cfg.LimitRooms, cfg.LimitMemberships = 0, 0 // each row uses new rooms
	})
	p.Logs.KeepSecret("correct horse of admin")
	w := &matrixWorld{t: t, users: map[string]*harness.Client{}, server: p}
	for _, name := range []string{"stranger", "member", "moderator", "owner", "disabled", "target", "guest"} {
		w.users[name] = p.Signup(t, called(name))
	}
	w.users["admin"] = p.Admin(t)
	w.users["nobody"], w.users["anyone"] = p.Visitor(t), p.Visitor(t)
	w.users["owner"].Enter("elsewhere")
	var made struct{ Token string }
	w.users["owner"].Do("POST", "/v1/tokens", map[string]any{"name": "t", "rooms": []string{"elsewhere"}}).Want(201).Into(&made)
	w.users["token"] = w.users["owner"].WithToken(made.Token)
	w.users["admin"].Do("PATCH", "/v1/admin/users/disabled", map[string]any{"disabled": true}).Want(200)
	return w
}

// room creates a room for one call, so that calls do not affect each other.
func (w *matrixWorld) room(kind string) string {
	if kind == "-" {
		return "elsewhere"
	}
	w.rooms++
	r := harness.NewRoom{Name: fmt.Sprintf("%s%d", kind, w.rooms)}
	if kind == "private" {
		r.Visibility = "private"
	}
	if kind == "news" {
		r.Posting = "admins"
	}
	owner := w.users["owner"]
	owner.Do("POST", "/v1/rooms", r).Want(201)
	for name, role := range map[string]string{"moderator": "moderator", "member": "member", "target": "member"} {
		owner.Do("PUT", harness.RoomPath(r.Name)+"/members/"+called(name), map[string]any{"role": role}).Want(200)
	}
	return r.Name
}

// call calls an operation as the user of a column.
func (w *matrixWorld) call(method, path, who, room string) harness.Answer {
	w.t.Helper()
	c := w.users[who]
	special := calls[method+" "+path]
	path, _, _ = strings.Cut(path, "+")
	if path == "/v1/events" {
		over := harness.OverSSE
		if method == "POST" {
			over = harness.OverPost
		}
		s, refusal, err := c.Dial(over, harness.Dialing{Query: "room=" + room})
		if err != nil {
			w.t.Fatal(err)
		}
		if refusal != nil {
			return *refusal
		}
		s.Close()
		return harness.Answer{T: w.t, Status: http.StatusOK}
	}
	username := special.username
	switch {
	case username == "self" && c.User.Username != "":
		username = c.User.Username
	case username == "self" || username == "":
		username = "target"
	}
	id := "1" // nobody's
	if path == "/v1/me/sessions/{id}" || strings.Contains(path, "/hooks/{id}") {
		id = "1000000" // 1 exists
	}
	if strings.HasPrefix(path, "/v1/rooms/{room}/messages/{id}") && room != "nowhere" {
		id = fmt.Sprint(w.users["target"].Post(room, "hello").ID)
	}
	if strings.HasPrefix(path, "/v1/files/{id}") {
		f := w.users["target"].Upload(harness.RoomPath(room), "hello.txt", "hello")
		w.users["target"].PostFiles(harness.RoomPath(room), f)
		id = f.ID
	}
	path = strings.NewReplacer("{room}", room, "{username}", username, "{id}", id, "{emoji}", "%F0%9F%91%8D").Replace(path)
	var body any
	if special.body != nil {
		body = special.body(room)
	}
	return c.Do(method, path, body)
}

// Every operation in openapi.yaml has rows here and answers as they say. A 404 for a room that the caller may not see
// is identical to that for a room that does not exist.
func TestAccessMatrix(t *testing.T) {
	t.Parallel()
	closed, open := newMatrixWorld(t, false), newMatrixWorld(t, true)
	rows := strings.Split(strings.TrimSpace(accessMatrix), "\n")
	columns := strings.Fields(rows[0])[2:]
	missing := map[string]bool{}
	for path, item := range harness.Contract().Paths.Map() {
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
			t.Fatalf("row without %d columns, or of an operation missing from openapi.yaml: %s", len(columns), row)
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
			if got := harness.StatusAndCode(a); got != want {
				t.Errorf("%s %s in a %s room as %s: %s, want %s: %s", method, path, kind, who, got, want, harness.Clip(a.Body))
			}
			if want == shortProblems["noroom"] {
				harness.SameAnswer(t, a, room, w.call(method, path, who, "nowhere"), "nowhere")
			}
			if path == "/v1/auth/logout" && a.Status == http.StatusNoContent {
				c := w.users[who]
				c.Do("POST", "/v1/auth/login", harness.Credentials{Username: c.User.Username, Password: c.Password}).Want(200).Into(&c.Session)
			}
		}
	}
	for operation := range missing {
		t.Errorf("matrix row missing for %s", operation)
	}
}

// An API token that is not limited to rooms reaches everything but accounts.
func TestAPITokensReachNoAccounts(t *testing.T) {
	t.Parallel()
	w := newMatrixWorld(t, false)
	var made struct{ Token string }
	w.users["owner"].Do("POST", "/v1/tokens", map[string]any{"name": "script"}).Want(201).Into(&made)
	w.users["script"] = w.users["owner"].WithToken(made.Token)
	w.call("GET", "/v1/me", "script", "elsewhere").Want(200)
	tried := 0
	for path, item := range harness.Contract().Paths.Map() {
		for method, o := range item.Operations() {
			public := o.Security != nil && len(*o.Security) == 0
			if !slices.Contains(o.Tags, "accounts") || public || method == "GET" && path == "/v1/me" {
				continue
			}
			tried++
			if got, want := harness.StatusAndCode(w.call(method, path, "script", "elsewhere")), shortProblems["scope"]; got != want {
				t.Errorf("%s %s with an API token: %s, want %s", method, path, got, want)
			}
		}
	}
	if tried < 15 {
		t.Errorf("openapi.yaml has only %d operations of accounts", tried)
	}
}
