package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"tandem/program"
)

// WithHooks lets hooks call loopback addresses, where the tests' receivers are.
func WithHooks(cfg *program.Settings) { cfg.HooksAllow = []string{"127.0.0.1"} }

// Hook is a hook as the API returns it.
type Hook struct {
	ID           int64    `json:"id"`
	Secret       string   `json:"secret"`
	URL          string   `json:"url"`
	Events       []string `json:"events"`
	Paused       bool     `json:"paused"`
	PausedReason string   `json:"paused_reason"`
	Cursor       string   `json:"cursor"`
	Lag          int      `json:"lag"`
	LastError    string   `json:"last_error"`
	RetryAt      string   `json:"retry_at"`
}

func (c *Client) CreateHook(place string, body map[string]any) (h Hook) {
	c.T.Helper()
	c.Do("POST", place, body).Want(201).Into(&h)
	c.Server.Logs.KeepSecret(h.Secret, h.URL)
	return h
}

func (c *Client) Hook(place string, id int64) (h Hook) {
	c.T.Helper()
	c.Do("GET", place+"/"+Itoa(id), nil).Want(200).Into(&h)
	return h
}

func Itoa(id int64) string { return strconv.FormatInt(id, 10) }

// HookReaches waits until a hook of the lobby has sent everything up to id and stored its cursor. A hook that is changed
// before that sends those events again.
func (c *Client) HookReaches(hook, id int64) {
	c.T.Helper()
	Eventually(c.T, "the hook's cursor is "+Itoa(id), func() bool {
		at, err := PositionOf(c.Hook("/v1/rooms/lobby/hooks", hook).Cursor)
		return err == nil && at >= id
	})
}

// HookCall is a call that a receiver got.
type HookCall struct {
	Context context.Context `json:"-"` // the request's
	ID      string          `json:"-"` // webhook-id
	Header  http.Header     `json:"-"`
	Body    []byte          `json:"-"`
	Hook    int64
	Log     string
	Events  []json.RawMessage
	Test    bool
}

func (c HookCall) IDs(t *testing.T) (ids []int64) {
	t.Helper()
	for _, e := range c.Events {
		var has struct{ ID int64 }
		if err := json.Unmarshal(e, &has); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, has.ID)
	}
	return ids
}

// Receiver is a server that a hook calls.
type Receiver struct {
	*httptest.Server
	t  *testing.T
	Mu sync.Mutex
	// answer chooses the response to a call; nil means 204.
	answer func(w http.ResponseWriter, c HookCall)
	Calls  []HookCall
	came   chan struct{} // closed when a call arrives
	gaveUp atomic.Int64
}

func NewReceiver(t *testing.T) *Receiver {
	r := &Receiver{t: t, came: make(chan struct{})}
	r.Server = httptest.NewServer(r)
	t.Cleanup(func() { r.CloseClientConnections(); r.Close() })
	return r
}

func (r *Receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return // the request was aborted
	}
	c := HookCall{Context: req.Context(), ID: req.Header.Get("webhook-id"), Header: req.Header, Body: body}
	if err := json.Unmarshal(body, &c); err != nil {
		r.t.Errorf("the body is %s: %v", Clip(body), err)
	}
	r.Mu.Lock()
	r.Calls = append(r.Calls, c)
	close(r.came)
	r.came = make(chan struct{})
	answer := r.answer
	r.Mu.Unlock()
	if answer != nil {
		answer(w, c)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

func (r *Receiver) AnswerWith(answer func(w http.ResponseWriter, c HookCall)) {
	r.Mu.Lock()
	defer r.Mu.Unlock()
	r.answer = answer
}

// Wait waits until enough reports true for the calls so far, and returns them.
func (r *Receiver) Wait(what string, enough func([]HookCall) bool) []HookCall {
	r.t.Helper()
	deadline := time.After(Patience)
	for {
		r.Mu.Lock()
		calls, came := slices.Clone(r.Calls), r.came
		r.Mu.Unlock()
		if enough(calls) {
			return calls
		}
		select {
		case <-came:
		case <-deadline:
			r.t.Fatalf("%s never arrived; got %d calls", what, len(calls))
		}
	}
}

// Events waits for the events up to an id, and returns all events received.
func (r *Receiver) Events(upto int64) []json.RawMessage {
	r.t.Helper()
	var events []json.RawMessage
	r.Wait("event "+Itoa(upto), func(calls []HookCall) bool {
		events = nil
		last := int64(0)
		for _, c := range calls {
			events = append(events, c.Events...)
			for _, id := range c.IDs(r.t) {
				last = max(last, id)
			}
		}
		return last >= upto
	})
	return events
}

// Verify checks a call's signature with a hook's secret.
func (c HookCall) Verify(t *testing.T, secret string) {
	t.Helper()
	wh, err := webhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := wh.Verify(c.Body, c.Header); err != nil {
		t.Errorf("bad signature of %s: %v", Clip(c.Body), err)
	}
	if err := wh.Verify(append(bytes.Clone(c.Body), ' '), c.Header); err == nil {
		t.Error("the signature is also valid for another body")
	}
}
