package streams

import (
	"io"
	"slices"
	"strings"
	"testing"

	"tandem/e2e/harness"
)

func TestSSEReaderFollowsTheStandard(t *testing.T) {
	tests := []struct {
		name, text string
		want       []harness.SSEEvent
		retries    []int
	}{
		{"only data", "data: a\n\n", []harness.SSEEvent{{Data: "a"}}, nil},
		{"all fields", "id: 7.x\nevent: ping\ndata: {}\n\n", []harness.SSEEvent{{Name: "ping", Data: "{}", ID: "7.x", HasID: true}}, nil},
		{"one leading space is stripped", "data:  a \n\n", []harness.SSEEvent{{Data: " a "}}, nil},
		{"no space", "data:a\n\n", []harness.SSEEvent{{Data: "a"}}, nil},
		{"lines are joined", "data: a\ndata\ndata: b\n\n", []harness.SSEEvent{{Data: "a\n\nb"}}, nil},
		{"an id stays for the next event", "id: 1\ndata: a\n\ndata: b\n\n", []harness.SSEEvent{{Data: "a", ID: "1", HasID: true}, {Data: "b", ID: "1"}}, nil},
		{"an id without data stays", "id: 1\n\ndata: b\n\n", []harness.SSEEvent{{Data: "b", ID: "1"}}, nil},
		{"an empty id resets", "id: 1\ndata: a\n\nid\ndata: b\n\n", []harness.SSEEvent{{Data: "a", ID: "1", HasID: true}, {Data: "b", HasID: true}}, nil},
		{"an id with NULL is ignored", "id: 1\x00\ndata: a\n\n", []harness.SSEEvent{{Data: "a"}}, nil},
		{"a name without data is forgotten", "event: x\n\ndata: a\n\n", []harness.SSEEvent{{Data: "a"}}, nil},
		{"comments and unknown fields", ": hi\nfoo: bar\ndata: a\n\n", []harness.SSEEvent{{Data: "a"}}, nil},
		{"CR LF, CR and LF", "data: a\r\n\r\ndata: b\r\rdata: c\n\n", []harness.SSEEvent{{Data: "a"}, {Data: "b"}, {Data: "c"}}, nil},
		{"a byte order mark", "\ufeffdata: a\n\n", []harness.SSEEvent{{Data: "a"}}, nil},
		{"an unfinished event is discarded", "data: a\n\ndata: b\n", []harness.SSEEvent{{Data: "a"}}, nil},
		{"an unfinished line is discarded", "data: a\n\ndata: b", []harness.SSEEvent{{Data: "a"}}, nil},
		{"retry", "retry: 1500\n\nretry: -1\nretry: 2s\n\ndata: a\n\n", []harness.SSEEvent{{Data: "a"}}, []int{1500}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			r := harness.NewSSEReader(strings.NewReader(test.text))
			var got []harness.SSEEvent
			for {
				e, err := r.Next()
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, e)
			}
			if !slices.Equal(got, test.want) || !slices.Equal(r.Retries, test.retries) {
				t.Errorf("got %+v and retry %v\nwant %+v and retry %v", got, r.Retries, test.want, test.retries)
			}
		})
	}
}
