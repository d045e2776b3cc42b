// Package beforepost calls hooks before a message is posted: an HTTP request that decides whether it may be. Nothing
// here outlives the post. Ask may be called concurrently.
package beforepost

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
	"unicode"
	"unicode/utf8"

	lru "github.com/hashicorp/golang-lru/v2"
	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tandem/chat"
	"tandem/outbound"
	"tandem/panics"
)

const (
	// Timeout is how long a hook may take, including the wait for its turn; it bounds how much later a post is.
	Timeout = 500 * time.Millisecond
	// mostAtOnce is how many posts call a hook at once, so that a hanging hook holds few connections.
	mostAtOnce = 16
	// maxURL is the longest URL of a hook, in bytes.
	maxURL = 2000

	maxRefusal = 300 // characters
	maxReason  = 1000
	maxMarks   = 10
	// warnEvery is how often the log reports that a hook fails.
	warnEvery = time.Minute
)

// Asker implements chat.Asker.
type Asker struct {
	rooms  *outbound.Client // hooks of rooms only reach public addresses
	site   *outbound.Client // the operator's own hook may be anywhere
	lines  *lru.Cache[int64, *line]
	within time.Duration
	logger *slog.Logger
}

var _ chat.Asker = (*Asker)(nil)

// line is where posts wait for a room's hook.
type line struct {
	turns  chan struct{}
	warned atomic.Int64 // when the log last reported that it fails, in Unix nanoseconds
}

// New returns an Asker that calls the hooks of rooms with rooms, and the site's with site. within is how long a hook
// may take: Timeout, except in tests.
func New(rooms, site *outbound.Client, within time.Duration, logger *slog.Logger) *Asker {
	lines, _ := lru.New[int64, *line](10_000) // only fails for a size below 1
	return &Asker{rooms: rooms, site: site, lines: lines, within: within, logger: logger}
}

// CheckSecret returns an error if the secret cannot be used for a hook.
func CheckSecret(secret string) error {
	if _, err := webhooks.NewWebhook(secret); err != nil || !strings.HasPrefix(secret, "whsec_") || len(secret) < len("whsec_")+32 {
		return errors.New("it must be whsec_ and 24 to 64 bytes in base64")
	}
	return nil
}

// CheckURL implements chat.Asker.
func (a *Asker) CheckURL(ctx context.Context, url string) error {
	if len(url) > maxURL {
		return fmt.Errorf("it has at most %d bytes", maxURL)
	}
	return a.rooms.CheckURL(ctx, url)
}

// Ask implements chat.Asker.
func (a *Asker) Ask(ctx context.Context, h chat.BeforePost, question []byte) (v chat.Verdict, err error) {
	l := a.line(h.Room)
	if !panics.Do(a.logger, "calling a before-post hook", func() { v, err = a.ask(ctx, l, h, question) }) {
		err = errors.New("it panicked")
	}
	if err != nil && ctx.Err() == nil {
		now, last := time.Now().UnixNano(), l.warned.Load()
		if now-last > int64(warnEvery) && l.warned.CompareAndSwap(last, now) {
			a.logger.Warn("a before-post hook fails", "room", h.Room, "closed", h.Closed, "error", err)
		}
	}
	return v, err
}

func (a *Asker) line(room int64) *line {
	l, ok := a.lines.Get(room)
	if !ok {
		l = &line{turns: make(chan struct{}, mostAtOnce)}
		if earlier, there, _ := a.lines.PeekOrAdd(room, l); there {
			l = earlier
		}
	}
	return l
}

func (a *Asker) ask(ctx context.Context, l *line, h chat.BeforePost, question []byte) (v chat.Verdict, err error) {
	ctx, cancel := context.WithTimeout(ctx, a.within)
	defer cancel()
	select {
	case l.turns <- struct{}{}:
		defer func() { <-l.turns }()
	case <-ctx.Done():
		return v, errors.New("too many posts wait for it")
	}
	req, err := request(ctx, h, question)
	if err != nil {
		return v, err
	}
	client := a.rooms
	if h.Room == 0 {
		client = a.site
	}
	res, err := client.Do(req)
	if err != nil {
		return v, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	switch {
	case err != nil:
		return v, err
	case res.StatusCode/100 != 2:
		return v, fmt.Errorf("it answered %d", res.StatusCode)
	}
	return read(body)
}

// request returns a signed request.
func request(ctx context.Context, h chat.BeforePost, question []byte) (*http.Request, error) {
	signer, err := webhooks.NewWebhook(h.Secret)
	if err != nil {
		return nil, err
	}
	return outbound.SignedPost(ctx, h.URL, signer, "before_"+rand.Text(), time.Now(), question)
}

var markForm = regexp.MustCompile(`^[a-z0-9_.:-]{1,32}$`)

// read reads an answer. An empty one accepts the message.
func read(body []byte) (v chat.Verdict, err error) {
	if len(bytes.TrimSpace(body)) == 0 {
		return v, nil
	}
	var answer struct {
		Refuse *string
		Marks  []string
		Report string
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return v, errors.New("its answer is not valid JSON")
	}
	if len(answer.Marks) > maxMarks {
		return v, fmt.Errorf("its answer has more than %d marks", maxMarks)
	}
	for _, m := range answer.Marks {
		if !markForm.MatchString(m) {
			return v, errors.New("use 1 to 32 characters of a-z 0-9 _ . : - for a mark")
		}
	}
	v = chat.Verdict{Marks: answer.Marks, Report: strings.TrimSpace(plain(answer.Report, maxReason))}
	if answer.Refuse != nil {
		why := strings.TrimSpace(plain(*answer.Refuse, maxRefusal))
		if why == "" {
			why = "The message was refused."
		}
		v.Refuse = &why
	}
	return v, nil
}

// plain returns the beginning of a text, on one line and without invisible characters.
func plain(s string, most int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), unicode.Is(unicode.Cf, r), r == utf8.RuneError:
			return -1
		}
		return r
	}, s)
	if utf8.RuneCountInString(s) > most {
		s = string([]rune(s)[:most])
	}
	return s
}
