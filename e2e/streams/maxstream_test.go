package streams

import (
	"cmp"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"tandem/e2e/harness"
	"tandem/program"
)

// A stream that reaches the maximum age is told to reconnect at once, on every transport. Its cursor loses and
// duplicates nothing, and the user does not appear to leave. A poll is answered by then.
func TestStreamsEndBeforeAPlatformCutsThem(t *testing.T) {
	t.Parallel()
	const most = 2 * time.Second
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.MaxStream = most })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	for _, over := range harness.Transports { // before any stream of bob's, which would announce him
		bob.Enter("r-" + string(over))
	}
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		t.Parallel()
		room := "r-" + string(over)
		bob := bob.In(t)
		watching := ada.In(t)
		cursor, seen := "", []int64{}
		// The watcher's stream ends and reconnects too; only leaves that it sees count.
		watch := watching.Open(harness.OverSSE, "room="+room)
		var posted []int64
		// On a slow machine a stream may end before its message has arrived; then the next one starts with it.
		for round := 0; round < 3 || len(seen) < len(posted) && round < 10; round++ {
			s := bob.Open(over, "room="+room+"&wait=60&since="+cursor)
			cursor = cmp.Or(cursor, s.Opening().Since)
			if round < 3 {
				posted = append(posted, bob.Post(room, fmt.Sprint("round ", round)).ID)
			}
			if over == harness.OverPoll {
				e := s.Until(func(e harness.Event) bool { return e.ID == posted[round] })
				seen = append(seen, e[len(e)-1].ID)
				cursor = fmt.Sprintf("%d.%s", posted[round], s.Open.Log)
				s.Close()
				continue
			}
			events := s.UntilClosed("max_age", websocket.CloseServiceRestart)
			if last := events[len(events)-1]; last.RetryMS != 0 {
				t.Errorf("retry delay = %d ms", last.RetryMS)
			}
			for _, e := range events {
				if e.Type == "chat_message" {
					seen, cursor = append(seen, e.ID), fmt.Sprintf("%d.%s", e.ID, s.Open.Log)
				}
			}
		}
		if fmt.Sprint(seen) != fmt.Sprint(posted) {
			t.Errorf("posted %v, got %v", posted, seen)
		}
		if over == harness.OverPoll {
			a := bob.Do("GET", "/v1/events?wait=60&since="+cursor+"&room="+room, nil, "Accept: application/json").Want(200)
			if strings.Contains(string(a.Body), "chat_message") {
				t.Errorf("poll without events = %s", a.Body)
			}
		}
		for { // until it ends by itself
			e, err := watch.Next(harness.Patience)
			if err != nil {
				break
			}
			if e.Type == "user_leave" {
				t.Errorf("presence event %s sent although the stream only reconnected", e.Raw)
			}
		}
	})
}

// Platforms set the port with PORT; addr takes precedence.
func TestPortFromThePlatform(t *testing.T) {
	t.Parallel()
	start := func(env ...string) *harness.Process {
		port := harness.FreeAddress(t)
		cmd := exec.Command(harness.Binary(t), "--data-dir", t.TempDir())
		cmd.Env = append(harness.WithoutSettings(), "PORT="+strings.TrimPrefix(port, "127.0.0.1:"))
		cmd.Env = append(cmd.Env, env...)
		address := port
		for _, line := range env {
			address = strings.TrimPrefix(line, "TANDEM_ADDR=")
		}
		p := harness.RunUntilReady(t, cmd, address)
		health := exec.Command(harness.Binary(t), "health")
		health.Env = cmd.Env
		if out, err := health.CombinedOutput(); err != nil {
			t.Errorf("tandem health: %v %s", err, out)
		}
		if address != port {
			if resp, err := http.Get("http://" + port + "/healthz"); err == nil {
				resp.Body.Close()
				t.Error("the program listens on PORT although addr is set")
			}
		}
		return p
	}
	start()
	start("TANDEM_ADDR=" + harness.FreeAddress(t))
}
