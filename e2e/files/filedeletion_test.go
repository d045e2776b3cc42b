package files

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
	"tandem/program"
)

// Deleting a message removes its files for everybody, and soon their bytes and previews too. Other files stay.
func TestFilesAreDeletedWithTheirMessage(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	dir := p.Settings.DataDir
	const canary = "filecanary"
	var stay []harness.File
	for _, c := range []struct {
		to     string
		delete *harness.Client
	}{{harness.RoomPath("lobby"), ada}, {harness.PrivatePath("bob"), ada}, {harness.PrivatePath("ada"), ada}} {
		first, second, kept := ada.Upload(c.to, canary+".png", harness.Picture(t, 9, 9)), ada.Upload(c.to, canary+".txt", "x"), ada.Upload(c.to, "kept.png", harness.Picture(t, 8, 8))
		link := ada.Link(first)
		posted := ada.PostFiles(c.to, first, second)
		ada.PostFiles(c.to, kept)
		stay = append(stay, kept)
		harness.WantBlobs(t, dir, append([]harness.File{first, second}, stay...)...)
		c.delete.Do("DELETE", fmt.Sprint(c.to, "/messages/", posted.ID), nil).Want(204)
		for _, who := range []*harness.Client{ada, bob} {
			who.Do("GET", harness.FilePath(first), nil).WantProblem(404, "file_not_found", "id")
			who.Do("GET", harness.FilePath(first)+"?preview=1", nil).WantProblem(404, "file_not_found", "id")
			who.Do("GET", harness.FilePath(second), nil).WantProblem(404, "file_not_found", "id")
			who.Do("POST", harness.FilePath(second)+"/link", nil).WantProblem(404, "file_not_found", "id")
		}
		p.Visitor(t).Do("GET", link, nil).WantProblem(404, "file_not_found", "id")
		ada.Do("POST", c.to+"/messages", harness.WithFiles(first)).WantProblem(400, "", "files")
		harness.WantBlobs(t, dir, stay...)
		if got := ada.Do("GET", harness.FilePath(kept), nil).Want(200); string(got.Body) != harness.Picture(t, 8, 8) {
			t.Error("the kept file differs from the upload")
		}
	}
	moderated := bob.PostFiles(harness.RoomPath("lobby"), bob.Upload(harness.RoomPath("lobby"), canary, "x"))
	ada.Do("DELETE", harness.MessagePath("lobby", moderated.ID), nil).Want(204)
	harness.WantBlobs(t, dir, stay...)
	harness.AssertNowhere(t, p, canary)
	if out, err := harness.Tandem(t, dir, "export", "--private"); err != nil || bytes.Contains(out, []byte(canary)) || !bytes.Contains(out, []byte("kept.png")) {
		t.Errorf("export = %s, %v", out, err)
	}
}

func TestFilesAreDeletedWithTheirRoom(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	ada.Enter("dev")
	posted, waiting, elsewhere := ada.Upload(harness.RoomPath("lobby"), "a", "a"), ada.Upload(harness.RoomPath("lobby"), "b", "b"), ada.Upload(harness.RoomPath("dev"), "c", "c")
	ada.PostFiles(harness.RoomPath("lobby"), posted)
	ada.PostFiles(harness.RoomPath("dev"), elsewhere)
	ada.Do("DELETE", harness.RoomPath("lobby"), nil).Want(204)
	for _, f := range []harness.File{posted, waiting} {
		ada.Do("GET", harness.FilePath(f), nil).WantProblem(404, "file_not_found", "id")
	}
	ada.Enter("lobby") // another
	ada.Do("POST", harness.RoomPath("lobby")+"/messages", harness.WithFiles(waiting)).WantProblem(400, "", "files")
	harness.WantBlobs(t, p.Settings.DataDir, elsewhere)
}

// Deleting an account removes the files that nobody can read any more.
func TestFilesAreDeletedWithTheirLastReader(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	public, private, own, waiting := ada.Upload(harness.RoomPath("lobby"), "a", "a"), ada.Upload(harness.PrivatePath("bob"), "b", "b"), ada.Upload(harness.PrivatePath("ada"), "c", "c"), ada.Upload(harness.RoomPath("lobby"), "d", "d")
	avatar := ada.Upload("/v1/me", "a.png", harness.Picture(t, 4, 4))
	ada.PostFiles(harness.RoomPath("lobby"), public)
	ada.PostFiles(harness.PrivatePath("bob"), private)
	ada.PostFiles(harness.PrivatePath("ada"), own)
	harness.WantBlobs(t, p.Settings.DataDir, public, private, own, waiting, avatar)
	leave := func(c *harness.Client) {
		c.Do("DELETE", "/v1/me", map[string]any{"current_password": c.Password}).Want(204)
	}
	leave(ada)
	harness.WantBlobs(t, p.Settings.DataDir, public, private)
	bob.Do("GET", harness.FilePath(private), nil).Want(200)
	bob.Do("GET", harness.FilePath(public), nil).Want(200)
	leave(bob)
	harness.WantBlobs(t, p.Settings.DataDir, public)
}

// waitForSweep waits until a running program has begun the sweep for files older than age.
func waitForSweep(t *testing.T, dataDir string) {
	t.Helper()
	db := harness.OpenDatabase(t, dataDir)
	harness.Eventually(t, "the file sweep begins", func() bool {
		var at int64
		return db.QueryRow(`SELECT at FROM file_sweeps`).Scan(&at) == nil && at > 0
	})
}

// Uploads that no message uses within a day are removed, and so are bytes that a crash left without a row. Nothing
// younger and nothing in use is removed.
func TestUnusedUploadsAreRemoved(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	lobby := harness.RoomPath("lobby")
	posted, waiting := ada.Upload(lobby, "a.png", harness.Picture(t, 9, 9)), ada.Upload(lobby, "b.png", harness.Picture(t, 9, 9))
	ada.PostFiles(lobby, posted)
	dir := p.Settings.DataDir
	lost := harness.File{ID: strings.Repeat("L", 22), Preview: true}
	leave := func(names ...string) {
		for _, name := range names {
			path := filepath.Join(dir, "files", name[:2], name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	leave(lost.ID, lost.ID+".preview")
	p.Stop(t)
	harness.Age(t, dir, 23*time.Hour)
	p = p.Again(t)
	waitForSweep(t, dir)
	p.Stop(t)
	harness.WantBlobs(t, dir, posted, waiting, lost)
	harness.Age(t, dir, 2*time.Hour)
	young := harness.File{ID: strings.Repeat("Y", 22)}
	leave(young.ID)
	p = p.Again(t)
	ada = ada.On(p.Server)
	harness.WantBlobs(t, dir, posted, young)
	ada.Do("GET", harness.FilePath(waiting), nil).WantProblem(404, "file_not_found", "id")
	ada.Do("POST", lobby+"/messages", harness.WithFiles(waiting)).WantProblem(400, "", "files")
	if got := ada.Do("GET", harness.FilePath(posted), nil).Want(200); string(got.Body) != harness.Picture(t, 9, 9) {
		t.Error("the file in use differs from the upload")
	}
}

// A restored backup with files is a working server, and a second backup copies no file again.
func TestBackupHasTheFiles(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	p.Signup(t, "bob")
	ada.Enter("lobby")
	room, private, waiting := ada.Upload(harness.RoomPath("lobby"), "a.png", harness.Picture(t, 900, 9)), ada.Upload(harness.PrivatePath("bob"), "b.txt", "psst"), ada.Upload(harness.RoomPath("lobby"), "c", "c")
	ada.PostFiles(harness.RoomPath("lobby"), room)
	ada.PostFiles(harness.PrivatePath("bob"), private)
	exported := t.TempDir()
	if out, err := harness.Tandem(t, p.Settings.DataDir, "export", "--files", exported); err != nil || !bytes.Contains(out, []byte(room.ID)) {
		t.Fatalf("export = %s, %v", out, err)
	}
	harness.WantBlobs(t, exported, room)
	if got := readBlob(t, exported, room.ID); got != harness.Picture(t, 900, 9) {
		t.Error("the exported picture differs from the upload")
	}
	if harness.OnPostgres {
		return
	}
	restored := t.TempDir()
	if out, err := harness.Tandem(t, p.Settings.DataDir, "backup", "--files", restored, filepath.Join(restored, "tandem.db")); err != nil {
		t.Fatal(string(out), err)
	}
	harness.WantBlobs(t, restored, room, private)
	before, err := os.Stat(filepath.Join(restored, "files", room.ID[:2], room.ID))
	if err != nil {
		t.Fatal(err)
	}
	if out, err := harness.Tandem(t, p.Settings.DataDir, "backup", "--files", restored, filepath.Join(t.TempDir(), "again.db")); err != nil {
		t.Fatal(string(out), err)
	}
	if after, err := os.Stat(filepath.Join(restored, "files", room.ID[:2], room.ID)); err != nil || !after.ModTime().Equal(before.ModTime()) || !os.SameFile(before, after) {
		t.Errorf("a file was copied twice: %v", err)
	}
	again := harness.StartProgram(t, func(cfg *program.Settings) {
		*cfg = p.Settings
		cfg.Addr, cfg.DataDir = "127.0.0.1:0", restored
	})
	ada = ada.On(again.Server)
	ada.Do("POST", "/v1/auth/login", harness.Credentials{Username: "ada", Password: ada.Password}).Want(200).Into(&ada.Session)
	if got := ada.Do("GET", harness.FilePath(room), nil).Want(200); string(got.Body) != harness.Picture(t, 900, 9) {
		t.Error("the restored picture differs from the upload")
	}
	ada.Do("GET", harness.FilePath(room)+"?preview=1", nil).Want(200)
	if got := ada.Do("GET", harness.FilePath(private), nil).Want(200); string(got.Body) != "psst" {
		t.Errorf("restored file = %q", got.Body)
	}
	ada.Do("GET", harness.FilePath(waiting), nil).WantProblem(404, "file_not_found", "id") // no blob has these bytes
}
