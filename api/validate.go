package api

import (
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

	"tandem/auth"
	"tandem/chat"
)

// MaxBody is the largest request body, in bytes.
const MaxBody = 64 << 10

// bodyTimeout is how long a client may take to send its body.
const bodyTimeout = 10 * time.Second

// operation is an operation of openapi.yaml.
type operation struct {
	route   *routers.Route
	secured bool // requires an access token
	open    bool // requires none with anonymous-read
	body    *openapi3.RequestBody
	raw     bool     // accepts a body of any type as text
	streams bool     // accepts bytes of any type, which are not read before its handler runs
	single  []string // the query parameters that are not lists
	shape   *shape   // recognizes ordinary requests; nil recognizes none
	// What API tokens cannot reach: accounts is for users, and a token limited to rooms only reaches rooms.
	accounts bool
	inRooms  bool
	scope    string // that an API token must have, and nobody else can; empty for none
}

// scopes are the scopes that operations require.
var scopes = map[string]string{"createSession": auth.ScopeSessions}

func operationsOf(doc *openapi3.T) map[string]*operation {
	ops := make(map[string]*operation)
	for path, item := range doc.Paths.Map() {
		for method, o := range item.Operations() {
			op := &operation{
				route: &routers.Route{Spec: doc, Path: path, PathItem: item, Method: method, Operation: o},
				// Without its own security, the document's applies, which is the access token; an empty alternative
				// means anonymous-read.
				secured: o.Security == nil || len(*o.Security) > 0,
				single:  singleParameters(item, o, doc),
				open:    o.Security != nil && slices.ContainsFunc(*o.Security, func(r openapi3.SecurityRequirement) bool { return len(r) == 0 }),
			}
			op.shape = shapeOf(item, o)
			op.scope = scopes[o.OperationID]
			// The validator would read a whole body, unbounded, to check security; authenticate does it instead.
			o.Security = openapi3.NewSecurityRequirements()
			// The current user, the rooms, and everything in a room.
			me := path == "/v1/me" && method == http.MethodGet
			op.accounts = slices.Contains(o.Tags, "accounts") && !me
			op.inRooms = me || path == "/v1/rooms" && method == http.MethodGet || strings.HasPrefix(path, "/v1/rooms/{room}") ||
				strings.HasPrefix(path, "/v1/files/") // chat checks that they belong to these rooms
			if o.RequestBody != nil {
				op.body = o.RequestBody.Value
				_, op.raw = op.body.Content["text/plain"]
				_, op.streams = op.body.Content["*/*"]
			}
			ops[o.OperationID] = op
		}
	}
	return ops
}

// readBody reads a whole body, bounded in bytes and time, and refuses invalid JSON before anything parses it.
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
				c.Response().Header().Set("Connection", "close") // net/http would wait for much of it before it responds
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
				return errBodyTimeout()
			}
			if err != nil {
				return errBodyBroken()
			}
			if r.ContentLength != 0 { // the background reader must not fail at the deadline
				_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Time{})
			}
			switch {
			case len(data) == 0 && !op.body.Required:
				r.Header.Del("Content-Type")
			case isJSON(r.Header.Get("Content-Type")):
				r.Header["Content-Type"] = typeJSON
				if err := checkJSON(data); err != nil {
					return err
				}
			case op.raw:
				r.Header["Content-Type"] = typeText
			default:
				f := badField("Content-Type", "send application/json (curl --json does)")
				f.code = "unsupported_media_type"
				return f
			}
			r.Body = newReadyBody(data)
			r.ContentLength = int64(len(data))
			return next(c)
		}
	}
}

// The media types that validation and handlers see. They are shared and never appended to.
var typeJSON, typeText = []string{"application/json"}, []string{"text/plain"}

func isJSON(contentType string) bool {
	if contentType == "application/json" { // the usual spelling
		return true
	}
	kind, _, _ := mime.ParseMediaType(contentType)
	return kind == "application/json" || strings.HasSuffix(kind, "+json")
}

func isMultipart(contentType string) bool {
	return len(contentType) >= len("multipart/") && strings.EqualFold(contentType[:len("multipart/")], "multipart/")
}

// errMultipart is for curl -F: the raw form with its boundaries is never meant as a message.
func errMultipart() *fault {
	f := badField("Content-Type", "a message cannot be a form: send its text as the body (curl -d 'hi'), or JSON (curl --json '{\"message\":\"hi\"}')")
	f.status, f.code, f.title = http.StatusUnsupportedMediaType, "unsupported_media_type", "Unsupported media type"
	return f
}

func errBodyTimeout() *fault {
	return &fault{http.StatusRequestTimeout, "body_timeout", "Body incomplete", "The body did not arrive within 10 seconds.", nil}
}

func errBodyBroken() *fault {
	return badField("body", "the body cannot be read: its encoding is broken, or it ended early")
}

func errTooLarge() *fault {
	return &fault{http.StatusRequestEntityTooLarge, "body_too_large", "Body too large", "A body can have at most 64 KiB.", nil}
}

var validation = &openapi3filter.Options{
	AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, // authenticate has done it
	MultiError:         true,
}

// withoutBody is validation for bodies that are files.
var withoutBody = &openapi3filter.Options{
	AuthenticationFunc: openapi3filter.NoopAuthenticationFunc,
	MultiError:         true,
	ExcludeRequestBody: true,
}

// validate refuses a request that the spec does not allow.
func (op *operation) validate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if op.shape.fits(c) {
			return next(c)
		}
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
		options := validation
		if op.streams {
			options = withoutBody
		}
		err := openapi3filter.ValidateRequest(r.Context(), &openapi3filter.RequestValidationInput{
			Request: r, PathParams: params, Route: op.route, Options: options,
		})
		if err != nil {
			return invalidRequest(err)
		}
		return next(c)
	}
}

// invalidRequest names the invalid fields. It never repeats a value, which may be a password.
func invalidRequest(err error) *fault {
	f := &fault{status: http.StatusBadRequest, code: "invalid_request", title: "Invalid request"}
	collect(f, "", err)
	if len(f.fields) == 0 {
		f.detail = "The request does not match /openapi.yaml."
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

// emptyMessage is chat's error for an invisible message.
var emptyMessage, _ = faultOf(chat.ErrMessageEmpty)

// absent records a missing required field.
func (f *fault) absent(name, reason string) {
	if name == "message" {
		f.code, reason = emptyMessage.code, emptyMessage.detail
	}
	f.fields = append(f.fields, field{name, sentence(reason)})
}

// unsupported matches openapi3's error for an unknown property, the only place that names it.
var unsupported = regexp.MustCompile(`^property "(.*)" is unsupported$`)

func collect(f *fault, name string, err error) {
	switch e := err.(type) { //nolint:errorlint // the outermost one counts: a RequestError wraps a SchemaError
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
