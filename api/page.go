package api

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
)

// servePage serves each file of the page under its own path, so that every other path is a 404: index.html as its
// directory, NAME.html as NAME, and NAME.gz as NAME. It skips dotfiles.
func (s *Server) servePage() error {
	buffer := make([]byte, 32<<10)
	return fs.WalkDir(s.Page, ".", func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil || file == ".":
			return err
		case strings.HasPrefix(d.Name(), ".") && d.IsDir():
			return fs.SkipDir
		case strings.HasPrefix(d.Name(), ".") || d.IsDir():
			return nil
		}
		f, err := newPageFile(s.Page, file, s.base, buffer)
		if err != nil {
			return err
		}
		at := "/" + strings.TrimSuffix(f.name, ".html")
		if dir, index := strings.CutSuffix(at, "index"); index && strings.HasSuffix(f.name, ".html") {
			at = dir
			if at != "/" {
				s.router().GET(strings.TrimSuffix(at, "/"), f.serve)
			}
		}
		s.router().GET(at, f.serve)
		return nil
	})
}

// pageFile is a file of the page. It is read from its file system each time: a copy of the app would be most of an idle
// server's memory.
type pageFile struct {
	fs     fs.FS
	file   string // its path
	name   string // without .gz
	packed bool
	tag    string // of its content
	base   string // to be put before the guide's own path in this file; empty for none
	keep   string // Cache-Control
}

func newPageFile(page fs.FS, file, base string, buffer []byte) (*pageFile, error) {
	f := &pageFile{fs: page, file: file, keep: "no-cache"} // revalidates each time, and gets a 304
	f.name, f.packed = strings.CutSuffix(file, ".gz")
	if strings.HasPrefix(f.name, "assets/") {
		f.keep = "public, max-age=31536000, immutable" // such a name contains a hash of the content
	}
	r, err := page.Open(file)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	sum := sha256.New()
	if _, err := io.CopyBuffer(sum, r, buffer); err != nil {
		return nil, err
	}
	f.tag = hex.EncodeToString(sum.Sum(nil)[:8])
	switch path.Ext(f.name) {
	case ".html", ".js", ".css", ".json":
		if base != "" && strings.HasPrefix(f.name, "guide/") {
			f.base = base
			f.tag += strings.ReplaceAll(base, "/", "-")
		}
	}
	return f, nil
}

// serve serves the file, compressed if it is stored so and the client accepts that.
func (f *pageFile) serve(c echo.Context) error {
	h := c.Response().Header()
	h.Set("Cache-Control", f.keep)
	h.Add("Vary", "Accept-Encoding") // in addition to that of CORS
	h.Set("Content-Type", cmp.Or(mime.TypeByExtension(path.Ext(f.name)), "application/octet-stream"))
	h.Set("ETag", `"`+f.tag+`"`)
	if f.name == "docs.html" || strings.HasPrefix(f.name, "guide/") {
		h.Set("Content-Security-Policy", referencePolicy)
	}
	file, err := f.fs.Open(f.file)
	if err != nil {
		return err
	}
	defer file.Close()
	r, ok := file.(io.ReadSeeker)
	if !ok {
		return fmt.Errorf("the page's %s cannot seek", f.file)
	}
	if f.base != "" {
		return f.serveRebased(c, file)
	}
	if f.packed {
		if !strings.Contains(c.Request().Header.Get("Accept-Encoding"), "gzip") {
			return f.serveUnpacked(c, r)
		}
		h.Set("ETag", `"`+f.tag+`-gzip"`)
		h.Set("Content-Encoding", "gzip")
	}
	http.ServeContent(c.Response(), c.Request(), path.Base(f.name), time.Time{}, r)
	return nil
}

// serveUnpacked is for the few clients that do not accept gzip. It does not support ranges.
func (f *pageFile) serveUnpacked(c echo.Context, r io.ReadSeeker) error {
	h := c.Response().Header()
	if strings.Contains(c.Request().Header.Get("If-None-Match"), h.Get("ETag")) {
		return c.NoContent(http.StatusNotModified)
	}
	size, err := unpackedSize(r)
	if err != nil {
		return err
	}
	plain, err := gzip.NewReader(r)
	if err != nil {
		return err
	}
	h.Set("Content-Length", strconv.FormatUint(uint64(size), 10))
	c.Response().WriteHeader(http.StatusOK)
	if c.Request().Method == http.MethodHead {
		return nil
	}
	_, err = io.Copy(c.Response(), plain)
	return err
}

// serveRebased serves a file of the guide below a base path: VitePress builds it for one path, /guide/.
func (f *pageFile) serveRebased(c echo.Context, from io.Reader) error {
	if f.packed {
		var err error
		if from, err = gzip.NewReader(from); err != nil {
			return err
		}
	}
	text, err := io.ReadAll(from)
	if err != nil {
		return err
	}
	text = bytes.ReplaceAll(text, []byte(`/guide/`), []byte(f.base+`/guide/`))
	text = bytes.ReplaceAll(text, []byte(`"/favicon.svg"`), []byte(`"`+f.base+`/favicon.svg"`))
	http.ServeContent(c.Response(), c.Request(), path.Base(f.name), time.Time{}, bytes.NewReader(text))
	return nil
}

// unpackedSize returns the size at the end of a gzip file (RFC 1952, ISIZE), and seeks to its start.
func unpackedSize(r io.ReadSeeker) (size uint32, err error) {
	if _, err := r.Seek(-4, io.SeekEnd); err != nil {
		return 0, err
	}
	if err := binary.Read(r, binary.LittleEndian, &size); err != nil {
		return 0, err
	}
	_, err = r.Seek(0, io.SeekStart)
	return size, err
}
