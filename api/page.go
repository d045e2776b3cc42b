package api

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
)

// servePage serves each file of the page under its own path, so that every other path is a 404. An index.html is
// served as its directory. What begins with a dot is none of the page's.
func (s *Server) servePage() error {
	return fs.WalkDir(s.Page, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || name == ".":
			return err
		case strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case strings.HasPrefix(d.Name(), ".") || d.IsDir():
			return nil
		}
		data, err := fs.ReadFile(s.Page, name)
		if err != nil {
			return err
		}
		at := "/" + name
		if d.Name() == "index.html" {
			at = path.Dir(at)
		}
		s.echo.Match(getOrHead, at, pageFile(name, data))
		return nil
	})
}

// pageFile answers with a file of the page, packed where the browser takes that and it is worth it.
func pageFile(name string, data []byte) echo.HandlerFunc {
	sum := sha256.Sum256(data)
	tag := hex.EncodeToString(sum[:8])
	keep := "no-cache" // asks each time, and gets a 304
	if strings.HasPrefix(name, "assets/") {
		keep = "public, max-age=31536000, immutable" // such a name has a hash of what is in it
	}
	packed := sync.OnceValue(func() []byte { return pack(data) }) // not all at the start: it would take a while
	return func(c echo.Context) error {
		h := c.Response().Header()
		h.Set("Cache-Control", keep)
		h.Add("Vary", "Accept-Encoding") // beside the one of CORS
		if name == "docs/index.html" {
			h.Set("Content-Security-Policy", referencePolicy)
		}
		body, etag := data, `"`+tag+`"`
		if strings.Contains(c.Request().Header.Get("Accept-Encoding"), "gzip") {
			if p := packed(); len(p) < len(data) {
				body, etag = p, `"`+tag+`-gzip"`
				h.Set("Content-Encoding", "gzip")
			}
		}
		h.Set("ETag", etag)
		http.ServeContent(c.Response(), c.Request(), path.Base(name), time.Time{}, bytes.NewReader(body))
		return nil
	}
}

func pack(data []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // fails for another level alone
	_, _ = w.Write(data)                                  // a Buffer takes everything
	_ = w.Close()
	return b.Bytes()
}
