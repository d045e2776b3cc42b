package imports

import (
	"regexp"
	"strings"
)

// What Slack escapes in texts.
var slackEscapes = strings.NewReplacer("&lt;", "<", "&gt;", ">", "&amp;", "&")

// slackMarkup is a mention, a channel, a command or a link: <@U12>, <#C12|general>, <!here>, <https://example.com|text>.
var slackMarkup = regexp.MustCompile(`<([^<>]+)>`)

// text returns a text as people read it. Mentions become @name with local names.
func (x *Slack) text(to Sink, s string) string {
	s = slackMarkup.ReplaceAllStringFunc(s, func(found string) string {
		target, label, labelled := strings.Cut(found[1:len(found)-1], "|")
		switch {
		case strings.HasPrefix(target, "@"):
			if name := to.Username(target[1:]); name != "" {
				return "@" + name
			}
			return "@" + strings.TrimPrefix(firstOf(label, target[1:]), "@")
		case strings.HasPrefix(target, "#"):
			return "#" + firstOf(label, x.rooms[target[1:]], target[1:])
		case target == "!channel" || target == "!everyone" || target == "!here":
			return "@all"
		case strings.HasPrefix(target, "!"):
			return firstOf(label, target[1:])
		case labelled && label != target && "http://"+label != target && "https://"+label != target && "mailto:"+label != target:
			return label + " (" + target + ")"
		case labelled:
			return label
		}
		return target
	})
	return slackEscapes.Replace(s)
}

// firstOf returns the first non-empty string.
func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}
