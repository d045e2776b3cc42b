package hooks

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// The receivers in docs/hooks.md, each run as printed: they accept what is signed with their secret and nothing else.
// Node's verifies with the Standard Webhooks library for JavaScript.
func TestReceiversInTheDocs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("docs/hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	p := harness.StartProgram(t, harness.WithHooks)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, of := range []struct {
		language, dir, file string // so that its imports are found
		needs               string
		run                 []string
	}{
		{"js", "frontend", "receiver.mjs", "frontend/node_modules/standardwebhooks", []string{"node"}},
		{"python", ".", "receiver.py", "", []string{"python3"}},
		{"go", ".", "main.go", "", []string{"go", "run"}},
	} {
		t.Run(of.language, func(t *testing.T) {
			blocks := regexp.MustCompile("(?s)\n```"+of.language+"\n(.*?)\n```\n").FindAllSubmatch(text, -1)
			if len(blocks) != 1 {
				t.Fatalf("docs page has %d receivers in %s", len(blocks), of.language)
			}
			testservers.NeedProgram(t, of.run[0])
			if _, err := os.Stat(of.needs); of.needs != "" && err != nil {
				testservers.Need(t, fmt.Errorf("%s %w", of.needs, testservers.ErrMissing))
			}
			dir, err := os.MkdirTemp(of.dir, ".receiver-")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			file := filepath.Join(dir, of.file)
			if err := os.WriteFile(file, append(blocks[0][1], '\n'), 0o600); err != nil {
				t.Fatal(err)
			}
			address := harness.FreeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			ada := ada.In(t)
			h := ada.CreateHook(harness.LobbyHooks, map[string]any{"url": "http://" + address + "/"})
			out := harness.NewLogBook(t)
			ctx, cancel := context.WithCancel(context.Background())
			cmd := exec.CommandContext(ctx, of.run[0], append(of.run[1:], "./"+file)...)
			cmd.Env = slices.Concat(os.Environ(), harness.CompiledAlike, []string{"SECRET=" + h.Secret, "PORT=" + port})
			cmd.Stdout, cmd.Stderr = out, out
			cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run starts a child process
			cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
			cmd.WaitDelay = time.Second
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { cancel(); _ = cmd.Wait() })
			harness.Eventually(t, of.language+" listens", func() bool {
				c, err := net.Dial("tcp", address)
				if err == nil {
					_ = c.Close()
				}
				return err == nil
			})
			m := ada.Post("lobby", "hello, "+of.language)
			harness.Eventually(t, of.language+" has the message", func() bool {
				return strings.Contains(out.Tail(10_000), fmt.Sprint(m.ID, " chat_message ", m.Message))
			})
			ada.HookReaches(h.ID, m.ID)
			forged := []byte(`{"hook":1,"log":"a","events":[{"type":"chat_message","id":999999,"message":"forged"}]}`)
			req, err := http.NewRequest("POST", "http://"+address+"/", bytes.NewReader(forged))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("webhook-id", "msg_1")
			req.Header.Set("webhook-timestamp", fmt.Sprint(time.Now().Unix()))
			req.Header.Set("webhook-signature", "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=")
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusUnauthorized || strings.Contains(out.Tail(10_000), "forged") {
				t.Errorf("forged delivery got %d: %s", res.StatusCode, out.Tail(10_000))
			}
			ada.Do("DELETE", harness.LobbyHooks+"/"+harness.Itoa(h.ID), nil).Want(204)
			if t.Failed() {
				t.Logf("the receiver printed: %s", out.Tail(10_000))
			}
		})
	}
}
