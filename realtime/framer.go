package realtime

import "tandem/chat"

// Framer puts finished JSON into what one transport sends; it cannot change the JSON. Framers have no
// state, so a frame made for one stream serves all of that format.
type Framer interface {
	Format() Format
	// Frame appends an event's frame. cursor is the position that a client resumes from behind this frame,
	// zero for an event that moves none.
	Frame(dst []byte, typ string, cursor chat.Cursor, json []byte) []byte
	// End appends what the transport sends after stream_close for that reason.
	End(dst []byte, reason string) []byte
}

// Format numbers the wire formats.
type Format int

// The wire formats.
const (
	FormatWebSocket Format = iota
	FormatSSE
	FormatTutorial
	FormatNDJSON
	FormatJSON
	formats
)

// String is the name under which a stream asks for the format; the tutorial's has an endpoint of its own.
func (f Format) String() string { return [formats]string{"ws", "sse", "tutorial", "ndjson", "json"}[f] }
