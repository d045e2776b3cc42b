package program

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestCheckNamesAllThatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := Defaults()
	good.DataDir = filepath.Join(dir, "not", "yet", "there")
	if wrong := good.Check(readSpec(t)); len(wrong) > 0 {
		t.Errorf("the defaults: %v", wrong)
	}
	if _, err := os.Stat(filepath.Join(dir, "not")); err == nil {
		t.Error("checking made the data directory")
	}
	for want, change := range map[string]func(*Settings){
		"addr":            func(s *Settings) { s.Addr = "nowhere" },
		"metrics-addr":    func(s *Settings) { s.MetricsAddr = "nowhere" },
		"data-dir":        func(s *Settings) { s.DataDir = file("a-file", "") },
		"31 bytes":        func(s *Settings) { s.JWTSecret = strings.Repeat("x", 31) },
		"5 bytes":         func(s *Settings) { s.JWTSecretFile = file("short", "short\n") },
		"both given":      func(s *Settings) { s.JWTSecret, s.JWTSecretFile = testSecret, file("secret", testSecret) },
		"jwt-secret-file": func(s *Settings) { s.JWTSecretFile = filepath.Join(dir, "missing") },
		"jwt-issuer":      func(s *Settings) { s.JWTIssuer = "" },
		"username:":       func(s *Settings) { s.Admin = "ada" },
		"reserved-names":  func(s *Settings) { s.ReservedNames = []string{"support", "no name"} },
		"8 characters":    func(s *Settings) { s.Admin = "ada:short" },
		"origin":          func(s *Settings) { s.Origins = []string{"*"} },
		"ring-bytes":      func(s *Settings) { s.RingBytes = -1 },
		"limit":           func(s *Settings) { s.LimitPosts = -1 },
		"10.0.0.0/99":     func(s *Settings) { s.TrustedProxies = []string{"10.0.0.0/99"} },
		"nokey.pem":       func(s *Settings) { s.JWTKeyFiles = []string{file("nokey.pem", "no key")} },
		"JWKS":            func(s *Settings) { s.JWKSURL, s.JWTIssuer = "http://issuer.example/keys", "https://issuer.example" },
	} {
		s := good
		change(&s)
		wrong := s.Check(readSpec(t))
		if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), want) {
			t.Errorf("%s: %v", want, wrong)
		}
	}
	worse := good
	worse.Addr, worse.RingBytes, worse.Origins = "nowhere", -1, []string{"*"}
	if wrong := worse.Check(readSpec(t)); len(wrong) != 3 {
		t.Errorf("three faults are %v", wrong)
	}
}

func TestAdminOfTheFirstStart(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "admin")
	if err := os.WriteFile(file, []byte("Root:correct:horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := startProgram(t, func(cfg *Settings) { cfg.AdminFile, cfg.Signup = file, "closed" })
	root := p.visitor(t)
	p.logs.keepSecret("correct:horse")
	root.do("POST", "/v1/auth/login", credentials{"root", "correct:horse"}).want(200).into(&root.session)
	if root.User.Role != "admin" {
		t.Errorf("the role is %s", root.User.Role)
	}
	p.logs.keepSecret("another horse")
	root.do("PATCH", "/v1/me", map[string]string{"current_password": "correct:horse", "password": "another horse"}).want(200)
	again := p.again(t)
	again.visitor(t).do("POST", "/v1/auth/login", credentials{"root", "correct:horse"}).wantProblem(401, "bad_credentials", "")
	again.visitor(t).do("POST", "/v1/auth/login", credentials{"root", "another horse"}).want(200)
}
