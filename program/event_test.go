package program

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
)

// event is a streamed event: its bytes, and what is in them.
type event struct {
	raw    []byte
	cursor string // the SSE id that came with it; "" where there was none, and over WebSocket
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

	MessageID int64      `json:"message_id"`
	ReplyTo   int64      `json:"reply_to"`
	EditedAt  string     `json:"edited_at"`
	Deleted   bool       `json:"deleted"`
	Emoji     string     `json:"emoji"`
	Reactions []reaction `json:"reactions"`

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

// reaction is one kind of reaction in a message's history.
type reaction struct {
	Emoji string   `json:"emoji"`
	Count int      `json:"count"`
	Me    bool     `json:"me"`
	Users []string `json:"users"`
}

func parseEvent(raw []byte) (event, error) {
	e := event{raw: raw}
	if err := json.Unmarshal(raw, &e); err != nil {
		return e, fmt.Errorf("%w: %w in %s", errContract, err, clip(raw))
	}
	if err := checkEvent(raw); err != nil {
		return e, fmt.Errorf("%w: event %s: %w", errContract, clip(raw), err)
	}
	return e, nil
}

// position is the id within the event's `since`.
func (e event) position(t *testing.T) int64 {
	t.Helper()
	id, err := positionOf(e.Since)
	if err != nil {
		t.Fatalf("since of %s: %v", e.raw, err)
	}
	return id
}

func positionOf(cursor string) (int64, error) {
	digits, _, _ := strings.Cut(cursor, ".")
	return strconv.ParseInt(digits, 10, 64)
}

// show prints events for a failed test: the last ones, and not all of a long one.
func show(events []event) string {
	if len(events) == 0 {
		return "nothing"
	}
	var b strings.Builder
	last := events[max(0, len(events)-12):]
	if len(last) < len(events) {
		fmt.Fprintf(&b, "%d events, and then", len(events)-len(last))
	}
	for _, e := range last {
		fmt.Fprintf(&b, "\n  %s", clip(e.raw))
	}
	return b.String()
}

func ids(events []event) []int64 {
	var all []int64
	for _, e := range events {
		if e.ID != 0 {
			all = append(all, e.ID)
		}
	}
	return all
}
