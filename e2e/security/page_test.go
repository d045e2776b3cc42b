package security

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"tandem/e2e/harness"
	"tandem/frontend"
	"tandem/program"
)

// With or without a built app, / is a page under the security policy, compressed for clients that accept it, and
// cacheable.
func TestPageIsServed(t *testing.T) {
	url := harness.StartProgram(t).URL
	get := func(path string, header ...string) *http.Response {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		res, err := (&http.Transport{DisableCompression: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = res.Body.Close() })
		return res
	}
	plain := get("/")
	page, _ := io.ReadAll(plain.Body)
	if plain.StatusCode != 200 || !strings.HasPrefix(plain.Header.Get("Content-Type"), "text/html") || !strings.Contains(string(page), "tandem") {
		t.Fatalf("GET /: got %s, %s", plain.Status, page)
	}
	if p := plain.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'self'") || strings.Contains(p, "unsafe") {
		t.Errorf("Content-Security-Policy = %q", p)
	}
	packed := get("/", "Accept-Encoding", "gzip")
	if is := packed.Header.Get("Content-Encoding") == "gzip"; is != frontend.Built() { // the placeholder page is small
		t.Fatalf("GET / with gzip: headers = %s", packed.Header)
	} else if is {
		r, err := gzip.NewReader(packed.Body)
		if err != nil {
			t.Fatal(err)
		}
		if unpacked, _ := io.ReadAll(r); string(unpacked) != string(page) {
			t.Errorf("unpacked page = %s", unpacked)
		}
		if packed.Header.Get("ETag") == plain.Header.Get("ETag") {
			t.Error("compressed and plain page share an ETag")
		}
	}
	if res := get("/", "If-None-Match", plain.Header.Get("ETag")); res.StatusCode != http.StatusNotModified {
		t.Errorf("GET / with If-None-Match: got %s, want 304", res.Status)
	}
	for _, path := range []string{"/.keep", "/.vite/manifest.json", "/index.html", "/index.html.gz", "/assets/"} {
		if res := get(path); res.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}
	docs := get("/docs")
	if built := docs.StatusCode == 200; built != frontend.Built() {
		t.Fatalf("GET /docs: %s", docs.Status)
	} else if p := docs.Header.Get("Content-Security-Policy"); built && (!strings.Contains(p, "style-src 'self' 'unsafe-inline'") || strings.Contains(p, "script-src")) {
		t.Errorf("Content-Security-Policy of /docs = %q", p)
	}
}

// A file's answer depends on the accepted encoding and, where other pages may call, on the Origin: Vary must name both.
func TestPageHasVary(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t, func(cfg *program.Settings) { cfg.Origins = []string{"https://friend.example"} })
	got := p.Visitor(t).Do("GET", "/", nil, "Origin: https://friend.example").Want(200)
	vary := strings.Join(got.Header.Values("Vary"), ", ")
	if !strings.Contains(vary, "Origin") || !strings.Contains(vary, "Accept-Encoding") {
		t.Errorf("Vary = %q", vary)
	}
}
