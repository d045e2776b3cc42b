package program

import (
	"log/slog"
	"strings"
	"testing"
)

// A URL that could never be called is refused at the start and by "tandem check".
func TestBeforePostURLsThatCannotBeCalled(t *testing.T) {
	for url, want := range map[string]string{
		"chat.example.com/check":      "https://",
		"ftp://chat.example.com":      "https://",
		"https:///check":              "no host",
		"http://u:pw@127.0.0.1:8000/": "a username or a password",
	} {
		_, err := Settings{BeforePostURL: url, BeforePostSecret: "whsec_" + strings.Repeat("A", 43) + "="}.asking(nil, nil, slog.Default())
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "before-post-url") || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: got %v, want an error about before-post-url with %q", url, err, want)
		}
	}
}
