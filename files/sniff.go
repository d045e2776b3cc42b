package files

import (
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/gabriel-vasile/mimetype"
)

const unknownType = "application/octet-stream"

// sniffed is how much of a file is examined to detect its type, in bytes: as much as mimetype examines.
const sniffed = 4 << 10

// sniff returns the media type detected from the bytes of r, and the usual extension of its files.
func sniff(r io.ReaderAt, size int64) (mediaType, extension string, err error) {
	head := make([]byte, min(size, sniffed))
	if _, err := io.ReadFull(io.NewSectionReader(r, 0, size), head); err != nil {
		return "", "", err
	}
	// As browsers detect pictures. mimetype takes one with "%PDF-" in a comment for a PDF.
	if t := http.DetectContentType(head); pictures[t].decode != nil {
		return t, mimetype.Lookup(t).Extension(), nil
	}
	m := mimetype.Detect(head)
	base, params, err := mime.ParseMediaType(m.String())
	if err != nil {
		return unknownType, "", nil
	}
	if base == "text/plain" {
		// A bare text/plain would be read as US-ASCII or guessed at.
		charset := strings.ToLower(params["charset"])
		if charset == "" {
			charset = "utf-8"
		}
		base = mime.FormatMediaType(base, map[string]string{"charset": charset})
	}
	return base, m.Extension(), nil
}
