package accounts

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestSignupLogsIn(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "Ada")
	if ada.User.Username != "ada" || ada.User.Role != "user" {
		t.Errorf("got user %+v, want ada with the role user", ada.User)
	}
	if ada.ExpiresIn != 15*60 {
		t.Errorf("an access token lasts %d s, want 15 minutes", ada.ExpiresIn)
	}
	var me struct{ Username, Role string }
	ada.Do("GET", "/v1/me", nil).Want(200).Into(&me)
	if me.Username != "ada" || me.Role != "user" {
		t.Errorf("me = %+v", me)
	}
	got := harness.ClaimsOf(t, ada.AccessToken)
	for _, name := range []string{"iss", "aud", "sub", "name", "sid", "iat", "exp"} {
		if got[name] == nil {
			t.Errorf("the access token has no %s: %v", name, got)
		}
	}
	if got["name"] != "ada" {
		t.Errorf("token's name = %v", got["name"])
	}
}

func TestNamesOfAllScriptsArePreparedAndUnique(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	for _, same := range []string{"ada", "Ada", "ADA", "ａｄａ"} { // the last in fullwidth letters
		p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: same, Password: ada.Password}).WantProblem(409, "username_taken", "")
	}
	for given, prepared := range map[string]string{
		"Мария": "мария", "小明": "小明", "Jose\u0301": "jos\u00e9", "x_1.y-z": "x_1.y-z", strings.Repeat("é", 32): strings.Repeat("é", 32),
	} {
		if c := p.Signup(t, given); c.User.Username != prepared {
			t.Errorf("username %q = %q, want %q", given, c.User.Username, prepared)
		}
	}
	var again harness.Session
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "МАРИЯ", Password: "correct horse of Мария"}).Want(200).Into(&again)
	if again.User.Username != "мария" {
		t.Errorf("МАРИЯ logged in as %q", again.User.Username)
	}
}

// Lookalikes by their UTS 39 skeletons, also within one script, and also of deleted accounts.
func TestLookAlikesOfNamesAreRefused(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	p.Signup(t, "coco")
	gone := p.Signup(t, "ann1")
	gone.Do("DELETE", "/v1/me", map[string]string{"current_password": gone.Password}).Want(204)
	p.Signup(t, "modern")
	for _, name := range []string{"сосо", "СОСО", "annl", "rnodern"} {
		problem := p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: name, Password: "correct horse"}).WantProblem(409, "username_taken", "username")
		if !strings.Contains(problem.Detail, "looks like") {
			t.Errorf("signing up %s: got detail %q, want \"looks like\" in it", name, problem.Detail)
		}
	}
	for _, name := range []string{"соса", "anni", "ann2", "c0c0"} {
		p.Signup(t, name)
	}
	if detail := p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: "Coco", Password: "correct horse"}).WantProblem(409, "username_taken", "username").Detail; strings.Contains(detail, "looks") {
		t.Errorf("the original name: problem detail = %q", detail)
	}
}

// Names that suggest the site or its staff are reserved, except for the operator. Accounts that already have one keep
// it.
func TestReservedNamesAreOnlyForTheCommandLine(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	billing := p.Signup(t, "billing") // not reserved yet
	p.Stop(t)
	p.Settings.ReservedNames = []string{"Billing", "помощь"}
	p = p.Again(t)
	const password = "a good horse battery"
	p.Logs.KeepSecret(password)
	signup := func(name string) harness.Answer {
		return p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: name, Password: password})
	}
	for _, name := range []string{
		"admin", "administrator", "system", "tandem", "everyone", "all", "here", "moderator", "support", "root", "null", "undefined", "me", "Admin", "ＮＵＬＬ", "billing", "ПОМОЩЬ",
	} {
		if detail := signup(name).WantProblem(409, "username_taken", "username").Detail; strings.Contains(detail, "looks") {
			t.Errorf("%s: problem detail = %q", name, detail)
		}
	}
	for _, name := range []string{"adrnin", "nu1l", "a11", "rnoderator", "bi1ling"} {
		if detail := signup(name).WantProblem(409, "username_taken", "username").Detail; !strings.Contains(detail, "looks like") {
			t.Errorf("%s: problem detail = %q", name, detail)
		}
	}
	for _, name := range []string{"admin2", "not-admin", "support.team", "metoo"} {
		signup(name).Want(201)
	}
	billing.On(p.Server).Do("GET", "/v1/me", nil).Want(200)
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "billing", Password: billing.Password}).Want(200)

	admin, err := program.OpenAdmin(t.Context(), p.Settings)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, name := range []string{"support", "admin"} {
		if err := admin.AddUser(t.Context(), name, password, name == "admin"); err != nil {
			t.Errorf("command line: creating %s: %v", name, err)
		}
		p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: name, Password: password}).Want(200)
		signup(name).WantProblem(409, "username_taken", "username")
	}
}

func TestSignupRefusesInvalidInput(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	visitor := p.Visitor(t)
	const good = "a good horse battery"
	tests := []struct {
		name               string
		username, password string
		field              string
	}{
		{"a name of one character", "a", good, "username"},
		{"an empty name", "", good, "username"},
		{"a name of 33 characters", strings.Repeat("a", 33), good, "username"},
		{"a name that begins with _", "_ada", good, "username"},
		{"a name that begins with .", ".ada", good, "username"},
		{"a name that begins with -", "-ada", good, "username"},
		{"a space in a name", "ada l", good, "username"},
		{"a slash in a name", "ada/l", good, "username"},
		{"an emoji as a name", "😀😀", good, "username"},
		{"U+0000 in a name", "ad\x00a", good, "username"},
		{"a line break in a name", "ada\n", good, "username"},
		{"a zero width space in a name", "ad\u200ba", good, "username"},
		{"a password of 7 characters", "grace", "1234567", "password"},
		{"a password of 7 characters in 14 bytes", "grace", "ééééééé", "password"},
		{"an empty password", "grace", "", "password"},
		{"a password of 1,025 bytes", "grace", strings.Repeat("x", 1025), "password"},
		{"a password of 1,026 bytes in 513 characters", "grace", strings.Repeat("é", 513), "password"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p.Logs.KeepSecret(test.password)
			visitor.In(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: test.username, Password: test.password}).WantProblem(400, "", test.field)
		})
	}
	for _, password := range []string{"12345678", strings.Repeat("y", 1024), "éééééééé"} {
		name := "fits" + string(rune('a'+len(password)%26))
		visitor.Do("POST", "/v1/auth/signup", harness.Credentials{Username: name, Password: password}).Want(201)
	}
}

func TestClosedSignupRefusesEverybody(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Signup = "closed" })
	p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: "ada", Password: "long enough"}).WantProblem(403, "signup_closed", "")
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "long enough"}).WantProblem(401, "bad_credentials", "")
}

func TestLoginRevealsNoNames(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	p.Signup(t, "ada")
	wrong := p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "wrong horse"})
	wrong.WantProblem(401, "bad_credentials", "")
	unknown := p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "nobody", Password: "wrong horse"})
	unknown.WantProblem(401, "bad_credentials", "")
	if !bytes.Equal(wrong.Body, unknown.Body) {
		t.Errorf("a wrong password and an unknown username got different responses:\n%s\n%s", wrong.Body, unknown.Body)
	}
}

// Passwords are normalized (PRECIS OpaqueString), so it does not matter how the keyboard composed them.
func TestPasswordsAreNormalizedBeforeComparison(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: "ada", Password: "caf\u00e9 au lait"}).Want(201)
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "cafe\u0301 au\u00a0lait"}).Want(200)
	p.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: "Caf\u00e9 au lait"}).Want(401)
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	refresh := func(token string) harness.Answer {
		return p.Visitor(t).Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": token})
	}
	var second, third harness.Session
	first := refresh(ada.RefreshToken).Want(200).Into(&second)
	if second.RefreshToken == ada.RefreshToken {
		t.Error("the refresh token was not rotated")
	}
	ada.WithToken(second.AccessToken).Do("GET", "/v1/me", nil).Want(200)
	// Two tabs may refresh at once: for 10 s the spent token gets the same answer.
	if again := refresh(ada.RefreshToken).Want(200); !bytes.Equal(again.Body, first.Body) {
		t.Errorf("the spent refresh token got a different response:\n%s\n%s", again.Body, first.Body)
	}
	refresh(second.RefreshToken).Want(200).Into(&third)
	if again := refresh(ada.RefreshToken).Want(200); !bytes.Equal(again.Body, first.Body) {
		t.Errorf("the spent refresh token, two generations old, got a different response:\n%s\n%s", again.Body, first.Body)
	}
	ada.WithToken(third.AccessToken).Do("GET", "/v1/me", nil).Want(200)

	for _, bad := range []string{"", "nonsense", ada.AccessToken, second.RefreshToken + "x"} {
		if a := refresh(bad); a.Status != 400 && a.Status != 401 {
			t.Errorf("a bad refresh token got %d: %s", a.Status, a.Body)
		}
	}
	p.Visitor(t).Do("GET", "/v1/me", nil, "Authorization: Bearer "+third.RefreshToken).WantProblem(401, "invalid_token", "")
}

func TestConcurrentRefreshesAgree(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	answers := make([]harness.Answer, 8)
	harness.InParallel(len(answers), func(i int) {
		a, err := ada.Try("POST", "/v1/auth/refresh", map[string]string{"refresh_token": ada.RefreshToken})
		if err != nil || a.Status != 200 {
			t.Errorf("refresh: got %d %s, %v", a.Status, a.Body, err)
		}
		answers[i] = a
	})
	for _, a := range answers[1:] {
		if !bytes.Equal(a.Body, answers[0].Body) {
			t.Errorf("two tabs got different sessions:\n%s\n%s", a.Body, answers[0].Body)
		}
	}
}

func TestSpentRefreshTokenRevokesTheSession(t *testing.T) {
	harness.Slow(t, "a spent token is honoured for 10 s")
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	stream, next := ada.Open(harness.OverSSE, ""), ada.In(t)
	body := map[string]string{"refresh_token": ada.RefreshToken}
	ada.Do("POST", "/v1/auth/refresh", body).Want(200).Into(&next.Session)
	<-time.After(11 * time.Second)
	ada.Do("POST", "/v1/auth/refresh", body).WantProblem(401, "refresh_reused", "")
	ada.Do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": next.RefreshToken}).Want(401)
	stream.WantClose("signed_out")
	if !ada.Dead() || !next.Dead() {
		t.Error("an access token of the ended session is still accepted")
	}
}
