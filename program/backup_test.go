package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// tandem runs a command of the binary on a data directory.
func tandem(t *testing.T, dir string, args ...string) ([]byte, error) {
	t.Helper()
	cmd := exec.Command(binary(t), append(args, "--data-dir", dir)...)
	cmd.Env = append(withoutSettings(), "TANDEM_DATABASE_URL="+databaseOf(t, dir))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("%w: %s", err, errs.String())
	}
	return out, err
}

// A copy that is made while people post is whole; the server that takes it over does not honour the cursors of the
// original, whose later ids are others'.
func TestRestoredBackupResetsOldCursors(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	if onPostgres {
		if _, err := tandem(t, p.settings.DataDir, "backup", filepath.Join(t.TempDir(), "copy.db")); err == nil || !strings.Contains(err.Error(), "pg_dump") {
			t.Errorf("a backup of PostgreSQL: %v", err)
		}
		return
	}
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	const canary = "xylophonecanary"
	deleted := ada.post("lobby", canary)
	before := ada.post("lobby", "before")
	ada.do("DELETE", messagePath("lobby", deleted.ID), nil).want(204)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := ada.tryPost("lobby", fmt.Sprint("meanwhile ", i)); err != nil {
				t.Error(err)
			}
		}
	}()
	dir := t.TempDir()
	file := filepath.Join(dir, "tandem.db")
	_, err := tandem(t, p.settings.DataDir, "backup", file)
	close(stop)
	<-stopped
	if err != nil {
		t.Fatal(err)
	}
	if out, err := tandem(t, p.settings.DataDir, "backup", file); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("a second backup to the same file: %v %s", err, out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy is %v, %v", info.Mode(), err)
	}
	if data, err := os.ReadFile(file); err != nil || bytes.Contains(data, []byte(canary)) {
		t.Errorf("the copy has a deleted text, or %v", err)
	}
	ada.post("lobby", "after the copy")
	s := ada.open(overSSE, "room=lobby")
	s.opening()
	old := s.open.Since

	q := startProgram(t, func(cfg *Settings) { cfg.DataDir = dir })
	onEach(t, func(t *testing.T, over transport) {
		ada := ada.on(q.testServer).in(t)
		for _, cursor := range []string{old, fmt.Sprintf("%d.%s", before.ID, s.open.Log), fmt.Sprint("9", before.ID, "00000")} {
			s := ada.open(over, "room=lobby&since="+cursor)
			s.opening()
			reason := s.must("stream_reset").Reason
			if want := map[bool]string{true: "other_log", false: "ahead_of_head"}[strings.Contains(cursor, ".")]; reason != want {
				t.Errorf("%s is reset as %s, not %s", cursor, reason, want)
			}
			m := ada.post("lobby", "on the copy")
			if e := s.message("on the copy"); !bytes.Equal(e.raw, m.raw) {
				t.Errorf("live is %s", e.raw)
			}
			s.close()
		}
		texts := ada.wholeHistory("lobby")
		if len(texts) < 2 || texts[1].ID != before.ID || texts[1].Message != "before" {
			t.Errorf("the copy has %s", show(texts))
		}
		if got := ada.search(posting, "before", ""); len(got) != 1 {
			t.Errorf("searching the copy finds %q", got)
		}
	})
}

func TestExportIsTheRoomsAndTheirHistory(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada, bob := p.signup(t, "ada"), p.signup(t, "bob")
	ada.enter("комната")
	bob.enter("комната")
	ada.do("POST", "/v1/rooms", newRoom{Name: "den", Visibility: "private"}).want(201)
	ada.enter("gone")
	ada.post("gone", "in a deleted room")
	ada.do("DELETE", roomPath("gone"), nil).want(204)
	var want []string
	m := ada.post("комната", "<b>first</b>")
	ada.react("PUT", "комната", m.ID, "👍").want(204)
	ada.edit("den", ada.post("den", "old").ID, "new")
	ada.do("DELETE", messagePath("комната", ada.post("комната", "away").ID), nil).want(204)
	sent := ada.send("bob", "psst")
	want = append(want, string(bob.history("комната", "").items[0].raw), string(ada.history("den", "").items[0].raw), string(bob.history("комната", "").items[1].raw))
	for _, private := range []bool{false, true} {
		args := []string{"export"}
		if private {
			args = append(args, "--private")
			want = append(want, string(sent.raw))
		}
		out, err := tandem(t, p.settings.DataDir, args...)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != 2+len(want) || bytes.Contains(out, []byte("deleted room")) {
			t.Fatalf("the export is\n%s", out)
		}
		var room exportedRoom
		if err := json.Unmarshal([]byte(lines[1]), &room); err != nil || room.Type != "room" || room.Name != "комната" || len(room.Members) != 2 || room.Members[1].Username != "bob" || room.CreatedBy != "ada" {
			t.Errorf("a room is %s: %v", lines[1], err)
		}
		for i, line := range lines[2:] {
			if line != want[i] {
				t.Errorf("line %d is\n%s\nnot\n%s", i, line, want[i])
			}
			if _, err := parseEvent([]byte(line)); err != nil {
				t.Error(err)
			}
		}
	}
}
