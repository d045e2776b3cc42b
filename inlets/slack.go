package inlets

import (
	"encoding/json"
	"regexp"
	"strings"
)

// slackMessage is the text that Slack's incoming webhooks accept.
type slackMessage struct {
	Text        string            `json:"text"`
	Blocks      []slackBlock      `json:"blocks"`
	Attachments []slackAttachment `json:"attachments"`
}

type slackAttachment struct {
	Fallback   string       `json:"fallback"`
	Pretext    string       `json:"pretext"`
	AuthorName string       `json:"author_name"`
	Title      string       `json:"title"`
	TitleLink  string       `json:"title_link"`
	Text       string       `json:"text"`
	Footer     string       `json:"footer"`
	Blocks     []slackBlock `json:"blocks"`
	Fields     []struct {
		Title string `json:"title"`
		Value any    `json:"value"` // some senders write numbers
	} `json:"fields"`
	Actions []slackAction `json:"actions"`
}

type slackAction struct {
	Text any    `json:"text"` // a string, or a slackText
	URL  string `json:"url"`
}

// slackBlock is any block or part of one; its fields tell them apart.
type slackBlock struct {
	Type     string          `json:"type"`
	Text     json.RawMessage `json:"text"` // a string in rich text, else a slackText
	Title    json.RawMessage `json:"title"`
	AltText  string          `json:"alt_text"`
	URL      string          `json:"url"`
	Name     string          `json:"name"`
	UserID   string          `json:"user_id"`
	Channel  string          `json:"channel_id"`
	Range    string          `json:"range"`
	Style    json.RawMessage `json:"style"` // bullet or ordered of lists
	Fields   []slackText     `json:"fields"`
	Elements []slackBlock    `json:"elements"`
}

type slackText struct {
	Type string `json:"type"` // mrkdwn or plain_text
	Text string `json:"text"`
}

func (t slackText) String() string {
	if t.Type == "plain_text" {
		return t.Text
	}
	return mrkdwn(t.Text)
}

func slack(body []byte) (string, error) {
	var m slackMessage
	if json.Unmarshal(body, &m) != nil {
		return "", ErrNotUnderstood
	}
	// With blocks, the text is only their summary for notifications.
	parts := []string{slackBlocks(m.Blocks)}
	if parts[0] == "" {
		parts[0] = mrkdwn(m.Text)
	}
	for _, a := range m.Attachments {
		parts = append(parts, a.String())
	}
	return paragraphs(parts...), nil
}

func (a slackAttachment) String() string {
	parts := []string{mrkdwn(a.Pretext), mrkdwn(a.AuthorName), link(mrkdwn(a.Title), a.TitleLink), mrkdwn(a.Text), slackBlocks(a.Blocks)}
	for _, f := range a.Fields {
		value, isText := f.Value.(string)
		if !isText && f.Value != nil {
			b, _ := json.Marshal(f.Value) // it came as JSON
			value = string(b)
		}
		parts = append(parts, label(mrkdwn(f.Title), mrkdwn(value)))
	}
	for _, action := range a.Actions {
		if text, isText := action.Text.(string); isText && action.URL != "" {
			parts = append(parts, link(text, action.URL))
		}
	}
	if text := paragraphs(parts...); text != "" {
		return paragraphs(text, mrkdwn(a.Footer))
	}
	return mrkdwn(a.Fallback)
}

// label is "title: value".
func label(title, value string) string {
	if title == "" || value == "" {
		return title + value
	}
	return strings.TrimSuffix(title, ":") + ": " + value
}

func slackBlocks(blocks []slackBlock) string {
	var parts []string
	for _, b := range blocks {
		parts = append(parts, b.String())
	}
	return paragraphs(parts...)
}

// String returns the text of a block that stands alone.
func (b slackBlock) String() string {
	switch b.Type {
	case "rich_text":
		return slackBlocks(b.Elements)
	case "rich_text_section", "rich_text_preformatted":
		return b.inline("")
	case "rich_text_quote":
		return "> " + strings.ReplaceAll(b.inline(""), "\n", "\n> ")
	case "rich_text_list":
		var parts []string
		for _, e := range b.Elements {
			parts = append(parts, "- "+e.inline(""))
		}
		return paragraphs(parts...)
	case "context":
		return b.inline(" ")
	case "actions":
		var parts []string
		for _, e := range b.Elements {
			if e.URL != "" {
				parts = append(parts, link(e.text(), e.URL))
			}
		}
		return paragraphs(parts...)
	case "image":
		return link(firstOf(plainText(b.Title), b.AltText), b.URL)
	}
	// header, section, markdown, video, and what there may be.
	parts := []string{firstOf(plainText(b.Title), ""), b.text()}
	for _, f := range b.Fields {
		// *Title*\nvalue, by convention.
		parts = append(parts, strings.Replace(f.String(), "\n", " ", 1))
	}
	return paragraphs(parts...)
}

// inline returns the text of a block's elements, joined.
func (b slackBlock) inline(between string) string {
	var parts []string
	for _, e := range b.Elements {
		var part string
		switch e.Type {
		case "link":
			part = link(e.text(), e.URL)
		case "emoji":
			part = ":" + e.Name + ":"
		case "user":
			part = "@" + e.UserID
		case "channel":
			part = "#" + e.Channel
		case "broadcast":
			part = "@" + e.Range
		case "image":
			part = e.AltText
		default:
			part = e.text()
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, between)
}

// text returns the block's own text: a string in rich text and markdown, an object elsewhere.
func (b slackBlock) text() string {
	var t slackText
	if plain := plainText(b.Text); plain != "" && json.Unmarshal(b.Text, &t) != nil {
		return plain
	}
	if b.Type == "mrkdwn" { // an element of context is a text itself
		return mrkdwn(plainText(b.Text))
	}
	return t.String()
}

// plainText returns a string, or the text of an object that has one.
func plainText(raw json.RawMessage) string {
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	var t slackText
	_ = json.Unmarshal(raw, &t) // or nothing
	return t.Text
}

func firstOf(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// marked matches text in angle brackets: a link, or a mention.
var marked = regexp.MustCompile(`<([^<>\n]+)>`)

var entities = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// mrkdwn makes Slack's markup readable. Bold text and code are readable as they are.
func mrkdwn(s string) string {
	s = marked.ReplaceAllStringFunc(s, func(m string) string {
		target, text, hasText := strings.Cut(m[1:len(m)-1], "|")
		switch {
		case strings.HasPrefix(target, "!date^"): // <!date^unix^format|text>
			return text
		case strings.HasPrefix(target, "!subteam^"):
			return firstOf(text, "@"+strings.TrimPrefix(target, "!subteam^"))
		case strings.HasPrefix(target, "!"): // <!here>, <!channel|channel>
			return "@" + strings.TrimPrefix(target, "!")
		case strings.HasPrefix(target, "@"), strings.HasPrefix(target, "#"):
			if hasText && text != "" {
				return target[:1] + strings.TrimPrefix(text, target[:1])
			}
			return target
		}
		return link(text, target)
	})
	return entities.Replace(s)
}
