package security

import (
	"fmt"
	"strings"

	"tandem/e2e/harness"
)

// badCall is a call that must be refused with a problem that has this code and names the field.
type badCall struct {
	name    string
	method  string
	target  string
	body    any
	headers []string
	status  int
	code    string
	field   string // "" if no field is at fault
}

// jsonCall posts JSON that does not match the schema.
func jsonCall(name, target, body, field string) badCall {
	return badCall{name: name, method: "POST", target: target, body: harness.Raw(body), headers: []string{harness.AsJSON}, status: 400, code: "invalid_request", field: field}
}

// brokenCall posts invalid JSON: the problem names no field.
func brokenCall(name, target, body string) badCall {
	call := jsonCall(name, target, body, "body")
	call.code = "invalid_json"
	return call
}

// badJSON lists what every operation with a JSON body must refuse.
func badJSON() []badCall {
	var calls []badCall
	for _, to := range []struct{ name, target, field, rest string }{
		{"message", harness.Posting, "message", ""},
		{"room", "/v1/rooms", "name", ""},
		{"signup", "/v1/auth/signup", "username", `,"password":"long enough"`},
		{"login", "/v1/auth/login", "username", `,"password":"long enough"`},
		{"refresh", "/v1/auth/refresh", "refresh_token", ""},
	} {
		with := func(value string) string { return fmt.Sprintf(`{%q:%s%s}`, to.field, value, to.rest) }
		valid := with(`"mallory"`)
		open := strings.TrimSuffix(valid, "}")
		for name, body := range map[string]string{
			"nothing":             "",
			"no JSON":             "hello",
			"cut short":           open,
			"trailing brace":      valid + "}",
			"trailing object":     valid + valid,
			"trailing text":       valid + " x",
			"trailing comma":      open + ",}",
			"a comment":           valid + "// hi",
			"single quotes":       strings.ReplaceAll(valid, `"`, "'"),
			"NaN":                 with("NaN"),
			"a raw line break":    with("\"a\nb\""),
			"a bad escape":        with(`"\x"`),
			"half a surrogate":    with(`"a\ud800b"`),
			"invalid UTF-8":       with("\"a\xffb\""),
			"depth 33":            open + `,"deep":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + "}",
			"depth 33 of objects": open + `,"deep":` + strings.Repeat(`{"a":`, 32) + "1" + strings.Repeat("}", 32) + "}",
			"depth 10,000":        open + `,"deep":` + strings.Repeat("[", 10000) + strings.Repeat("]", 10000) + "}",
			"unclosed depth":      strings.Repeat("[", 20000),
			"another encoding":    "\xff\xfe{\x00}\x00",
		} {
			calls = append(calls, brokenCall(to.name+" "+name, to.target, body))
		}
		for name, body := range map[string]string{"an array": "[" + valid + "]", "a string": `"hi"`, "a number": "1", "null": "null"} {
			calls = append(calls, jsonCall(to.name+" "+name, to.target, body, "body"))
		}
		for name, value := range map[string]string{"a number": "1", "null": "null", "an array": `["a"]`, "true": "true", "an object": `{"a":1}`} {
			calls = append(calls, jsonCall(to.name+" "+name+" in it", to.target, with(value), to.field))
		}
		large := open + strings.Repeat(" ", harness.TooLarge-len(valid)) + "}"
		capitals := strings.ToUpper(to.field)
		nothing := jsonCall(to.name+" empty object", to.target, "{}", to.field)
		if to.field == "message" {
			nothing.code = "message_empty"
		}
		calls = append(calls,
			nothing,
			jsonCall(to.name+" unknown field", to.target, open+`,"colour":"red"}`, "colour"),
			// encoding/json would match this to the field that it resembles
			jsonCall(to.name+" field in capitals", to.target, strings.Replace(valid, to.field, capitals, 1), capitals),
			badCall{name: to.name + " 64 KiB and a byte", method: "POST", target: to.target, body: harness.Raw(large), headers: []string{harness.AsJSON}, status: 413, code: "body_too_large"},
			badCall{name: to.name + " 64 KiB and a byte, chunked", method: "POST", target: to.target, body: harness.OnlyReader(large), headers: []string{harness.AsJSON}, status: 413, code: "body_too_large"},
			badCall{name: to.name + " 200 KiB, chunked", method: "POST", target: to.target, body: harness.OnlyReader(large + large + large), headers: []string{harness.AsJSON}, status: 413, code: "body_too_large"},
		)
	}
	return calls
}

func badMessages() []badCall {
	long := strings.Repeat("a", 4001)
	calls := []badCall{
		{name: "empty", body: harness.NewMessage{}, code: "message_empty"},
		jsonCall("U+0000", harness.Posting, `{"message":"a\u0000b"}`, "message"),
		brokenCall("a lone high surrogate", harness.Posting, `{"message":"a\ud800b"}`),
		brokenCall("a lone low surrogate", harness.Posting, `{"message":"\udc00"}`),
		brokenCall("surrogates the wrong way round", harness.Posting, `{"message":"\ude00\ud83d"}`),
		brokenCall("a high surrogate at the end", harness.Posting, `{"message":"a\uD83D"}`),
		brokenCall("two high surrogates and a low one", harness.Posting, `{"message":"\ud83d\ud83d\ude00"}`),
		brokenCall("invalid UTF-8", harness.Posting, "{\"message\":\"a\xffb\"}"),
		brokenCall("overlong UTF-8", harness.Posting, "{\"message\":\"\xc0\xaf\"}"),
		brokenCall("a surrogate in UTF-8", harness.Posting, "{\"message\":\"\xed\xa0\x80\"}"),
		brokenCall("UTF-8 cut short", harness.Posting, "{\"message\":\"\xe4\xbd\"}"),
		jsonCall("a nonce of 65", harness.Posting, `{"message":"a","nonce":"`+strings.Repeat("n", 65)+`"}`, "nonce"),
		jsonCall("a number as nonce", harness.Posting, `{"message":"a","nonce":1}`, "nonce"),
		brokenCall("a lone surrogate as nonce", harness.Posting, `{"message":"a","nonce":"\ud800"}`),
		{name: "nothing, raw", body: harness.Raw(""), code: "message_empty"},
		{name: "no body", body: nil, code: "message_empty"},
		{name: "invalid UTF-8, raw", body: harness.Raw("a\xffb")},
		{name: "UTF-8 cut short, raw", body: harness.Raw("a\xf0\x9f\x98")},
		{name: "a surrogate, raw", body: harness.Raw("\xed\xa0\x80")},
		{name: "U+0000, raw", body: harness.Raw("a\x00b")},
		{name: "4,001 characters", body: harness.NewMessage{Message: long}, code: "message_too_long"},
		{name: "4,001 characters, raw", body: harness.Raw(long), code: "message_too_long"},
		{name: "4,001 characters, raw, chunked", body: harness.OnlyReader(long), code: "message_too_long"},
		{name: "64 KiB of text", body: harness.Raw(strings.Repeat("a", harness.TooLarge-1)), code: "message_too_long"},
		{name: "64 KiB and a byte of text", body: harness.Raw(strings.Repeat("a", harness.TooLarge)), status: 413, code: "body_too_large"},
		{name: "64 KiB and a byte of text, chunked", body: harness.OnlyReader(strings.Repeat("a", harness.TooLarge)), status: 413, code: "body_too_large"},
		{name: "64 KiB and a byte of nothing valid", body: harness.Raw(strings.Repeat("\xff", harness.TooLarge)), status: 413, code: "body_too_large"},
		{name: "an empty key", body: harness.Raw("hi"), headers: []string{"Idempotency-Key: "}, field: "Idempotency-Key"},
		{name: "a key of 129", body: harness.Raw("hi"), headers: []string{"Idempotency-Key: " + strings.Repeat("k", 129)}, field: "Idempotency-Key"},
		{name: "a key that is not ASCII", body: harness.Raw("hi"), headers: []string{"Idempotency-Key: ключ"}, field: "Idempotency-Key"},
		{name: "a key with a tab", body: harness.Raw("hi"), headers: []string{"Idempotency-Key: a\tb"}, field: "Idempotency-Key"},
	}
	for i := range calls {
		c := &calls[i]
		c.method, c.target = "POST", harness.Posting
		if c.status == 0 {
			c.status = 400
		}
		if c.status == 400 && c.field == "" {
			c.field = "message"
		}
		if c.code == "" {
			c.code = "invalid_request"
		}
	}
	return calls
}

func badAccounts() []badCall {
	account := func(name, body, field string) badCall { return jsonCall(name, "/v1/auth/signup", body, field) }
	return []badCall{
		account("no password", `{"username":"mallory"}`, "password"),
		account("a number as password", `{"username":"mallory","password":12345678}`, "password"),
		brokenCall("a lone surrogate as name", "/v1/auth/signup", `{"username":"mal\ud800","password":"long enough"}`),
		brokenCall("a lone surrogate as password", "/v1/auth/signup", `{"username":"mallory","password":"long \ud800 enough"}`),
		account("U+0000 in a password", `{"username":"mallory","password":"long\u0000enough"}`, "password"),
		account("a control in a password", `{"username":"mallory","password":"long\u0007enough"}`, "password"),
		account("a role for oneself", `{"username":"mallory","password":"long enough","role":"admin"}`, "role"),
		jsonCall("a refresh token of 513", "/v1/auth/refresh", `{"refresh_token":"`+strings.Repeat("r", 513)+`"}`, "refresh_token"),
	}
}

func badRooms() []badCall {
	return []badCall{
		jsonCall("a title of 201", "/v1/rooms", `{"name":"new","title":"`+strings.Repeat("t", 201)+`"}`, "title"),
		jsonCall("a number as title", "/v1/rooms", `{"name":"new","title":7}`, "title"),
		jsonCall("U+0000 in a title", "/v1/rooms", `{"name":"new","title":"a\u0000"}`, "title"),
		brokenCall("a lone surrogate in a title", "/v1/rooms", `{"name":"new","title":"\ud800"}`),
		jsonCall("an unknown visibility", "/v1/rooms", `{"name":"new","visibility":"secret"}`, "visibility"),
		jsonCall("an unknown posting", "/v1/rooms", `{"name":"new","posting":"nobody"}`, "posting"),
	}
}

func badQueries() []badCall {
	var calls []badCall
	add := func(target, field string) {
		calls = append(calls, badCall{name: target, method: "GET", target: target, status: 400, code: "invalid_request", field: field})
	}
	for _, limit := range []string{"0", "101", "-1", "x", "1.5", "1e1", "0x10", "99999999999999999999", "%00", "5%205"} {
		add("/v1/rooms?limit="+limit, "limit")
		add(harness.Posting+"?limit="+limit, "limit")
	}
	for _, id := range []string{"-1", "x", "1.5", "9007199254740992", "99999999999999999999", "lobby", "%FF"} {
		add(harness.Posting+"?before="+id, "before")
		add(harness.Posting+"?after="+id, "after")
	}
	add(harness.Posting+"?before=0", "before")
	// PostgreSQL refuses such texts, which would be a 503.
	for _, text := range []string{"%FF", "a%00", "%C3"} {
		for _, list := range []string{"/v1/rooms", "/v1/users", "/v1/me/blocks", "/v1/rooms/lobby/members", "/v1/rooms/lobby/bans", "/v1/rooms/lobby/mutes"} {
			add(list+"?after="+text, "after")
		}
		add("/v1/users?q="+text, "q")
		add("/v1/users?names=ada,"+text, "names")
		add(harness.Posting+"?q="+text, "q")
	}
	add("/v1/rooms?after="+strings.Repeat("a", 65), "after")
	add("/v1/rooms?limit=%zz", "")
	calls = append(calls, badCall{name: "before and after", method: "GET", target: harness.Posting + "?before=5&after=1", status: 400, code: "invalid_request", field: "before"})
	return calls
}

func badNames() []badCall {
	var calls []badCall
	for _, name := range []string{
		"%20", "a%20b", "a%2Fb", "a%2fb", "%2F", "%2e", "%2e%2e", "%00", "lobby%00", "%FF", "%C3", "lobby%252F", "a%3Fb", "a%23b",
		"!", "%F0%9F%98%80", "a%E2%80%8Bb", "%EF%BB%BFlobby", "%0A", strings.Repeat("a", 65), strings.Repeat("%D1%8F", 65), "*", "a,b", "a:b",
	} {
		for _, call := range []badCall{
			{method: "GET", target: "/v1/rooms/" + name},
			{method: "PUT", target: "/v1/rooms/" + name},
			{method: "GET", target: "/v1/rooms/" + name + "/messages"},
			{method: "POST", target: "/v1/rooms/" + name + "/messages", body: harness.Raw("hi")},
			{method: "GET", target: "/v1/events?room=" + name},
		} {
			if name == "*" && strings.HasPrefix(call.target, "/v1/events") {
				continue // "all rooms of the caller", from a later version of the contract
			}
			call.name, call.status, call.code, call.field = call.method+" "+call.target, 400, "invalid_request", "room"
			calls = append(calls, call)
		}
	}
	for _, name := range []string{"", " ", "a b", "a/b", "..", ".", "a\u0000", "!", "😀", strings.Repeat("a", 65), "a\u200bb", "a\n"} {
		calls = append(calls, badCall{name: fmt.Sprintf("POST /v1/rooms %q", name), method: "POST", target: "/v1/rooms", body: harness.NewRoom{Name: name}, status: 400, code: "invalid_request", field: "name"})
	}
	return append(calls, brokenCall("a lone surrogate as a room's name", "/v1/rooms", `{"name":"a\ud800"}`))
}

func badRoutes() []badCall {
	var calls []badCall
	for _, target := range []string{"/v1", "/v1/", "/v1/nothing", "/v1/rooms/", "/v1/rooms/lobby/", "//v1/rooms", "/v1/rooms/lobby/nothing", "/v1/rooms/lobby/messages/1/2", "/v2/rooms", "/v1/auth", "/.env", "/v1/me/../../etc/passwd"} {
		calls = append(calls, badCall{name: target, method: "GET", target: target, status: 404, code: "not_found"})
	}
	for _, call := range []struct{ method, target string }{
		{"DELETE", "/v1/rooms"}, {"PATCH", "/v1/rooms"}, {"GET", "/v1/auth/signup"}, {"PUT", "/v1/auth/login"}, {"DELETE", "/v1/auth/refresh"},
		{"GET", "/v1/auth/ticket"}, {"POST", "/v1/rooms/lobby"}, {"PUT", harness.Posting}, {"TRACE", harness.Posting}, {"BREW", harness.Posting}, {"POST", "/healthz"}, {"DELETE", "/v1/events"},
	} {
		calls = append(calls, badCall{name: call.method + " " + call.target, method: call.method, target: call.target, status: 405, code: "method_not_allowed"})
	}
	return calls
}
