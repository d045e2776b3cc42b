package hooks

import (
	"fmt"
	"net/http"
	"os/exec"
	"sync/atomic"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// A program that is killed with notifications pending and others being sent loses none. Those still in the grace arrive
// once; those being sent may arrive twice.
func TestPushOutlivesAKill(t *testing.T) {
	harness.Slow(t, "the grace is 10 s, and what a dead node had claimed is due again 45 s later")
	dir := t.TempDir()
	start := func() *harness.Process { return harness.StartBinary(t, dir, loopbackAllowed) }
	service := newPushService(t)
	pushOutlives(t, service, start, start)
}

// Of two nodes the one with the notifications is killed; the other takes over.
func TestPushMovesToAnotherNode(t *testing.T) {
	harness.Slow(t, "as TestPushOutlivesAKill, and a lease has to end")
	database := harness.EmptyDatabase(t)
	start := func() *harness.Process {
		address := harness.FreeAddress(t)
		cmd := exec.Command(harness.Binary(t), "--addr", address, "--data-dir", t.TempDir())
		cmd.Env = append(append(harness.WithoutSettings(), harness.WithoutLimits...), "TANDEM_DATABASE_URL="+database, loopbackAllowed)
		return harness.RunUntilReady(t, cmd, address)
	}
	first := start()
	second := start()
	service := newPushService(t)
	pushOutlives(t, service, func() *harness.Process { return first }, func() *harness.Process { return second })
}

// loopbackAllowed lets a program call the tests' own servers.
const loopbackAllowed = "TANDEM_HOOKS_ALLOW=127.0.0.0/8"

// pushOutlives sends a message to each of several users, one a second, while the program is killed and another
// continues.
func pushOutlives(t *testing.T, service *pushService, start, again func() *harness.Process) {
	p := start()
	ada := p.Signup(t, "ada")
	people := make([]*harness.Client, 16)
	sent := make([]time.Time, len(people))
	for i := range people {
		people[i] = p.Signup(t, fmt.Sprint("user", i))
		service.subscribe(people[i], "phone")
	}
	// Before the kill every third request gets no answer, as if the program had died during it.
	var asked atomic.Int32
	killed := make(chan struct{})
	service.answers(func(string, http.ResponseWriter) bool {
		if n := asked.Add(1); n%3 == 0 {
			<-killed
			return true
		}
		return false
	})
	ids := map[string]int64{}
	for i, c := range people {
		sent[i] = time.Now()
		ids[c.User.Username] = ada.Send(c.User.Username, "hi").ID
		time.Sleep(time.Second)
	}
	// A user who has been notified reads the message, and no node is left to withdraw the notification.
	const told = 0
	service.await(people[told], "phone", 1)
	at := time.Now()
	people[told].On(p.Server).Read(harness.PrivatePath("ada"), ids[people[told].User.Username])
	p.Kill()
	close(killed)
	service.answers(nil)
	next := again()
	come := ada.On(next.Server).Open(harness.OverSSE, "") // otherwise that node would be unused, and fall silent
	come.Opening()
	for i, c := range people {
		got := service.await(c, "phone", 1)
		if i == told {
			got = service.await(c, "phone", 2)
			if got[1].Type != "read" || got[1].MessageID != got[0].MessageID {
				t.Errorf("%s read the message elsewhere but got %s", c.User.Username, got[1].brief())
			}
			continue
		}
		if got[0].MessageID != ids[c.User.Username] {
			t.Errorf("notification of %s: got %s, want message %d", c.User.Username, got[0].brief(), ids[c.User.Username])
		}
	}
	// A second message to all marks the end.
	for _, c := range people {
		ada.On(next.Server).Send(c.User.Username, "bye")
	}
	for i, c := range people {
		harness.Eventually(t, c.User.Username+" is told of the last message", func() bool {
			got := service.to(c, "phone")
			return len(got) > 0 && got[len(got)-1].Text != nil && *got[len(got)-1].Text == "bye"
		})
		inGrace := at.Sub(sent[i]) < 9*time.Second
		first := 0
		for _, p := range service.to(c, "phone") {
			if p.MessageID == ids[c.User.Username] && p.Type != "read" {
				first++
			}
		}
		if first != 1 && (inGrace || first != 2) {
			t.Errorf("%s was notified of the first message %d times; it was in its grace: %v", c.User.Username, first, inGrace)
		}
	}
}
