package suite

import (
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Event is an event as received: its bytes and its decoded fields.
type Event struct {
	Raw    string // the JSON, byte for byte
	Cursor string // SSE: the block's id
	HasID  bool   // SSE: the block had an id
	Name   string // SSE: the block's event
	Again  bool   // it belongs to the opening of a later poll

	Type      string          `json:"type"`
	ID        int64           `json:"id"`
	Room      string          `json:"room"`
	User      string          `json:"user"`
	Target    string          `json:"target"`
	MessageID int64           `json:"message_id"`
	Message   string          `json:"message"`
	Deleted   bool            `json:"deleted"`
	Emoji     string          `json:"emoji"`
	Role      string          `json:"role"`
	Nonce     string          `json:"nonce"`
	ReplyTo   json.RawMessage `json:"reply_to"`
	Users     []string        `json:"users"`
	Count     int             `json:"count"`
	Rooms     []string        `json:"rooms"`
	Lost      []string        `json:"lost"`
	Since     string          `json:"since"`
	Resumed   bool            `json:"resumed"`
	Log       string          `json:"log"`
	Reason    string          `json:"reason"`
	RetryMS   int64           `json:"retry_ms"`
	Floor     int64           `json:"floor"`
	Head      int64           `json:"head"`
	Ref       string          `json:"ref"`
	Status    int             `json:"status"`
	Body      json.RawMessage `json:"body"`
}

// parseEvent parses an event's JSON. It returns an error if the bytes do not match the contract.
func parseEvent(raw []byte) (Event, error) {
	e := Event{Raw: string(raw)}
	switch {
	case !utf8.Valid(raw):
		return e, contractError("event is not UTF-8: %q", raw)
	case strings.ContainsAny(e.Raw, "\r\n"):
		return e, contractError("event is not one line: %q", raw)
	case !strings.HasPrefix(e.Raw, `{"type":"`):
		return e, contractError("an event does not begin with its type: %s", clip(e.Raw))
	}
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, contractError("an event is not JSON: %v: %s", err, clip(e.Raw))
	}
	if e.ID != 0 && !strings.HasPrefix(e.Raw, fmt.Sprintf(`{"type":%q,"id":%d,`, e.Type, e.ID)) {
		return e, contractError("a durable event does not begin with type and id: %s", clip(e.Raw))
	}
	return e, nil
}

var errContract = errors.New("contract violation")

func contractError(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errContract, fmt.Sprintf(format, args...))
}

// position returns the id in a cursor `<id>.<log>`.
func position(cursor string) (int64, error) {
	id, log, ok := strings.Cut(cursor, ".")
	at, err := strconv.ParseInt(id, 10, 64)
	if err != nil || !ok || log == "" || at < 0 {
		return 0, contractError("%q is not a cursor", cursor)
	}
	return at, nil
}

// clip shortens what is printed.
func clip(text string) string {
	if len(text) > 300 {
		return text[:300] + "…"
	}
	return text
}

func clipAll(events []Event) string {
	var b strings.Builder
	for _, e := range events[max(0, len(events)-6):] {
		fmt.Fprintf(&b, "\n  %s", clip(e.Raw))
	}
	return b.String()
}

// id formats an event's id for a path.
func id(e Event) string { return strconv.FormatInt(e.ID, 10) }
