package chat

import (
	"errors"
	"strconv"
	"strings"
)

// MaxID is the largest id: JavaScript counts exactly up to it.
const MaxID = 1<<53 - 1

// ErrBadCursor means that a text is not a cursor.
var ErrBadCursor = errors.New("a cursor must be an id, or an id, a dot and the log's name")

// Cursor is a position in a named log: the client has seen everything up to and including ID.
type Cursor struct {
	ID  int64
	Log string // empty if the client did not name it: it then matches any log
}

// ParseCursor reads "<id>.<log>" or the bare id. It returns ErrBadCursor for anything else.
func ParseCursor(s string) (Cursor, error) {
	digits, log, named := strings.Cut(s, ".")
	if named && !isLogName(log) {
		return Cursor{}, ErrBadCursor
	}
	// ParseInt alone would accept a sign.
	if digits == "" || digits[0] < '0' || digits[0] > '9' || len(digits) > 16 {
		return Cursor{}, ErrBadCursor
	}
	id, err := strconv.ParseInt(digits, 10, 64)
	if err != nil || id > MaxID {
		return Cursor{}, ErrBadCursor
	}
	return Cursor{ID: id, Log: log}, nil
}

// String is the wire form. It stays far below 128 bytes, above which a Last-Event-ID header would force a
// CORS preflight (Fetch §2.2.2).
func (c Cursor) String() string { return string(c.AppendTo(nil)) }

// AppendTo appends the wire form to dst.
func (c Cursor) AppendTo(dst []byte) []byte {
	dst = strconv.AppendInt(dst, c.ID, 10)
	if c.Log != "" {
		dst = append(append(dst, '.'), c.Log...)
	}
	return dst
}

func isLogName(s string) bool {
	if s == "" || len(s) > 32 {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			return false
		}
	}
	return true
}
