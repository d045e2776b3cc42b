package inlets

import (
	"encoding/json"
	"regexp"
	"strconv"
	"strings"
	"time"
)

type discordMessage struct {
	Content string         `json:"content"`
	Embeds  []discordEmbed `json:"embeds"`
}

type discordEmbed struct {
	Title       string `json:"title"`
	URL         string `json:"url"`
	Description string `json:"description"`
	Author      struct {
		Name string `json:"name"`
	} `json:"author"`
	Fields []struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"fields"`
	Footer struct {
		Text string `json:"text"`
	} `json:"footer"`
}

func discord(body []byte) (string, error) {
	var m discordMessage
	if json.Unmarshal(body, &m) != nil {
		return "", ErrNotUnderstood
	}
	parts := []string{discordText(m.Content)}
	for _, e := range m.Embeds {
		parts = append(parts, e.Author.Name, link(discordText(e.Title), e.URL), discordText(e.Description))
		for _, f := range e.Fields {
			parts = append(parts, label(discordText(f.Name), discordText(f.Value)))
		}
		parts = append(parts, e.Footer.Text)
	}
	return paragraphs(parts...), nil
}

var (
	discordMark = regexp.MustCompile(`<(?:(@[!&]?|#)(\d+)|a?(:\w+:)\d+|t:(-?\d{1,11})(?::[tTdDfFR])?|(https?://[^\s<>]+))>`)
	maskedLink  = regexp.MustCompile(`\[([^\[\]\n]+)\]\(<?(https?://[^\s<>()]+)>?\)`)
)

// discordText makes Discord's markup readable. Bold text and code are readable as they are.
func discordText(s string) string {
	s = maskedLink.ReplaceAllStringFunc(s, func(m string) string {
		parts := maskedLink.FindStringSubmatch(m)
		return link(parts[1], parts[2])
	})
	return discordMark.ReplaceAllStringFunc(s, func(m string) string {
		parts := discordMark.FindStringSubmatch(m)
		switch {
		case parts[1] != "":
			return strings.TrimRight(parts[1], "!&") + parts[2]
		case parts[3] != "":
			return parts[3]
		case parts[4] != "":
			unix, _ := strconv.ParseInt(parts[4], 10, 64) // of eleven digits at most
			return time.Unix(unix, 0).UTC().Format("2006-01-02 15:04 UTC")
		}
		return parts[5]
	})
}
