package cluster

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

	"tandem/e2e/harness"
)

// suffers posts until the program answers 503, and returns how many posts succeeded and how long the 503 took.
func suffers(t *testing.T, c *harness.Client, text func(n int) string) (posts int, took time.Duration) {
	t.Helper()
	for began := time.Now(); time.Since(began) < harness.Patience; posts++ {
		at := time.Now()
		a := c.Do("POST", harness.RoomPath(faultRoom)+"/messages", harness.Raw(text(posts)))
		if a.Status == 201 {
			continue
		}
		a.WantProblem(503, "unavailable", "")
		if a.Header.Get("Retry-After") == "" {
			t.Error("Retry-After of the 503: got none, want one")
		}
		return posts, time.Since(at)
	}
	t.Fatalf("posts during the fault: got no 503 within %s, want one", harness.Patience)
	return 0, 0
}

// On a full disk only writes are refused: reading and following continue, and posting does too once there is space.
func TestSQLiteDiskFull(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	var p *harness.Process
	var makeRoom func()
	if exec.Command("unshare", "-m", "sh", "-c", `mount -t tmpfs tmpfs "$0"`, dataDir).Run() == nil {
		// A small file system that only the program sees, unmounted when it exits.
		p = harness.StartWithin(t, `exec unshare -m sh -c 'mount -t tmpfs -o size=4m tmpfs "$0" && head -c 1500000 /dev/zero > "$0"/filler && exec "$@"' "$0" "$@"`, dataDir)
		filler := filepath.Join("/proc", fmt.Sprint(p.Cmd.Process.Pid), "root", dataDir, "filler")
		makeRoom = func() {
			if err := os.Remove(filler); err != nil {
				t.Fatal(err)
			}
		}
	} else {
		t.Log("cannot mount a file system; limiting the size of files instead")
		p = harness.StartWithin(t, `ulimit -S -f 4000; exec "$@"`, dataDir)
		makeRoom = func() {
			all := unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}
			if err := unix.Prlimit(p.Cmd.Process.Pid, unix.RLIMIT_FSIZE, &all, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	ada := p.Signup(t, "ada")
	ada.Enter(faultRoom)
	s := ada.Open(harness.OverSSE, "room="+faultRoom)
	s.Opening()
	long := strings.Repeat("x", 3900)
	posts, took := suffers(t, ada, func(n int) string { return fmt.Sprint(n, " ", long) })
	t.Logf("the disk was full after %d posts; the next was answered 503 after %s", posts, took.Round(time.Millisecond))
	if got := len(ada.WholeHistory(faultRoom)); got != posts {
		t.Errorf("posts in the history of the full disk: got %d, want %d", got, posts)
	}
	makeRoom()
	began := time.Now()
	var after harness.Event
	harness.Eventually(t, "posts succeed again", func() (ok bool) {
		var err error
		after, err = ada.TryPost(faultRoom, "there is room again")
		return err == nil
	})
	t.Logf("with space again posts were answered after %s", time.Since(began).Round(time.Millisecond))
	seen := s.UntilMessage("there is room again") // on the stream that stayed open
	if got := len(harness.IDs(seen)); got != posts+1 {
		t.Errorf("posts on the stream: got %d, want %d", got, posts+1)
	}
	history := ada.WholeHistory(faultRoom)
	if len(history) != posts+1 || history[posts].ID != after.ID {
		t.Errorf("posts in the history: got %d, want %d, ending with %d", len(history), posts+1, after.ID)
	}
	p.Terminate(t)
}

// While another process holds SQLite's lock, posts are refused and reading continues.
func TestSQLiteLockedFromOutside(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	p := harness.StartWithin(t, `exec "$@"`, dataDir)
	ada := p.Signup(t, "ada")
	ada.Enter(faultRoom)
	s := ada.Open(harness.OverWS, "room="+faultRoom)
	s.Opening()
	ada.Post(faultRoom, "before")
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
	t.Logf("with the database locked a post got 503 after %s", took.Round(time.Millisecond))
	if got := ada.WholeHistory(faultRoom); len(got) != 1 {
		t.Errorf("posts in the history of the locked database: got %d, want 1", len(got))
	}
	if _, err := outside.ExecContext(context.Background(), `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	harness.Eventually(t, "posts succeed again", func() bool {
		_, err := ada.TryPost(faultRoom, "after")
		return err == nil
	})
	t.Logf("unlocked, posts were answered after %s", time.Since(began).Round(time.Millisecond))
	if got := len(harness.IDs(s.UntilMessage("after"))); got != 2 {
		t.Errorf("posts on the stream: got %d, want 2", got)
	}
	p.Terminate(t)
	assertDense(t, dataDir)
}

// Without file descriptors new clients are not accepted, and connected ones continue.
func TestFileDescriptorsExhausted(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	p := harness.StartWithin(t, `ulimit -n 80; exec "$@"`, dataDir)
	ada := p.Signup(t, "ada")
	ada.Enter(faultRoom)
	first := ada.Open(harness.OverSSE, "room="+faultRoom)
	first.Opening()
	p.HTTP.IdleConnTimeout = time.Minute
	ada.Post(faultRoom, "before") // on a kept-alive connection

	var crowd []*harness.Stream
	impatient, http := *ada, *ada.HTTP
	impatient.HTTP, http.Timeout = &http, 2*time.Second // some of its streams wait to be accepted
	felt := false
	for range 120 {
		ended := make(chan *harness.Stream, 1)
		go func() {
			s, _, _ := impatient.Dial(harness.OverWS, harness.Dialing{Query: "room=" + faultRoom})
			ended <- s
		}()
		select {
		case s := <-ended:
			if s == nil {
				felt = true
			} else {
				crowd = append(crowd, s)
			}
		case <-time.After(time.Second): // it is waiting to be accepted
			felt = true
			defer func() { <-ended }()
		}
		if felt {
			break
		}
	}
	if !felt {
		t.Fatalf("streams opened with 80 descriptors: got all %d, want some refused", len(crowd))
	}
	t.Logf("with 80 descriptors %d streams were accepted", len(crowd)+1)
	posted := ada.Post(faultRoom, "meanwhile")
	if got := first.UntilMessage("meanwhile"); got[len(got)-1].ID != posted.ID {
		t.Errorf("open stream without free descriptors: got %s, want the post %d last", harness.Show(got), posted.ID)
	}
	for _, s := range crowd {
		s.Close()
	}
	began := time.Now()
	harness.Eventually(t, "new streams are accepted", func() bool {
		s, refusal, err := ada.Dial(harness.OverSSE, harness.Dialing{Query: "room=" + faultRoom})
		return err == nil && refusal == nil && s != nil
	})
	t.Logf("after the crowd had left a new stream was opened within %s", time.Since(began).Round(time.Millisecond))
	ada.Post(faultRoom, "after")
	first.UntilMessage("after")
	p.Terminate(t)
	assertDense(t, dataDir)
}
