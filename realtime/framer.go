package realtime

import "tandem/chat"

// Framer wraps finished JSON for one transport; it cannot change the JSON. Framers have no state, so a frame made for
// one stream serves all streams of that format.
type Framer interface {
	Format() Format
	// Frame appends an event's frame. cursor is the position to resume from after this frame, zero if the event does
	// not move it.
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

// String returns the name with which a stream requests the format; the tutorial's has its own endpoint.
func (f Format) String() string { return [formats]string{"ws", "sse", "tutorial", "ndjson", "json"}[f] }
