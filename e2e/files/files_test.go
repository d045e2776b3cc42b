package files

import (
	"bytes"
	"fmt"
	"image"
	"reflect"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// Files are uploaded, posted without text, seen in the same order over every transport, and read.
func TestFilesArePostedAndRead(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	cat := harness.Picture(t, 700, 350)
	harness.OnEach(t, func(t *testing.T, over harness.Transport) {
		ada, bob := ada.In(t), bob.In(t)
		for _, c := range []struct{ to, query string }{{harness.RoomPath("lobby"), "room=lobby"}, {harness.PrivatePath("bob"), ""}} {
			s := bob.Open(over, c.query)
			s.Opening()
			var first harness.File
			ada.UploadForm(c.to, "kätzchen.png", cat).Want(201).Into(&first)
			second := ada.Upload(c.to, "notes.txt", "meow\n")
			if first.Name != "kätzchen.png" || first.Size != int64(len(cat)) || first.Type != "image/png" || first.Width != 700 || first.Height != 350 || !first.Preview || len(first.ID) != 22 {
				t.Errorf("upload = %+v", first)
			}
			if second.Name != "notes.txt" || second.Size != 5 || !strings.HasPrefix(second.Type, "text/plain") || second.Preview {
				t.Errorf("upload = %+v", second)
			}
			posted := ada.PostFiles(c.to, second, first)
			if got := harness.FilesOf(t, posted); !slices.Equal(got, []harness.File{second, first}) || posted.Message != "" {
				t.Errorf("posted = %s", posted.Raw)
			}
			if e := s.Must(posted.Type); !bytes.Equal(e.Raw, posted.Raw) {
				t.Errorf("the stream has %s, want %s", e.Raw, posted.Raw)
			}
			reader, history := bob, "/v1/private/ada/messages"
			if c.query != "" {
				history = c.to + "/messages"
			}
			if got := reader.Page(history, "limit=1").Items; len(got) != 1 || !bytes.Equal(got[0].Raw, posted.Raw) {
				t.Errorf("history = %s", harness.Show(got))
			}
			if got := bob.Do("GET", harness.FilePath(first), nil).Want(200); string(got.Body) != cat {
				t.Errorf("bob reads %d bytes, want %d", len(got.Body), len(cat))
			}
			small := bob.Do("GET", harness.FilePath(first)+"?preview=1", nil).Want(200)
			img, _, err := image.DecodeConfig(bytes.NewReader(small.Body))
			if err != nil || img.Width != 640 || img.Height != 320 {
				t.Errorf("preview = %+v, %v", img, err)
			}
			bob.Do("GET", harness.FilePath(second)+"?preview=1", nil).WantProblem(404, "file_not_found", "id")
			s.Close()
		}
	})
}

// A file can be posted once, by its uploader, in the place it was uploaded for. A refused post uses up no file.
func TestFileIsPostedOnce(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	ada.Enter("dev")
	lobby, toBob := harness.RoomPath("lobby"), harness.PrivatePath("bob")
	upload := func(to string) harness.File { return ada.Upload(to, "a.txt", "a") }
	here, there, private, mine := upload(lobby), upload(harness.RoomPath("dev")), upload(toBob), upload(harness.PrivatePath("ada"))
	bobs := bob.Upload(lobby, "b.txt", "b")
	taken := upload(lobby)
	ada.PostFiles(lobby, taken)
	ten := make([]harness.File, 11)
	for i := range ten {
		ten[i] = upload(lobby)
	}
	unknown := harness.File{ID: strings.Repeat("A", 22)}
	before := ada.Head()
	for _, c := range []struct {
		name  string
		to    string
		files []harness.File
	}{
		{"of another room", lobby, []harness.File{here, there}},
		{"of a conversation", lobby, []harness.File{here, private}},
		{"of another conversation", toBob, []harness.File{private, mine}},
		{"of a room", toBob, []harness.File{private, here}},
		{"of somebody else", lobby, []harness.File{here, bobs}},
		{"taken", lobby, []harness.File{here, taken}},
		{"unknown", lobby, []harness.File{here, unknown}},
		{"twice", lobby, []harness.File{here, here}},
		{"eleven", lobby, ten},
	} {
		ada.Do("POST", c.to+"/messages", harness.WithFiles(c.files...), "Idempotency-Key: refused").In(t, c.name).WantProblem(400, "", "files")
	}
	ada.Do("POST", lobby+"/messages", map[string]any{"files": []string{}}).Want(400)
	ada.Do("POST", lobby+"/messages", harness.WithFiles(harness.File{ID: "../../etc/passwd"})).WantProblem(400, "", "files.0")
	if ada.Head() != before {
		t.Error("a refused post is in the log")
	}
	ada.PostFiles(lobby, ten[:10]...)
	ada.PostFiles(toBob, private)
	ada.PostFiles(harness.PrivatePath("ada"), mine)
	ada.Do("POST", lobby+"/messages", harness.WithFiles(here), "Idempotency-Key: refused").Want(201) // refusals do not use up the key

	// Many posts race for one file; one of them gets it.
	contested := upload(lobby)
	won := make([]bool, 8)
	harness.InParallel(8, func(i int) {
		a, err := ada.Try("POST", lobby+"/messages", harness.WithFiles(contested))
		if err != nil {
			t.Error(err)
		}
		won[i] = a.Status == 201
	})
	if n := len(slices.DeleteFunc(won, func(w bool) bool { return !w })); n != 1 {
		t.Errorf("%d of 8 posts got the file, want 1", n)
	}
}

// A retry gets the message from the first attempt, even if it has been deleted since, with its files.
func TestRetriedPostKeepsItsFiles(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	p.Signup(t, "bob")
	ada.Enter("lobby")
	for _, to := range []string{harness.RoomPath("lobby"), harness.PrivatePath("bob")} {
		const key = "Idempotency-Key: k"
		f, other := ada.Upload(to, "a.txt", "a"), ada.Upload(to, "b.txt", "b")
		posted := ada.Do("POST", to+"/messages", harness.WithFiles(f), key).Want(201).Event()
		if again := ada.Do("POST", to+"/messages", harness.WithFiles(f), key).Want(200).Event(); !bytes.Equal(again.Raw, posted.Raw) {
			t.Errorf("retry returned %s, want %s", again.Raw, posted.Raw)
		}
		ada.Do("POST", to+"/messages", harness.WithFiles(other), key).WantProblem(422, "idempotency_mismatch", "")
		ada.PostFiles(to, other)
		edited := ada.Do("PATCH", fmt.Sprint(to, "/messages/", posted.ID), map[string]any{"message": "look"}).Want(200).Event()
		if got := harness.FilesOf(t, edited); !slices.Equal(got, []harness.File{f}) || edited.Message != "look" {
			t.Errorf("message after the edit = %s", edited.Raw)
		}
		ada.Do("DELETE", fmt.Sprint(to, "/messages/", posted.ID), nil).Want(204)
		if again := ada.Do("POST", to+"/messages", harness.WithFiles(f), key).Want(200).Event(); !again.Deleted || harness.FilesOf(t, again) != nil {
			t.Errorf("retry returned %s", again.Raw)
		}
	}
}

func TestWhoMayReadAFile(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.AnonymousRead, cfg.Admin = true, "admin:correct horse of admin" })
	ada, bob, eve, admin, nobody := p.Signup(t, "ada"), p.Signup(t, "bob"), p.Signup(t, "eve"), p.Admin(t), p.Visitor(t)
	ada.Enter("lobby")
	ada.PrivateRoom("den")
	ada.SetMember("den", "bob", "member").Want(200)
	var token struct{ Token string }
	bob.Do("POST", "/v1/tokens", map[string]any{"name": "t", "rooms": []string{"den"}}).Want(201).Into(&token)
	script := bob.WithToken(token.Token)

	public, den, private, own := ada.Upload(harness.RoomPath("lobby"), "a", "a"), ada.Upload(harness.RoomPath("den"), "a", "a"), ada.Upload(harness.PrivatePath("bob"), "a", "a"), ada.Upload(harness.PrivatePath("ada"), "a", "a")
	avatar := ada.Upload("/v1/me", "a.png", harness.Picture(t, 8, 8))
	unknown := eve.Do("GET", "/v1/files/"+strings.Repeat("A", 22), nil)
	unknown.WantProblem(404, "file_not_found", "id")
	check := func(state string, f harness.File, may ...*harness.Client) {
		t.Helper()
		for name, c := range map[string]*harness.Client{"ada": ada, "bob": bob, "eve": eve, "admin": admin, "nobody": nobody, "bob's token": script} {
			for _, method := range []string{"GET", "HEAD"} {
				a := c.Do(method, harness.FilePath(f), nil)
				if want := map[bool]int{true: 200, false: 404}[slices.Contains(may, c)]; a.Status != want {
					t.Errorf("%s: %s's %s gets %d, want %d", state, name, method, a.Status, want)
				}
				if method == "GET" && a.Status != 200 { // indistinguishable from a file that does not exist
					harness.SameAnswer(t, a, f.ID, unknown, strings.Repeat("A", 22))
				}
			}
			if c != nobody {
				if a := c.Do("POST", harness.FilePath(f)+"/link", nil); (a.Status == 200) != slices.Contains(may, c) {
					t.Errorf("%s: %s's link got status %d", state, name, a.Status)
				}
			}
		}
	}
	for _, f := range []harness.File{public, den, private, own, avatar} {
		check("not posted", f, ada)
	}
	ada.PostFiles(harness.RoomPath("lobby"), public)
	ada.PostFiles(harness.RoomPath("den"), den)
	ada.PostFiles(harness.PrivatePath("bob"), private)
	ada.PostFiles(harness.PrivatePath("ada"), own)
	check("in a public room", public, ada, bob, eve, admin, nobody)
	check("in a private room", den, ada, bob, script)
	check("in a conversation", private, ada, bob)
	check("to oneself", own, ada)

	ada.Do("PUT", harness.RoomPath("lobby")+"/bans/eve", nil).Want(204)
	check("eve banned", public, ada, bob, admin, nobody)
	ada.Do("DELETE", harness.RoomPath("den")+"/members/bob", nil).Want(204)
	check("bob removed", den, ada)
	bob.Do("PUT", "/v1/me/blocks/ada", nil).Want(204)
	check("ada blocked", private, ada, bob)
	eve.Do("GET", harness.FilePath(public)[:len(harness.FilePath(public))-1], nil).WantProblem(400, "", "id")
	nobody.Do("POST", harness.FilePath(public)+"/link", nil).WantProblem(401, "missing_token", "")
}

// A link gives access to its file only, for as long as the user it was created for may read it.
func TestLinkEndsWithTheAccess(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada, nobody := p.Signup(t, "ada"), p.Visitor(t)
	ada.PrivateRoom("den")
	den := harness.RoomPath("den")
	f, other := ada.Upload(den, "a.png", harness.Picture(t, 900, 10)), ada.Upload(den, "b.txt", "b")
	ada.PostFiles(den, f, other)
	member := func(name string) *harness.Client {
		c := p.Signup(t, name)
		ada.SetMember("den", name, "member").Want(200)
		return c
	}
	for _, c := range []struct {
		name string
		ends func(who *harness.Client)
		want string
	}{
		{"removed", func(who *harness.Client) { ada.Do("DELETE", den+"/members/removed", nil).Want(204) }, "404 file_not_found"},
		{"banned", func(who *harness.Client) { ada.Do("PUT", den+"/bans/banned", nil).Want(204) }, "404 file_not_found"},
		{"logout", func(who *harness.Client) { who.Do("POST", "/v1/auth/logout", nil).Want(204) }, "401 invalid_token"},
		{"gone", func(who *harness.Client) {
			who.Do("DELETE", "/v1/me", map[string]any{"current_password": who.Password}).Want(204)
		}, "401 invalid_token"},
	} {
		who := member(c.name)
		link := who.Link(f)
		whole := nobody.Do("GET", link, nil).Want(200)
		if small := nobody.Do("GET", link+"&preview=1", nil).Want(200); len(small.Body) == 0 || bytes.Equal(small.Body, whole.Body) {
			t.Error("the preview equals the picture")
		}
		nobody.Do("HEAD", link, nil).Want(200)
		// On another node with the same data.
		c.ends(who)
		harness.Eventually(t, "the link of "+c.name+" expires", func() bool { return nobody.Do("GET", link, nil).Status != 200 })
		if got := harness.StatusAndCode(nobody.Do("GET", link, nil)); got != c.want {
			t.Errorf("%s: link returned %s", c.name, got)
		}
	}
	// A link made with an API token ends with it.
	brief := ada.Token(map[string]any{"name": "brief", "expires_in": 15})
	var made struct {
		URL       string `json:"url"`
		ExpiresIn int    `json:"expires_in"`
	}
	if brief.Do("POST", harness.FilePath(f)+"/link", nil).Want(200).Into(&made); made.ExpiresIn > 15 {
		t.Errorf("expires_in of a link made with a token for 15 s: got %d, want at most 15", made.ExpiresIn)
	}
	nobody.Do("GET", made.URL, nil).Want(200)
	harness.Eventually(t, "the link ends with its token", func() bool { return nobody.Do("GET", made.URL, nil).Status == 401 })
	link := ada.Link(f)
	elsewhere := p.OnTheSameData(t)
	elsewhere.Visitor(t).Do("GET", link, nil).Want(200)
	_, query, _ := strings.Cut(link, "?")
	nobody.Do("GET", harness.FilePath(other)+"?"+query, nil).WantProblem(401, "invalid_token", "link")
	for at := len("link="); at < len(query); at += 7 { // changing any character invalidates it
		forged := []byte(query)
		if forged[at]++; forged[at] == 'Z'+1 || forged[at] == 'z'+1 || forged[at] == '9'+1 || forged[at] == '-'+1 {
			forged[at] = 'A'
		}
		nobody.Do("GET", harness.FilePath(f)+"?"+string(forged), nil).WantProblem(401, "invalid_token", "link")
	}
	nobody.Do("GET", harness.FilePath(f)+"?link=x", nil).WantProblem(401, "invalid_token", "link")
	nobody.Do("GET", harness.FilePath(f)+"?"+query+"&"+query, nil).Want(401)
	ada.Do("DELETE", den, nil).Want(204)
	nobody.Do("GET", link, nil).WantProblem(404, "file_not_found", "id")
}

// The headers that keep a browser from doing more with a file than it should.
func TestHeadersOfAFile(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	svg := `<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>`
	for _, c := range []struct {
		name, content   string
		kind, typ       string
		plain, fullName string
	}{
		{"cat.png", harness.Picture(t, 4, 4), "inline", "image/png", "cat.png", "cat.png"},
		{"page.html", "<!DOCTYPE html><script>alert(1)</script>", "attachment", "text/html", "page.html", "page.html"},
		{"cat.png", "<!DOCTYPE html><script>alert(1)</script>", "attachment", "text/html", "cat.png", "cat.png"},
		{"drawing.svg", svg, "attachment", "image/svg+xml", "drawing.svg", "drawing.svg"},
		{"доклад \"1\".txt", "x", "attachment", "text/plain; charset=utf-8", "______ _1_.txt", "%D0%B4%D0%BE%D0%BA%D0%BB%D0%B0%D0%B4%20%221%22.txt"},
		{"../../etc/passwd", "x", "attachment", "text/plain; charset=utf-8", "passwd", "passwd"},
		{"a\r\nX-Evil: 1", "x", "attachment", "text/plain; charset=utf-8", "a X-Evil: 1", "a%20X-Evil%3A%201"},
		{"evil\u202egnp.exe", "x", "attachment", "text/plain; charset=utf-8", "evilgnp.exe", "evilgnp.exe"},
	} {
		f := ada.Upload(harness.RoomPath("lobby"), c.name, c.content)
		a := ada.Do("GET", harness.FilePath(f), nil).Want(200)
		for name, want := range map[string]string{
			"Content-Type":                 c.typ,
			"Content-Disposition":          c.kind + `; filename="` + c.plain + `"; filename*=UTF-8''` + c.fullName,
			"Content-Security-Policy":      "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'none'",
			"X-Content-Type-Options":       "nosniff",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Cache-Control":                "private, max-age=3600, immutable",
			"Accept-Ranges":                "bytes",
			"X-Evil":                       "",
		} {
			if got := a.Header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", c.name, name, got, want)
			}
		}
	}
	long := ada.Upload(harness.RoomPath("lobby"), strings.Repeat("ü", 5_000)+".png", "x")
	if n := len(long.Name); n > 255 || !strings.HasSuffix(long.Name, ".png") {
		t.Errorf("long name cut to %d bytes: %s", n, long.Name)
	}

	f := ada.Upload(harness.RoomPath("lobby"), "a.txt", "0123456789")
	whole := ada.Do("GET", harness.FilePath(f), nil).Want(200)
	tag := whole.Header.Get("ETag")
	if part := ada.Do("GET", harness.FilePath(f), nil, "Range: bytes=2-4").Want(206); string(part.Body) != "234" || part.Header.Get("Content-Range") != "bytes 2-4/10" {
		t.Errorf("range = %q, Content-Range %s", part.Body, part.Header.Get("Content-Range"))
	}
	if part := ada.Do("GET", harness.FilePath(f), nil, "Range: bytes=-3", "If-Range: "+tag).Want(206); string(part.Body) != "789" {
		t.Errorf("range = %q", part.Body)
	}
	ada.Do("GET", harness.FilePath(f), nil, "Range: bytes=2-4", `If-Range: "other"`).Want(200)
	ada.Do("GET", harness.FilePath(f), nil, "If-None-Match: "+tag).Want(304)
	ada.Do("GET", harness.FilePath(f), nil, `If-None-Match: "other"`).Want(200)
	ada.Do("GET", harness.FilePath(f), nil, `If-Match: "other"`).WantProblem(412, "precondition_failed", "")
	refused := ada.Do("GET", harness.FilePath(f), nil, "Range: bytes=10-")
	refused.WantProblem(416, "range_not_satisfiable", "")
	if got := refused.Header.Get("Content-Range"); got != "bytes */10" {
		t.Errorf("Content-Range = %q, want \"bytes */10\"", got)
	}

	open := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Origins = []string{"https://app.example.com"} })
	bob := open.Signup(t, "bob")
	bob.Enter("lobby")
	if got := bob.Do("GET", harness.FilePath(bob.Upload(harness.RoomPath("lobby"), "a", "a")), nil).Header.Get("Cross-Origin-Resource-Policy"); got != "cross-origin" {
		t.Errorf("resource policy with origins = %q, want \"cross-origin\"", got)
	}
}

// Old clients post as before, and their answers contain nothing new.
func TestMessagesWithoutFilesHaveNone(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	e := ada.Post("lobby", "hello")
	if keys := harness.KeysOf(e.Raw); !reflect.DeepEqual(keys, []string{"type", "id", "room", "user", "message", "sent_at"}) {
		t.Errorf("keys = %v", keys)
	}
}
