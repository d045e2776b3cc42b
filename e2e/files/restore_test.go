package files

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"tandem/e2e/harness"
	"tandem/testservers"
)

// command runs a command of the binary on a data directory, with further settings.
func command(t *testing.T, dir string, env []string, args ...string) []byte {
	t.Helper()
	cmd := exec.Command(harness.Binary(t), append(args, "--data-dir", dir)...)
	cmd.Env = append(append(harness.WithoutSettings(), "TANDEM_DATABASE_URL="+harness.DatabaseOf(t, dir)), env...)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("running %q: got %v\n%s", args, err, errs.Bytes())
	}
	return out
}

// dump copies the PostgreSQL database of one data directory to that of another with pg_dump.
func dump(t *testing.T, from, to string) {
	t.Helper()
	program := "pg_dump"
	if found, err := filepath.Glob("/usr/lib/postgresql/*/bin/pg_dump"); err == nil && len(found) > 0 { // Debian keeps it out of PATH
		program = found[len(found)-1]
	}
	text, err := exec.Command(program, "--inserts", "--no-owner", harness.DatabaseOf(t, from)).Output()
	if err != nil {
		t.Fatal(err)
	}
	var sql []byte
	for line := range bytes.Lines(text) {
		if !bytes.HasPrefix(line, []byte(`\`)) { // psql's own
			sql = append(sql, line...)
		}
	}
	conn, err := pgx.Connect(context.Background(), harness.DatabaseOf(t, to))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(context.Background(), string(sql)).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// A backup is restored to a different layout: another data directory, another database, and files moved from a folder
// to S3. Everything is as before, and continues to work.
func TestBackupIsRestoredOntoAnotherLayout(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := harness.StartBinary(t, dir)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	bob.Enter("lobby")
	lobby := harness.RoomPath("lobby")
	cat := harness.Picture(t, 700, 700)
	posted := ada.PostFiles(lobby, ada.Upload(lobby, "a.png", cat), ada.Upload(lobby, "b.txt", "0123456789"))
	ada.React("PUT", "lobby", posted.ID, "👍").Want(204)
	ada.Do("PUT", harness.MessagePath("lobby", posted.ID)+"/pin", nil).Want(204)
	ada.Edit("lobby", ada.Post("lobby", "old").ID, "new, @bob")
	bob.Do("POST", lobby+"/messages", map[string]any{"message": "in a thread", "thread": posted.ID}).Want(201)
	secret := ada.PostFiles(harness.PrivatePath("bob"), ada.Upload(harness.PrivatePath("bob"), "c.txt", "between us"))
	ada.Do("PUT", "/v1/me/blocks/bob", nil).Want(204)
	token := ada.Token(map[string]any{"name": "a script"})
	before := command(t, dir, nil, "export", "--private")

	// Copied while the program runs.
	s3, err := testservers.StartS3()
	testservers.Need(t, err)
	t.Cleanup(s3.Remove)
	inS3 := append(testservers.S3Env(), "TANDEM_FILES_URL="+s3.URL("moved/here"))
	there := t.TempDir()
	if harness.OnPostgres {
		dump(t, dir, there)
		command(t, dir, testservers.S3Env(), "export", "--private", "--files", s3.URL("moved/here"))
	} else {
		command(t, dir, testservers.S3Env(), "backup", filepath.Join(there, "tandem.db"), "--files", s3.URL("moved/here"))
	}
	p.Kill()
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}

	q := harness.StartBinary(t, there, inS3...)
	if after := command(t, there, inS3, "export", "--private"); !bytes.Equal(before, after) {
		t.Errorf("export before:\n%s\nafter:\n%s", before, after)
	}
	ada, bob, token = ada.On(q.Server), bob.On(q.Server), token.On(q.Server)
	ada, bob = ada.Login(), bob.Login()
	got := harness.FilesOf(t, ada.WholeHistory("lobby")[0])
	if data := bob.Do("GET", harness.FilePath(got[0]), nil).Want(200); string(data.Body) != cat {
		t.Errorf("the picture has %d bytes", len(data.Body))
	}
	bob.Do("GET", harness.FilePath(got[0])+"?preview=1", nil).Want(200)
	if data := bob.Do("GET", harness.FilePath(harness.FilesOf(t, secret)[0]), nil).Want(200); string(data.Body) != "between us" {
		t.Errorf("content of the private file = %q", data.Body)
	}
	if texts := bob.Search(lobby+"/messages", "new", ""); len(texts) != 1 {
		t.Errorf("search finds %q", texts)
	}
	bob.Do("POST", harness.PrivatePath("ada")+"/messages", map[string]string{"message": "psst"}).WantProblem(403, "blocked", "")
	if e := token.Post("lobby", "goes on"); e.ID <= secret.ID {
		t.Errorf("id of a new post = %d", e.ID)
	}
	bob.PostFiles(lobby, bob.Upload(lobby, "d.txt", "new bytes"))
}

// A preview can be lost without its file. The copy has the file all the same.
func TestCopyOfFilesWithoutPreviews(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	lobby := harness.RoomPath("lobby")
	cat := harness.Picture(t, 700, 700)
	whole, lost := ada.Upload(lobby, "a.png", cat), ada.Upload(lobby, "b.png", harness.Picture(t, 701, 700))
	ada.PostFiles(lobby, whole, lost)
	for _, name := range []string{whole.ID + ".preview", lost.ID, lost.ID + ".preview"} {
		if err := os.Remove(filepath.Join(p.Settings.DataDir, "files", name[:2], name)); err != nil {
			t.Fatal(err)
		}
	}
	to := t.TempDir()
	cmd := exec.Command(harness.Binary(t), "export", "--data-dir", p.Settings.DataDir, "--files", to)
	cmd.Env = append(harness.WithoutSettings(), "TANDEM_DATABASE_URL="+p.Settings.DatabaseURL)
	var report bytes.Buffer
	cmd.Stderr = &report
	if err := cmd.Run(); err != nil {
		t.Fatalf("export: got %v\n%s", err, report.Bytes())
	}
	if want := "1 files copied\n1 files have no bytes: they were just deleted, or are lost\n"; report.String() != want {
		t.Errorf("report: got %q, want %q", report.String(), want)
	}
	if data, err := os.ReadFile(filepath.Join(to, "files", whole.ID[:2], whole.ID)); err != nil || string(data) != cat {
		t.Errorf("copy of the file without a preview: got %d bytes, %v, want %d bytes", len(data), err, len(cat))
	}
}
