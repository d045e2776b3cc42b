package inlets

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"
)

// resentWithin is how long identical alerts count as a retry after a lost response: Alertmanager waits up to a minute
// before it retries. Later ones are a reminder (repeat_interval).
const resentWithin = 2 * time.Minute

// Read turns a request into a message of at most most characters. It returns ErrNotUnderstood.
func Read(header http.Header, body []byte, most int) (Message, error) {
	text, resent, err := read(header, body)
	if err != nil {
		return Message{}, err
	}
	m := Message{Text: shorten(clean(text), most), Key: keyOf(header)}
	if resent && m.Key == "" {
		sum := sha256.Sum256(body)
		m.Key, m.Within = "body "+hex.EncodeToString(sum[:16]), resentWithin
	}
	return m, nil
}

// keyOf returns the sender's id of a delivery, from whichever header; different headers never give the same key.
func keyOf(header http.Header) string {
	for _, name := range []string{"Idempotency-Key", "X-Github-Delivery", "Webhook-Id"} {
		if key := header.Get(name); key != "" {
			sum := sha256.Sum256([]byte(key)) // it can be long, with any characters
			return name + " " + hex.EncodeToString(sum[:16])
		}
	}
	return ""
}

// read returns the text of a request; resent reports whether its sender may repeat it without marking it.
func read(header http.Header, body []byte) (text string, resent bool, err error) {
	kind, _, _ := mime.ParseMediaType(header.Get("Content-Type"))
	isForm := kind == "application/x-www-form-urlencoded"
	if isForm && bytes.HasPrefix(body, []byte("payload=")) {
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return "", false, ErrNotUnderstood
		}
		body, kind = []byte(form.Get("payload")), "application/json"
	}
	if event := header.Get("X-Github-Event"); event != "" {
		text, err := github(event, body)
		return text, false, err
	}
	switch {
	case kind == "application/json" || strings.HasSuffix(kind, "+json"):
		return readJSON(body)
	case isForm || kind == "": // what curl -d sends for JSON too
		if text, resent, err := readJSON(body); err == nil {
			return text, resent, nil
		}
	}
	if !utf8.Valid(body) {
		return "", false, ErrNotUnderstood
	}
	return string(body), false, nil
}

func readJSON(body []byte) (text string, resent bool, err error) {
	var m struct {
		Message     json.RawMessage `json:"message"`
		Text        json.RawMessage `json:"text"`
		Blocks      json.RawMessage `json:"blocks"`
		Attachments json.RawMessage `json:"attachments"`
		Content     json.RawMessage `json:"content"`
		Embeds      json.RawMessage `json:"embeds"`
		Alerts      json.RawMessage `json:"alerts"`
		RuleName    json.RawMessage `json:"ruleName"`
	}
	if json.Unmarshal(body, &m) != nil {
		return "", false, ErrNotUnderstood
	}
	has := func(member json.RawMessage) bool { // many senders write null or [] for what they do not use
		return len(member) > 0 && string(member) != "null" && string(member) != "[]"
	}
	switch {
	case has(m.Alerts): // Grafana's also have a message
		text, err = alerts(body)
		return text, true, err
	case has(m.RuleName):
		text, err = legacyGrafana(body)
		return text, true, err
	case has(m.Text) || has(m.Blocks):
		text, err = slack(body)
	case has(m.Content) || has(m.Embeds): // Discord's may have attachments too
		text, err = discord(body)
	case has(m.Attachments):
		text, err = slack(body)
	case has(m.Message):
		if json.Unmarshal(m.Message, &text) != nil {
			err = ErrNotUnderstood
		}
	default:
		err = ErrNotUnderstood
	}
	return text, false, err
}
