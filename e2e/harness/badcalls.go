package harness

import (
	"io"
	"strings"
)

const (
	AsJSON   = "Content-Type: application/json"
	Posting  = "/v1/rooms/lobby/messages"
	TooLarge = 64<<10 + 1
)

// OnlyReader hides the length of a body, so that it is sent chunked.
func OnlyReader(text string) io.Reader { return struct{ io.Reader }{strings.NewReader(text)} }
