package api

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/labstack/echo/v4"

	"tandem/chat"
)

// MaxBody is the largest request body, in bytes.
const MaxBody = 64 << 10

// bodyTimeout is how long a client may take to send its body.
const bodyTimeout = 10 * time.Second

// operation is one operation of openapi.yaml.
type operation struct {
	route   *routers.Route
	secured bool // needs an access token
	open    bool // needs none where anonymous-read is on
	body    *openapi3.RequestBody
	raw     bool     // takes a body of any type as text
	single  []string // the query parameters that are no lists
	// What API tokens do not reach: accounts is for people, and a token limited to rooms stays in rooms.
	accounts bool
	inRooms  bool
}

func operationsOf(doc *openapi3.T) map[string]*operation {
	ops := make(map[string]*operation)
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			op := &operation{
				route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: o},
				// Without security of its own the document's applies, which is the access token; an alternative without
				// any is anonymous-read's.
				secured: o.Security == nil || len(*o.Security) > 0,
				single:  singleParameters(item, o, doc),
				open:    o.Security != nil && slices.ContainsFunc(*o.Security, func(r openapi3.SecurityRequirement) bool { return len(r) == 0 }),
			}
			// The validator reads a body whole, without a bound, for whatever says security; authenticate sees to it.
			o.Security = openapi3.NewSecurityRequirements()
			// Who am I, which rooms, and whatever is in a room.
			me := path == "/v1/me" && method == http.MethodGet
			op.accounts = slices.Contains(o.Tags, "accounts") && !me
			op.inRooms = me || path == "/v1/rooms" && method == http.MethodGet || strings.HasPrefix(path, "/v1/rooms/{room}")
			if o.RequestBody != nil {
				op.body = o.RequestBody.Value
				_, op.raw = op.body.Content["text/plain"]
			}
			ops[o.OperationID] = op
		}
	}
	return ops
}

// readBody reads a body whole, bounded in bytes and time, and refuses what is no proper JSON before anything
// looks into it.
func readBody(op *operation) echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if op.body == nil {
			return func(c echo.Context) error {
				c.Request().Body = http.NoBody // whatever was sent
				return next(c)
			}
		}
		return func(c echo.Context) error {
			r := c.Request()
			tooLarge := r.ContentLength > MaxBody
			if tooLarge {
				c.Response().Header().Set("Connection", "close") // net/http would wait for much of it before it answers
			}
			switch {
			case op.raw && isMultipart(r.Header.Get("Content-Type")):
				return errMultipart()
			case tooLarge:
				return errTooLarge()
			}
			data, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, MaxBody))
			if _, large := errors.AsType[*http.MaxBytesError](err); large {
				return errTooLarge()
			}
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return &fault{http.StatusRequestTimeout, "body_timeout", "Body incomplete", "The body did not arrive within 10 seconds.", nil}
			}
			if err != nil {
				return badField("body", "the body cannot be read: its encoding is broken, or it ended early")
			}
			if r.ContentLength != 0 { // what reads on in the background must not fail at the deadline
				_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Time{})
			}
			switch {
			case isJSON(r.Header.Get("Content-Type")):
				r.Header.Set("Content-Type", "application/json")
				if err := checkJSON(data); err != nil {
					return err
				}
			case op.raw:
				r.Header.Set("Content-Type", "text/plain")
			default:
				f := badField("Content-Type", "send application/json (curl --json does)")
				f.code = "unsupported_media_type"
				return f
			}
			r.Body = io.NopCloser(bytes.NewReader(data))
			r.ContentLength = int64(len(data))
			return next(c)
		}
	}
}

func isJSON(contentType string) bool {
	kind, _, _ := mime.ParseMediaType(contentType)
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

func isMultipart(contentType string) bool {
	return len(contentType) >= len("multipart/") && strings.EqualFold(contentType[:len("multipart/")], "multipart/")
}

// errMultipart is for curl -F: the form as it was sent, boundaries and all, is no message that anybody means.
func errMultipart() *fault {
	f := badField("Content-Type", "a message is no form: send its text as the body (curl -d 'hi' does), or JSON (curl --json '{\"message\":\"hi\"}')")
	f.status, f.code, f.title = http.StatusUnsupportedMediaType, "unsupported_media_type", "Unsupported media type"
	return f
}

func errTooLarge() *fault {
	return &fault{http.StatusRequestEntityTooLarge, "body_too_large", "Body too large", "A body has at most 64 KiB.", nil}
}

var validation = &openapi3filter.Options{
	AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, // authenticate has done it
	MultiError:         true,
}

// validate refuses a request that the operation's description does not allow.
func (op *operation) validate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		r := c.Request()
		if err := op.checkSingle(r); err != nil {
			return err
		}
		params := make(map[string]string, len(c.ParamNames()))
		for _, name := range c.ParamNames() {
			value := c.Param(name)
			if r.URL.RawPath != "" { // Echo routes by it, and then leaves parameters escaped
				var err error
				if value, err = url.PathUnescape(value); err != nil {
					return badField(name, "is not percent-encoded UTF-8")
				}
			}
			params[name] = value
		}
		err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, Route: op.route, Options: validation,
		})
		if err != nil {
			return invalidRequest(err)
		}
		return next(c)
	}
}

// invalidRequest names the fields that err is about. It never repeats a value, which may be a password.
func invalidRequest(err error) *fault {
	f := &fault{status: http.StatusBadRequest, code: "invalid_request", title: "Invalid request"}
	collect(f, "", err)
	if len(f.fields) == 0 {
		f.detail = "The request does not fit the description in /openapi.yaml."
		return f
	}
	if f.code == emptyMessage.code {
		if len(f.fields) == 1 {
			empty := *emptyMessage
			return &empty
		}
		f.code, f.title = "invalid_request", "Invalid request"
	}
	f.detail = f.fields[0].Field + ": " + f.fields[0].Detail
	return f
}

// emptyMessage is what chat says of a message that shows nothing.
var emptyMessage, _ = faultOf(chat.ErrMessageEmpty)

// absent notes a field that has to be there.
func (f *fault) absent(name, reason string) {
	if name == "message" {
		f.code, reason = emptyMessage.code, emptyMessage.detail
	}
	f.fields = append(f.fields, field{name, sentence(reason)})
}

// unsupported is what openapi3 says of a property that is not described; it names it nowhere else.
var unsupported = regexp.MustCompile(`^property "(.*)" is unsupported$`)

func collect(f *fault, name string, err error) {
	switch e := err.(type) {
	case nil:
	case openapi3.MultiError:
		for _, err := range e {
			collect(f, name, err)
		}
	case *openapi3filter.RequestError:
		switch {
		case e.Parameter != nil:
			name = e.Parameter.Name
		case e.RequestBody != nil && e.Input.Request.Header.Get("Content-Type") == "text/plain":
			name = "message"
		default:
			name = "body"
		}
		if e.Err == nil || errors.Is(e.Err, openapi3filter.ErrInvalidRequired) {
			f.absent(name, e.Reason)
			return
		}
		collect(f, name, e.Err)
	case *openapi3.SchemaError:
		if path := e.JSONPointer(); len(path) > 0 && name == "body" {
			name = strings.Join(path, ".")
		}
		if m := unsupported.FindStringSubmatch(e.Reason); m != nil && name == "body" {
			name = m[1]
		}
		switch {
		case e.SchemaField == "minLength" || e.SchemaField == "required":
			f.absent(name, e.Reason)
			return
		case name == "message" && e.SchemaField == "maxLength":
			f.code, f.title = "message_too_long", "Message too long"
		}
		f.fields = append(f.fields, field{name, sentence(e.Reason)})
	case *openapi3filter.ParseError:
		f.fields = append(f.fields, field{name, sentence(e.Reason)})
	default:
		f.fields = append(f.fields, field{name, sentence(err.Error())})
	}
}
