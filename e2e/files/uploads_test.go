package files

import (
	"bytes"
	"fmt"
	"net/http"
	"net/textproto"
	"strconv"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/program"
)

// Invalid uploads are refused with a reason and leave nothing behind.
func TestBadUploadsAreRefused(t *testing.T) {
	t.Parallel()
	const limit = 10_000
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitFileSize, cfg.LimitFiles = limit, 100*limit })
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	lobby := harness.RoomPath("lobby") + "/files"
	exact, over := strings.Repeat("x", limit), strings.Repeat("x", limit+1)
	form := func(parts ...string) string { return strings.Join(append(parts, "--b--\r\n"), "") }
	part := func(name, content string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"; filename=\"a.txt\"\r\n\r\n" + content + "\r\n"
	}
	const asForm = "Content-Type: multipart/form-data; boundary=b"
	for _, c := range []struct {
		name   string
		to     string
		body   any
		header string
		status int
		code   string
		field  string
	}{
		{"no body", lobby, nil, "", 400, "invalid_request", "file"},
		{"an empty body", lobby, harness.OnlyReader(""), "", 400, "invalid_request", "file"},
		{"no form", lobby, nil, asForm, 400, "invalid_request", "file"},
		{"too large", lobby, harness.Raw(over), "", 413, "file_too_large", ""},
		{"too large, without a Content-Length", lobby, harness.OnlyReader(over), "", 413, "file_too_large", ""},
		{"too large in a form", lobby, harness.Raw(form(part("file", over))), asForm, 413, "file_too_large", ""},
		{"too large in a form, without a Content-Length", lobby, harness.OnlyReader(form(part("file", over))), asForm, 413, "file_too_large", ""},
		{"far too large", lobby, harness.Raw(strings.Repeat(over, 20)), "", 413, "file_too_large", ""},
		{"no part", lobby, harness.Raw(form()), asForm, 400, "invalid_request", "file"},
		{"another part", lobby, harness.Raw(form(part("picture", "x"))), asForm, 400, "invalid_request", "file"},
		{"two parts", lobby, harness.Raw(form(part("file", "x"), part("file", "y"))), asForm, 400, "invalid_request", "file"},
		{"an extra part", lobby, harness.Raw(form(part("file", "x"), part("more", "y"))), asForm, 400, "invalid_request", "file"},
		{"an empty part", lobby, harness.Raw(form(part("file", ""))), asForm, 400, "invalid_request", "file"},
		{"a part that does not end", lobby, harness.Raw(part("file", "x")), asForm, 400, "invalid_request", "body"},
		{"no boundary", lobby, harness.Raw(form(part("file", "x"))), "Content-Type: multipart/form-data", 415, "unsupported_media_type", "Content-Type"},
		{"another multipart", lobby, harness.Raw(form(part("file", "x"))), "Content-Type: multipart/mixed; boundary=b", 415, "unsupported_media_type", "Content-Type"},
		{"a long header", lobby, harness.OnlyReader(form("--b\r\nContent-Disposition: form-data; name=\"" + strings.Repeat("n", 200_000) + "\"\r\n\r\nx\r\n")), asForm, 400, "invalid_request", "body"},
		{"two names", lobby + "?name=a&name=b", harness.Raw("x"), "", 400, "", "name"},
		{"an avatar that is not an image", "/v1/me/files", harness.Raw("x"), "", 415, "file_type", ""},
		{"an HTML page as avatar", "/v1/me/files?name=a.png", harness.Raw("<!DOCTYPE html><title>x</title>"), "", 415, "file_type", ""},
	} {
		headers := []string{}
		if c.header != "" {
			headers = append(headers, c.header)
		}
		got := ada.Do("POST", c.to, c.body, headers...).In(t, c.name)
		got.WantProblem(c.status, c.code, c.field)
		if left := append(harness.Blobs(t, p.Settings.DataDir), harness.Unfinished(t, p.Settings.DataDir)...); len(left) > 0 {
			t.Fatalf("%s: files left behind: %v", c.name, left)
		}
	}
	// What is just within the limits is accepted.
	for _, body := range []any{harness.Raw(exact), harness.OnlyReader(exact)} {
		ada.Do("POST", lobby, body).Want(201)
	}
	var f harness.File
	ada.Do("POST", lobby, harness.OnlyReader(form(part("file", exact))), asForm).Want(201).Into(&f)
	if f.Size != limit {
		t.Errorf("the file has %d bytes", f.Size)
	}
	if left := harness.Unfinished(t, p.Settings.DataDir); len(left) > 0 {
		t.Errorf("left behind: %v, want none", left)
	}
}

func TestOperatorRestrictsFileTypes(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.FileTypes = []string{"image/*", "application/pdf"} })
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	lobby := harness.RoomPath("lobby")
	ada.Upload(lobby, "a.png", string(harness.TinyPicture()))
	ada.Upload(lobby, "picture.html", string(harness.TinyPicture())) // the type follows from the content, not from the name
	ada.Upload(lobby, "a.pdf", "%PDF-1.7\n%%EOF\n")
	ada.Do("POST", lobby+"/files?name=a.png", harness.Raw("<!DOCTYPE html><title>x</title>")).WantProblem(415, "file_type", "")
	ada.UploadForm(lobby, "a.pdf", "text").WantProblem(415, "file_type", "")
}

// A user may upload a limited number of bytes a day, counted for files that are kept. A refusal says how much is left,
// and when enough will be.
func TestUploadsPerDayAreLimited(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitFiles = 1_000_000 })
	ada, bob := p.Signup(t, "ada"), p.Signup(t, "bob")
	ada.Enter("lobby")
	lobby := harness.RoomPath("lobby")
	content := func(n int) string { return strings.Repeat("x", n) }
	left := func(a harness.Answer) int {
		t.Helper()
		n, has := a.Left("files")
		if !has || !strings.Contains(a.Header.Get("RateLimit-Policy"), `"files";q=1000000;w=86400;qu="content-bytes"`) {
			t.Errorf("RateLimit = %q, RateLimit-Policy = %q", a.Header.Get("RateLimit"), a.Header.Get("RateLimit-Policy"))
		}
		return n
	}
	// Time gives some of the allowance back: 12 bytes a second.
	near := func(what string, got, want int) {
		t.Helper()
		if got < want || got > want+50_000 {
			t.Errorf("%s: %d bytes are left, want about %d", what, got, want)
		}
	}
	near("a form", left(ada.UploadForm(lobby, "a", content(600_000)).Want(201)), 400_000)
	refused := ada.Do("POST", lobby+"/files", harness.Raw(content(700_000)))
	problem := refused.WantProblem(429, "rate_limited", "")
	near("a refusal", left(refused), 400_000)
	if seconds, err := strconv.Atoi(refused.Header.Get("Retry-After")); err != nil || seconds < 20_000 || seconds > 300_000*86_400/1_000_000 || !strings.Contains(problem.Detail, fmt.Sprint(left(refused))) {
		t.Errorf("Retry-After = %s and %s", refused.Header.Get("Retry-After"), problem.Detail)
	}
	for _, body := range []any{harness.OnlyReader(content(700_000))} { // of unknown length
		refused := ada.Do("POST", lobby+"/files", body)
		refused.WantProblem(429, "rate_limited", "")
		near("a refusal", left(refused), 400_000)
	}
	ada.Do("POST", lobby+"/files", harness.Raw("")).Want(400)
	near("an empty one", left(ada.Do("POST", lobby+"/files", harness.OnlyReader(content(390_000))).Want(201)), 10_000)
	ada.Do("POST", harness.PrivatePath("bob")+"/files", harness.Raw(content(200_000))).WantProblem(429, "rate_limited", "")
	ada.Do("POST", "/v1/me/files", harness.Raw(content(200_000))).WantProblem(429, "rate_limited", "")
	near("another user", left(bob.Do("POST", lobby+"/files", harness.Raw(content(500_000))).Want(201)), 500_000)
	// More than a day's allowance never fits, so trying again is no use.
	bob.Do("POST", lobby+"/files", harness.Raw(content(1_100_000))).WantProblem(413, "file_too_large", "")
	p.Signup(t, "cyd").Do("POST", lobby+"/files", harness.OnlyReader(content(1_100_000))).WantProblem(413, "file_too_large", "")
	near("another node", left(ada.On(p.OnTheSameData(t).Server).Do("POST", lobby+"/files", harness.Raw("x")).Want(201)), 9_000)
}

// Many concurrent uploads get no more than consecutive ones would.
func TestConcurrentUploadsShareTheLimit(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitFiles = 1_000_000 })
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	statuses := make([]int, 12)
	harness.InParallel(len(statuses), func(i int) {
		a, err := ada.Try("POST", harness.RoomPath("lobby")+"/files", harness.Raw(strings.Repeat("x", 300_000)))
		if err != nil {
			t.Error(err)
		}
		statuses[i] = a.Status
	})
	made := 0
	for _, s := range statuses {
		if s == 201 {
			made++
		} else if s != 429 {
			t.Errorf("an upload got status %d, want 429", s)
		}
	}
	if made != 3 {
		t.Errorf("%d uploads of 300,000 bytes accepted with a quota of a million a day, want 3", made)
	}
}

// An uploader who may not post, or has no allowance left, is refused before the body is read.
func TestRefusedUploadsAreNotRead(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	for _, c := range []struct {
		path   string
		length int
		status int
	}{{harness.RoomPath("nowhere"), 1_000_000, 404}, {"/v1/private/nobody", 1_000_000, 404}, {harness.PrivatePath("ada"), 20 << 20, 413}} {
		s := p.Socket(t)
		s.Send("", "POST "+c.path+"/files HTTP/1.1", "Host: x", ada.Bearer(), "Expect: 100-continue", fmt.Sprint("Content-Length: ", c.length), "")
		line, err := textproto.NewReader(s.Reader).ReadLine()
		if err != nil || !strings.HasPrefix(line, fmt.Sprint("HTTP/1.1 ", c.status)) {
			t.Errorf("%s: response = %q, %v", c.path, line, err)
		}
		s.Close()
	}
}

// Uploads and downloads are not available over the WebSocket.
func TestFilesAreNotSentOverTheSocket(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	f := ada.Upload(harness.RoomPath("lobby"), "a.json", `{"a": 1}`)
	s := ada.Open(harness.OverWS, "room=lobby")
	s.Opening()
	for _, c := range [][2]string{{"POST", harness.RoomPath("lobby") + "/files"}, {"POST", "/v1/me/files"}, {"POST", harness.PrivatePath("ada") + "/files"}, {"GET", harness.FilePath(f)}} {
		if got := s.Call(c[0], c[1], map[string]any{"a": 1}); got.Status != http.StatusBadRequest || !bytes.Contains(got.Body, []byte("not_over_socket")) {
			t.Errorf("%s %s got status %d %s", c[0], c[1], got.Status, got.Body)
		}
	}
	if got := s.Call("POST", harness.FilePath(f)+"/link", nil); got.Status != 200 {
		t.Errorf("a link got status %d %s", got.Status, got.Body)
	}
}

// Over HTTP/2 many requests share a connection: uploads and downloads work, and a refusal ends only its own stream.
func TestFilesOverHTTP2(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.LimitFileSize = 4 << 20 })
	p.HTTP.Protocols = new(http.Protocols)
	p.HTTP.Protocols.SetUnencryptedHTTP2(true)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	harness.InParallel(8, func(i int) {
		content := strings.Repeat(fmt.Sprint(i), 3<<20)
		a, err := ada.Try("POST", harness.RoomPath("lobby")+"/files?name=a.txt", harness.OnlyReader(content))
		if err != nil {
			t.Error(err)
			return
		}
		var f harness.File
		if a.Want(201).Into(&f); f.Size != 3<<20 {
			t.Errorf("upload = %+v", f)
		}
		got, err := ada.Try("GET", harness.FilePath(f), nil)
		if err != nil || string(got.Body) != content {
			t.Errorf("the file has %d bytes, %v", len(got.Body), err)
		}
		if i%2 == 0 {
			refused, err := ada.Try("POST", harness.RoomPath("lobby")+"/files", harness.OnlyReader(content+content))
			if err == nil { // otherwise the stream ended before all was sent
				refused.WantProblem(413, "file_too_large", "")
			}
		}
	})
	if left := harness.Unfinished(t, p.Settings.DataDir); len(left) > 0 {
		t.Errorf("left behind: %v, want none", left)
	}
}
