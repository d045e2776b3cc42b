package inlets

import (
	"bufio"
	"bytes"
	"errors"
	"flag"
	"net/http"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"
)

// maxText is the longest allowed message.
const maxText = 4000

var update = flag.Bool("update", false, "write what is read now into the golden files")

// request reads a file in testdata: headers, an empty line, and a body as a product sends it.
func request(t *testing.T, file string) (http.Header, []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, body, found := bytes.Cut(data, []byte("\n\n"))
	if !found {
		t.Fatalf("%s has no empty line", file)
	}
	header, err := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(head, "\n\n"...)))).ReadMIMEHeader()
	if err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	return http.Header(header), body
}

func readFile(t *testing.T, file string) (Message, error) {
	t.Helper()
	header, body := request(t, file)
	return Read(header, body, maxText)
}

// Each product's payload becomes the text beside it. go test ./inlets -update writes these texts, for review.
func TestMessagesOfProductsAreReadable(t *testing.T) {
	files, err := filepath.Glob("testdata/*.http")
	if err != nil || len(files) < 30 {
		t.Fatalf("found %d test files: %v", len(files), err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".http")
		t.Run(filepath.Base(name), func(t *testing.T) {
			m, err := readFile(t, file)
			if err != nil {
				t.Fatal(err)
			}
			if *update {
				if err := os.WriteFile(name+".txt", []byte(m.Text+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(name + ".txt")
			if err != nil {
				t.Fatal(err)
			}
			if m.Text+"\n" != string(want) {
				t.Errorf("message =\n%s\nwant\n%s", m.Text, want)
			}
			if utf8.RuneCountInString(m.Text) > 1200 || strings.Count(m.Text, "\n") > 14 {
				t.Errorf("message too long: %d characters in %d lines", utf8.RuneCountInString(m.Text), strings.Count(m.Text, "\n")+1)
			}
		})
	}
}

func TestRetriesHaveTheSameKey(t *testing.T) {
	alert, alertBody := request(t, "testdata/alertmanager-firing.http")
	push, pushBody := request(t, "testdata/github-push.http")
	first, _ := Read(alert, alertBody, maxText)
	again, _ := Read(alert, alertBody, maxText)
	if first.Key == "" || first.Key != again.Key || first.Within != resentWithin {
		t.Errorf("keys of a repeated alert = %q and %q, within %v", first.Key, again.Key, first.Within)
	}
	if other, _ := Read(alert, append(alertBody, ' '), maxText); other.Key == first.Key {
		t.Error("a different body has the same key")
	}
	delivery, _ := Read(push, pushBody, maxText)
	if delivery.Key == "" || delivery.Within != 0 {
		t.Errorf("GitHub delivery: key = %q, within %v", delivery.Key, delivery.Within)
	}
	keys := map[string]bool{delivery.Key: true}
	for _, name := range []string{"Idempotency-Key", "Webhook-Id"} { // the same id in another header is another key
		m, _ := Read(http.Header{name: {push.Get("X-Github-Delivery")}}, []byte("hi"), maxText)
		if keys[m.Key] || m.Key == "" || len(m.Key) > 128 {
			t.Errorf("%s: key = %q", name, m.Key)
		}
		keys[m.Key] = true
	}
	if m, _ := Read(http.Header{}, []byte("hi"), maxText); m.Key != "" {
		t.Errorf("plain text: key = %q, want none", m.Key)
	}
}

func TestUnsupportedBodies(t *testing.T) {
	asJSON := http.Header{"Content-Type": {"application/json"}}
	github := func(event string) http.Header {
		return http.Header{"Content-Type": {"application/json"}, "X-Github-Event": {event}}
	}
	for name, r := range map[string]struct {
		header http.Header
		body   string
	}{
		"nothing known":      {asJSON, `{"hello":"world"}`},
		"a list":             {asJSON, `[{"text":"hi"}]`},
		"a string":           {asJSON, `"hi"`},
		"null":               {asJSON, `null`},
		"no JSON":            {asJSON, `{"text":`},
		"a text that is one": {asJSON, `{"text":{"a":1}}`},
		"a message of lists": {asJSON, `{"message":[]}`},
		"no alerts":          {asJSON, `{"status":"firing","alerts":[]}`},
		"alerts of numbers":  {asJSON, `{"status":"firing","alerts":[1]}`},
		"blocks of numbers":  {asJSON, `{"blocks":[1]}`},
		"a star":             {github("star"), `{"action":"created","repository":{"full_name":"a/b"}}`},
		"an empty push":      {github("push"), `{}`},
		"an empty issue":     {github("issues"), `{"action":"opened"}`},
		"GitHub without":     {github("push"), `hello`},
		"a broken form":      {http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, `payload=%zz`},
		"bytes":              {http.Header{"Content-Type": {"application/octet-stream"}}, "\xff\xfe\x00"},
	} {
		if m, err := Read(r.header, []byte(r.body), maxText); !errors.Is(err, ErrNotUnderstood) {
			t.Errorf("%s: Read: got %q, %v, want %v", name, m.Text, err, ErrNotUnderstood)
		}
	}
}

func TestLongTextsAreTruncatedReadably(t *testing.T) {
	words := strings.Repeat("все слова здесь ", 1000)
	for name, text := range map[string]string{
		"words": words, "lines": strings.Repeat("one line\n", 2000), "one word": strings.Repeat("x", 9000), "no spaces": strings.Repeat("漢", 9000),
	} {
		m, err := Read(http.Header{"Content-Type": {"text/plain"}}, []byte(text), maxText)
		n := utf8.RuneCountInString(m.Text)
		if err != nil || n > maxText || n < maxText*3/4-100 || !strings.HasSuffix(m.Text, " more characters)") || !utf8.ValidString(m.Text) {
			t.Errorf("%s: %v, %d characters, end = %q", name, err, n, m.Text[max(0, len(m.Text)-60):])
		}
		kept, _, _ := strings.Cut(m.Text, "\n… (")
		if !strings.HasPrefix(text, kept) || (name == "words" || name == "lines") && strings.ContainsAny(text[len(kept):len(kept)+1], "абвгдежзиклмнопрстуфхцчшщ") {
			t.Errorf("%s was cut within a word: …%q", name, kept[len(kept)-20:])
		}
	}
	short := strings.Repeat("x", maxText)
	if m, _ := Read(http.Header{}, []byte(short), maxText); m.Text != short {
		t.Error("text within the limit was shortened")
	}
}

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.http")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		head, body, _ := bytes.Cut(data, []byte("\n\n"))
		header, _ := textproto.NewReader(bufio.NewReader(bytes.NewReader(append(head, "\n\n"...)))).ReadMIMEHeader()
		f.Add(http.Header(header).Get("Content-Type"), http.Header(header).Get("X-Github-Event"), body)
	}
	f.Fuzz(func(t *testing.T, contentType, event string, body []byte) {
		m, err := Read(http.Header{"Content-Type": {contentType}, "X-Github-Event": {event}}, body, maxText)
		if err != nil && !errors.Is(err, ErrNotUnderstood) {
			t.Fatal(err)
		}
		if !utf8.ValidString(m.Text) || utf8.RuneCountInString(m.Text) > maxText || strings.ContainsRune(m.Text, 0) || len(m.Key) > 128 {
			t.Fatalf("%q: invalid message %q", body, m.Text)
		}
	})
}
