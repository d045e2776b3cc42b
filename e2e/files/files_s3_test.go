package files

import (
	"io/fs"
	"path/filepath"
	"strconv"
	"testing"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// objects counts the objects in a bucket.
func objects(t *testing.T, s *testservers.S3) (n int) {
	t.Helper()
	err := filepath.WalkDir(s.Objects(), func(_ string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			n++
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// startWithS3 runs the binary with its files in a new bucket.
func startWithS3(t *testing.T) (*harness.Process, *testservers.S3) {
	t.Helper()
	s3, err := testservers.StartS3()
	testservers.Need(t, err)
	t.Cleanup(s3.Remove)
	return harness.StartBinary(t, t.TempDir(), append(testservers.S3Env(), "TANDEM_FILES_URL="+s3.URL("files"))...), s3
}

func TestFilesInS3(t *testing.T) {
	t.Parallel()
	p, s3 := startWithS3(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	cat := harness.Picture(t, 700, 700)
	first, second := ada.Upload(harness.RoomPath("lobby"), "a.png", cat), ada.Upload(harness.RoomPath("lobby"), "b.txt", "0123456789")
	posted := ada.PostFiles(harness.RoomPath("lobby"), first, second)
	if n := objects(t, s3); n != 3 {
		t.Errorf("the store has %d objects", n)
	}
	if got := ada.Do("GET", harness.FilePath(first), nil).Want(200); string(got.Body) != cat {
		t.Errorf("the picture has %d bytes", len(got.Body))
	}
	if got := ada.Do("GET", harness.FilePath(first)+"?preview=1", nil).Want(200); got.Header.Get("Content-Type") != "image/png" && got.Header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("preview = %s", got.Header.Get("Content-Type"))
	}
	if got := p.Visitor(t).Do("GET", ada.Link(second), nil, "Range: bytes=3-5").Want(206); string(got.Body) != "345" {
		t.Errorf("range = %q", got.Body)
	}
	ada.Do("HEAD", harness.FilePath(second), nil).Want(200)
	ada.Do("DELETE", harness.MessagePath("lobby", posted.ID), nil).Want(204)
	harness.Eventually(t, "the bucket is empty", func() bool { return objects(t, s3) == 0 })
	p.Terminate(t)
}

// While the store is down uploads and downloads get 503, and everything else works, including posts with files uploaded
// before. Files deleted meanwhile are removed when the store is back.
func TestWithoutS3EverythingElseWorks(t *testing.T) {
	t.Parallel()
	p, s3 := startWithS3(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	lobby := harness.RoomPath("lobby")
	gone, kept := ada.Upload(lobby, "a.txt", "a"), ada.Upload(lobby, "b.txt", "b")
	posted := ada.PostFiles(lobby, gone)
	s3.Kill()
	for _, a := range []harness.Answer{
		ada.Do("POST", lobby+"/files", harness.Raw("c")),
		ada.Do("GET", harness.FilePath(kept), nil),
		ada.Do("GET", harness.FilePath(gone), nil, "Range: bytes=0-0"),
	} {
		a.WantProblem(503, "unavailable", "")
		if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < 1 {
			t.Errorf("%s: Retry-After = %q", a.Call, a.Header.Get("Retry-After"))
		}
	}
	ada.Post("lobby", "hello")
	ada.PostFiles(lobby, kept)
	ada.Do("DELETE", harness.MessagePath("lobby", posted.ID), nil).Want(204)
	ada.Do("GET", harness.FilePath(gone), nil).WantProblem(404, "file_not_found", "id")
	p.Visitor(t).Do("GET", "/readyz", nil).Want(200)
	if err := s3.Start(); err != nil {
		t.Fatal(err)
	}
	harness.Eventually(t, "one object is left in the bucket", func() bool { return objects(t, s3) == 1 })
	if got := ada.Do("GET", harness.FilePath(kept), nil).Want(200); string(got.Body) != "b" {
		t.Errorf("file = %q", got.Body)
	}
	ada.Upload(lobby, "d.txt", "d")
	p.Terminate(t)
}
