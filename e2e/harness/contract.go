package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
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

// Contract is openapi.yaml. The suite checks every answer and every event against it.
var Contract = sync.OnceValue(func() *openapi3.T {
	doc, err := openapi3.NewLoader().LoadFromFile("openapi.yaml")
	if err != nil {
		panic(err)
	}
	if err := doc.Validate(context.Background()); err != nil {
		panic(err)
	}
	return doc
})

// schemaRules enforces the formats in the document. Times must be UTC with milliseconds.
var schemaRules = []openapi3.SchemaValidationOption{
	openapi3.EnableFormatValidation(),
	openapi3.WithStringFormatValidator("date-time",
		openapi3.NewRegexpFormatValidator(`^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$`)),
}

// stableCode matches the codes of problems, such as room_not_found.
var stableCode = regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)

// CheckAnswer fails t if an answer does not match openapi.yaml. For a stream the body is nil: its events are checked one
// by one.
func CheckAnswer(t *testing.T, method, target string, status int, header http.Header, body []byte) {
	t.Helper()
	report := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s %s got status %d: %s\n%s", method, target, status, fmt.Sprintf(format, args...), Clip(body))
	}
	if header.Get("X-Request-Id") == "" {
		report("no X-Request-Id")
	}
	for name, part := range map[string]string{
		"Content-Security-Policy": "frame-ancestors 'none'", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
	} {
		if value := header.Get(name); !strings.Contains(value, part) || strings.Contains(value, "unsafe") {
			report("%s = %q", name, value)
		}
	}
	if status == http.StatusUnauthorized && header.Get("WWW-Authenticate") == "" {
		report("no WWW-Authenticate")
	}
	if status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable {
		if seconds, err := strconv.Atoi(header.Get("Retry-After")); err != nil || seconds < 0 {
			report("Retry-After = %q", header.Get("Retry-After"))
		}
	}
	if status == http.StatusInternalServerError {
		report("no request may cause a 500")
	}
	if method == http.MethodHead { // the answer to a GET, without the body
		method = http.MethodGet
		if len(body) > 0 {
			report("response to HEAD has a body")
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
		return // there is no route to check it against
	}
	route, params := findRoute(method, u)
	if route == nil {
		if !slices.Contains([]int{400, 404, 405}, status) && u.Path != "/" {
			report("operation missing from openapi.yaml")
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
		report("does not match openapi.yaml: %v", err)
	}
}

func checkProblem(report func(string, ...any), status int, header http.Header, body []byte) {
	if media, _, _ := strings.Cut(header.Get("Content-Type"), ";"); media != "application/problem+json" {
		report("Content-Type of the problem = %q", header.Get("Content-Type"))
		return
	}
	var value any
	if err := json.Unmarshal(body, &value); err != nil {
		report("problem is not JSON: %v", err)
		return
	}
	if err := Contract().Components.Schemas["Problem"].Value.VisitJSON(value, schemaRules...); err != nil {
		report("problem does not match the schema: %v", err)
		return
	}
	var p Problem
	_ = json.Unmarshal(body, &p) // the schema was checked above
	if p.Status != status {
		report("status in the problem = %d", p.Status)
	}
	if !stableCode.MatchString(p.Code) {
		report("problem code = %q, want a known code", p.Code)
	}
	if p.Title == "" {
		report("no title")
	}
	for _, e := range p.Errors {
		if e.Field == "" || e.Detail == "" {
			report("errors has an empty entry")
		}
	}
}

// findRoute returns openapi.yaml's operation for a request. It compares the escaped path segment by segment, so `%2F` is
// part of a name.
func findRoute(method string, u *url.URL) (*routers.Route, map[string]string) {
	path := u.EscapedPath()
	if strings.HasPrefix(path, "/ws/") {
		path = strings.TrimSuffix(path, "/") // a trailing slash is allowed
	}
	sent := strings.Split(path, "/")
	for pattern, item := range Contract().Paths.Map() {
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
			return &routers.Route{Spec: Contract(), Path: pattern, PathItem: item, Method: method, Operation: operation}, params
		}
	}
	return nil, nil
}

// eventKeys lists the keys of each event in their order. Optional keys may be absent.
var eventKeys = map[string][]string{
	"chat_message": {"type", "id", "room", "user", "via", "message", "data", "files", "mentions", "mentions_all", "thread", "marks", "sent_at", "nonce", "reply_to", "edited_at", "deleted", "reactions"},

	"private_message":           {"type", "id", "user", "target", "message", "data", "files", "mentions", "thread", "marks", "sent_at", "nonce", "reply_to", "edited_at", "deleted"},
	"private_message_delivered": {"type", "id", "message_id", "user", "target", "message", "data", "files", "mentions", "thread", "marks", "sent_at", "nonce", "reply_to", "deleted"},
	"message_edited":            {"type", "id", "room", "message_id", "user", "target", "message", "data", "mentions", "mentions_all", "marks", "sent_at", "deleted"},
	"message_deleted":           {"type", "id", "room", "message_id", "user", "target", "sent_at"},
	"reaction_added":            {"type", "id", "room", "message_id", "user", "emoji", "sent_at"},
	"reaction_removed":          {"type", "id", "room", "message_id", "user", "emoji", "sent_at"},
	"message_read":              {"type", "room", "user", "message_id"},
	"message_seen":              {"type", "room", "user", "message_id"},
	"message_pinned":            {"type", "id", "room", "message_id", "user", "target", "sent_at"},
	"message_unpinned":          {"type", "id", "room", "message_id", "user", "target", "sent_at"},

	"room_updated":    {"type", "id", "room", "user", "title", "visibility", "posting", "receipts", "slow_mode", "retention", "sent_at"},
	"room_deleted":    {"type", "id", "room", "user", "sent_at"},
	"member_added":    {"type", "id", "room", "user", "target", "role", "sent_at"},
	"member_removed":  {"type", "id", "room", "user", "target", "sent_at"},
	"member_muted":    {"type", "id", "room", "user", "target", "until", "sent_at"},
	"member_unmuted":  {"type", "id", "room", "user", "target", "sent_at"},
	"custom_event":    {"type", "id", "room", "target", "user", "name", "data", "sent_at"},
	"reports_updated": {"type", "room", "open"},

	"stream_open":  {"type", "user", "rooms", "lost", "since", "resumed", "log"},
	"user_list":    {"type", "room", "users", "count"},
	"user_join":    {"type", "room", "user"},
	"user_leave":   {"type", "room", "user"},
	"user_typing":  {"type", "room", "user"},
	"user_updated": {"type", "user"},
	"ping":         {"type", "since"},
	"stream_reset": {"type", "reason", "floor", "head"},
	"stream_close": {"type", "reason", "retry_ms"},
}

// checkEvent returns an error if the JSON of an event does not match the contract.
func checkEvent(raw []byte) error {
	var value any
	if err := json.Unmarshal(raw, &value); err != nil {
		return err
	}
	if bytes.ContainsAny(raw, "\r\n") {
		return fmt.Errorf("event is not on one line")
	}
	if err := Contract().Components.Schemas["Event"].Value.VisitJSON(value, schemaRules...); err != nil {
		return err
	}
	object, _ := value.(map[string]any)
	kind, _ := object["type"].(string)
	order, known := eventKeys[kind]
	if !known {
		return fmt.Errorf("eventKeys has no key order for a %s", kind)
	}
	want := slices.DeleteFunc(slices.Clone(order), func(key string) bool { _, has := object[key]; return !has })
	if got := KeysOf(raw); !slices.Equal(got, want) {
		return fmt.Errorf("keys = %v, want %v", got, want)
	}
	return nil
}

// KeysOf returns the keys of a valid JSON object in textual order. They are plain: no contract has others.
func KeysOf(object []byte) []string {
	var keys []string
	depth := 0
	for i := 0; i < len(object); i++ {
		switch object[i] {
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		case '"':
			start := i + 1
			for i = start; object[i] != '"'; i++ {
				if object[i] == '\\' {
					i++
				}
			}
			if depth == 1 && object[i+1] == ':' {
				keys = append(keys, string(object[start:i]))
			}
		}
	}
	return keys
}

func Clip(body []byte) string {
	if len(body) > 400 {
		return string(body[:400]) + " …"
	}
	return string(body)
}
