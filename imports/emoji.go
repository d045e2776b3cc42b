package imports

import (
	_ "embed"
	"strings"
	"sync"
)

// The names that Slack, Mattermost and GitHub have for emoji, a line each: of emojibase-data (MIT), iamcal and github.
//
//go:embed emoji.txt
var emojiText string

var emojiNames = sync.OnceValue(func() map[string]string {
	names := make(map[string]string, 4000)
	for line := range strings.Lines(emojiText) {
		name, emoji, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		names[name] = emoji
	}
	return names
})

var skinTones = map[string]string{
	"skin-tone-2": "\U0001F3FB", "skin-tone-3": "\U0001F3FC", "skin-tone-4": "\U0001F3FD", "skin-tone-5": "\U0001F3FE", "skin-tone-6": "\U0001F3FF",
	// Mattermost's suffixes.
	"_light_skin_tone": "\U0001F3FB", "_medium_light_skin_tone": "\U0001F3FC", "_medium_skin_tone": "\U0001F3FD",
	"_medium_dark_skin_tone": "\U0001F3FE", "_dark_skin_tone": "\U0001F3FF",
}

// emojiNamed returns the emoji with a name such as tada, +1::skin-tone-3 or wave_dark_skin_tone; "" for custom ones.
func emojiNamed(name string) string {
	name = strings.Trim(name, ":")
	base, tone, toned := strings.Cut(name, "::")
	if e, ok := emojiNames()[base]; ok {
		if toned {
			return withTone(e, skinTones[tone])
		}
		return e
	}
	for end, tone := range skinTones {
		if base, ok := strings.CutSuffix(name, end); ok && emojiNames()[base] != "" {
			return withTone(emojiNames()[base], tone)
		}
	}
	return ""
}

// withTone sets the skin tone of the first person or hand in an emoji, in place of its variation selector.
func withTone(emoji, tone string) string {
	first, rest := []rune(emoji)[:1], []rune(emoji)[1:]
	if len(rest) > 0 && rest[0] == '\ufe0f' {
		rest = rest[1:]
	}
	return string(first) + tone + string(rest)
}
