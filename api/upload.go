package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/chat"
	"tandem/files"
)

// Files configures the calls about files.
type Files struct {
	Blobs    files.Blobs
	Incoming *files.Ingester
	MaxSize  int64    // bytes per file; 0 is no limit
	MaxDaily int64    // bytes that a user may upload per day; 0 is no limit
	Types    []string // the allowed media types, such as image/*; empty for all
	LinkKey  []byte   // signs links; the same on all nodes
}

// largest returns the most bytes that a file can have. One that exceeds the quota of a day never fits.
func (f Files) largest() int64 {
	most := int64(math.MaxInt64 - 1)
	for _, limit := range []int64{f.MaxSize, f.MaxDaily} {
		if limit > 0 {
			most = min(most, limit)
		}
	}
	return most
}

// CheckTypes checks Types.
func (f Files) CheckTypes() error {
	for _, t := range f.Types {
		kind, sub, ok := strings.Cut(t, "/")
		if !ok || kind == "" || sub == "" || strings.ContainsAny(t, "?[\\ ") {
			return fmt.Errorf("file-types: %q is not a media type such as image/png or image/*", t)
		}
	}
	return nil
}

// takes reports whether files of a type may be uploaded.
func (f Files) takes(typ string) bool {
	typ, _, _ = strings.Cut(typ, ";")
	for _, t := range f.Types {
		if ok, err := path.Match(t, typ); ok && err == nil {
			return true
		}
	}
	return len(f.Types) == 0
}

// avatarTypes are pictures that every browser displays.
var avatarTypes = map[string]bool{"image/png": true, "image/jpeg": true, "image/gif": true, "image/webp": true}

const (
	// formOverhead is how much a form may have around its file, in bytes: boundaries and the part's header.
	formOverhead = 64 << 10
	// keepWithin is how long storing a file may take once it has arrived. The client may be gone by then.
	keepWithin = 5 * time.Minute
)

// uploadTo returns the handler of uploads to the place that to finds. Access is checked before the first byte is read,
// and again when the file has arrived.
func (s *Server) uploadTo(to func(c echo.Context) chat.FilePlace) echo.HandlerFunc {
	return func(c echo.Context) error {
		made, err := s.upload(c, to(c))
		if err != nil {
			if c.Request().ProtoMajor == 1 {
				c.Response().Header().Set("Connection", "close") // net/http would wait for the unread rest
			}
			return err
		}
		return c.JSON(http.StatusCreated, made)
	}
}

var errEmptyFile = badField("file", "the file is empty")

func (s *Server) upload(c echo.Context, to chat.FilePlace) (f chat.File, err error) {
	r, h := c.Request(), c.Response().Header()
	ctx, v := r.Context(), viewer(r.Context())
	if err := s.Chat.MayUpload(ctx, v, to); err != nil {
		return f, err
	}
	if r.ContentLength == 0 {
		return f, errEmptyFile
	}
	allowed, err := s.allowUpload(ctx, h, v, r.ContentLength, isMultipart(r.Header.Get("Content-Type")))
	if err != nil {
		return f, err
	}
	defer func() { allowed.settle(context.WithoutCancel(ctx), h, f.Size) }()
	in, err := s.receiveFile(ctx, c, allowed)
	if err != nil {
		return f, err
	}
	defer func() { _ = in.Discard() }() // otherwise the next start does it
	switch {
	case in.Size == 0:
		return f, errEmptyFile
	case !s.Files.takes(in.Type), to == chat.FilePlace{} && !avatarTypes[in.Type]:
		return f, &fault{http.StatusUnsupportedMediaType, "file_type", "File type not allowed", "Files of the type " + in.Type + " are not allowed here.", nil}
	}
	kept, cancel := context.WithTimeout(context.WithoutCancel(ctx), keepWithin)
	defer cancel()
	made := chat.File{ID: chat.NewFileID(), Name: in.Name, Size: in.Size, Type: in.Type, Width: in.Width, Height: in.Height, Preview: in.Preview}
	if err := in.Keep(kept, s.Files.Blobs, made.ID); err != nil {
		return f, err // without a row, the sweep deletes the bytes
	}
	err = s.Chat.AddFile(kept, v, to, made)
	switch {
	case errors.Is(err, chat.ErrUnavailable): // the row may exist all the same
		return f, err
	case err != nil:
		_ = s.Files.Blobs.Delete(kept, made.ID) // otherwise the sweep does it
		_ = s.Files.Blobs.Delete(kept, files.PreviewName(made.ID))
		return f, err
	}
	s.counts.uploads.Add(1)
	s.counts.uploaded.Add(uint64(made.Size))
	return made, nil
}

// allowance is how much of an upload is accepted.
type allowance struct {
	server *Server
	user   chat.Viewer
	size   int64 // the file's maximum
	daily  bool  // size is what is left of the day's quota
	left   int64 // the day's quota without size
	wait   time.Duration
}

// allowUpload returns how many bytes the caller may upload now, and counts them. length is the body's, -1 if unknown; a
// form is slightly longer than its file.
func (s *Server) allowUpload(ctx context.Context, h http.Header, v chat.Viewer, length int64, form bool) (*allowance, error) {
	a := &allowance{server: s, user: v, size: s.Files.largest()}
	most := a.size
	if form {
		most += formOverhead
	}
	if most > 0 && length > most {
		return nil, s.errFileTooLarge()
	}
	if s.Files.MaxDaily == 0 {
		return a, nil
	}
	want := a.size
	if length >= 0 {
		want = min(want, length)
	}
	use, err := s.Chat.UseUpload(ctx, v, want, s.Files.MaxDaily)
	if err != nil {
		return nil, err
	}
	a.left, a.wait = use.Left, use.Wait
	if use.Granted < a.size {
		a.size, a.daily = use.Granted, true
	}
	least := int64(1)
	if length >= 0 && !form {
		least = length
	}
	if a.size < least {
		a.settle(ctx, h, 0)
		return nil, a.spent(h, a.left)
	}
	return a, nil
}

// settle returns the unused part of what was counted, and states what is left.
func (a *allowance) settle(ctx context.Context, h http.Header, used int64) {
	most := a.server.Files.MaxDaily
	if most == 0 {
		return
	}
	if back := a.size - used; back > 0 {
		a.left += back
		a.size = used
		if _, err := a.server.Chat.UseUpload(ctx, a.user, -back, most); err != nil {
			a.server.Logger.Warn("an upload is counted as larger than it was", "user", a.user.User, "error", err)
		}
	}
	window := int(chat.UploadWindow / time.Second)
	full := time.Duration(float64(most-a.left) / float64(most) * float64(chat.UploadWindow))
	setLimit(h, "files", `;q=`+strconv.FormatInt(most, 10)+`;w=`+strconv.Itoa(window)+`;qu="content-bytes"`,
		`;r=`+strconv.FormatInt(a.left, 10)+`;t=`+strconv.Itoa(seconds(full)))
}

// spent refuses a file that exceeds the day's quota.
func (a *allowance) spent(h http.Header, left int64) error {
	a.server.counts.spent.Add(1)
	h.Set("Retry-After", strconv.Itoa(max(1, seconds(a.wait))))
	return &fault{http.StatusTooManyRequests, "rate_limited", "Rate limited", fmt.Sprintf(
		"You can upload %d bytes a day, of which %d are left; try again after Retry-After seconds.", a.server.Files.MaxDaily, left), nil}
}

// setLimit states what is left of a limit, in addition to other limits.
func setLimit(h http.Header, name, policy, left string) {
	for key, value := range map[string]string{headerPolicy: policy, headerLeft: left} {
		value = strconv.Quote(name) + value
		if said := h[key]; said != nil {
			value = said[0] + ", " + value
		}
		h[key] = []string{value}
	}
}

func (s *Server) errFileTooLarge() *fault {
	return &fault{http.StatusRequestEntityTooLarge, "file_too_large", "File too large", fmt.Sprintf("A file can have at most %d bytes.", s.Files.largest()), nil}
}

// receiveFile reads the file of a request, from its body or from the one part of a form.
func (s *Server) receiveFile(ctx context.Context, c echo.Context, a *allowance) (*files.Incoming, error) {
	r, h := c.Request(), c.Response().Header()
	body := newPacedBody(c)
	defer body.end()
	contentType := r.Header.Get("Content-Type")
	if !isMultipart(contentType) {
		return s.ingest(ctx, h, body, r.URL.Query().Get("name"), a)
	}
	bounded := &boundedHeaders{r: body}
	r.Body = struct {
		io.Reader
		io.Closer
	}{bounded, r.Body}
	form, err := r.MultipartReader()
	if kind, _, _ := mime.ParseMediaType(contentType); err != nil || kind != "multipart/form-data" {
		f := badField("Content-Type", "send a form (curl -F file=@picture.png), or the file as the body")
		f.status, f.code, f.title = http.StatusUnsupportedMediaType, "unsupported_media_type", "Unsupported media type"
		return nil, f
	}
	part, err := nextPart(form, bounded)
	if err != nil {
		return nil, formError(err)
	}
	if part == nil || part.FormName() != "file" {
		return nil, badField("file", "a form must have one part, file")
	}
	in, err := s.ingest(ctx, h, part, part.FileName(), a)
	if err != nil {
		return nil, err
	}
	if part, err = nextPart(form, bounded); part != nil {
		err = badField("file", "a form must have one part, file")
	}
	if err != nil {
		return nil, errors.Join(formError(err), in.Discard())
	}
	return in, nil
}

func (s *Server) ingest(ctx context.Context, h http.Header, r io.Reader, name string, a *allowance) (*files.Incoming, error) {
	in, err := s.Files.Incoming.Receive(ctx, r, name, a.size)
	switch {
	case err == nil:
		return in, nil
	case errors.Is(err, files.ErrTooLarge) && a.daily:
		return nil, a.spent(h, a.size)
	case errors.Is(err, files.ErrTooLarge):
		return nil, s.errFileTooLarge()
	case errors.Is(err, files.ErrFull), errors.Is(err, files.ErrUnavailable):
		return nil, err
	}
	return nil, formError(err)
}

// formError translates an error of a body for the client.
func formError(err error) error {
	if _, ok := errors.AsType[*fault](err); ok {
		return err
	}
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &fault{http.StatusRequestTimeout, "body_timeout", "Body incomplete", "The body did not arrive, or arrived too slowly.", nil}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, multipart.ErrMessageTooLarge), errors.Is(err, errLongHeader):
		return badField("body", "the body cannot be read: it is malformed or ended early")
	case errors.Is(err, context.Canceled):
		return err
	}
	if _, ok := errors.AsType[*os.PathError](err); ok { // of the temporary file
		return err
	}
	return badField("body", "the body cannot be read: it is malformed or ended early")
}

// nextPart returns nil after the last part.
func nextPart(form *multipart.Reader, bounded *boundedHeaders) (*multipart.Part, error) {
	bounded.left = formOverhead
	defer func() { bounded.left = math.MaxInt64 }()
	part, err := form.NextRawPart()
	if err == io.EOF {
		return nil, nil
	}
	return part, err
}

var errLongHeader = errors.New("the header of a part is too long")

// boundedHeaders bounds a part's header, which mime/multipart keeps in memory.
type boundedHeaders struct {
	r    io.Reader
	left int64
}

func (b *boundedHeaders) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errLongHeader
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	return n, err
}

// pathParam returns a decoded path parameter.
func pathParam(c echo.Context, name string) string {
	value := c.Param(name)
	if c.Request().URL.RawPath != "" { // see validate
		if decoded, err := url.PathUnescape(value); err == nil {
			return decoded
		}
	}
	return value
}
