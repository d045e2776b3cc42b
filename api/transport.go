package api

import (
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/gorilla/websocket"

	"tandem/realtime"
)

// transports are the values of format and, for all but WebSocket, the media types of Accept; of equally acceptable ones
// the earlier one is used.
var transports = []struct {
	format string
	media  string
	framer realtime.Framer
}{
	{"sse", "text/event-stream", realtime.SSE},
	{"ndjson", "application/x-ndjson", realtime.NDJSON},
	{"json", "application/json", realtime.Poll},
	{"ws", "", realtime.WebSocket},
}

// transport returns the requested transport: by Upgrade, by format, by Accept.
func transport(r *http.Request, query url.Values) (realtime.Framer, error) {
	upgrade := websocket.IsWebSocketUpgrade(r)
	format := query.Get("format")
	switch {
	case format == "ws" && !upgrade:
		return nil, badField("format", "ws needs a WebSocket handshake")
	case upgrade && format != "" && format != "ws":
		return nil, badField("format", "a WebSocket handshake needs the format ws")
	case upgrade:
		return realtime.WebSocket, realtime.CheckHandshake(r)
	case format == "":
		return accepted(r.Header.Values("Accept"))
	}
	for _, t := range transports {
		if t.format == format {
			return t.framer, nil
		}
	}
	return nil, badField("format", "there is no such format")
}

// accepted returns the transport that Accept prefers (RFC 9110 §12.5.1); of equals the one that it names more exactly,
// because clients add */* without meaning it.
func accepted(accept []string) (realtime.Framer, error) {
	wanted := strings.Join(accept, ",")
	if strings.Trim(wanted, " ,") == "" {
		return realtime.SSE, nil
	}
	var best realtime.Framer
	bestQ, bestExact := 0.0, 0
	for _, t := range transports {
		if t.media == "" {
			continue
		}
		q, exact := quality(wanted, t.media)
		if q > bestQ || q == bestQ && q > 0 && exact > bestExact {
			best, bestQ, bestExact = t.framer, q, exact
		}
	}
	if best == nil {
		return nil, badField("Accept", "the stream can be text/event-stream, application/x-ndjson, application/json, or a WebSocket")
	}
	return best, nil
}

// quality returns the quality of media in the most exact matching range of accept, and how exact that range is.
func quality(accept, media string) (q float64, exact int) {
	kind, _, _ := strings.Cut(media, "/")
	for part := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		level := 0
		switch name {
		case media:
			level = 3
		case kind + "/*":
			level = 2
		case "*/*":
			level = 1
		}
		if level <= exact {
			continue
		}
		q, exact = 1, level
		if given, has := params["q"]; has {
			if q, err = strconv.ParseFloat(given, 64); err != nil || q < 0 || q > 1 {
				q = 1
			}
		}
	}
	return q, exact
}
