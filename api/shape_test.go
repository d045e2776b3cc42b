package api

import (
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"
)

// readings returns, for one request, whether the operation's shape recognized it, what validate says with the
// shape, and what it says without, which is the validator's answer.
func readings(t testing.TB, s *Server, id, room, contentType, body string, keys []string) (recognized bool, quick, full *fault) {
	t.Helper()
	read := func(op *operation) (*fault, bool) {
		r := httptest.NewRequest(op.route.Method, "/", strings.NewReader(body))
		r.Header.Set("Content-Type", contentType)
		for _, key := range keys {
			r.Header.Add("Idempotency-Key", key)
		}
		c := s.echo.NewContext(r, httptest.NewRecorder())
		c.SetParamNames("room", "username", "id", "emoji")
		c.SetParamValues(room, room, room, room)
		var fits bool
		look := func(next echo.HandlerFunc) echo.HandlerFunc {
			return func(c echo.Context) error {
				fits = op.shape.fits(c)
				return op.validate(next)(c)
			}
		}
		err := readBody(op)(look(func(echo.Context) error { return nil }))(c)
		if err == nil {
			return nil, fits
		}
		f, known := faultOf(err)
		if !known {
			t.Fatalf("%s: %v", id, err)
		}
		return f, fits
	}
	quick, recognized = read(s.operations[id])
	alone := *s.operations[id]
	alone.shape = nil
	full, _ = read(&alone)
	return recognized, quick, full
}

// readSpec returns the contract, which all tests of the package share: parsing it takes a quarter of a second.
func readSpec(t testing.TB) *Spec {
	t.Helper()
	spec, err := sharedSpec()
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

var sharedSpec = sync.OnceValues(func() (*Spec, error) {
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		return nil, err
	}
	return ReadSpec(text)
})

func specServer(t testing.TB) *Server {
	t.Helper()
	spec := readSpec(t)
	s, err := New(Config{Spec: spec, Logger: slog.New(slog.DiscardHandler), Page: os.DirFS("../frontend/unbuilt")})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func same(a, b *fault) bool { return fmt.Sprintf("%+v", a) == fmt.Sprintf("%+v", b) }

// shaped lists the operations that have a shape, in a fixed order.
func shaped(s *Server) (ids []string) {
	for id, op := range s.operations {
		if op.shape != nil && !slices.Contains([]string{"health", "ready", "describe", "keys"}, id) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	return ids
}

// Ordinary requests do not go through the validator.
func TestShapeRecognizesOrdinaryRequests(t *testing.T) {
	s := specServer(t)
	const typeOfJSON, typeOfText = "application/json; charset=utf-8", "text/plain"
	for _, c := range []struct{ id, contentType, body string }{
		{"postMessage", typeOfJSON, `{"message":"hi"}`},
		{"postMessage", typeOfJSON, ` { "message" : "zwölf \"Boxkämpfer\"\n" , "nonce":"", "reply_to" : 12 } `},
		{"postMessage", typeOfJSON, `{"message":"` + strings.Repeat("é", 4000) + `"}`},
		{"postMessage", typeOfText, "hi"},
		{"postMessage", "application/x-www-form-urlencoded", "hi"},
		{"postPrivateMessage", typeOfJSON, `{"message":"hi","nonce":"7"}`},
		{"postMessage", typeOfJSON, `{"data": {"a":[1,{"}":"\"}"}]} , "files":["0123456789abcdefABCD_-", "0123456789abcdefABCD_-"],"thread":3}`},
		{"editMessage", typeOfJSON, `{"message":"hi"}`},
		{"editMessage", typeOfJSON, `{"data":null,"message":"hi"}`},
		{"emit", typeOfJSON, `{"name":"cursor.moved","data":{"x":1,"y":-1.5e3},"ephemeral":true}`},
		{"readRoom", typeOfJSON, `{"id":12}`},
		{"typing", "", ""},
	} {
		for _, keys := range [][]string{nil, {"a key"}} {
			recognized, quick, full := readings(t, s, c.id, "12", c.contentType, c.body, keys)
			if !recognized || quick != nil || full != nil {
				t.Errorf("%s %.60s: recognized = %v, errors %v and %v", c.id, c.body, recognized, quick, full)
			}
		}
	}
}

// For any request the answer equals that of the validator.
func TestShapeAgreesWithTheValidator(t *testing.T) {
	s := specServer(t)
	random := rand.New(rand.NewPCG(1, 2))
	ids := shaped(s)
	if !slices.Contains(ids, "postMessage") || !slices.Contains(ids, "postPrivateMessage") {
		t.Fatalf("postMessage has no shape; operations with one: %q", ids)
	}
	pick := func(of ...string) string { return of[random.IntN(len(of))] }
	values := []string{`"hi"`, `"hi"`, `""`, `" "`, `"a\"b\\"`, `"😀"`, `"😀"`, `"\u00e9"`, `null`, `true`, `false`, `0`, `1`, `-1`, `12`, `012`, `1.0`, `1e2`, `1.5`,
		`9007199254740991`, `9007199254740992`, `9007199254740993`, `99999999999999999999`, `[]`, `{}`, `["hi"]`, `{"message":"hi"}`, `{"a":[{}],"b":"}"}`, `["0123456789abcdefABCD_-"]`, `[ "0123456789abcdefABCD_-" , "x"]`, `[{}]`, `"cursor.moved"`, `"public"`, `"owner"`, `"}"`, `","`}
	value := func() string {
		switch of := random.IntN(len(values) + 3); of {
		case 0:
			return `"` + strings.Repeat("é", 63+random.IntN(3)) + `"`
		case 1:
			return `"` + strings.Repeat("x", 3999+random.IntN(3)) + `"`
		case 2:
			return `"` + strings.Repeat(`\n`, 2000+random.IntN(2001)) + `"`
		default:
			return values[of-3]
		}
	}
	space := func() string { return pick("", "", "", " ", "\n\t", "\r") }
	recognized, accepted, n := 0, 0, 30_000
	for range n {
		id := pick(pick(ids...), "postMessage") // shapes exist mainly for posts
		names := []string{"message", "message", "nonce", "reply_to", "id", "name", "Message", "m\\u0065ssage", "x", "", "title", "visibility", "role", "disabled", "admin", "username", "password"}
		if shape := s.operations[id].shape; shape.json != nil {
			for _, m := range shape.json.members { // its own, mostly
				names = append(names, m.name, m.name, m.name, m.name, m.name)
			}
		}
		var members []string
		for range random.IntN(4) {
			members = append(members, space()+`"`+pick(names...)+`"`+space()+":"+space()+value()+space())
		}
		body := space() + "{" + space() + strings.Join(members, ",") + "}" + space()
		if random.IntN(10) == 0 {
			body = pick("", " ", "hi", "\x00", "\xff", value(), body+body, "[", "{,}")
		}
		room := pick("12", "12", "12", "lobby", "", "0", "-1", "007", "é", "9007199254740993", "👍")
		var keys []string
		for range random.IntN(3) {
			keys = append(keys, pick("k", "k 1", "", " ", "é", "a\tb", strings.Repeat("k", 127+random.IntN(3))))
		}
		fits, quick, full := readings(t, s, id, room, pick("application/json", "application/json", "application/json; charset=utf-8", "text/plain", "image/png", ""), body, keys)
		if !same(quick, full) {
			t.Fatalf("%s for %q with %q and keys %q: shape = %+v, validator = %+v", id, room, body, keys, quick, full)
		}
		if fits {
			recognized++
		}
		if full == nil {
			accepted++
		}
	}
	t.Logf("of %d requests to %d operations %d were accepted, %d of them recognized", n, len(ids), accepted, recognized)
	if recognized < n/100 {
		t.Errorf("only %d of %d recognized: this run tests too little", recognized, n)
	}
}

func FuzzShape(f *testing.F) {
	s := specServer(f)
	ids := shaped(s)
	for _, body := range []string{`{"message":"hi","nonce":"n","reply_to":3}`, `{"id":1}`, `{"message":"\ud83d\ude00"}`, ` {"message":null} `, `{"message":"a","x":[{"b":"}"}]}`, "hi"} {
		for id := range ids {
			f.Add(uint8(id), "lobby", body, "key", true)
		}
	}
	f.Fuzz(func(t *testing.T, id uint8, room, body, key string, json bool) {
		contentType, keys := "text/plain", []string{key}
		if json {
			contentType = "application/json"
		}
		if key == "" {
			keys = nil
		}
		if _, quick, full := readings(t, s, ids[int(id)%len(ids)], room, contentType, body, keys); !same(quick, full) {
			t.Errorf("shape = %+v, validator = %+v", quick, full)
		}
	})
}
