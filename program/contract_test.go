package program

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// contract is openapi.yaml, against which every answer and every event of the suite is held.
var contract = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		panic(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		panic(err)
	}
	return doc
})

// schemaRules make the document's formats count; its times are UTC with milliseconds.
var schemaRules = []openapi3.SchemaValidationOption{
	openapi3.EnableFormatValidation(),
	openapi3.WithStringFormatValidator("date-time",
		openapi3.NewRegexpFormatValidator(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$`)),
}

// stableCode is how the codes of problems look: room_not_found.
var stableCode = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// checkAnswer fails t where an answer is not as openapi.yaml describes it. Streams are given without
// their body: their events are checked one by one.
func checkAnswer(t *testing.T, method, target string, status int, header http.Header, body []byte) {
	t.Helper()
	report := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s %s answered %d: %s\n%s", method, target, status, fmt.Sprintf(format, args...), clip(body))
	}
	if header.Get("X-Request-Id") == "" {
		report("no X-Request-Id")
	}
	for name, part := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
	} {
		if value := header.Get(name); !strings.Contains(value, part) || strings.Contains(value, "unsafe") {
			report("%s is %q", name, value)
		}
	}
	if status == http.StatusUnauthorized && header.Get("WWW-Authenticate") == "" {
		report("no WWW-Authenticate")
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		if seconds, err := strconv.Atoi(header.Get("Retry-After")); err != nil || seconds < 0 {
			report("Retry-After is %q", header.Get("Retry-After"))
		}
	}
	if status == http.StatusInternalServerError {
		report("nothing that a client sends may get a 500")
	}
	if method == http.MethodHead { // an answer to GET without its body
		method = http.MethodGet
		if len(body) > 0 {
			report("an answer to HEAD has a body")
		}
		body = nil
	} else if status >= 400 {
		checkProblem(report, status, header, body)
	}
	if header.Get("Cache-Control") == "" && status != http.StatusSwitchingProtocols {
		report("no Cache-Control")
	}
	u, err := url.ParseRequestURI(target)
	if err != nil {
		return // no route can be told; the rules above hold all the same
	}
	route, params := findRoute(method, u)
	if route == nil {
		if !slices.Contains([]int{400, 404, 405}, status) && u.Path != "/" {
			report("openapi.yaml has no such operation")
		}
		return
	}
	req := &http.Request{Method: method, URL: u, Header: http.Header{}}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, PathParams: params, Route: route},
		Status:                 status,
		Header:                 header,
		Options: &openapi3filter.Options{
			IncludeResponseStatus:   true,
			MultiError:              true,
			ExcludeResponseBody:     body == nil || strings.HasPrefix(header.Get("Content-Type"), "application/yaml"),
			SchemaValidationOptions: schemaRules,
		},
	}
	if err := openapi3filter.ValidateResponse(context.Background(), input.SetBodyBytes(body)); err != nil {
		report("not as openapi.yaml says: %v", err)
	}
}

func checkProblem(report func(string, ...any), status int, header http.Header, body []byte) {
	if media, _, _ := strings.Cut(header.Get("Content-Type"), ";"); media != "application/problem+json" {
		report("the Content-Type of a problem is %q", header.Get("Content-Type"))
		return
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		report("the problem is no JSON: %v", err)
		return
	}
	if err := contract().Components.Schemas["Problem"].Value.VisitJSON(value, schemaRules...); err != nil {
		report("not a Problem: %v", err)
		return
	}
	var p problem
	_ = json.Unmarshal(body, &p) // the schema has been checked
	if p.Status != status {
		report("the problem says %d", p.Status)
	}
	if !stableCode.MatchString(p.Code) {
		report("no stable code: %q", p.Code)
	}
	if p.Title == "" {
		report("no title")
	}
	for _, e := range p.Errors {
		if e.Field == "" || e.Detail == "" {
			report("an entry of errors says nothing")
		}
	}
}

// findRoute is the operation that openapi.yaml has for a request. Paths are compared as they were sent,
// segment by segment: `%2F` is part of a name.
func findRoute(method string, u *url.URL) (*routers.Route, map[string]string) {
	path := u.EscapedPath()
	if strings.HasPrefix(path, "/ws/") {
		path = strings.TrimSuffix(path, "/") // with a slash at the end or without
	}
	sent := strings.Split(path, "/")
	for pattern, item := range contract().Paths.Map() {
		operation := item.GetOperation(method)
		segments := strings.Split(pattern, "/")
		if operation == nil || len(segments) != len(sent) {
			continue
		}
		params := map[string]string{}
		fits := true
		for i, segment := range segments {
			if name, isParam := strings.CutPrefix(segment, "{"); isParam && sent[i] != "" {
				params[strings.TrimSuffix(name, "}")] = sent[i]
			} else if segment != sent[i] {
				fits = false
			}
		}
		if fits {
			return &routers.Route{Spec: contract(), Path: pattern, PathItem: item, Method: method, Operation: operation}, params
		}
	}
	return nil, nil
}

// eventKeys are the keys of each event in the order in which they come; absent ones are left out.
var eventKeys = map[string][]string{
	"chat_message": {"type", "id", "room", "user", "message", "sent_at", "nonce", "reply_to", "edited_at", "deleted", "reactions"},

	"private_message":           {"type", "id", "user", "target", "message", "sent_at", "nonce", "reply_to", "edited_at", "deleted"},
	"private_message_delivered": {"type", "id", "message_id", "user", "target", "message", "sent_at", "nonce", "reply_to", "deleted"},
	"message_edited":            {"type", "id", "room", "message_id", "user", "target", "message", "sent_at", "deleted"},
	"message_deleted":           {"type", "id", "room", "message_id", "user", "target", "sent_at"},
	"reaction_added":            {"type", "id", "room", "message_id", "user", "emoji", "sent_at"},
	"reaction_removed":          {"type", "id", "room", "message_id", "user", "emoji", "sent_at"},
	"message_read":              {"type", "room", "user", "message_id"},

	"room_updated":   {"type", "id", "room", "user", "title", "visibility", "posting", "sent_at"},
	"room_deleted":   {"type", "id", "room", "user", "sent_at"},
	"member_added":   {"type", "id", "room", "user", "target", "role", "sent_at"},
	"member_removed": {"type", "id", "room", "user", "target", "sent_at"},
	"stream_open":    {"type", "user", "rooms", "lost", "since", "resumed", "log"},
	"user_list":      {"type", "room", "users", "count"},
	"user_join":      {"type", "room", "user"},
	"user_leave":     {"type", "room", "user"},
	"user_typing":    {"type", "room", "user"},
	"ping":           {"type", "since"},
	"stream_reset":   {"type", "reason", "floor", "head"},
	"stream_close":   {"type", "reason", "retry_ms"},
}

// checkEvent says what is wrong with the JSON of an event.
func checkEvent(raw []byte) error {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return err
	}
	if bytes.ContainsAny(raw, "\r\n") {
		return fmt.Errorf("an event is one line")
	}
	if err := contract().Components.Schemas["Event"].Value.VisitJSON(value, schemaRules...); err != nil {
		return err
	}
	object, _ := value.(map[string]any)
	kind, _ := object["type"].(string)
	order, known := eventKeys[kind]
	if !known {
		return fmt.Errorf("the order of the keys of a %s is not known to this suite", kind)
	}
	want := slices.DeleteFunc(slices.Clone(order), func(key string) bool { _, has := object[key]; return !has })
	if got := keysOf(raw); !slices.Equal(got, want) {
		return fmt.Errorf("the keys are %v, not %v", got, want)
	}
	return nil
}

// keysOf are the keys of a JSON object in the order of the text.
func keysOf(object []byte) []string {
	d := json.NewDecoder(bytes.NewReader(object))
	var keys []string
	for depth, isKey := 0, false; ; {
		token, err := d.Token()
		if err == io.EOF {
			return keys
		}
		if err != nil {
			return nil
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
			isKey = depth == 1
			continue
		case json.Delim('}'), json.Delim(']'):
			depth--
		default:
			if depth == 1 && isKey {
				keys = append(keys, token.(string))
				isKey = false
				continue
			}
		}
		isKey = depth == 1
	}
}

func clip(body []byte) string {
	if len(body) > 400 {
		return string(body[:400]) + " …"
	}
	return string(body)
}

func TestContractIsServedAsWritten(t *testing.T) {
	t.Parallel()
	p := startProgram(t)
	written, err := os.ReadFile("openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if got := p.visitor(t).do("GET", "/openapi.yaml", nil).want(200); !bytes.Equal(got.body, written) {
		t.Errorf("the served document differs from openapi.yaml: %d bytes, not %d", len(got.body), len(written))
	}
}
