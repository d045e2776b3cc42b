package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"tandem/auth"
	"tandem/chat"
	"tandem/files"
	"tandem/inlets"
	"tandem/realtime"
)

// fault is an error as the client sees it.
type fault struct {
	status int
	code   string
	title  string
	detail string
	fields []field
}

// field is an error of one field.
type field struct {
	Field  string `json:"field"`
	Detail string `json:"detail"`
}

func (f *fault) Error() string { return f.code + ": " + f.detail }

// badField returns a 400 about one field.
func badField(name, format string, args ...any) *fault {
	detail := sentence(fmt.Sprintf(format, args...))
	return &fault{http.StatusBadRequest, "invalid_request", "Invalid request", detail, []field{{name, detail}}}
}

// faults maps the errors of other packages. Their text is the detail.
var faults = []struct {
	err    error
	status int
	code   string
	title  string
	field  string
}{
	{chat.ErrRoomNotFound, http.StatusNotFound, "room_not_found", "Room not found", "room"},
	{chat.ErrRoomExists, http.StatusConflict, "room_exists", "Room exists", "name"},
	{chat.ErrForbidden, http.StatusForbidden, "forbidden", "Forbidden", ""},
	{chat.ErrLastOwner, http.StatusConflict, "last_owner", "Last owner", ""},
	{chat.ErrBanned, http.StatusConflict, "user_banned", "User is banned", "username"},
	{chat.ErrLastAdmin, http.StatusConflict, "last_admin", "Last admin", "username"},
	{chat.ErrMayNotPost, http.StatusForbidden, "posting_restricted", "Posting is restricted", ""},
	{chat.ErrMuted, http.StatusForbidden, "muted", "Muted", ""},
	{chat.ErrSlowMode, http.StatusTooManyRequests, "slow_mode", "Slow mode", ""},
	{chat.ErrUnchecked, http.StatusServiceUnavailable, "unavailable", "Not checked", ""},
	{chat.ErrNoBeforePost, http.StatusNotFound, "before_post_not_found", "No hook", ""},
	{chat.ErrNoReport, http.StatusNotFound, "report_not_found", "Report not found", "id"},
	{chat.ErrNoMessage, http.StatusNotFound, "message_not_found", "Message not found", "id"},
	{chat.ErrNotYours, http.StatusForbidden, "forbidden", "Forbidden", ""},
	{chat.ErrBlocked, http.StatusForbidden, "blocked", "Blocked", ""},
	{chat.ErrLimitReached, http.StatusConflict, "limit_reached", "Limit reached", ""},
	{chat.ErrManyReactions, http.StatusConflict, "too_many_reactions", "Too many kinds of reactions", "emoji"},
	{chat.ErrMessageEmpty, http.StatusBadRequest, "message_empty", "Message empty", "message"},
	{chat.ErrMessageTooBig, http.StatusBadRequest, "message_too_long", "Message too long", "message"},
	{chat.ErrKeyMismatch, http.StatusUnprocessableEntity, "idempotency_mismatch", "Idempotency key reused", "Idempotency-Key"},
	{chat.ErrGone, http.StatusUnauthorized, "invalid_token", "Invalid token", ""},
	{chat.ErrUserNotFound, http.StatusNotFound, "user_not_found", "User not found", "username"},
	{chat.ErrNoHook, http.StatusNotFound, "hook_not_found", "Hook not found", "id"},
	{chat.ErrNoFile, http.StatusNotFound, "file_not_found", "File not found", "id"},
	{files.ErrTooLarge, http.StatusRequestEntityTooLarge, "file_too_large", "File too large", ""},
	{files.ErrFull, http.StatusInsufficientStorage, "storage_full", "Storage full", ""},
	{files.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "Unavailable", ""},
	{errBadLink, http.StatusUnauthorized, "invalid_token", "Invalid link", "link"},
	{chat.ErrUnavailable, http.StatusServiceUnavailable, "unavailable", "Unavailable", ""},
	{realtime.ErrDraining, http.StatusServiceUnavailable, "unavailable", "Unavailable", ""},
	{realtime.ErrNoMemory, http.StatusServiceUnavailable, "unavailable", "Unavailable", ""},
	{realtime.ErrAnonymous, http.StatusUnauthorized, "missing_token", "Credentials missing", ""},
	{realtime.ErrExpired, http.StatusUnauthorized, "token_expired", "Token expired", ""},
	{realtime.ErrUpgrade, http.StatusBadRequest, "bad_upgrade", "No WebSocket handshake", ""},
	{chat.ErrTokenScope, http.StatusForbidden, "token_scope", "Outside the token's scope", ""},
	{chat.ErrNoInlet, http.StatusNotFound, "inlet_not_found", "Inlet not found", "id"},
	{inlets.ErrNotUnderstood, http.StatusBadRequest, "not_understood", "Not understood", "body"},
	{auth.ErrNoSession, http.StatusNotFound, "session_not_found", "Session not found", "id"},
	{auth.ErrNoUser, http.StatusNotFound, "user_not_found", "User not found", "username"},
	{auth.ErrSessionForbidden, http.StatusForbidden, "forbidden", "Forbidden", ""},
	{auth.ErrNoToken, http.StatusNotFound, "token_not_found", "API token not found", "id"},
	{auth.ErrWrongPassword, http.StatusForbidden, "wrong_password", "Wrong password", "current_password"},
	{auth.ErrBusy, http.StatusServiceUnavailable, "unavailable", "Unavailable", ""},
	{auth.ErrLooksTaken, http.StatusConflict, "username_taken", "Username taken", "username"},
	{auth.ErrNameTaken, http.StatusConflict, "username_taken", "Username taken", "username"},
	{auth.ErrSignupClosed, http.StatusForbidden, "signup_closed", "Signing up is closed", ""},
	{auth.ErrLoginClosed, http.StatusForbidden, "login_closed", "Logging in is closed", ""},
	{auth.ErrNoIssuerKeys, http.StatusServiceUnavailable, "unavailable", "Unavailable", ""},
	{auth.ErrBadPassword, http.StatusBadRequest, "invalid_request", "Invalid request", "password"},
	{auth.ErrBadCredentials, http.StatusUnauthorized, "bad_credentials", "Wrong username or password", ""},
	{auth.ErrInvalidToken, http.StatusUnauthorized, "invalid_token", "Invalid token", ""},
	{auth.ErrTokenExpired, http.StatusUnauthorized, "token_expired", "Token expired", ""},
	{auth.ErrInvalidRefresh, http.StatusUnauthorized, "invalid_token", "Invalid token", "refresh_token"},
	{auth.ErrRefreshReused, http.StatusUnauthorized, "refresh_reused", "Refresh token reused", "refresh_token"},
	{auth.ErrInvalidTicket, http.StatusUnauthorized, "invalid_token", "Invalid ticket", "ticket"},
	{errBadOrigin, http.StatusForbidden, "bad_origin", "Origin not allowed", "Origin"},
	{errRateLimited, http.StatusTooManyRequests, "rate_limited", "Rate limited", ""},
	{realtime.ErrTooManyStreams, http.StatusTooManyRequests, "too_many_streams", "Too many streams", ""},
	{errNotOverSocket, http.StatusBadRequest, "not_over_socket", "Not available over the WebSocket", "path"},
	{errMissingToken, http.StatusUnauthorized, "missing_token", "Credentials missing", ""},
}

// faultOf returns the client's view of err; false for an unknown error, which is a 500.
func faultOf(err error) (*fault, bool) {
	if f, ok := errors.AsType[*fault](err); ok {
		return f, true
	}
	if i, ok := errors.AsType[*chat.Invalid](err); ok {
		return badField(i.Field, "%s", i.Detail), true
	}
	if r, ok := errors.AsType[*chat.Refused](err); ok {
		return &fault{http.StatusForbidden, "refused", "Refused", r.Text, nil}, true
	}
	for _, m := range faults {
		if !errors.Is(err, m.err) {
			continue
		}
		f := &fault{m.status, m.code, m.title, sentence(m.err.Error()), nil}
		if m.err == chat.ErrMuted || m.err == chat.ErrSlowMode || m.err == chat.ErrRoomNotFound || m.err == chat.ErrLimitReached || m.err == realtime.ErrUpgrade {
			f.detail = sentence(err.Error()) // the text is specific
		}
		if m.field != "" {
			f.fields = []field{{m.field, f.detail}}
		}
		return f, true
	}
	// JSON Schema calls 1.0 and 1e2 integers; Go parses neither as one.
	if u, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return badField(u.Field, "this cannot be parsed; write integers without a fraction or an exponent"), true
	}
	if h, ok := errors.AsType[*echo.HTTPError](err); ok {
		switch h.Code {
		case http.StatusNotFound:
			return &fault{h.Code, "not_found", "Not found", "There is nothing at this path.", nil}, true
		case http.StatusMethodNotAllowed:
			return &fault{h.Code, "method_not_allowed", "Method not allowed", "See the Allow header for the methods of this path.", nil}, true
		case http.StatusBadRequest:
			return &fault{h.Code, "invalid_request", "Invalid request", fmt.Sprint(h.Message), nil}, true
		}
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return &fault{http.StatusServiceUnavailable, "unavailable", "Unavailable", "The request was canceled.", nil}, true
	}
	return &fault{http.StatusInternalServerError, "internal", "Internal error", "The server failed; its log has the reason under the request id.", nil}, false
}

// both merges the faults of two fields into one.
func both(a, b error) error {
	if a == nil || b == nil {
		return errors.Join(a, b)
	}
	first, known := faultOf(a)
	second, alsoKnown := faultOf(b)
	if !known || !alsoKnown {
		return errors.Join(a, b)
	}
	first.fields = append(first.fields, second.fields...)
	return first
}

// sentence turns an error's text into a sentence.
func sentence(text string) string {
	r, n := utf8.DecodeRuneInString(text)
	text = string(unicode.ToUpper(r)) + text[n:]
	if !strings.HasSuffix(text, ".") {
		text += "."
	}
	return text
}

// problem is the only place that writes errors: RFC 9457. It logs what the client need not know.
func (s *Server) problem(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	f, known := faultOf(err)
	s.counts.problem(f.code)
	h := c.Response().Header()
	// The database's failures and our own; not what a crowd, or a client that went away, can cause.
	if !known || errors.Is(err, files.ErrFull) || (errors.Is(err, chat.ErrUnavailable) || errors.Is(err, files.ErrUnavailable)) && !errors.Is(err, context.Canceled) && !s.draining.Load() {
		s.Logger.Error("request failed", "id", h.Get(headerRequestID), "method", c.Request().Method,
			"path", s.loggedPath(c.Request().URL), "status", f.status, "error", err)
	}
	switch f.status {
	case http.StatusUnauthorized:
		challenge := "Bearer"
		if f.code == "invalid_token" || f.code == "token_expired" {
			challenge = `Bearer error="invalid_token"` // RFC 6750 §3.1
		}
		h.Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable:
		wait := time.Second
		switch {
		case errors.Is(err, auth.ErrBusy):
			wait = auth.MaxWait // until those who wait now are served
		case errors.Is(err, realtime.ErrNoMemory):
			wait = realtime.RetryNoMemory
		}
		h.Set("Retry-After", strconv.Itoa(seconds(wait)))
	}
	until := ""
	if n, ok := errors.AsType[*chat.NotYet](err); ok {
		until = chat.FormatTime(n.Until)
		h.Set("Retry-After", strconv.Itoa(seconds(n.Wait)))
	}
	switch f.code {
	case "bad_upgrade":
		h.Set("Sec-WebSocket-Version", "13") // RFC 6455 §4.4
	case "upgrade_required":
		h.Set("Upgrade", "websocket") // RFC 9110 §15.5.22
	}
	body, _ := json.Marshal(struct {
		Type   string  `json:"type"`
		Title  string  `json:"title"`
		Status int     `json:"status"`
		Detail string  `json:"detail,omitempty"`
		Code   string  `json:"code"`
		Until  string  `json:"until,omitempty"`
		Errors []field `json:"errors,omitempty"`
	}{"urn:tandem:problem:" + f.code, f.title, f.status, f.detail, f.code, until, f.fields})
	_ = c.Blob(f.status, "application/problem+json", body) // fails if the client is gone
}
