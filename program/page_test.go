package program

import (
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"tandem/frontend"
)

// Whether or not the app was built: / is a page, held to the policy, packed for who takes that, and not sent twice.
func TestPageIsServed(t *testing.T) {
	url := startProgram(t).url
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
		t.Fatalf("GET /: %s, %s", plain.Status, page)
	}
	if p := plain.Header.Get("Content-Security-Policy"); !strings.Contains(p, "default-src 'self'") || strings.Contains(p, "unsafe") {
		t.Errorf("policy %q", p)
	}
	packed := get("/", "Accept-Encoding", "gzip")
	r, err := gzip.NewReader(packed.Body)
	if err != nil {
		t.Fatalf("GET / with gzip: %v, %s", err, packed.Header)
	}
	if unpacked, _ := io.ReadAll(r); string(unpacked) != string(page) {
		t.Errorf("packed: %s", unpacked)
	}
	if packed.Header.Get("ETag") == plain.Header.Get("ETag") {
		t.Error("packed and plain have one ETag")
	}
	if res := get("/", "If-None-Match", plain.Header.Get("ETag")); res.StatusCode != http.StatusNotModified {
		t.Errorf("known already: %s", res.Status)
	}
	for _, path := range []string{"/.keep", "/.vite/manifest.json", "/index.html", "/assets/"} {
		if res := get(path); res.StatusCode != http.StatusNotFound {
			t.Errorf("GET %s: %s", path, res.Status)
		}
	}
	docs := get("/docs")
	if built := docs.StatusCode == 200; built != frontend.Built() {
		t.Fatalf("GET /docs: %s", docs.Status)
	} else if p := docs.Header.Get("Content-Security-Policy"); built && (!strings.Contains(p, "style-src 'self' 'unsafe-inline'") || strings.Contains(p, "script-src")) {
		t.Errorf("policy of the reference %q", p)
	}
}

// A file depends on what is packed and, where other pages may call, on the Origin: caches have to know of both.
func TestPageSaysWhatItDependsOn(t *testing.T) {
	t.Parallel()
	p := startProgram(t, func(cfg *Settings) { cfg.Origins = []string{"https://friend.example"} })
	got := p.visitor(t).do("GET", "/", nil, "Origin: https://friend.example").want(200)
	vary := strings.Join(got.header.Values("Vary"), ", ")
	if !strings.Contains(vary, "Origin") || !strings.Contains(vary, "Accept-Encoding") {
		t.Errorf("Vary is %q", vary)
	}
}
