package operate

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// packed zips a folder of testdata, as the other product does.
func packed(t *testing.T, dir string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "export.zip")
	to, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	z := zip.NewWriter(to)
	if err := z.AddFS(os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	if err := to.Close(); err != nil {
		t.Fatal(err)
	}
	return file
}

// imported runs an import and returns its report.
func imported(t *testing.T, dir string, args ...string) string {
	t.Helper()
	out, err := harness.Tandem(t, dir, append([]string{"import"}, args...)...)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return string(out)
}

// wantLines checks that the report of an import has these lines. Runs of spaces count as one.
func wantLines(t *testing.T, report string, lines ...string) {
	t.Helper()
	plain := "\n" + regexp.MustCompile(` +`).ReplaceAllString(strings.ReplaceAll(report, "\n ", "\n"), " ")
	for _, line := range lines {
		if !strings.Contains(plain, "\n "+line+"\n") && !strings.Contains(plain, "\n"+line+"\n") {
			t.Errorf("line %q missing from the report:\n%s", line, report)
		}
	}
}

// knows gives an imported user a password and logs in.
func knows(t *testing.T, p *harness.Program, name string) *harness.Client {
	t.Helper()
	c := p.Visitor(t)
	c.Password = "correct horse of " + name
	c.User.Username = name
	running, err := program.OpenAdmin(t.Context(), p.Settings)
	if err != nil {
		t.Fatal(err)
	}
	if err := running.SetPassword(t.Context(), name, c.Password); err != nil {
		t.Fatal(err)
	}
	if err := running.Close(); err != nil {
		t.Fatal(err)
	}
	return c.Login()
}

// numbers matches the ids of messages and files and the name of the log, which a new site assigns anew.
var (
	messageIDs = regexp.MustCompile(`"(id|last_id|reply_to|thread)":(\d+)`)
	pinIDs     = regexp.MustCompile(`"pins":\[([\d,]+)\]`)
	fileIDs    = regexp.MustCompile(`"(id|avatar)":"([A-Za-z0-9_-]{22})"`)
)

// withoutNumbers replaces the ids in an export by the position where each first appears.
func withoutNumbers(export []byte) string {
	seen := map[string]int{}
	number := func(s string) string {
		if _, ok := seen[s]; !ok {
			seen[s] = len(seen)
		}
		return fmt.Sprint("#", seen[s])
	}
	// Message ids follow the order of the log; pins, which come earlier in the file, are looked up there.
	text := string(export)
	for _, m := range regexp.MustCompile(`"(?:chat|private)_message","id":(\d+)`).FindAllStringSubmatch(text, -1) {
		number(m[1])
	}
	text = pinIDs.ReplaceAllStringFunc(text, func(found string) string {
		return regexp.MustCompile(`\d+`).ReplaceAllStringFunc(found, number)
	})
	text = messageIDs.ReplaceAllStringFunc(text, func(found string) string {
		m := messageIDs.FindStringSubmatch(found)
		return fmt.Sprintf("%q:%s", m[1], number(m[2]))
	})
	return fileIDs.ReplaceAllStringFunc(text, func(found string) string {
		m := fileIDs.FindStringSubmatch(found)
		return fmt.Sprintf("%q:%s", m[1], number(m[2]))
	})
}

// What one site exports, another has after importing it, and exports the same.
func TestExportIsImportedIntoAnotherSite(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	for _, room := range []string{"lobby", "комната"} {
		ada.Enter(room)
		bob.Enter(room)
	}
	ada.Do("POST", "/v1/rooms", harness.NewRoom{Name: "den", Visibility: "private", Title: "The den"}).Want(201)
	ada.Do("PUT", harness.RoomPath("den")+"/members/bob", map[string]string{"role": "moderator"}).Want(200)
	first := ada.Post("lobby", "first, @bob")
	ada.React("PUT", "lobby", first.ID, "👍").Want(204)
	bob.React("PUT", "lobby", first.ID, "❤").Want(204)
	root := bob.Post("lobby", "a root")
	answer := func(c *harness.Client, text string) harness.Event {
		return c.Do("POST", harness.RoomPath("lobby")+"/messages", map[string]any{"message": text, "thread": root.ID}).Want(201).Event()
	}
	answer(ada, "in its thread")
	answer(bob, "in it, too")
	ada.Do("POST", harness.RoomPath("den")+"/messages", map[string]any{"message": "with data", "data": map[string]any{"n": 1}}).Want(201)
	ada.Edit("den", ada.Post("den", "old").ID, "new, @bob")
	ada.Do("DELETE", harness.MessagePath("комната", ada.Post("комната", "away").ID), nil).Want(204)
	reply := ada.Do("POST", harness.RoomPath("lobby")+"/messages", map[string]any{"message": "an answer", "reply_to": first.ID, "nonce": "n1"}).Want(201).Event()
	ada.Do("PUT", harness.MessagePath("lobby", first.ID)+"/pin", nil).Want(204)
	ada.Do("PUT", harness.MessagePath("lobby", reply.ID)+"/pin", nil).Want(204)
	file := ada.Upload(harness.RoomPath("lobby"), "notes.txt", "what was said")
	ada.Do("POST", harness.RoomPath("lobby")+"/messages", map[string]any{"files": []string{file.ID}}).Want(201)
	sent := ada.Send("bob", "psst")
	bob.Do("PUT", fmt.Sprint("/v1/private/ada/messages/", sent.ID, "/pin"), nil).Want(204)
	ada.Send("ada", "a note to myself")
	ada.Do("PATCH", "/v1/me", map[string]any{"display_name": "Ada L.", "data": map[string]any{"team": "a"}}).Want(200)

	copied := t.TempDir()
	export, err := harness.Tandem(t, p.Settings.DataDir, "export", "--private", "--files", copied)
	if err != nil {
		t.Fatal(err)
	}
	lines := filepath.Join(copied, "export.jsonl")
	if err := os.WriteFile(lines, export, 0o600); err != nil {
		t.Fatal(err)
	}

	q := harness.StartProgram(t)
	wantLines(t, imported(t, q.Settings.DataDir, "tandem", lines, "--files", copied, "--dry-run"), "2 people", "3 rooms", "11 messages", "1 files", "3 pins")
	if out, err := harness.Tandem(t, q.Settings.DataDir, "export", "--private"); err != nil || len(out) > 0 {
		t.Fatalf("export after a dry run = %s, %v, want nothing", out, err)
	}
	report := imported(t, q.Settings.DataDir, "tandem", lines, "--files", copied)
	wantLines(t, report, "2 people", "3 rooms", "11 messages", "2 of them private", "2 of them in threads", "1 files", "2 reactions", "3 pins", "0 messages imported earlier")
	if strings.Contains(report, "Left out") {
		t.Errorf("the report says that something was left out:\n%s", report)
	}
	again := t.TempDir()
	check := func() {
		t.Helper()
		back, err := harness.Tandem(t, q.Settings.DataDir, "export", "--private", "--files", again)
		if err != nil {
			t.Fatal(err)
		}
		was, is := strings.Split(withoutNumbers(export), "\n"), strings.Split(withoutNumbers(back), "\n")
		for n := range max(len(was), len(is)) {
			if n >= len(was) || n >= len(is) || was[n] != is[n] {
				t.Errorf("line %d =\n%s\nafter the import\n%s", n, at(was, n), at(is, n))
			}
		}
	}
	check()
	wantLines(t, imported(t, q.Settings.DataDir, "tandem", lines, "--files", copied), "0 messages", "11 messages imported earlier", "0 pins", "0 files", "0 people")
	check()

	// Imported messages read like any others: with their files, found by search, and not unread.
	bob = knows(t, q, "bob")
	history := bob.WholeHistory("lobby")
	got := history[len(history)-1]
	if len(harness.FilesOf(t, got)) != 1 {
		t.Fatalf("last message = %s", got.Raw)
	}
	if text := string(bob.Do("GET", "/v1/files/"+harness.FilesOf(t, got)[0].ID, nil).Want(200).Body); text != "what was said" {
		t.Errorf("the file has %q, want \"what was said\"", text)
	}
	var room struct{ Unread, Mentions int }
	bob.Do("GET", harness.RoomPath("lobby"), nil).Want(200).Into(&room)
	if room.Unread != 0 || room.Mentions != 0 {
		t.Errorf("imported messages count as unread: %+v", room)
	}
	var mentions struct{ Items []json.RawMessage }
	bob.Do("GET", "/v1/me/mentions", nil).Want(200).Into(&mentions)
	if len(mentions.Items) != 2 {
		t.Errorf("%d mentions, want 2", len(mentions.Items))
	}
	answered := bob.Do("POST", harness.RoomPath("lobby")+"/messages", map[string]any{"message": "goes on", "thread": history[1].ID}).Want(201).Event()
	if answered.ID <= got.ID {
		t.Errorf("id of a new post = %d, want more than the imported ones", answered.ID)
	}
}

// textsIn returns the texts of a room's main line.
func textsIn(t *testing.T, c *harness.Client, room string) (texts []string) {
	t.Helper()
	for _, m := range c.WholeHistory(room) {
		texts = append(texts, m.Message)
	}
	return texts
}

func at(lines []string, n int) string {
	if n < len(lines) {
		return lines[n]
	}
	return "missing"
}

func TestSlackIsImported(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	p.Signup(t, "ada") // Slack's ada is the same user
	other := p.Signup(t, "zoe")
	other.Enter("general") // a room with this name exists, so another is created
	other.Post("general", "ours")
	file := packed(t, "e2e/operate/testdata/slack")
	report := imported(t, p.Settings.DataDir, "slack", file)
	wantLines(t, report,
		"3 people", "1 people who have an account here", "3 rooms", "13 messages", "2 of them private", "2 of them in threads", "1 files", "4 reactions", "1 pins",
		`the room "general" is general-2`, `the user "Bob Ümlaut!" is bob-ümlaut`,
		"2 notices, such as of people who joined", "1 files whose bytes the export does not have", "1 reactions with emoji of their own",
		"1 reactions of people whom the export does not name", "1 threads whose first message is not here; what was answered is in the main line")
	bob := knows(t, p, "bob-ümlaut")
	texts := textsIn(t, bob, "general-2")
	want := []string{"Hello & welcome to #random, @bob-ümlaut! See the docs (https://example.com/docs)", "@all read https://example.com", "an edited text", "📎 lost.pdf", "", "build 7 passed", "a late answer", "sent to the channel, too"}
	if strings.Join(texts, "\n") != strings.Join(want, "\n") {
		t.Errorf("messages in general = %q", texts)
	}
	history := bob.WholeHistory("general-2")
	if m := history[0]; m.SentAt != "2024-03-01T09:00:00.000Z" || len(m.Mentions) != 1 || m.Thread == nil || !bytes.Contains(m.Raw, []byte(`"count":2`)) ||
		!bytes.Contains(m.Raw, []byte(`"emoji":"👍🏽"`)) || !bytes.Contains(m.Raw, []byte(`"emoji":"🎉"`)) {
		t.Errorf("first = %s", m.Raw)
	}
	if m := history[2]; !bytes.Contains(m.Raw, []byte(`"edited_at":"2024-03-01T09:06:00.000Z"`)) {
		t.Errorf("edited one = %s", m.Raw)
	}
	if m := history[4]; len(harness.FilesOf(t, m)) != 1 || harness.FilesOf(t, m)[0].Name != "notes.txt" {
		t.Errorf("message with a file = %s", m.Raw)
	}
	if got := textsIn(t, other, "general"); len(got) != 1 || got[0] != "ours" {
		t.Errorf("messages in our own general = %q", got)
	}
	other.Do("GET", harness.RoomPath("secret")+"/messages", nil).WantProblem(404, "room_not_found", "")
	if got := textsIn(t, bob, "secret"); len(got) != 1 {
		t.Errorf("messages in secret = %q", got)
	}
	if got := bob.Do("GET", "/v1/private/ada/messages", nil).Want(200); !bytes.Contains(got.Body, []byte("just between us")) {
		t.Errorf("conversation = %s", got.Body)
	}
	// Repeating the import adds nothing. Under another name it counts as another site's.
	wantLines(t, imported(t, p.Settings.DataDir, "slack", file), "0 people", "0 messages", "13 messages imported earlier", "0 pins", "0 files")
	wantLines(t, imported(t, p.Settings.DataDir, "slack", file, "--name", "another", "--dry-run"), "13 messages")
	if got := textsIn(t, bob, "general-2"); len(got) != len(want) {
		t.Errorf("messages in general = %q", got)
	}
}

func TestMattermostIsImported(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	file := packed(t, "e2e/operate/testdata/mattermost")
	report := imported(t, p.Settings.DataDir, "mattermost", file)
	wantLines(t, report,
		"4 people", "3 rooms", "8 messages", "2 of them private", "3 of them in threads", "1 files", "2 reactions", "1 pins",
		"1 notices, such as of people who joined", "1 emoji that the site had made", "1 reactions with emoji of their own")
	ada := knows(t, p, "ada")
	if got := textsIn(t, ada, "town-square"); strings.Join(got, "\n") != "Hello, @carol\nlook at this\nfrom a bot" {
		t.Errorf("messages in town-square = %q", got)
	}
	history := ada.WholeHistory("town-square")
	if m := history[0]; m.SentAt != "2024-04-01T08:00:00.000Z" || !bytes.Contains(m.Raw, []byte(`"count":2`)) || !bytes.Contains(m.Raw, []byte(`"emoji":"👋🏿"`)) {
		t.Errorf("first = %s", m.Raw)
	}
	if m := history[1]; len(harness.FilesOf(t, m)) != 1 || harness.FilesOf(t, m)[0].Name != "plan.txt" {
		t.Errorf("message with a file = %s", m.Raw)
	}
	var members struct {
		Items []struct{ Username, Role string }
	}
	ada.Do("GET", harness.RoomPath("town-square")+"/members", nil).Want(200).Into(&members)
	if len(members.Items) != 2 || members.Items[0].Username != "ada" || members.Items[0].Role != "owner" {
		t.Errorf("members = %+v", members)
	}
	if got := knows(t, p, "carol").Do("GET", "/v1/private/ada/messages", nil).Want(200); !bytes.Contains(got.Body, []byte("only you")) || !bytes.Contains(got.Body, []byte(`"count":1`)) {
		t.Errorf("conversation = %s", got.Body)
	}
	wantLines(t, imported(t, p.Settings.DataDir, "mattermost", file), "0 people", "0 messages", "8 messages imported earlier", "0 pins", "0 files")
}
