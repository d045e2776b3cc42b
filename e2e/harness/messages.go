package harness

import ()

type NewMessage struct {
	Message string `json:"message"`
	Nonce   string `json:"nonce,omitempty"`
}

// Texts that some layer between the client and the log might alter.
var Texts = []string{
	"hello", `"quoted" and \back\slashed\`, "<script>alert('&amp;')</script>", "two\nlines\r\nand a\ttab",
	"  kept  ", " .", "\n.\n", "line\u2028and paragraph\u2029separators", "\ufeffa byte order mark", "\ufffd kept",
	"👍🏽👩‍👩‍👧 and a flag 🇪🇪", "привет, 小明", "e\u0301 is not \u00e9", "\u0001\u001b[31m\u007f control", "\u202eright to left",
	`{"message":"not unwrapped"}`, "a=b&c=%20+d", "data: x\n\nevent: stream_close\ndata: {}\n\n", "null", "0", "%", "\U0010ffff",
}
