package harness

import (
	"encoding/json"
	"fmt"
	"hash/maphash"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Event is a streamed event: its bytes and its decoded fields.
type Event struct {
	Raw    []byte `json:"-"`
	cursor string // its SSE id; "" if it had none, or came over a WebSocket
	name   string // the SSE event name

	Type    string `json:"type"`
	ID      int64  `json:"id"`
	Room    string `json:"room"`
	User    string `json:"user"`
	Target  string `json:"target"`
	Role    string `json:"role"`
	Message string `json:"message"`
	Nonce   string `json:"nonce"`
	SentAt  string `json:"sent_at"`

	Data        json.RawMessage `json:"data"`
	Mentions    []string        `json:"mentions"`
	MentionsAll bool            `json:"mentions_all"`
	Via         string          `json:"via"`
	Thread      json.RawMessage `json:"thread"` // a number, or the state of a thread
	Name        string          `json:"name"`

	MessageID int64      `json:"message_id"`
	ReplyTo   int64      `json:"reply_to"`
	EditedAt  string     `json:"edited_at"`
	Deleted   bool       `json:"deleted"`
	Emoji     string     `json:"emoji"`
	Reactions []Reaction `json:"reactions"`

	Receipts  bool  `json:"receipts"`
	SlowMode  int   `json:"slow_mode"`
	Retention int64 `json:"retention"`

	Marks []string `json:"marks"`

	Users   []string `json:"users"`
	Count   int      `json:"count"`
	Rooms   []string `json:"rooms"`
	Lost    []string `json:"lost"`
	Since   string   `json:"since"`
	Resumed bool     `json:"resumed"`
	Log     string   `json:"log"`
	Reason  string   `json:"reason"`
	RetryMS int      `json:"retry_ms"`
	Floor   int64    `json:"floor"`
	Head    int64    `json:"head"`
}

// Reaction is one kind of reaction in a message's history.
type Reaction struct {
	Emoji string   `json:"emoji"`
	Count int      `json:"count"`
	Me    bool     `json:"me"`
	Users []string `json:"users"`
}

// seen are events that match the contract, by the hash of their JSON: most arrive on several streams. Their slices are
// shared, so tests must not change them.
var seen = struct {
	sync.Mutex
	seed   maphash.Seed
	events map[uint64]Event
}{seed: maphash.MakeSeed(), events: map[uint64]Event{}}

// maxSeen bounds the memory of seen.
const maxSeen = 4000

// ParseEvent decodes an event, and returns an error if its JSON does not match the contract.
func ParseEvent(raw []byte) (Event, error) {
	hash := maphash.Bytes(seen.seed, raw)
	seen.Lock()
	e, known := seen.events[hash]
	seen.Unlock()
	if !known {
		if err := json.Unmarshal(raw, &e); err != nil {
			return Event{Raw: raw}, fmt.Errorf("%w: %w in %s", errContract, err, Clip(raw))
		}
		if err := checkEvent(raw); err != nil {
			return Event{Raw: raw}, fmt.Errorf("%w: event %s: %w", errContract, Clip(raw), err)
		}
		seen.Lock()
		if len(seen.events) == maxSeen {
			clear(seen.events)
		}
		seen.events[hash] = e
		seen.Unlock()
	}
	e.Raw = raw
	return e, nil
}

// Position returns the id in the event's `since`.
func (e Event) Position(t *testing.T) int64 {
	t.Helper()
	id, err := PositionOf(e.Since)
	if err != nil {
		t.Fatalf("since of %s: %v", e.Raw, err)
	}
	return id
}

func PositionOf(cursor string) (int64, error) {
	digits, _, _ := strings.Cut(cursor, ".")
	return strconv.ParseInt(digits, 10, 64)
}

// Show formats the last events for a failure message, with long ones cut.
func Show(events []Event) string {
	if len(events) == 0 {
		return "nothing"
	}
	var b strings.Builder
	last := events[max(0, len(events)-12):]
	if len(last) < len(events) {
		fmt.Fprintf(&b, "%d events, and then", len(events)-len(last))
	}
	for _, e := range last {
		fmt.Fprintf(&b, "\n  %s", Clip(e.Raw))
	}
	return b.String()
}

func IDs(events []Event) []int64 {
	var all []int64
	for _, e := range events {
		if e.ID != 0 {
			all = append(all, e.ID)
		}
	}
	return all
}
