package api

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
)

// maxParameters bounds a query before anything parses it: thousands in a URL cost milliseconds. A stream has up to 200
// rooms, and a few more.
const maxParameters = 256

// checkQuery removes empty parameters from the query. It refuses a query that cannot be parsed, part of which net/url
// would drop silently, access tokens in it, since URLs end up in logs, histories and Referer headers, and values that
// are no text for PostgreSQL.
func checkQuery(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		u := c.Request().URL
		if u.RawQuery != "" {
			if strings.Count(u.RawQuery, "&") >= maxParameters {
				return badField("query", "a query can have at most %d parameters", maxParameters)
			}
			u.RawQuery = withoutEmpty(u.RawQuery)
			query, err := url.ParseQuery(u.RawQuery)
			if err != nil {
				return badField("query", "the query is not properly percent-encoded")
			}
			for name, values := range query {
				if !isTokenName(name) && !looksLikeJWT(values) {
					continue
				}
				f := badField(name, "do not put an access token into a URL; send it as Authorization: Bearer")
				f.code, f.title = "token_in_url", "Token in the URL"
				return f
			}
			for name, values := range query {
				if slices.ContainsFunc(values, notText) {
					return badField(name, "write %s in UTF-8, without the character U+0000", name)
				}
			}
		}
		return next(c)
	}
}

// withoutEmpty removes a query's parameters without a value: forms and clients send every field they have, and mean
// that it is not set.
func withoutEmpty(query string) string {
	var kept []string
	for pair := range strings.SplitSeq(query, "&") {
		if _, value, _ := strings.Cut(pair, "="); value != "" {
			kept = append(kept, pair)
		}
	}
	return strings.Join(kept, "&")
}

func notText(s string) bool { return !utf8.ValidString(s) || strings.ContainsRune(s, 0) }

func isTokenName(name string) bool {
	switch strings.ToLower(name) {
	case "access_token", "token", "jwt", "bearer", "authorization", "auth":
		return true
	}
	return false
}

func looksLikeJWT(values []string) bool {
	for _, v := range values {
		if strings.HasPrefix(v, "eyJ") && strings.Count(v, ".") == 2 {
			return true
		}
	}
	return false
}

// singleParameters returns the operation's query parameters that are not lists.
func singleParameters(item *openapi3.PathItem, o *openapi3.Operation, doc *openapi3.T) (names []string) {
	for _, p := range append(item.Parameters[:len(item.Parameters):len(item.Parameters)], o.Parameters...) {
		if p.Value.In == openapi3.ParameterInQuery && !p.Value.Schema.Value.Type.Is(openapi3.TypeArray) {
			names = append(names, p.Value.Name)
		}
	}
	for _, scheme := range doc.Components.SecuritySchemes {
		if scheme.Value.In == openapi3.ParameterInQuery {
			names = append(names, scheme.Value.Name)
		}
	}
	return names
}

// checkSingle refuses a parameter that occurs twice: its meaning is undefined, and parsers differ.
func (op *operation) checkSingle(r *http.Request) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query := r.URL.Query()
	for _, name := range op.single {
		if len(query[name]) > 1 {
			return badField(name, "send %s once", name)
		}
	}
	return nil
}
