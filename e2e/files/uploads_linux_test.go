package files

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"tandem/e2e/harness"
)

// residentNowKiB returns the current resident memory.
func residentNowKiB(t *testing.T, p *harness.Process) int {
	t.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", p.Cmd.Process.Pid))
	if err != nil {
		t.Fatal(err)
	}
	var size, resident int
	if _, err := fmt.Sscan(string(statm), &size, &resident); err != nil {
		t.Fatal(err)
	}
	return resident * os.Getpagesize() >> 10
}

// A thousand concurrent uploads, of 10 MiB each with TANDEM_FAULTS=long, take at most 64 MiB of the server's memory: no
// upload is held in memory whole.
func TestThousandUploadsAreStreamed(t *testing.T) {
	const uploads, bound = 1000, 64 << 10 // KiB
	size := 1 << 20
	if harness.Long {
		size = 10 << 20
	}
	if testing.Short() || harness.OnPostgres {
		t.Skip("left out by -short, and on PostgreSQL, whose patience ends before a thousand have their turn")
	}
	// Not parallel: the other tests' servers would wait for the disk.
	dataDir := t.TempDir()
	p := harness.StartBinary(t, dataDir, "TANDEM_LIMIT_FILES=0", "TANDEM_LOG_LEVEL=warn")
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Upload(harness.RoomPath("lobby"), "first", "x") // memory that the first upload takes
	before := residentNowKiB(t, p)

	piece := bytes.Repeat([]byte("0123456789abcdef"), 4<<10)
	var begun, done sync.WaitGroup
	begun.Add(uploads)
	failed := make(chan error, uploads)
	for i := range uploads {
		done.Go(func() {
			s := p.Socket(t)
			defer s.Close()
			_ = s.SetDeadline(time.Now().Add(10 * time.Minute))
			begin := sync.OnceFunc(begun.Done)
			defer begin()
			err := func() error {
				head := fmt.Sprintf("POST %s/files?name=%d HTTP/1.1\r\nHost: x\r\n%s\r\nContent-Length: %d\r\n\r\n", harness.RoomPath("lobby"), i, ada.Bearer(), size)
				if _, err := io.WriteString(s, head); err != nil {
					return err
				}
				for sent := 0; sent < size; sent += len(piece) {
					if _, err := s.Write(piece); err != nil {
						return err
					}
					begin()
					begun.Wait() // for all uploads to be under way
				}
				resp, err := http.ReadResponse(bufio.NewReader(s), nil)
				if err != nil {
					return err
				}
				defer resp.Body.Close()
				if resp.StatusCode != http.StatusCreated {
					return fmt.Errorf("got %s", resp.Status)
				}
				return nil
			}()
			if err != nil {
				failed <- err
			}
		})
	}
	done.Wait()
	close(failed)
	for err := range failed {
		t.Fatal(err)
	}
	kept := harness.Blobs(t, dataDir)
	if len(kept) != uploads+1 {
		t.Errorf("%d files left", len(kept))
	}
	if info, err := os.Stat(filepath.Join(dataDir, "files", kept[5][:2], kept[5])); err != nil || info.Size() != int64(size) && info.Size() != 1 {
		t.Errorf("file: %v, %v", info, err)
	}
	after := harness.ResidentKiB(t, p)
	t.Logf("%d uploads of %d MiB: the server's memory went from %d to %d MiB at most", uploads, size>>20, before>>10, after>>10)
	if after > before+bound {
		t.Errorf("the server grew from %d to %d KiB", before, after)
	}
}

// On a full disk an upload gets 507, and frees the space that it took.
func TestUploadToAFullDisk(t *testing.T) {
	t.Parallel()
	dataDir := t.TempDir()
	var p *harness.Process
	if exec.Command("unshare", "-m", "sh", "-c", `mount -t tmpfs tmpfs "$0"`, dataDir).Run() == nil {
		p = harness.StartWithin(t, `exec unshare -m sh -c 'mount -t tmpfs -o size=8m tmpfs "$0" && exec "$@"' "$0" "$@"`, dataDir)
	} else {
		t.Log("no file system can be mounted here; files may not grow instead")
		p = harness.StartWithin(t, `ulimit -S -f 16000; exec "$@"`, dataDir)
	}
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	lobby := harness.RoomPath("lobby")
	small := ada.Upload(lobby, "small", "x")
	for range 3 {
		harness.Eventually(t, "a full disk is reported", func() bool {
			a, err := ada.Try("POST", lobby+"/files", harness.OnlyReader(strings.Repeat("x", 9<<20)))
			if err == nil {
				a.WantProblem(507, "storage_full", "")
			}
			return err == nil // a client that is still writing then may see the connection break first
		})
	}
	ada.Do("POST", lobby+"/messages", harness.WithFiles(small)).Want(201)
	ada.Post("lobby", "posts go on")
	again := ada.Upload(lobby, "again", strings.Repeat("x", 1<<20))
	if got := ada.Do("GET", harness.FilePath(again), nil).Want(200); len(got.Body) != 1<<20 {
		t.Errorf("the file has %d bytes", len(got.Body))
	}
	p.Terminate(t)
}
