package operate

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/imports"
	"tandem/program"
)

// exportedAt is when everything in a written export happened.
const exportedAt = "2024-03-01T09:00:00.000Z"

// exportOf writes the lines of an export into a file. Each line is the inside of its JSON object, without the times.
func exportOf(t *testing.T, lines ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "export.jsonl")
	var all strings.Builder
	for _, line := range lines {
		fmt.Fprintf(&all, `{%s,"created_at":%q,"sent_at":%q}`+"\n", line, exportedAt, exportedAt)
	}
	if err := os.WriteFile(file, []byte(all.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// exportedRoom is a room's line; the first member owns it.
func exportedRoom(name, visibility string, members ...string) string {
	all := make([]string, len(members))
	for i, m := range members {
		role := "member"
		if i == 0 {
			role = "owner"
		}
		all[i] = fmt.Sprintf(`{"username":%q,"role":%q,"since":%q}`, m, role, exportedAt)
	}
	return fmt.Sprintf(`"type":"room","name":%q,"visibility":%q,"posting":"everyone","created_by":%q,"members":[%s]`,
		name, visibility, members[0], strings.Join(all, ","))
}

// exportedMessage is the line of a message.
func exportedMessage(id int, room, user, text, more string) string {
	return fmt.Sprintf(`"type":"chat_message","id":%d,"room":%q,"user":%q,"message":%q%s`, id, room, user, text, more)
}

// membersOf returns the usernames of a room's members.
func membersOf(c *harness.Client, room string) (names []string) {
	var page struct{ Items []struct{ Username string } }
	c.Do("GET", harness.RoomPath(room)+"/members", nil).Want(200).Into(&page)
	for _, m := range page.Items {
		names = append(names, m.Username)
	}
	return names
}

// Without a limit, files of any size are imported.
func TestImportWithoutAFileLimitKeepsFiles(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	id := strings.Repeat("a", 22)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "files", "aa"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "files", "aa", id), []byte("what was said"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := exportOf(t, exportedRoom("lobby", "public", "ada"), exportedMessage(1, "lobby", "ada", "", fmt.Sprintf(`,"files":[{"id":%q,"name":"notes.txt"}]`, id)))
	from, err := imports.OpenTandem(file, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	settings := p.Settings
	settings.LimitFileSize = 0
	admin, err := program.OpenAdmin(t.Context(), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	report, err := admin.Import(t.Context(), from, program.ImportOptions{Name: "tandem"})
	if err != nil || report.Files != 1 || len(report.LeftOut) != 0 {
		t.Errorf("report = %+v, %v, want 1 file and nothing left out", report, err)
	}
}

// Files that are missing leave their names in the text, however many they are. Of those that are there, ten are kept.
func TestImportOfAMessageWithManyFiles(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, "files", "aa"), 0o700); err != nil {
		t.Fatal(err)
	}
	var links, files, want []string
	for n := range 12 {
		want = append(want, fmt.Sprintf("📎 %d.txt", n))
		links = append(links, fmt.Sprintf(`{"id":"missing-%d","name":"%d.txt"}`, n, n))
		id := fmt.Sprintf("aa%020d", n)
		files = append(files, fmt.Sprintf(`{"id":%q,"name":"%d.txt"}`, id, n))
		if err := os.WriteFile(filepath.Join(dir, "files", "aa", id), []byte("text"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	file := exportOf(t, exportedRoom("lobby", "public", "ada"),
		exportedMessage(1, "lobby", "ada", "links", fmt.Sprintf(`,"files":[%s]`, strings.Join(links, ","))),
		exportedMessage(2, "lobby", "ada", "files", fmt.Sprintf(`,"files":[%s]`, strings.Join(files, ","))),
		exportedMessage(3, "lobby", "ada", "after", ""))
	report := imported(t, p.Settings.DataDir, "tandem", file, "--files", dir)
	wantLines(t, report, "3 messages", "10 files", "12 files whose bytes the export does not have", "2 files beyond the tenth of a message")
	history := knows(t, p, "ada").WholeHistory("lobby")
	if got, want := history[0].Message, "links\n"+strings.Join(want, "\n"); got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
	if n := len(harness.FilesOf(t, history[1])); n != 10 {
		t.Errorf("%d files, want 10", n)
	}
}

// Who has left a room since an import, or was removed, or has deleted the account, is not added again.
func TestRepeatedImportLeavesPeopleWhereTheyAre(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	file := exportOf(t, exportedRoom("den", "private", "ada", "bob", "mallory", "cyd", "gone"))
	imported(t, p.Settings.DataDir, "tandem", file)
	ada, cyd, gone := knows(t, p, "ada"), knows(t, p, "cyd"), knows(t, p, "gone")
	ada.Do("DELETE", harness.RoomPath("den")+"/members/mallory", nil).Want(204)
	cyd.Do("DELETE", harness.RoomPath("den")+"/members/cyd", nil).Want(204)
	gone.Do("DELETE", "/v1/me", harness.Fields{"current_password": gone.Password}).Want(204)
	// Since then, dan has joined there, and there is a room more.
	file = exportOf(t, exportedRoom("den", "private", "ada", "bob", "mallory", "cyd", "gone", "dan"), exportedRoom("attic", "private", "ada", "mallory", "gone"))
	imported(t, p.Settings.DataDir, "tandem", file)
	if got := membersOf(ada, "den"); !slices.Equal(got, []string{"ada", "bob", "dan"}) {
		t.Errorf("members of den = %q, want ada, bob and dan", got)
	}
	if got := membersOf(ada, "attic"); !slices.Equal(got, []string{"ada", "mallory"}) {
		t.Errorf("members of attic = %q, want ada and mallory", got)
	}
}

// Imported messages count as read also for those who are no members: they can be mentioned in public rooms, and ask to
// be notified of all messages there.
func TestImportedMentionsAreReadByThoseWhoAreNoMembers(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	bob, cyd := p.Signup(t, "bob"), p.Signup(t, "cyd")
	lines := []string{exportedRoom("lobby", "public", "ada", "dan"), exportedMessage(1, "lobby", "ada", "@bob @bob @dan @all", ""), exportedMessage(2, "lobby", "dan", "@bob again", "")}
	imported(t, p.Settings.DataDir, "tandem", exportOf(t, lines...))
	cyd.Notify(harness.RoomPath("lobby"), "all").Want(204)
	lines = append(lines, exportedMessage(3, "lobby", "ada", "@bob once more", ""), exportedMessage(4, "lobby", "ada", "the end", ""))
	imported(t, p.Settings.DataDir, "tandem", exportOf(t, lines...))
	for _, c := range []*harness.Client{bob, cyd, knows(t, p, "dan")} {
		var room struct{ Unread, Mentions int }
		c.Do("GET", harness.RoomPath("lobby"), nil).Want(200).Into(&room)
		if room.Unread != 0 || room.Mentions != 0 {
			t.Errorf("%s has %d unread messages and %d mentions, want none", c.User.Username, room.Unread, room.Mentions)
		}
	}
	var mentions struct{ Items []json.RawMessage }
	bob.Do("GET", "/v1/me/mentions", nil).Want(200).Into(&mentions)
	if len(mentions.Items) != 3 {
		t.Errorf("%d mentions in bob's list, want 3", len(mentions.Items))
	}
	ada := knows(t, p, "ada")
	ada.Post("lobby", "@bob and now")
	var room struct{ Mentions int }
	if bob.Do("GET", harness.RoomPath("lobby"), nil).Want(200).Into(&room); room.Mentions != 1 {
		t.Errorf("bob has %d mentions after a new one, want 1", room.Mentions)
	}
}

// Accounts that are disabled or deleted in one site are disabled in the other, unless they existed there.
func TestDisabledPeopleStayDisabled(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob, eve, gone := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve"), p.Signup(t, "gone")
	p.Signup(t, "silent")
	for _, c := range []*harness.Client{ada, bob, eve, gone} {
		c.Enter("lobby")
		c.Post("lobby", "I am "+c.User.Username)
	}
	bob.ChangeMe(harness.Raw(`{"display_name":"Bob B.","data":{"n":1}}`))
	gone.ChangeMe(harness.Raw(`{"display_name":"canary"}`))
	gone.Do("DELETE", "/v1/me", harness.Fields{"current_password": gone.Password}).Want(204)
	for _, name := range []string{"bob", "eve", "silent"} {
		if out, err := harness.Tandem(t, p.Settings.DataDir, "user", "disable", name); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}
	export, err := harness.Tandem(t, p.Settings.DataDir, "export")
	if err != nil {
		t.Fatal(err)
	}
	var users []string
	for line := range strings.Lines(string(export)) {
		if strings.Contains(line, `"type":"user"`) {
			users = append(users, strings.TrimSpace(line))
		}
	}
	want := []string{`{"type":"user","username":"bob","display_name":"Bob B.","data":{"n":1},"disabled":true}`}
	for _, name := range []string{"eve", "gone", "silent"} {
		want = append(want, fmt.Sprintf(`{"type":"user","username":%q,"disabled":true}`, name))
	}
	if !slices.Equal(users, want) {
		t.Errorf("export =\n%s\nwant\n%s", strings.Join(users, "\n"), strings.Join(want, "\n"))
	}
	file := filepath.Join(t.TempDir(), "export.jsonl")
	if err := os.WriteFile(file, export, 0o600); err != nil {
		t.Fatal(err)
	}

	q := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Admin = "admin:correct horse of admin" })
	eve = q.Signup(t, "eve") // another site may know her as well, and not have disabled her
	imported(t, q.Settings.DataDir, "tandem", file)
	imported(t, q.Settings.DataDir, "tandem", file) // changes nothing
	// In what other programs write, a room can name people before their own lines.
	imported(t, q.Settings.DataDir, "tandem", exportOf(t, exportedRoom("den", "public", "early", "ada"), `"type":"user","username":"early","disabled":true`,
		`"type":"user","username":"ada","disabled":true`), "--name", "other")
	admin := q.Admin(t)
	var page struct {
		Items []struct {
			Username string
			Disabled bool
		}
	}
	admin.Do("GET", "/v1/admin/users", nil).Want(200).Into(&page)
	disabled := map[string]bool{}
	for _, u := range page.Items {
		disabled[u.Username] = u.Disabled
	}
	for name, want := range map[string]bool{"ada": false, "bob": true, "eve": false, "gone": true, "silent": true, "early": true} {
		if got, ok := disabled[name]; !ok || got != want {
			t.Errorf("%s is disabled: %v, want %v; all: %v", name, got, want, disabled)
		}
	}
	eve.Do("GET", "/v1/me", nil).Want(200)
	back, err := harness.Tandem(t, q.Settings.DataDir, "export")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(back, []byte(want[0]+"\n")) {
		t.Errorf("export after the import =\n%s\nwant it to have\n%s", back, want[0])
	}
}
