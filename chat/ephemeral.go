package chat

// Ephemeral is an event without an id: sent to open streams and never stored.
type Ephemeral struct {
	Type   string
	JSON   []byte
	Except int64 // the user who does not receive it, 0 for none: it is about them
}

// MaxListed is how many users a user_list names at most; its count includes all.
const MaxListed = 500

// StreamOpen is the first event of every stream. resumed: the cursor was accepted. lost: rooms that were requested with
// a cursor and can no longer be followed.
func StreamOpen(user string, rooms, lost []string, since Cursor, resumed bool) Ephemeral {
	return ephemeral("stream_open", struct {
		Type    string   `json:"type"`
		User    string   `json:"user"`
		Rooms   []string `json:"rooms"`
		Lost    []string `json:"lost"`
		Since   string   `json:"since"`
		Resumed bool     `json:"resumed"`
		Log     string   `json:"log"`
	}{"stream_open", user, notNil(rooms), notNil(lost), since.String(), resumed, since.Log})
}

// UserList lists who is in a room, or on the whole site if room is empty; users are the first MaxListed of count.
func UserList(room string, users []string, count int) Ephemeral {
	return ephemeral("user_list", struct {
		Type  string   `json:"type"`
		Room  string   `json:"room,omitempty"`
		Users []string `json:"users"`
		Count int      `json:"count"`
	}{"user_list", room, notNil(users), count})
}

// UserJoin announces that a user entered a room, or the site if room is empty.
func UserJoin(room, user string) Ephemeral { return presence("user_join", room, user) }

// UserLeave announces that a user left a room, or the site if room is empty.
func UserLeave(room, user string) Ephemeral { return presence("user_leave", room, user) }

func presence(typ, room, user string) Ephemeral {
	return ephemeral(typ, struct {
		Type string `json:"type"`
		Room string `json:"room,omitempty"`
		User string `json:"user"`
	}{typ, room, user})
}

// UserTyping announces that v is typing in a room. It is not sent to v's own streams.
func UserTyping(room string, v Viewer) Ephemeral {
	e := presence("user_typing", room, v.Name)
	e.Except = v.User
	return e
}

// Ping shows that the stream is alive and has received everything in its topics up to since.
func Ping(since Cursor) Ephemeral {
	return ephemeral("ping", struct {
		Type  string `json:"type"`
		Since string `json:"since"`
	}{"ping", since.String()})
}

// Reasons why a cursor is not accepted.
const (
	ResetMalformed   = "malformed_cursor"
	ResetOtherLog    = "other_log"
	ResetAheadOfHead = "ahead_of_head"
	ResetBeforeFloor = "before_floor"
)

// StreamReset announces that the cursor is not accepted and that the stream continues live from head.
func StreamReset(reason string, floor, head int64) Ephemeral {
	return ephemeral("stream_reset", struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
		Floor  int64  `json:"floor"`
		Head   int64  `json:"head"`
	}{"stream_reset", reason, floor, head})
}

// Reasons why the server ends a stream.
const (
	CloseTokenExpired   = "token_expired"
	CloseSignedOut      = "signed_out"
	CloseDisabled       = "disabled"
	CloseRestart        = "restart"
	CloseTooManyStreams = "too_many_streams"
	CloseMaxAge         = "max_age"
)

// StreamClose is the last event of a stream that the server ends. The client may reconnect after retryMS milliseconds.
func StreamClose(reason string, retryMS int64) Ephemeral {
	return ephemeral("stream_close", struct {
		Type    string `json:"type"`
		Reason  string `json:"reason"`
		RetryMS int64  `json:"retry_ms"`
	}{"stream_close", reason, retryMS})
}

func ephemeral(typ string, v any) Ephemeral { return Ephemeral{Type: typ, JSON: encode(v)} }

// notNil makes an empty list encode as [] in JSON.
func notNil(s []string) []string {
	if s == nil {
		return []string{}
	}
	return s
}
