package operate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// A backup made while users post is complete. A server restored from it does not honour cursors of the original, whose
// later ids mean other events.
func TestRestoredBackupResetsOldCursors(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	if harness.OnPostgres {
		if _, err := harness.Tandem(t, p.Settings.DataDir, "backup", filepath.Join(t.TempDir(), "copy.db")); err == nil || !strings.Contains(err.Error(), "pg_dump") {
			t.Errorf("backup of PostgreSQL: %v, want an error that names pg_dump", err)
		}
		return
	}
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	const canary = "xylophonecanary"
	deleted := ada.Post("lobby", canary)
	before := ada.Post("lobby", "before")
	ada.Do("DELETE", harness.MessagePath("lobby", deleted.ID), nil).Want(204)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := ada.TryPost("lobby", fmt.Sprint("meanwhile ", i)); err != nil {
				t.Error(err)
			}
		}
	}()
	dir := t.TempDir()
	file := filepath.Join(dir, "tandem.db")
	_, err := harness.Tandem(t, p.Settings.DataDir, "backup", file)
	close(stop)
	<-stopped
	if err != nil {
		t.Fatal(err)
	}
	if out, err := harness.Tandem(t, p.Settings.DataDir, "backup", file); err == nil || !strings.Contains(err.Error(), "exists") {
		t.Errorf("second backup to the same file: got %v, %s, want an error", err, out)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("copy = %v, %v", info.Mode(), err)
	}
	if data, err := os.ReadFile(file); err != nil || bytes.Contains(data, []byte(canary)) {
		t.Errorf("the copy contains a deleted text (error %v)", err)
	}
	ada.Post("lobby", "after the copy")
	s := ada.Open(harness.OverSSE, "room=lobby")
	s.Opening()
	old := s.Open.Since

	q := harness.StartProgram(t, func(cfg *program.Settings) { cfg.DataDir = dir })
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada := ada.On(q.Server).In(t)
		for _, cursor := range []string{old, fmt.Sprintf("%d.%s", before.ID, s.Open.Log), fmt.Sprint("9", before.ID, "00000")} {
			s := ada.Open(over, "room=lobby&since="+cursor)
			s.Opening()
			reason := s.Must("stream_reset").Reason
			if want := map[bool]string{true: "other_log", false: "ahead_of_head"}[strings.Contains(cursor, ".")]; reason != want {
				t.Errorf("%s is reset as %s, want %s", cursor, reason, want)
			}
			m := ada.Post("lobby", "on the copy")
			if e := s.Message("on the copy"); !bytes.Equal(e.Raw, m.Raw) {
				t.Errorf("live = %s", e.Raw)
			}
			s.Close()
		}
		texts := ada.WholeHistory("lobby")
		if len(texts) < 2 || texts[1].ID != before.ID || texts[1].Message != "before" {
			t.Errorf("messages in the copy = %s", harness.Show(texts))
		}
		if got := ada.Search(harness.Posting, "before", ""); len(got) != 1 {
			t.Errorf("search in the copy finds %q", got)
		}
	})
}

func TestExportContainsRoomsAndHistory(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("комната")
	bob.Enter("комната")
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "den", Visibility: "private"}).Want(201)
	ada.Enter("gone")
	ada.Post("gone", "in a deleted room")
	ada.Do("DELETE", harness.RoomPath("gone"), nil).Want(204)
	var want []string
	m := ada.Post("комната", "<b>first</b>")
	ada.React("PUT", "комната", m.ID, "👍").Want(204)
	ada.Edit("den", ada.Post("den", "old").ID, "new")
	ada.Do("DELETE", harness.MessagePath("комната", ada.Post("комната", "away").ID), nil).Want(204)
	sent := ada.Send("bob", "psst")
	want = append(want, string(bob.History("комната", "").Items[0].Raw), string(ada.History("den", "").Items[0].Raw), string(bob.History("комната", "").Items[1].Raw))
	for _, private := range []bool{false, true} {
		args := []string{"export"}
		if private {
			args = append(args, "--private")
			want = append(want, string(sent.Raw))
		}
		out, err := harness.Tandem(t, p.Settings.DataDir, args...)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(strings.TrimSpace(string(out)), "\n")
		if len(lines) != 2+len(want) || bytes.Contains(out, []byte("deleted room")) {
			t.Fatalf("export =\n%s", out)
		}
		var room struct {
			Type, Name string
			CreatedBy  string `json:"created_by"`
			Members    []struct{ Username string }
		}
		if err := json.Unmarshal([]byte(lines[1]), &room); err != nil || room.Type != "room" || room.Name != "комната" || len(room.Members) != 2 || room.Members[1].Username != "bob" || room.CreatedBy != "ada" {
			t.Errorf("room line = %s: %v", lines[1], err)
		}
		for i, line := range lines[2:] {
			if line != want[i] {
				t.Errorf("line %d =\n%s, want\n%s", i, line, want[i])
			}
			if _, err := harness.ParseEvent([]byte(line)); err != nil {
				t.Error(err)
			}
		}
	}
}
