package api

import (
	"math"
	"math/bits"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/labstack/echo/v4"
)

// shape recognizes ordinary requests of an operation at a fraction of the cost of the OpenAPI validator, which decodes
// a body into maps. It is compiled from the same spec and only ever accepts: a request that it does not recognize goes
// to the validator; only that refuses requests and gives reasons. So shape can ignore most keywords.
type shape struct {
	params []param
	body   bool       // the operation has a body
	json   *record    // the body as JSON; nil if not allowed
	text   *primitive // the body as text; nil if not allowed
}

// param is a path or header parameter.
type param struct {
	name     string
	header   string // canonical; empty for a path parameter
	required bool
	primitive
}

// record is a JSON object with these members and no others.
type record struct {
	members  []member
	required uint64 // bits of the required members
	least    int    // the minimum number of members
}

// member is a primitive, an object without a schema, or a list of primitives.
type member struct {
	name     string
	nullable bool
	object   bool
	list     bool
	min, max int // of a list's items
	primitive
}

// primitive is a string, an integer or a boolean.
type primitive struct {
	kind     string // its type
	minRunes int
	maxRunes int
	pattern  *regexp.Regexp // nil for none
	enum     []string
	min, max int64
}

// shapeOf returns nil if the spec has a keyword that shape does not support.
func shapeOf(item *openapi3.PathItem, o *openapi3.Operation) *shape {
	s := &shape{}
	for _, ref := range slices.Concat(item.Parameters, o.Parameters) {
		p := ref.Value
		if p.Schema == nil || p.Content != nil || p.Schema.Value.Default != nil {
			return nil
		}
		if p.In == openapi3.ParameterInQuery && !p.Required {
			continue // only requests without a query are recognized
		}
		known, ok := primitiveOf(p.Schema.Value)
		if !ok || p.Style != "" && p.Style != openapi3.SerializationSimple {
			return nil
		}
		switch p.In {
		case openapi3.ParameterInPath:
			s.params = append(s.params, param{name: p.Name, required: true, primitive: known})
		case openapi3.ParameterInHeader:
			s.params = append(s.params, param{name: p.Name, header: http.CanonicalHeaderKey(p.Name), required: p.Required, primitive: known})
		default:
			return nil
		}
	}
	if o.RequestBody == nil {
		return s
	}
	s.body = true
	for media, content := range o.RequestBody.Value.Content {
		switch {
		case content.Schema == nil:
			return nil
		case media == "application/json":
			if s.json = recordOf(content.Schema.Value); s.json == nil {
				return nil
			}
		case media == "text/plain":
			text, ok := primitiveOf(content.Schema.Value)
			if !ok || text.kind != openapi3.TypeString {
				return nil
			}
			s.text = &text
		default:
			return nil
		}
	}
	return s
}

// recordOf returns nil for a schema with an unsupported keyword.
func recordOf(s *openapi3.Schema) *record {
	rest := plain(s)
	rest.Type, rest.Required, rest.Properties, rest.AdditionalProperties, rest.MinProps = nil, nil, nil, openapi3.AdditionalProperties{}, 0
	if !s.Type.Is(openapi3.TypeObject) || !reflect.ValueOf(rest).IsZero() || len(s.Properties) > 64 {
		return nil
	}
	o := &record{least: int(s.MinProps)}
	for name, ref := range s.Properties {
		m, ok := jsonMember(name, ref.Value)
		if !ok {
			return nil
		}
		if slices.Contains(s.Required, name) {
			o.required |= 1 << len(o.members)
		}
		o.members = append(o.members, m)
	}
	for _, name := range s.Required {
		if s.Properties[name] == nil {
			return nil
		}
	}
	return o
}

// jsonMember returns false for a schema with an unsupported keyword.
func jsonMember(name string, s *openapi3.Schema) (m member, ok bool) {
	m = member{name: name, nullable: s.Nullable, max: math.MaxInt}
	rest := plain(s)
	rest.Nullable = false
	switch {
	case s.Type.Is(openapi3.TypeObject):
		m.object = true
		anything := s.AdditionalProperties.Has == nil || *s.AdditionalProperties.Has
		rest.Type, rest.AdditionalProperties.Has = nil, nil
		return m, anything && reflect.ValueOf(rest).IsZero()
	case s.Type.Is(openapi3.TypeArray) && s.Items != nil:
		m.list, m.min = true, int(s.MinItems)
		if s.MaxItems != nil {
			m.max = int(*s.MaxItems)
		}
		rest.Type, rest.Items, rest.MinItems, rest.MaxItems = nil, nil, 0, nil
		m.primitive, ok = primitiveOf(s.Items.Value)
		return m, ok && reflect.ValueOf(rest).IsZero()
	}
	m.primitive, ok = primitiveOf(&rest)
	return m, ok
}

// primitiveOf returns false for a schema with an unsupported keyword.
func primitiveOf(s *openapi3.Schema) (primitive, bool) {
	p := primitive{maxRunes: math.MaxInt, min: math.MinInt64, max: math.MaxInt64}
	rest := plain(s)
	rest.Type = nil
	switch {
	case s.Type.Is(openapi3.TypeString):
		p.kind = openapi3.TypeString
		p.minRunes = int(s.MinLength)
		if s.MaxLength != nil {
			p.maxRunes = int(*s.MaxLength)
		}
		if s.Pattern != "" {
			var err error
			if p.pattern, err = regexp.Compile(s.Pattern); err != nil {
				return p, false
			}
		}
		for _, value := range s.Enum {
			text, ok := value.(string)
			if !ok {
				return p, false
			}
			p.enum = append(p.enum, text)
		}
		rest.MinLength, rest.MaxLength, rest.Pattern, rest.Enum = 0, nil, "", nil
	case s.Type.Is(openapi3.TypeInteger):
		p.kind = openapi3.TypeInteger
		if s.Min != nil {
			p.min = int64(math.Ceil(*s.Min))
		}
		if s.Max != nil {
			p.max = int64(math.Floor(*s.Max))
		}
		rest.Min, rest.Max = nil, nil
		if s.Format == "int64" {
			rest.Format = ""
		}
	case s.Type.Is(openapi3.TypeBoolean):
		p.kind = openapi3.TypeBoolean
	}
	return p, p.kind != "" && reflect.ValueOf(rest).IsZero()
}

// plain returns s without its documentation.
func plain(s *openapi3.Schema) openapi3.Schema {
	rest := *s
	rest.Description, rest.Title, rest.Example, rest.Origin, rest.Extensions = "", "", nil, nil, nil
	return rest
}

// fits reports whether it recognizes a request that the validator would accept. readBody has run.
func (s *shape) fits(c echo.Context) bool {
	r := c.Request()
	if s == nil || r.URL.RawQuery != "" || r.URL.RawPath != "" { // see validate for RawPath
		return false
	}
	for i := range s.params {
		p := &s.params[i]
		value := ""
		if p.header == "" {
			value = c.Param(p.name)
		} else if values := r.Header[p.header]; len(values) == 1 {
			value = values[0]
		} else if len(values) == 0 && !p.required {
			continue
		}
		if value == "" || !p.fits(value) {
			return false
		}
	}
	if !s.body {
		return true
	}
	body, ok := r.Body.(*readyBody)
	if !ok || len(body.data) == 0 {
		return false
	}
	switch contentType := r.Header.Get("Content-Type"); {
	case contentType == "application/json" && s.json != nil:
		return s.json.fits(body.data)
	case contentType == "text/plain" && s.text != nil:
		return s.text.fitsQuoted(body.data, false)
	}
	return false
}

// fits reports whether text, without any escapes, is such a value.
func (p *primitive) fits(text string) bool {
	switch p.kind {
	case openapi3.TypeString:
		n := len(text)
		if n > p.maxRunes || p.minRunes > 1 {
			n = utf8.RuneCountInString(text)
		}
		return n >= p.minRunes && n <= p.maxRunes && (p.pattern == nil || p.pattern.MatchString(text)) &&
			(p.enum == nil || slices.Contains(p.enum, text))
	case openapi3.TypeInteger:
		// Short enough to be exact as a float64, in which the validator compares.
		if len(text) == 0 || len(text) > 15 || len(text) > 1 && text[0] == '0' || text[0] < '0' || text[0] > '9' {
			return false
		}
		n, err := strconv.ParseInt(text, 10, 64)
		return err == nil && n >= p.min && n <= p.max
	}
	return text == "true" || text == "false"
}

// fitsQuoted reports whether a JSON string, given without its quotes, is such a value. An escape is at least as long as
// what it stands for, which is never empty.
func (p *primitive) fitsQuoted(text []byte, escaped bool) bool {
	switch {
	case p.kind != openapi3.TypeString:
		return false
	case p.minRunes <= 1 && p.pattern == nil && p.enum == nil:
		return len(text) >= p.minRunes && (len(text) <= p.maxRunes || utf8.RuneCount(text) <= p.maxRunes)
	}
	return !escaped && p.fits(string(text))
}

// fits reports whether valid JSON without duplicate keys is such an object.
func (o *record) fits(data []byte) bool {
	found := uint64(0)
	fits := eachMember(data, func(name, value []byte) bool {
		i := o.index(name)
		if i < 0 {
			return false
		}
		found |= 1 << i
		return o.members[i].fits(value)
	})
	return fits && found&o.required == o.required && bits.OnesCount64(found) >= o.least
}

func (o *record) index(name []byte) int {
	return slices.IndexFunc(o.members, func(m member) bool { return m.name == string(name) })
}

// fits reports whether valid JSON is such a member.
func (m *member) fits(value []byte) bool {
	switch {
	case value[0] == '{':
		return m.object
	case value[0] == 'n':
		return m.nullable
	case m.object:
		return false
	case !m.list:
		return m.fitsJSON(value)
	}
	items := 0
	return eachItem(value, func(item []byte) bool {
		items++
		return m.fitsJSON(item)
	}) && items >= m.min && items <= m.max
}

// fitsJSON reports whether valid JSON is such a value.
func (p *primitive) fitsJSON(value []byte) bool {
	if value[0] == '"' {
		end, escaped := stringEnd(value, 1)
		return p.fitsQuoted(value[1:end], escaped)
	}
	// A number, a boolean or null; an array or an object never matches.
	return p.kind != openapi3.TypeString && p.fits(string(value))
}
