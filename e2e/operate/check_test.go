package operate

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

func TestCheckReportsAllErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := harness.Defaults()
	good.DataDir = filepath.Join(dir, "not", "yet", "there")
	if wrong := good.Check(harness.ReadSpec(t)); len(wrong) > 0 {
		t.Errorf("the defaults: %v, want none", wrong)
	}
	if _, err := os.Stat(filepath.Join(dir, "not")); err == nil {
		t.Error("check created the data directory")
	}
	for want, change := range map[string]func(*program.Settings){
		"addr":         func(s *program.Settings) { s.Addr = "nowhere" },
		"metrics-addr": func(s *program.Settings) { s.MetricsAddr = "nowhere" },
		"data-dir":     func(s *program.Settings) { s.DataDir = file("a-file", "") },
		"31 bytes":     func(s *program.Settings) { s.JWTSecret = strings.Repeat("x", 31) },
		"5 bytes":      func(s *program.Settings) { s.JWTSecretFile = file("short", "short\n") },
		"both set": func(s *program.Settings) {
			s.JWTSecret, s.JWTSecretFile = harness.Secret, file("secret", harness.Secret)
		},
		"jwt-secret-file": func(s *program.Settings) { s.JWTSecretFile = filepath.Join(dir, "missing") },
		"jwt-issuer":      func(s *program.Settings) { s.JWTIssuer = "" },
		"username:":       func(s *program.Settings) { s.Admin = "ada" },
		"reserved-names":  func(s *program.Settings) { s.ReservedNames = []string{"support", "no name"} },
		"8 characters":    func(s *program.Settings) { s.Admin = "ada:short" },
		"origin":          func(s *program.Settings) { s.Origins = []string{"*"} },
		"ring-bytes":      func(s *program.Settings) { s.RingBytes = -1 },
		"base-path":       func(s *program.Settings) { s.BasePath = "chat" },
		"base-path: ":     func(s *program.Settings) { s.BasePath = "/a b" },
		"max-stream":      func(s *program.Settings) { s.MaxStream = time.Millisecond },
		"limit":           func(s *program.Settings) { s.LimitPosts = -1 },
		"10.0.0.0/99":     func(s *program.Settings) { s.TrustedProxies = []string{"10.0.0.0/99"} },
		"hooks-allow":     func(s *program.Settings) { s.HooksAllow = []string{"intranet"} },
		"nokey.pem":       func(s *program.Settings) { s.JWTKeyFiles = []string{file("nokey.pem", "no key")} },
		"JWKS": func(s *program.Settings) {
			s.JWKSURL, s.JWTIssuer = "http://issuer.example/keys", "https://issuer.example"
		},
	} {
		s := good
		change(&s)
		wrong := s.Check(harness.ReadSpec(t))
		if len(wrong) != 1 || !strings.Contains(wrong[0].Error(), want) {
			t.Errorf("Check: got %v, want one error with %q", wrong, want)
		}
	}
	worse := good
	worse.Addr, worse.RingBytes, worse.Origins = "nowhere", -1, []string{"*"}
	if wrong := worse.Check(harness.ReadSpec(t)); len(wrong) != 3 {
		t.Errorf("three faults = %v", wrong)
	}
}

func TestFirstStartCreatesAdmin(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "admin")
	if err := os.WriteFile(file, []byte("Root:correct:horse\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.AdminFile, cfg.Signup = file, "closed" })
	root := p.Visitor(t)
	p.Logs.KeepSecret("correct:horse")
	root.Do("POST", "/v1/auth/login", harness.Credentials{Username: "root", Password: "correct:horse"}).Want(200).Into(&root.Session)
	if root.User.Role != "admin" {
		t.Errorf("role = %s", root.User.Role)
	}
	p.Logs.KeepSecret("another horse")
	root.Do("PATCH", "/v1/me", map[string]string{"current_password": "correct:horse", "password": "another horse"}).Want(200)
	again := p.Again(t)
	again.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "root", Password: "correct:horse"}).WantProblem(401, "bad_credentials", "")
	again.Visitor(t).Do("POST", "/v1/auth/login", harness.Credentials{Username: "root", Password: "another horse"}).Want(200)
}
