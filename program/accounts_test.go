package program

import (
	"bytes"
	"strings"
	"testing"
	"time"
)

func TestSignupLogsIn(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "Ada")
	if ada.User.Username != "ada" || ada.User.Role != "user" {
		t.Errorf("Ada is %+v, not the user ada", ada.User)
	}
	if ada.ExpiresIn != 15*60 {
		t.Errorf("an access token lasts %d s, not 15 minutes", ada.ExpiresIn)
	}
	var me struct{ Username, Role string }
	ada.do("GET", "/v1/me", nil).want(200).into(&me)
	if me.Username != "ada" || me.Role != "user" {
		t.Errorf("me is %+v", me)
	}
	got := claimsOf(t, ada.AccessToken)
	for _, name := range []string{"iss", "aud", "sub", "name", "sid", "iat", "exp"} {
		if got[name] == nil {
			t.Errorf("the access token has no %s: %v", name, got)
		}
	}
	if got["name"] != "ada" {
		t.Errorf("the token's name is %v", got["name"])
	}
}

func TestNamesOfAllScriptsArePreparedAndUnique(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	for _, same := range []string{"ada", "Ada", "ADA", "ａｄａ"} { // the last in fullwidth letters
		p.visitor(t).do("POST", "/v1/auth/signup", credentials{same, ada.password}).wantProblem(409, "username_taken", "")
	}
	for given, prepared := range map[string]string{
		"Мария": "мария", "小明": "小明", "Jose\u0301": "jos\u00e9", "x_1.y-z": "x_1.y-z", strings.Repeat("é", 32): strings.Repeat("é", 32),
	} {
		if c := p.signup(t, given); c.User.Username != prepared {
			t.Errorf("%q became %q, not %q", given, c.User.Username, prepared)
		}
	}
	var again session
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"МАРИЯ", "correct horse of Мария"}).want(200).into(&again)
	if again.User.Username != "мария" {
		t.Errorf("МАРИЯ logged in as %q", again.User.Username)
	}
}

// Skeletons as in UTS 39: within one script too, and of names that nobody has any more.
func TestLookAlikesOfNamesAreRefused(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	p.signup(t, "coco")
	gone := p.signup(t, "ann1")
	gone.do("DELETE", "/v1/me", map[string]string{"current_password": gone.password}).want(204)
	p.signup(t, "modern")
	for _, name := range []string{"сосо", "СОСО", "annl", "rnodern"} {
		problem := p.visitor(t).do("POST", "/v1/auth/signup", credentials{name, "correct horse"}).wantProblem(409, "username_taken", "username")
		if !strings.Contains(problem.Detail, "looks the same") {
			t.Errorf("%s: %s", name, problem.Detail)
		}
	}
	for _, name := range []string{"соса", "anni", "ann2", "c0c0"} {
		p.signup(t, name)
	}
	if detail := p.visitor(t).do("POST", "/v1/auth/signup", credentials{"Coco", "correct horse"}).wantProblem(409, "username_taken", "username").Detail; strings.Contains(detail, "looks") {
		t.Errorf("the name itself is refused with %q", detail)
	}
}

// Nobody passes for the site or its people but who runs it lets them; who has such a name keeps it.
func TestReservedNamesAreTakenButForTheCommandLine(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	billing := p.signup(t, "billing") // not reserved yet
	p.stop(t)
	p.settings.ReservedNames = []string{"Billing", "помощь"}
	p = p.again(t)
	const password = "a good horse battery"
	p.logs.keepSecret(password)
	signup := func(name string) answer {
		return p.visitor(t).do("POST", "/v1/auth/signup", credentials{name, password})
	}
	for _, name := range []string{
		"admin", "administrator", "system", "tandem", "everyone", "all", "here", "moderator", "support", "root", "null", "undefined", "me", "Admin", "ＮＵＬＬ", "billing", "ПОМОЩЬ",
	} {
		if detail := signup(name).wantProblem(409, "username_taken", "username").Detail; strings.Contains(detail, "looks") {
			t.Errorf("%s is refused with %q", name, detail)
		}
	}
	for _, name := range []string{"adrnin", "nu1l", "a11", "rnoderator", "bi1ling"} {
		if detail := signup(name).wantProblem(409, "username_taken", "username").Detail; !strings.Contains(detail, "looks the same") {
			t.Errorf("%s is refused with %q", name, detail)
		}
	}
	for _, name := range []string{"admin2", "not-admin", "support.team", "metoo"} {
		signup(name).want(201)
	}
	billing.on(p.testServer).do("GET", "/v1/me", nil).want(200)
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"billing", billing.password}).want(200)

	admin, err := OpenAdmin(t.Context(), p.settings)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	for _, name := range []string{"support", "admin"} {
		if err := admin.AddUser(t.Context(), name, password, name == "admin"); err != nil {
			t.Errorf("the command line cannot make %s: %v", name, err)
		}
		p.visitor(t).do("POST", "/v1/auth/login", credentials{name, password}).want(200)
		signup(name).wantProblem(409, "username_taken", "username")
	}
}

func TestSignupRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	visitor := p.visitor(t)
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
			p.logs.keepSecret(test.password)
			visitor.in(t).do("POST", "/v1/auth/signup", credentials{test.username, test.password}).wantProblem(400, "", test.field)
		})
	}
	for _, password := range []string{"12345678", strings.Repeat("y", 1024), "éééééééé"} {
		name := "fits" + string(rune('a'+len(password)%26))
		visitor.do("POST", "/v1/auth/signup", credentials{name, password}).want(201)
	}
}

func TestClosedSignupLetsNobodyIn(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.Signup = "closed" })
	p.visitor(t).do("POST", "/v1/auth/signup", credentials{"ada", "long enough"}).wantProblem(403, "signup_closed", "")
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", "long enough"}).wantProblem(401, "bad_credentials", "")
}

func TestLoginTellsNothingAboutNames(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	p.signup(t, "ada")
	wrong := p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", "wrong horse"})
	wrong.wantProblem(401, "bad_credentials", "")
	unknown := p.visitor(t).do("POST", "/v1/auth/login", credentials{"nobody", "wrong horse"})
	unknown.wantProblem(401, "bad_credentials", "")
	if !bytes.Equal(wrong.body, unknown.body) {
		t.Errorf("a wrong password and an unknown name are told apart:\n%s\n%s", wrong.body, unknown.body)
	}
}

// A password is the same however the keyboard composed it: PRECIS OpaqueString.
func TestPasswordsAreComparedPrepared(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	p.visitor(t).do("POST", "/v1/auth/signup", credentials{"ada", "caf\u00e9 au lait"}).want(201)
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", "cafe\u0301 au\u00a0lait"}).want(200)
	p.visitor(t).do("POST", "/v1/auth/login", credentials{"ada", "Caf\u00e9 au lait"}).want(401)
}

func TestRefreshRotates(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	refresh := func(token string) answer {
		return p.visitor(t).do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": token})
	}
	var second, third session
	first := refresh(ada.RefreshToken).want(200).into(&second)
	if second.RefreshToken == ada.RefreshToken {
		t.Error("the refresh token was not rotated")
	}
	ada.withToken(second.AccessToken).do("GET", "/v1/me", nil).want(200)
	// Two tabs may refresh at once: within 10 s the spent token gets the same answer.
	if again := refresh(ada.RefreshToken).want(200); !bytes.Equal(again.body, first.body) {
		t.Errorf("the spent token got another answer:\n%s\n%s", again.body, first.body)
	}
	refresh(second.RefreshToken).want(200).into(&third)
	if again := refresh(ada.RefreshToken).want(200); !bytes.Equal(again.body, first.body) {
		t.Errorf("two generations old, the spent token got another answer:\n%s\n%s", again.body, first.body)
	}
	ada.withToken(third.AccessToken).do("GET", "/v1/me", nil).want(200)

	for _, bad := range []string{"", "nonsense", ada.AccessToken, second.RefreshToken + "x"} {
		if a := refresh(bad); a.status != 400 && a.status != 401 {
			t.Errorf("a bad refresh token got %d: %s", a.status, a.body)
		}
	}
	p.visitor(t).do("GET", "/v1/me", nil, "Authorization: Bearer "+third.RefreshToken).wantProblem(401, "invalid_token", "")
}

func TestConcurrentRefreshesAgree(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	answers := make([]answer, 8)
	inParallel(len(answers), func(i int) {
		a, err := ada.try("POST", "/v1/auth/refresh", map[string]string{"refresh_token": ada.RefreshToken})
		if err != nil || a.status != 200 {
			t.Errorf("refresh: %d %s %v", a.status, a.body, err)
		}
		answers[i] = a
	})
	for _, a := range answers[1:] {
		if !bytes.Equal(a.body, answers[0].body) {
			t.Errorf("two tabs got different sessions:\n%s\n%s", a.body, answers[0].body)
		}
	}
}

func TestSpentRefreshTokenRevokesTheSession(t *testing.T) {
	slow(t, "a spent token is honoured for 10 s")
	p := startProgram(t)
	ada := p.signup(t, "ada")
	stream, next := ada.open(overSSE, ""), ada.in(t)
	body := map[string]string{"refresh_token": ada.RefreshToken}
	ada.do("POST", "/v1/auth/refresh", body).want(200).into(&next.session)
	<-time.After(11 * time.Second)
	ada.do("POST", "/v1/auth/refresh", body).wantProblem(401, "refresh_reused", "")
	ada.do("POST", "/v1/auth/refresh", map[string]string{"refresh_token": next.RefreshToken}).want(401)
	stream.wantClose("signed_out")
	if !ada.dead() || !next.dead() {
		t.Error("an access token of the ended session counts")
	}
}
