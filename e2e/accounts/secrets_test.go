package accounts

import (
	"bytes"
	"encoding/base64"
	"testing"

	"tandem/e2e/harness"
)

// Passwords and tokens are neither logged nor repeated in an answer, however wrongly they were sent. The harness checks
// the log when the program stops.
func TestSecretsAreNeitherLoggedNorReturned(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	p.Signup(t, "ada")
	const canary = "canary-1b7e5f2c"
	basic := base64.StdEncoding.EncodeToString([]byte("ada:" + canary))
	p.Logs.KeepSecret(canary, basic)
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
			got := p.Visitor(t).Do(call.method, call.target, harness.Raw(call.body), append([]string{harness.AsJSON}, call.headers...)...)
			if got.Status < 400 {
				t.Errorf("got status %d", got.Status)
			}
			if bytes.Contains(got.Body, []byte(canary)) {
				t.Errorf("response contains the secret: %s", got.Body)
			}
		})
	}
}
