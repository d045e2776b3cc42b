package harness

import (
	"fmt"
	"strings"
)

// Report is a report as lists return it.
type Report struct {
	ID           int64  `json:"id"`
	Room         string `json:"room"`
	MessageID    int64  `json:"message_id"`
	Message      *Event `json:"message"`
	ReportedText string `json:"reported_text"`
	State        string `json:"state"`
	Reporters    []struct{ Username, Reason string }
	Count        int    `json:"count"`
	ClosedBy     string `json:"closed_by"`
	ClosedAt     string `json:"closed_at"`
}

func (c *Client) Report(room string, id int64, reason string) Answer {
	c.T.Helper()
	return c.Do("POST", fmt.Sprint(RoomPath(room), "/messages/", id, "/report"), Fields{"reason": reason})
}

// Reports returns the page of reports at path.
func (c *Client) Reports(path string) (items []Report, next *int64) {
	c.T.Helper()
	var page struct {
		Items []Report
		Next  *int64
	}
	c.Do("GET", path, nil).Want(200).Into(&page)
	return page.Items, page.Next
}

func (r Report) By() (names []string) {
	for _, p := range r.Reporters {
		names = append(names, p.Username+": "+p.Reason)
	}
	return names
}

// OpenReports checks that the next event is a reports_updated with this count.
func (s *Stream) OpenReports(room string, want int) {
	s.t.Helper()
	e := s.Must("reports_updated")
	if e.Room != room || !strings.Contains(string(e.Raw), fmt.Sprintf(`"open":%d`, want)) {
		s.t.Errorf("want %d open reports in %q, got %s", want, room, e.Raw)
	}
}

// UntilMessageOnly reads up to m and fails the test if an event about reports comes first.
func (s *Stream) UntilMessageOnly(m Event) {
	s.t.Helper()
	for _, e := range s.UntilMessage(m.Message) {
		if e.Type == "reports_updated" {
			s.t.Errorf("unexpected %s", e.Raw)
		}
	}
}
