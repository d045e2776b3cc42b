package program

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

type newMessage struct {
	Message string `json:"message"`
	Nonce   string `json:"nonce,omitempty"`
}

// texts that something between a keyboard and a log may want to change.
var texts = []string{
	"hello", `"quoted" and \back\slashed\`, "<script>alert('&amp;')</script>", "two\nlines\r\nand a\ttab",
	"  kept  ", " .", "\n.\n", "line\u2028and paragraph\u2029separators", "\ufeffa byte order mark", "\ufffd kept",
	"👍🏽👩‍👩‍👧 and a flag 🇪🇪", "привет, 小明", "e\u0301 is not \u00e9", "\u0001\u001b[31m\u007f control", "\u202eright to left",
	`{"message":"not unwrapped"}`, "a=b&c=%20+d", "data: x\n\nevent: stream_close\ndata: {}\n\n", "null", "0", "%", "\U0010ffff",
}

func TestMessagesAreKeptAsSent(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	streams := []*stream{ada.open(overSSE, "room=lobby"), ada.open(overWS, "room=lobby")}
	for _, s := range streams {
		s.opening()
	}
	for _, text := range texts {
		for _, body := range []any{newMessage{Message: text}, raw(text)} {
			e := ada.do("POST", "/v1/rooms/lobby/messages", body).want(201).event()
			if e.Type != "chat_message" || e.Message != text || e.User != "ada" || e.Room != "lobby" {
				t.Errorf("%T %q was answered with %s", body, text, e.raw)
			}
			for _, s := range streams {
				if got := s.message(text); !bytes.Equal(got.raw, e.raw) {
					t.Errorf("%s says\n%s\nbut the answer was\n%s", s.over, got.raw, e.raw)
				}
			}
			page := ada.history("lobby", "limit=1")
			if len(page.items) != 1 || !bytes.Equal(page.items[0].raw, e.raw) {
				t.Errorf("history says %s\nbut the answer was\n%s", show(page.items), e.raw)
			}
		}
	}
}

func TestAnyOtherContentTypeIsRawText(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for _, contentType := range []string{
		"-", "text/plain", "text/plain; charset=utf-8", "application/x-www-form-urlencoded", "application/octet-stream",
		"text/html", "TEXT/PLAIN", "nonsense",
	} {
		const text = `{"message": "hi"} & a=b%20c`
		e := ada.do("POST", "/v1/rooms/lobby/messages", raw(text), "Content-Type: "+contentType).want(201).event()
		if e.Message != text {
			t.Errorf("with the type %q %q became %q", contentType, text, e.Message)
		}
	}
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON"} {
		e := ada.do("POST", "/v1/rooms/lobby/messages", raw(` {"message" : "a\u00e9\ud83d\ude00\u2028"} `), "Content-Type: "+contentType).want(201).event()
		if e.Message != "aé😀\u2028" {
			t.Errorf("with the type %q the message became %q", contentType, e.Message)
		}
	}
}

func TestNonceIsEchoed(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	s := ada.open(overWS, "room=lobby")
	s.opening()
	for _, nonce := range []string{"n1", `<"🎲">`, strings.Repeat("ñ", 64)} {
		e := ada.do("POST", "/v1/rooms/lobby/messages", newMessage{"hi", nonce}).want(201).event()
		if got := s.message("hi"); e.Nonce != nonce || got.Nonce != nonce {
			t.Errorf("the nonce %q came back as %q and in the stream as %q", nonce, e.Nonce, got.Nonce)
		}
	}
	ada.post("lobby", "without")
	if got := s.message("without"); bytes.Contains(got.raw, []byte("nonce")) {
		t.Errorf("an absent nonce is in %s", got.raw)
	}
}

func TestLongestMessages(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	for name, text := range map[string]string{"letters": strings.Repeat("a", 4000), "emoji": strings.Repeat("😀", 4000), "quotes": strings.Repeat(`"`, 4000)} {
		for _, body := range []any{newMessage{Message: text}, raw(text)} {
			if e := ada.do("POST", "/v1/rooms/lobby/messages", body).want(201).event(); e.Message != text {
				t.Errorf("4,000 %s were not kept", name)
			}
		}
		for _, body := range []any{newMessage{Message: text + text[:len(text)/4000]}, raw(text + text[:len(text)/4000])} {
			ada.do("POST", "/v1/rooms/lobby/messages", body).wantProblem(400, "message_too_long", "message")
		}
	}
	escaped := `{"message":"` + strings.Repeat(`\ud83d\ude00`, 4000) + `"}`
	ada.do("POST", "/v1/rooms/lobby/messages", raw(escaped), "Content-Type: application/json").want(201)
}

func TestConcurrentPostsHaveDenseIDs(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	for i := range 4 {
		ada.enter(fmt.Sprint("room", i))
	}
	first := ada.post("room0", "first")
	const posters, each = 16, 25
	inParallel(posters, func(i int) {
		for n := range each {
			if _, err := ada.tryPost(fmt.Sprint("room", i%4), fmt.Sprintf("%d of %d", n, i)); err != nil {
				t.Error(err)
			}
		}
	})
	var all []int64
	for i := range 4 {
		history := ada.wholeHistory(fmt.Sprint("room", i))
		if got := ids(history); !slices.IsSorted(got) {
			t.Errorf("the history of room%d is not in order: %v", i, got)
		}
		all = append(all, ids(history)...)
		next := map[string]int{} // each poster's messages are in the order of posting
		for _, e := range history {
			var n int
			var poster string
			if _, err := fmt.Sscanf(e.Message, "%d of %s", &n, &poster); err == nil {
				if n != next[poster] {
					t.Errorf("poster %s's message %d came where %d was due", poster, n, next[poster])
				}
				next[poster]++
			}
		}
	}
	slices.Sort(all)
	for i, id := range all {
		if id != first.ID+int64(i) {
			t.Fatalf("the %dth id is %d, not %d", i, id, first.ID+int64(i))
		}
	}
	if len(all) != posters*each+1 {
		t.Errorf("%d messages are in the history, not %d", len(all), posters*each+1)
	}
}

func TestSentAtIsTheServersTime(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	ada := p.signup(t, "ada")
	ada.enter("lobby")
	before := time.Now().Truncate(time.Millisecond)
	e := ada.post("lobby", "hi")
	var sent struct {
		SentAt time.Time `json:"sent_at"`
	}
	if err := json.Unmarshal(e.raw, &sent); err != nil {
		t.Fatal(err)
	}
	if sent.SentAt.Before(before) || sent.SentAt.After(time.Now()) {
		t.Errorf("sent at %v, though it was posted at %v", sent.SentAt, before)
	}
}
