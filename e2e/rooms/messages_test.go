package rooms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tandem/e2e/harness"
)

func TestMessagesAreStoredAsSent(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	streams := []*harness.Stream{ada.Open(harness.OverSSE, "room=lobby"), ada.Open(harness.OverWS, "room=lobby")}
	for _, s := range streams {
		s.Opening()
	}
	for _, text := range harness.Texts {
		for _, body := range []any{harness.NewMessage{Message: text}, harness.Raw(text)} {
			e := ada.Do("POST", "/v1/rooms/lobby/messages", body).Want(201).Event()
			if e.Type != "chat_message" || e.Message != text || e.User != "ada" || e.Room != "lobby" {
				t.Errorf("%T %q posted as %s", body, text, e.Raw)
			}
			for _, s := range streams {
				if got := s.Message(text); !bytes.Equal(got.Raw, e.Raw) {
					t.Errorf("%s event =\n%s, want\n%s", s.Over, got.Raw, e.Raw)
				}
			}
			page := ada.History("lobby", "limit=1")
			if len(page.Items) != 1 || !bytes.Equal(page.Items[0].Raw, e.Raw) {
				t.Errorf("history = %s\nbut the answer was\n%s", harness.Show(page.Items), e.Raw)
			}
		}
	}
}

func TestAnyOtherContentTypeIsRawText(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for _, contentType := range []string{
		"-", "text/plain", "text/plain; charset=utf-8", "application/x-www-form-urlencoded", "application/octet-stream",
		"text/html", "TEXT/PLAIN", "nonsense",
	} {
		const text = `{"message": "hi"} & a=b%20c`
		e := ada.Do("POST", "/v1/rooms/lobby/messages", harness.Raw(text), "Content-Type: "+contentType).Want(201).Event()
		if e.Message != text {
			t.Errorf("Content-Type %q: %q posted as %q", contentType, text, e.Message)
		}
	}
	for _, contentType := range []string{"application/json", "application/json; charset=utf-8", "Application/JSON"} {
		e := ada.Do("POST", "/v1/rooms/lobby/messages", harness.Raw(` {"message" : "a\u00e9\ud83d\ude00\u2028"} `), "Content-Type: "+contentType).Want(201).Event()
		if e.Message != "aé😀\u2028" {
			t.Errorf("Content-Type %q: message = %q", contentType, e.Message)
		}
	}
}

func TestNonceIsEchoed(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	s := ada.Open(harness.OverWS, "room=lobby")
	s.Opening()
	for _, nonce := range []string{"n1", `<"🎲">`, strings.Repeat("ñ", 64)} {
		e := ada.Do("POST", "/v1/rooms/lobby/messages", harness.NewMessage{Message: "hi", Nonce: nonce}).Want(201).Event()
		if got := s.Message("hi"); e.Nonce != nonce || got.Nonce != nonce {
			t.Errorf("nonce %q: response has %q, stream has %q", nonce, e.Nonce, got.Nonce)
		}
	}
	ada.Post("lobby", "without")
	if got := s.Message("without"); bytes.Contains(got.Raw, []byte("nonce")) {
		t.Errorf("event without a nonce has one: %s", got.Raw)
	}
}

func TestLongestMessages(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	for name, text := range map[string]string{"letters": strings.Repeat("a", 4000), "emoji": strings.Repeat("😀", 4000), "quotes": strings.Repeat(`"`, 4000)} {
		for _, body := range []any{harness.NewMessage{Message: text}, harness.Raw(text)} {
			if e := ada.Do("POST", "/v1/rooms/lobby/messages", body).Want(201).Event(); e.Message != text {
				t.Errorf("4,000 %s posted as a different text", name)
			}
		}
		for _, body := range []any{harness.NewMessage{Message: text + text[:len(text)/4000]}, harness.Raw(text + text[:len(text)/4000])} {
			ada.Do("POST", "/v1/rooms/lobby/messages", body).WantProblem(400, "message_too_long", "message")
		}
	}
	escaped := `{"message":"` + strings.Repeat(`\ud83d\ude00`, 4000) + `"}`
	ada.Do("POST", "/v1/rooms/lobby/messages", harness.Raw(escaped), "Content-Type: application/json").Want(201)
}

func TestConcurrentPostsHaveDenseIDs(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	for i := range 4 {
		ada.Enter(fmt.Sprint("room", i))
	}
	first := ada.Post("room0", "first")
	const posters, each = 16, 25
	harness.InParallel(posters, func(i int) {
		for n := range each {
			if _, err := ada.TryPost(fmt.Sprint("room", i%4), fmt.Sprintf("%d of %d", n, i)); err != nil {
				t.Error(err)
			}
		}
	})
	var all []int64
	for i := range 4 {
		history := ada.WholeHistory(fmt.Sprint("room", i))
		if got := harness.IDs(history); !slices.IsSorted(got) {
			t.Errorf("history of room%d not in order: %v", i, got)
		}
		all = append(all, harness.IDs(history)...)
		next := map[string]int{} // each poster's messages are in order
		for _, e := range history {
			var n int
			var poster string
			if _, err := fmt.Sscanf(e.Message, "%d of %s", &n, &poster); err == nil {
				if n != next[poster] {
					t.Errorf("got poster %s's message %d, want %d", poster, n, next[poster])
				}
				next[poster]++
			}
		}
	}
	slices.Sort(all)
	for i, id := range all {
		if id != first.ID+int64(i) {
			t.Fatalf("id %d is %d, want %d", i, id, first.ID+int64(i))
		}
	}
	if len(all) != posters*each+1 {
		t.Errorf("the history has %d messages, want %d", len(all), posters*each+1)
	}
}

func TestSentAtIsTheServersTime(t *testing.T) {
	t.Parallel()
	p := harness.StartProgram(t)
	ada := p.Signup(t, "ada")
	ada.Enter("lobby")
	before := time.Now().Truncate(time.Millisecond)
	e := ada.Post("lobby", "hi")
	var sent struct {
		SentAt time.Time `json:"sent_at"`
	}
	if err := json.Unmarshal(e.Raw, &sent); err != nil {
		t.Fatal(err)
	}
	if sent.SentAt.Before(before) || sent.SentAt.After(time.Now()) {
		t.Errorf("sent_at = %v, want a time after %v", sent.SentAt, before)
	}
}
