package terminal

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"tandem/client"
)

// sending has the options of post and private for sending.
type sending struct {
	File    []string      `short:"f" type:"existingfile" placeholder:"FILE" help:"Upload a file and send it with the message, or without one; up to ten."`
	Lines   bool          `help:"Send each line of standard input as a separate message, as it arrives."`
	Thread  int64         `placeholder:"ID" help:"Reply in the thread of this message."`
	ReplyTo int64         `placeholder:"ID" help:"Reply to this message."`
	Key     string        `placeholder:"KEY" help:"The Idempotency-Key. A script that may run twice for the same message passes the same key."`
	Timeout time.Duration `default:"2m" help:"How long to keep trying."`
	Result  bool          `help:"Print the message's event as a line of JSON."`
}

// longest is the server's limit for a message, in characters.
const longest = 4000

// most is the server's limit for a message, in bytes of its longest characters, and some more, so that the server
// reports what is too long.
const most = 64 << 10

// send sends words, standard input or files to a room or a conversation.
func (s *sending) send(ctx context.Context, c *client.Client, to string, words []string) error {
	stdin := len(words) == 1 && words[0] == "-" || len(words) == 0 && len(s.File) == 0
	if s.Lines {
		if len(words) > 0 && !stdin || len(s.File) > 0 || s.Key != "" {
			return errors.New("--lines only works with standard input")
		}
		return s.each(ctx, c, to, os.Stdin)
	}
	text := strings.Join(words, " ")
	if stdin {
		if onTerminal(os.Stdin) {
			fmt.Fprintln(os.Stderr, "Write the message and end it with Ctrl-D.")
		}
		all, err := io.ReadAll(io.LimitReader(os.Stdin, most))
		if err != nil {
			return err
		}
		text = strings.TrimRight(string(all), "\r\n")
	}
	var files []string
	for _, path := range s.File {
		id, err := s.upload(ctx, c, to, path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		files = append(files, id)
	}
	key := s.Key
	if key == "" {
		key = rand.Text()
	}
	return s.post(ctx, c, to, text, files, key)
}

// each posts line by line; empty lines of a program's output are not messages.
func (s *sending) each(ctx context.Context, c *client.Client, to string, from io.Reader) error {
	in := bufio.NewReader(from)
	for {
		line, end := nextLine(in)
		if line != "" {
			if err := s.post(ctx, c, to, line, nil, rand.Text()); err != nil {
				return err
			}
		}
		if end != nil {
			return ignoreEnd(end)
		}
	}
}

// nextLine returns the next line, or "" for a blank one. It cuts a line to the server's limit, so that a long one does not
// stop those after it.
func nextLine(in *bufio.Reader) (string, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		line = append(line, part[:min(len(part), most-len(line))]...)
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		text := strings.TrimSuffix(strings.TrimSuffix(string(line), "\n"), "\r")
		switch {
		case strings.TrimSpace(text) == "":
			return "", err
		case utf8.RuneCountInString(text) > longest:
			text = string([]rune(text)[:longest-1]) + "…"
		}
		return text, err
	}
}

func (s *sending) post(ctx context.Context, c *client.Client, to, text string, files []string, key string) error {
	body := map[string]any{}
	if text != "" || len(files) == 0 {
		body["message"] = text
	}
	if len(files) > 0 {
		body["files"] = files
	}
	if s.Thread > 0 {
		body["thread"] = s.Thread
	}
	if s.ReplyTo > 0 {
		body["reply_to"] = s.ReplyTo
	}
	var event json.RawMessage
	err := s.insist(ctx, c, client.Call{
		Method: http.MethodPost, Path: to + "/messages", JSON: body, Header: http.Header{"Idempotency-Key": {key}},
	}, &event)
	if err == nil && s.Result {
		line := string(event)
		if onTerminal(os.Stdout) {
			line = plainJSON(line)
		}
		_, err = fmt.Println(line)
	}
	return err
}

// upload uploads a file and returns its id. A retry may store it twice: the server deletes one that no message takes.
func (s *sending) upload(ctx context.Context, c *client.Client, to, path string) (string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() {
		return "", errors.New("this is not a file")
	}
	var file struct{ ID string }
	err = s.insist(ctx, c, client.Call{
		Method: http.MethodPost, Path: to + "/files", Query: url.Values{"name": {fileName(path)}},
		Header: http.Header{"Content-Type": {"application/octet-stream"}},
		Open:   func() (io.ReadCloser, error) { return os.Open(path) }, Size: info.Size(),
	}, &file)
	return file.ID, err
}

func (s *sending) insist(ctx context.Context, c *client.Client, call client.Call, out any) error {
	ctx, cancel := context.WithTimeoutCause(ctx, s.Timeout, client.ErrUnreachable)
	defer cancel()
	limit := callTimeout
	if call.Open != nil {
		limit = s.Timeout
	}
	return c.Insist(ctx, limit, call, out)
}
