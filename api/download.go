package api

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/chat"
	"tandem/files"
)

// shownInline are the types that a browser may display under our origin: none of them can contain scripts.
var shownInline = map[string]bool{
	"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true, "image/avif": true, "image/bmp": true,
	"audio/mpeg": true, "audio/mp4": true, "audio/x-m4a": true, "audio/ogg": true, "audio/wav": true, "audio/flac": true, "audio/aac": true, "audio/webm": true,
	"video/mp4": true, "video/webm": true, "video/ogg": true, "video/quicktime": true,
}

// filePolicy keeps a file that is opened by itself from doing anything.
const filePolicy = "sandbox; default-src 'none'; img-src 'self'; media-src 'self'; frame-ancestors 'none'"

// fileLife is how long a browser may cache a file without revalidating, in seconds: as long as a link to it is valid.
const fileLife = "3600"

// getFile serves a file, or its preview.
func (s *Server) getFile(c echo.Context) error {
	r, h := c.Request(), c.Response().Header()
	f, err := s.Chat.File(r.Context(), viewer(r.Context()), pathParam(c, "id"))
	if err != nil {
		return err
	}
	name, tag := f.ID, f.ID
	if r.URL.Query().Get("preview") != "" {
		if !f.Preview {
			return chat.ErrNoFile
		}
		name, tag = files.PreviewName(f.ID), f.ID+"-preview"
	}
	blob, err := s.Files.Blobs.Open(r.Context(), name)
	if errors.Is(err, files.ErrNotFound) {
		// Either it was just deleted, or its bytes are missing.
		if _, err := s.Chat.File(r.Context(), viewer(r.Context()), f.ID); err == nil {
			s.Logger.Error("the bytes of a file are missing from the store", "file", name)
		}
		return chat.ErrNoFile
	}
	if err != nil {
		return err
	}
	defer blob.Close()
	typ := f.Type
	if name != f.ID {
		if typ, err = typeOfPreview(blob); err != nil {
			return err
		}
	}
	kind := "attachment"
	if base, _, _ := strings.Cut(typ, ";"); shownInline[base] {
		kind = "inline"
	}
	set := map[string]string{
		"Content-Type":                 typ,
		"Content-Disposition":          disposition(kind, f.Name),
		"Content-Security-Policy":      filePolicy,
		"Cross-Origin-Resource-Policy": s.resourcePolicy(),
		"Cache-Control":                "private, max-age=" + fileLife + ", immutable",
		"Etag":                         `"` + tag + `"`, // the bytes of an id never change
	}
	for key, value := range set {
		h[key] = []string{value}
	}
	h.Add("Vary", "Authorization")
	w := &pacedAnswer{ResponseWriter: c.Response(), conn: http.NewResponseController(c.Response())}
	s.counts.downloads.Add(1)
	http.ServeContent(w, r, "", time.Time{}, blob)
	if w.failed == 0 {
		return nil
	}
	for key := range set {
		h.Del(key)
	}
	h["Content-Security-Policy"], h["Cache-Control"] = securityHeaders["Content-Security-Policy"], securityHeaders["Cache-Control"]
	switch w.failed {
	case http.StatusRequestedRangeNotSatisfiable: // with Content-Range
		return &fault{w.failed, "range_not_satisfiable", "Range not satisfiable", "The range is outside the file.", nil}
	case http.StatusPreconditionFailed:
		return &fault{w.failed, "precondition_failed", "Precondition failed", "The file does not match If-Match.", nil}
	}
	return files.ErrUnavailable // the blob could not be read
}

// typeOfPreview returns the type of a generated preview.
func typeOfPreview(blob files.Blob) (string, error) {
	var head [512]byte
	n, err := io.ReadFull(blob, head[:])
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return "", err
	}
	_, err = blob.Seek(0, io.SeekStart)
	return http.DetectContentType(head[:n]), err
}

// resourcePolicy sets whose pages may display files: ours, or other origins' too if any are allowed.
func (s *Server) resourcePolicy() string {
	if len(s.Origins) == 0 {
		return "same-origin"
	}
	return "cross-origin"
}

// disposition returns a Content-Disposition (RFC 6266): the name in ASCII for old clients, and in full (RFC 8187).
func disposition(kind, name string) string {
	const attr = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!#$&+-.^_`|~"
	const hex = "0123456789ABCDEF"
	var plain, full strings.Builder
	for _, r := range name {
		if r < ' ' || r > '~' || r == '"' || r == '\\' || r == '%' { // some clients decode %
			r = '_'
		}
		plain.WriteRune(r)
	}
	for i := range len(name) {
		if b := name[i]; strings.IndexByte(attr, b) >= 0 {
			full.WriteByte(b)
		} else {
			full.Write([]byte{'%', hex[b>>4], hex[b&15]})
		}
	}
	return kind + `; filename="` + plain.String() + `"; filename*=UTF-8''` + full.String()
}

// linkLife is how long a link to a file is valid at most, in seconds.
const linkLife = 3600

// CreateFileLink implements StrictServerInterface.
func (s *Server) CreateFileLink(ctx context.Context, r CreateFileLinkRequestObject) (CreateFileLinkResponseObject, error) {
	v := viewer(ctx)
	f, err := s.Chat.File(ctx, v, r.Id)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	until := now.Add(linkLife * time.Second)
	// An access token is renewed while its session lives; other tokens end, and the link with them.
	if (v.Script || v.Session == 0) && !v.Expires.IsZero() && v.Expires.Before(until) {
		until = v.Expires
	}
	return CreateFileLink200JSONResponse{Url: s.base + "/v1/files/" + f.ID + "?link=" + s.link(f.ID, v, until), ExpiresIn: seconds(until.Sub(now))}, nil
}

// A link contains, in bytes: user, session, expiry in Unix seconds, and the MAC of these and of the file.
const (
	linkHead = 8 + 8 + 8
	linkMAC  = 16
)

func (s *Server) link(file string, v chat.Viewer, until time.Time) string {
	b := make([]byte, 0, linkHead+sha256.Size)
	b = binary.BigEndian.AppendUint64(b, uint64(v.User))
	b = binary.BigEndian.AppendUint64(b, uint64(v.Session))
	b = binary.BigEndian.AppendUint64(b, uint64(until.Unix()))
	return base64.RawURLEncoding.EncodeToString(s.signLink(b, file))
}

func (s *Server) signLink(head []byte, file string) []byte {
	mac := hmac.New(sha256.New, s.Files.LinkKey)
	mac.Write(head)
	mac.Write([]byte(file))
	return append(head, mac.Sum(nil)[:linkMAC]...)
}

var errBadLink = errors.New("the link is invalid or has expired; create a new one")

// linked returns the viewer for whom a file's link was made, while their session lives. Access is then checked as for
// any viewer.
func (s *Server) linked(ctx context.Context, file, link string) (chat.Viewer, error) {
	b, err := base64.RawURLEncoding.DecodeString(link)
	if err != nil || len(b) != linkHead+linkMAC || !hmac.Equal(b, s.signLink(b[:linkHead:linkHead], file)) {
		return chat.Viewer{}, errBadLink
	}
	if until := time.Unix(int64(binary.BigEndian.Uint64(b[16:])), 0); !time.Now().Before(until) {
		return chat.Viewer{}, errBadLink
	}
	// An API token's room limits were checked when the link was made: a file never moves.
	v := chat.Viewer{User: int64(binary.BigEndian.Uint64(b)), Session: int64(binary.BigEndian.Uint64(b[8:]))}
	return v, s.Auth.Alive(ctx, v.User, v.Session)
}

// authenticateLink accepts a link to the file, and otherwise leaves authentication to next.
func (s *Server) authenticateLink(op *operation) echo.MiddlewareFunc {
	byToken := s.authenticate(op)
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		otherwise := byToken(next)
		return func(c echo.Context) error {
			r := c.Request()
			links := r.URL.Query()["link"]
			if len(links) != 1 || r.Header.Get("Authorization") != "" {
				return otherwise(c)
			}
			v, err := s.linked(r.Context(), pathParam(c, "id"), links[0])
			if err != nil {
				return err
			}
			c.SetRequest(r.WithContext(context.WithValue(r.Context(), viewerKey{}, v)))
			return next(c)
		}
	}
}
