package program

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// startWithin runs the binary by a shell's script, which ends with exec "$@".
func startWithin(t *testing.T, script, dataDir string) *process {
	t.Helper()
	address := freeAddress(t)
	cmd := exec.Command("sh", "-c", script, dataDir, binary(t), "--addr", address, "--data-dir", dataDir)
	cmd.Env = append(withoutSettings(), withoutLimits...)
	return runUntilReady(t, cmd, address)
}

// suffers posts until the program says 503, and returns how many posts went before and how long the refusal took.
func suffers(t *testing.T, c *client, text func(n int) string) (posts int, took time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < patience; posts++ {
		at := time.Now()
		a := c.do("POST", roomPath(faultRoom)+"/messages", raw(text(posts)))
		if a.status == 201 {
			continue
		}
		a.wantProblem(503, "unavailable", "")
		if a.header.Get("Retry-After") == "" {
			t.Error("the 503 has no Retry-After")
		}
		return posts, time.Since(at)
	}
	t.Fatal("the fault is not felt")
	return 0, 0
}

// On a full disk posts are refused, and nothing else: reading and following go on, and posting too once there is room.
func TestSQLiteDiskFull(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	var p *process
	var makeRoom func()
	if exec.Command("unshare", "-m", "sh", "-c", `mount -t tmpfs tmpfs "$0"`, dataDir).Run() == nil {
		// A small file system of the program's own, which goes with it.
		p = startWithin(t, `exec unshare -m sh -c 'mount -t tmpfs -o size=4m tmpfs "$0" && head -c 1500000 /dev/zero > "$0"/filler && exec "$@"' "$0" "$@"`, dataDir)
		filler := filepath.Join("/proc", fmt.Sprint(p.cmd.Process.Pid), "root", dataDir, "filler")
		makeRoom = func() {
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		t.Log("no file system can be mounted here; files may not grow instead")
		p = startWithin(t, `ulimit -S -f 4000; exec "$@"`, dataDir)
		makeRoom = func() {
			all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
			if err := unix.Prlimit(p.cmd.Process.Pid, unix.RLIMIT_FSIZE, &all, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	ada := p.signup(t, "ada")
	ada.enter(faultRoom)
	s := ada.open(overSSE, "room="+faultRoom)
	s.opening()
	long := strings.Repeat("x", 3900)
	posts, took := suffers(t, ada, func(n int) string { return fmt.Sprint(n, " ", long) })
	t.Logf("the disk was full after %d posts; the next was answered 503 after %s", posts, took.Round(time.Millisecond))
	if got := len(ada.wholeHistory(faultRoom)); got != posts {
		t.Errorf("the history has %d of %d posts", got, posts)
	}
	makeRoom()
	began := time.Now()
	var after event
	eventually(t, "posting goes on", func() (ok bool) {
		var err error
		after, err = ada.tryPost(faultRoom, "there is room again")
		return err == nil
	})
	t.Logf("with room again posts were answered after %s", time.Since(began).Round(time.Millisecond))
	seen := s.untilMessage("there is room again") // on the stream that was open all the time
	if got := len(ids(seen)); got != posts+1 {
		t.Errorf("the stream brought %d of %d posts", got, posts+1)
	}
	history := ada.wholeHistory(faultRoom)
	if len(history) != posts+1 || history[posts].ID != after.ID {
		t.Errorf("the history has %d of %d posts", len(history), posts+1)
	}
	p.terminate(t)
}

// While something else holds SQLite's lock posts are refused; reading goes on.
func TestSQLiteLockedFromOutside(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	p := startWithin(t, `exec "$@"`, dataDir)
	ada := p.signup(t, "ada")
	ada.enter(faultRoom)
	s := ada.open(overWS, "room="+faultRoom)
	s.opening()
	ada.post(faultRoom, "before")
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dataDir, "tandem.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	outside, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer outside.Close()
	if _, err := outside.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	_, took := suffers(t, ada, func(int) string { return "never" })
	t.Logf("with the database locked a post was answered 503 after %s", took.Round(time.Millisecond))
	if got := ada.wholeHistory(faultRoom); len(got) != 1 {
		t.Errorf("the history has %d posts", len(got))
	}
	if _, err := outside.ExecContext(context.Background(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, "posting goes on", func() bool {
		_, err := ada.tryPost(faultRoom, "after")
		return err == nil
	})
	t.Logf("unlocked, posts were answered after %s", time.Since(began).Round(time.Millisecond))
	if got := len(ids(s.untilMessage("after"))); got != 2 {
		t.Errorf("the stream brought %d posts of 2", got)
	}
	p.terminate(t)
	assertDense(t, dataDir)
}

// Without file descriptors nobody new is let in, and whoever is in goes on.
func TestFileDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	p := startWithin(t, `ulimit -n 80; exec "$@"`, dataDir)
	ada := p.signup(t, "ada")
	ada.enter(faultRoom)
	first := ada.open(overSSE, "room="+faultRoom)
	first.opening()
	ada.post(faultRoom, "before") // on a connection that is kept

	var crowd []*stream
	ada.http.Timeout = 2 * time.Second
	felt := false
	for range 120 {
		ended := make(chan *stream, 1)
		go func() {
			s, _, _ := ada.dial(overWS, how{query: "room=" + faultRoom})
			ended <- s
		}()
		select {
		case s := <-ended:
			if s == nil {
				felt = true
			} else {
				crowd = append(crowd, s)
			}
		case <-time.After(time.Second): // it waits to be accepted
			felt = true
			defer func() { <-ended }()
		}
		if felt {
			break
		}
	}
	if !felt {
		t.Fatalf("%d streams were let in with 80 descriptors", len(crowd))
	}
	t.Logf("with 80 descriptors %d streams were let in", len(crowd)+1)
	posted := ada.post(faultRoom, "meanwhile")
	if got := first.untilMessage("meanwhile"); got[len(got)-1].ID != posted.ID {
		t.Errorf("the stream that was there brought %s", show(got))
	}
	for _, s := range crowd {
		s.close()
	}
	began := time.Now()
	eventually(t, "there is room for new streams", func() bool {
		s, refusal, err := ada.dial(overSSE, how{query: "room=" + faultRoom})
		return err == nil && refusal == nil && s != nil
	})
	t.Logf("after the crowd had left a new stream was opened within %s", time.Since(began).Round(time.Millisecond))
	ada.post(faultRoom, "after")
	first.untilMessage("after")
	p.terminate(t)
	assertDense(t, dataDir)
}
