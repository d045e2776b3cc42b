package api

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/fstest"

	"github.com/labstack/echo/v4"
)

// A file stored compressed is sent as it is to clients that accept gzip, and decompressed to others.
func TestCompressedPageFiles(t *testing.T) {
	const text = "export const answer = 42;"
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	page := fstest.MapFS{
		"index.html":          {Data: []byte("<p>hello")},
		"assets/app.js.gz":    {Data: packed.Bytes()},
		"assets/dot.png":      {Data: []byte("\x89PNG")},
		".vite/manifest.json": {Data: []byte("{}")},
		".keep":               {},
	}
	s := &Server{Config: Config{Page: page}, echo: echo.New()}
	if err := s.servePage(); err != nil {
		t.Fatal(err)
	}
	get := func(method, path string, header ...string) *http.Response {
		req := httptest.NewRequest(method, path, nil)
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		s.echo.ServeHTTP(rec, req)
		return rec.Result()
	}
	read := func(res *http.Response) string {
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const script = "/assets/app.js"
	asIs, unpacked := get("GET", script, "Accept-Encoding", "br, gzip"), get("GET", script)
	if got := read(asIs); got != packed.String() || asIs.Header.Get("Content-Encoding") != "gzip" {
		t.Errorf("with gzip: %q, %v", got, asIs.Header)
	}
	if got := read(unpacked); got != text || unpacked.Header.Get("Content-Encoding") != "" {
		t.Errorf("without gzip: %q, %v", got, unpacked.Header)
	}
	for _, res := range []*http.Response{asIs, unpacked} {
		if h := res.Header; h.Get("Content-Type") != "text/javascript; charset=utf-8" || h.Get("Vary") != "Accept-Encoding" || h.Get("ETag") == "" {
			t.Errorf("headers = %v", h)
		}
	}
	if asIs.Header.Get("ETag") == unpacked.Header.Get("ETag") {
		t.Error("compressed and plain file share an ETag")
	}
	if res := get("GET", script, "If-None-Match", unpacked.Header.Get("ETag")); res.StatusCode != http.StatusNotModified {
		t.Errorf("plain with If-None-Match: got %s, want 304", res.Status)
	}
	if res := get("GET", script, "Accept-Encoding", "gzip", "If-None-Match", asIs.Header.Get("ETag")); res.StatusCode != http.StatusNotModified {
		t.Errorf("compressed with If-None-Match: got %s, want 304", res.Status)
	}
	if res := get("HEAD", script); res.StatusCode != http.StatusOK || read(res) != "" || res.ContentLength != int64(len(text)) {
		t.Errorf("HEAD: %s, %d bytes", res.Status, res.ContentLength)
	}
	if res := get("GET", "/", "Accept-Encoding", "gzip"); read(res) != "<p>hello" || res.Header.Get("Content-Encoding") != "" {
		t.Errorf("uncompressed file: headers = %v", res.Header)
	}
	for _, path := range []string{script + ".gz", "/index.html", "/.keep", "/.vite/manifest.json"} {
		if res := get("GET", path); res.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}
}

// Below a base path, the guide's own links have it too. Other files are as they were built.
func TestGuideBelowABasePath(t *testing.T) {
	const text = `<script src="/guide/assets/app.js"></script><a href="/guide/curl">`
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	_, _ = w.Write([]byte(text))
	_ = w.Close()
	page := fstest.MapFS{
		"guide/index.html.gz":   {Data: packed.Bytes()},
		"guide/assets/app.js":   {Data: []byte(`base:"/guide/"`)},
		"guide/assets/logo.png": {Data: []byte(`/guide/`)},
		"assets/app.js":         {Data: []byte(`"/guide/"`)},
	}
	for _, base := range []string{"", "/chat"} {
		s := &Server{Config: Config{Page: page}, echo: echo.New(), base: base}
		if err := s.servePage(); err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{
			"/guide/":                `<script src="` + base + `/guide/assets/app.js"></script><a href="` + base + `/guide/curl">`,
			"/guide/assets/app.js":   `base:"` + base + `/guide/"`,
			"/guide/assets/logo.png": `/guide/`,
			"/assets/app.js":         `"/guide/"`,
		} {
			for _, encoding := range []string{"", "gzip"} {
				req := httptest.NewRequest("GET", base+path, nil)
				req.Header.Set("Accept-Encoding", encoding)
				rec := httptest.NewRecorder()
				s.echo.ServeHTTP(rec, req)
				if rec.Header().Get("Content-Encoding") == "gzip" {
					r, err := gzip.NewReader(rec.Body)
					if err != nil {
						t.Fatal(err)
					}
					plain, _ := io.ReadAll(r)
					rec.Body = bytes.NewBuffer(plain)
				}
				if got := rec.Body.String(); rec.Code != 200 || got != want {
					t.Errorf("%s%s, %q: %d %s, want %s", base, path, encoding, rec.Code, got, want)
				}
			}
		}
	}
}
