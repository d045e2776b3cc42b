package program

import (
	"bytes"
	"encoding/base64"
	"testing"
)

// What someone typed as a password or holds as a token is neither logged nor sent back, however wrongly it was
// sent. That the log has none of it is checked when the program stops.
func TestSecretsAreNeitherLoggedNorSentBack(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	p.signup(t, "ada")
	const canary = "canary-1b7e5f2c"
	basic := base64.StdEncoding.EncodeToString([]byte("ada:" + canary))
	p.logs.keepSecret(canary, basic)
	const signup, login, refresh = "/v1/auth/signup", "/v1/auth/login", "/v1/auth/refresh"
	for _, call := range []struct {
		name, method, target, body string
		headers                    []string
	}{
		{"a wrong password", "POST", login, `{"username":"ada","password":"` + canary + `"}`, nil},
		{"an unknown name", "POST", login, `{"username":"nobody","password":"` + canary + `"}`, nil},
		{"a password as the name", "POST", login, `{"username":"` + canary + `","password":"something long"}`, nil},
		{"a taken name", "POST", signup, `{"username":"ada","password":"` + canary + `"}`, nil},
		{"a bad name", "POST", signup, `{"username":"!","password":"` + canary + `"}`, nil},
		{"a body cut short", "POST", signup, `{"username":"bob","password":"` + canary, nil},
		{"trailing text", "POST", login, `{"username":"ada","password":"x"} ` + canary, nil},
		{"an unknown field", "POST", login, `{"username":"ada","password":"something long","old":"` + canary + `"}`, nil},
		{"a list of passwords", "POST", login, `{"username":"ada","password":["` + canary + `"]}`, nil},
		{"a bad password", "POST", signup, `{"username":"bob","password":"` + canary + `\u0000"}`, nil},
		{"a form", "POST", login, "username=ada&password=" + canary, []string{"Content-Type: application/x-www-form-urlencoded"}},
		{"an unknown refresh token", "POST", refresh, `{"refresh_token":"` + canary + `"}`, nil},
		{"two refresh tokens", "POST", refresh, `{"refresh_token":["` + canary + `"]}`, nil},
		{"an unknown ticket", "GET", "/v1/events?ticket=" + canary, "", nil},
		{"a token in the URL", "GET", "/v1/events?access_token=" + canary, "", nil},
		{"a token in the URL of nothing", "GET", "/nothing?token=" + canary, "", nil},
		{"a token in a broken query", "GET", "/v1/me?x=%zz&token=" + canary, "", nil},
		{"an unknown token", "GET", "/v1/me", "", []string{"Authorization: Bearer " + canary}},
		{"another scheme", "GET", "/v1/me", "", []string{"Authorization: Basic " + basic}},
		{"no scheme", "GET", "/v1/me", "", []string{"Authorization: " + canary}},
		{"a token as a cookie", "GET", "/v1/me", "", []string{"Cookie: tandem_stream=" + canary}},
	} {
		t.Run(call.name, func(t *testing.T) {
			got := p.visitor(t).do(call.method, call.target, raw(call.body), append([]string{asJSON}, call.headers...)...)
			if got.status < 400 {
				t.Errorf("it was answered %d", got.status)
			}
			if bytes.Contains(got.body, []byte(canary)) {
				t.Errorf("the answer repeats it: %s", got.body)
			}
		})
	}
}
