package operate

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"tandem/e2e/harness"
	"tandem/program"
)

// firstRelease is a data directory from the first release, testdata/first, with that release's answers to some
// requests. The token is one that ada made for a script. All passwords are "correct horse".
type firstRelease struct {
	Token   string
	Answers map[string]json.RawMessage // keyed by the caller, a space and the path
}

// unpack puts the first release's database in place of dir's.
func (f *firstRelease) unpack(t *testing.T, dir string) {
	t.Helper()
	from := filepath.Join("e2e", "operate", "testdata", "first")
	name, packed := "sqlite.json", "sqlite.db.gz"
	if harness.OnPostgres {
		name, packed = "postgres.json", "postgres.sql.gz"
	}
	text, err := os.ReadFile(filepath.Join(from, name))
	if err == nil {
		err = json.Unmarshal(text, f)
	}
	if err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(filepath.Join(from, packed))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	unpacked, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	database, err := io.ReadAll(unpacked)
	if err != nil {
		t.Fatal(err)
	}
	if !harness.OnPostgres {
		if err := os.WriteFile(filepath.Join(dir, "tandem.db"), database, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	conn, err := pgx.Connect(context.Background(), harness.DatabaseOf(t, dir))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.PgConn().Exec(context.Background(), string(database)).ReadAll(); err != nil {
		t.Fatal(err)
	}
}

// has reports whether got contains everything in want.
func has(t *testing.T, path string, was, is any) {
	t.Helper()
	switch was := was.(type) {
	case map[string]any:
		is, _ := is.(map[string]any)
		for key, value := range was {
			has(t, path+"."+key, value, is[key])
		}
	case []any:
		is, _ := is.([]any)
		if len(is) != len(was) {
			t.Errorf("%s: got %d items, want %d as in the first release", path, len(is), len(was))
			return
		}
		for i := range was {
			has(t, path, was[i], is[i])
		}
	default:
		if text, ok := was.(string); ok && strings.HasSuffix(path, ".emoji") { // emoji are stored fully qualified since then
			was = strings.ReplaceAll(text, "\ufe0f", "")
			text, _ = is.(string)
			is = strings.ReplaceAll(text, "\ufe0f", "")
		}
		if !reflect.DeepEqual(was, is) {
			t.Errorf("%s = %v, want %v", path, is, was)
		}
	}
}

func TestDatabaseOfTheFirstReleaseStillWorks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var first firstRelease
	first.unpack(t, dir)
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.DataDir, cfg.DatabaseURL = dir, harness.DatabaseOf(t, dir) })
	people := map[string]*harness.Client{}
	for _, name := range []string{"ada", "bob", "cyd", "dora"} {
		c := p.Visitor(t)
		c.Password = "correct horse"
		c.User.Username = name
		people[name] = c.Login()
	}
	if len(first.Answers) < 10 {
		t.Fatalf("only %d responses", len(first.Answers))
	}
	compare := func() {
		for asked, answer := range first.Answers {
			who, path, _ := strings.Cut(asked, " ")
			var was, is any
			if err := json.Unmarshal(answer, &was); err != nil {
				t.Fatal(err)
			}
			people[who].Do("GET", path, nil).Want(200).Into(&is)
			has(t, asked, was, is)
		}
	}
	compare()

	// New posts work, also over streams, with the features added since.
	ada, bob := people["ada"], people["bob"]
	root := ada.WholeHistory("lobby")[0]
	ada.React("PUT", "lobby", root.ID, "🎉").Want(204)
	ada.React("DELETE", "lobby", root.ID, "🎉").Want(204)
	s := bob.Open(harness.OverSSE, "room=lobby")
	s.Opening()
	script := ada.WithToken(first.Token)
	posted := script.Post("lobby", "after the upgrade, @bob")
	if e := s.Message("after the upgrade, @bob"); e.ID != posted.ID {
		t.Errorf("stream got %s", e.Raw)
	}
	script.Do("GET", "/v1/rooms/den/messages", nil).WantProblem(404, "room_not_found", "")
	reply := bob.Do("POST", harness.RoomPath("lobby")+"/messages", map[string]any{"message": "in a thread", "thread": root.ID}).Want(201).Event()
	people["dora"].Do("GET", harness.RoomPath("lobby")+"/messages", nil).WantProblem(404, "room_not_found", "")
	if e, err := people["cyd"].TryPost("lobby", "still here"); err != nil || e.ID <= reply.ID {
		t.Errorf("posting again: %v, %v", e, err)
	}
	bob.Send("ada", "now, too")

	// Start once more without what was written since.
	p.Stop(t)
	q := p.Again(t)
	for name, c := range people {
		people[name] = c.On(q.Server)
	}
	people["ada"].Do("DELETE", harness.MessagePath("lobby", posted.ID), nil).Want(204)
	if texts := people["bob"].Search(harness.RoomPath("lobby")+"/messages", "edited", ""); len(texts) != 1 {
		t.Errorf("search finds %q", texts)
	}
}
