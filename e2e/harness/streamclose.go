package harness

import (
	"errors"
	"io"
)

// AssertClosed reads a stream to its end, which must be a stream_close with that reason, and returns that event.
func (s *Stream) AssertClosed(reason string, code int) Event {
	s.t.Helper()
	events := s.UntilClosed(reason, code)
	return events[len(events)-1]
}

// UntilClosed is like AssertClosed but returns all remaining events.
func (s *Stream) UntilClosed(reason string, code int) []Event {
	s.t.Helper()
	events, err := s.Rest()
	if len(events) == 0 {
		events = []Event{{}}
	}
	last := events[len(events)-1]
	if last.Type != "stream_close" || last.Reason != reason {
		s.t.Errorf("%s: last event = %s, want a stream_close with reason %s (%v)", s.Over, last.Raw, reason, err)
	}
	if s.Over == OverWS && CloseCode(err) != code {
		s.t.Errorf("the socket ended with %v, want code %d", err, code)
	}
	if s.Over != OverWS && !errors.Is(err, io.EOF) {
		s.t.Errorf("the response did not end cleanly: %v", err)
	}
	return events
}
