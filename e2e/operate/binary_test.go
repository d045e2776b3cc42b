package operate

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/gorilla/websocket"

	"tandem/e2e/harness"
)

func TestTerminatedProgramNotifiesItsStreams(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	p := harness.StartBinary(t, dataDir)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	streams := []*harness.Stream{ada.Open(harness.OverSSE, "room=lobby"), ada.Open(harness.OverWS, "room=lobby")}
	for _, s := range streams {
		s.Opening()
	}
	posted := ada.Post("lobby", "the last words")
	p.Terminate(t)
	for _, s := range streams {
		s.Message("the last words")
		s.AssertClosed("restart", websocket.CloseServiceRestart)
	}
	again := ada.On(harness.StartBinary(t, dataDir).Server)
	if got := again.WholeHistory("lobby"); len(got) != 1 || got[0].ID != posted.ID {
		t.Errorf("history after the restart = %s", harness.Show(got))
	}
}

func TestHealthCommandReportsWhetherTheProgramServes(t *testing.T) {
	t.Parallel()
	p := harness.StartBinary(t, t.TempDir())
	health := func(address string) error {
		cmd := exec.Command(harness.Binary(t), "health")
		cmd.Env = append(harness.WithoutSettings(), "TANDEM_HEALTH_URL=http://"+address)
		return cmd.Run()
	}
	if err := health(p.Host(t)); err != nil {
		t.Errorf("health of a program that serves: %v", err)
	}
	if err := health(harness.FreeAddress(t)); err == nil {
		t.Error("tandem health succeeds although nothing listens")
	}
}

func TestSettingsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	address, dataDir := harness.FreeAddress(t), t.TempDir()
	cmd := exec.Command(harness.Binary(t), "serve")
	cmd.Env = append(harness.WithoutSettings(), "TANDEM_ADDR="+address, "TANDEM_DATA_DIR="+dataDir, "TANDEM_SIGNUP=closed", "TANDEM_JWT_SECRET="+harness.Secret)
	p := harness.RunUntilReady(t, cmd, address)
	p.Visitor(t).Do("POST", "/v1/auth/signup", harness.Credentials{Username: "ada", Password: "a good horse battery"}).WantProblem(403, "signup_closed", "")
	if _, err := os.Stat(filepath.Join(dataDir, "tandem.db")); err != nil {
		t.Error(err)
	}
	p.Terminate(t)
}
