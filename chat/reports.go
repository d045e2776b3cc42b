package chat

import (
	"context"
	"strings"
	"time"
	"unicode/utf8"
)

const (
	// MaxReports is how many open reports a user can take part in.
	MaxReports = 100
	// MaxReporters is how many reporters a report names, the latest ones; its count includes all.
	MaxReporters = 20
	// maxReason is the longest reason of a report, in characters.
	maxReason = 1000
)

// ReportState is the state of a report.
type ReportState string

// The values of ReportState.
const (
	ReportOpen      ReportState = "open"
	ReportResolved  ReportState = "resolved"
	ReportDismissed ReportState = "dismissed"
)

// Report is a reported message, however many users reported it. It has no copy of the text: what the message said is in
// the log and goes with the message.
type Report struct {
	ID        int64
	Topic     Topic
	Room      string // the room's name; empty for a private message
	MessageID int64
	EventID   int64 // the event that had the message's text when it was reported: the message, or an edit
	State     ReportState
	Reporters []Reporter
	Count     int
	CreatedAt time.Time
	ClosedBy  string // empty while it is open
	ClosedAt  time.Time

	Message *Event // in its current state; nil if it is no longer kept
	Text    string // the text when it was reported; empty if it was not edited since, or is deleted
}

// Reporter is a user who reported a message. An empty Name means a before-post hook.
type Reporter struct {
	Name   string
	Reason string
	At     time.Time
}

// ReportQuery selects the Limit latest reports before the one with the number Before; 0 starts at the latest.
type ReportQuery struct {
	Topic  Topic       // NoTopic for all
	State  ReportState // empty for all
	Before int64
	Limit  int
}

// Reported is what to announce to moderators.
type Reported struct {
	Event Ephemeral
	To    []Topic // empty if nothing changed
}

// Report reports a message to the room's moderators. It returns ErrNoMessage, also for a deleted message, or
// ErrLimitReached.
func (s *Service) Report(ctx context.Context, v Viewer, room string, id int64, reason string) (Reported, error) {
	if err := checkReason(reason); err != nil {
		return Reported{}, err
	}
	var in Room
	changed := false
	err := s.inRoom(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayRead(); err != nil {
			return err
		}
		in = r.Room
		var err error
		changed, err = s.report(ctx, placeIn(u, r), id, reason)
		return err
	})
	if err != nil || !changed {
		return Reported{}, err
	}
	return s.reported(ctx, RoomTopic(in.ID), in.Name)
}

// ReportPrivate reports a message of the conversation with a user to the site admins.
func (s *Service) ReportPrivate(ctx context.Context, v Viewer, username string, id int64, reason string) (Reported, error) {
	if err := checkReason(reason); err != nil {
		return Reported{}, err
	}
	changed := false
	err := s.withUser(ctx, v, username, func(u User, with Correspondent) (err error) {
		changed, err = s.report(ctx, placeWith(u, with.User), id, reason)
		return err
	})
	if err != nil || !changed {
		return Reported{}, err
	}
	return s.reported(ctx, NoTopic, "")
}

func (s *Service) report(ctx context.Context, p place, id int64, reason string) (bool, error) {
	if _, err := s.store.Message(ctx, p.topic, id); err != nil {
		return false, err
	}
	return s.store.Report(ctx, p.guard, p.topic, id, reason)
}

// reported returns the number of open reports of a room, or of private messages if there is no room.
func (s *Service) reported(ctx context.Context, topic Topic, room string) (Reported, error) {
	open, err := s.store.OpenReports(ctx, topic)
	if err != nil {
		return Reported{}, err
	}
	to, err := s.store.Moderators(ctx, topic)
	return Reported{To: to, Event: ephemeral("reports_updated", struct {
		Type string `json:"type"`
		Room string `json:"room,omitempty"`
		Open int    `json:"open"`
	}{"reports_updated", room, open})}, err
}

// Reports lists a room's reports, for moderators, the latest first. q has no Topic.
func (s *Service) Reports(ctx context.Context, v Viewer, room string, q ReportQuery) ([]Report, error) {
	r, err := s.view(ctx, v, room, func(r *RoomView) error { return r.mayAct(moderator) })
	if err != nil {
		return nil, err
	}
	q.Topic = RoomTopic(r.ID)
	return s.reports(ctx, v, q)
}

// AllReports lists the reports of the whole site, for site admins.
func (s *Service) AllReports(ctx context.Context, v Viewer, q ReportQuery) ([]Report, error) {
	if _, err := s.admin(ctx, v); err != nil {
		return nil, err
	}
	return s.reports(ctx, v, q)
}

func (s *Service) reports(ctx context.Context, v Viewer, q ReportQuery) ([]Report, error) {
	all, err := s.store.Reports(ctx, q)
	if err == nil {
		err = s.fill(ctx, v, all)
	}
	return all, err
}

// ChangeReport sets the state of a room's report, for moderators. It returns ErrNoReport.
func (s *Service) ChangeReport(ctx context.Context, v Viewer, room string, id int64, state ReportState) (Report, Reported, error) {
	changed := false
	err := s.inRoom(ctx, v, room, func(u User, r RoomView) (err error) {
		if err := r.mayAct(moderator); err != nil {
			return err
		}
		changed, err = s.store.ChangeReport(ctx, guard(r.Room, u), RoomTopic(r.ID), id, state)
		return err
	})
	if err != nil {
		return Report{}, Reported{}, err
	}
	return s.changedReport(ctx, v, id, changed)
}

// ChangeAnyReport is ChangeReport for site admins.
func (s *Service) ChangeAnyReport(ctx context.Context, v Viewer, id int64, state ReportState) (Report, Reported, error) {
	changed := false
	err := s.decide(func(bool) error {
		u, err := s.admin(ctx, v)
		if err == nil {
			changed, err = s.store.ChangeReport(ctx, guard(Room{}, u), NoTopic, id, state)
		}
		return err
	})
	if err != nil {
		return Report{}, Reported{}, err
	}
	return s.changedReport(ctx, v, id, changed)
}

func (s *Service) changedReport(ctx context.Context, v Viewer, id int64, changed bool) (Report, Reported, error) {
	r, err := s.store.ReportNumbered(ctx, id)
	if err != nil {
		return Report{}, Reported{}, err
	}
	one := []Report{r}
	if err := s.fill(ctx, v, one); err != nil || !changed {
		return one[0], Reported{}, err
	}
	topic := r.Topic
	if topic.IsConversation() {
		topic = NoTopic
	}
	told, err := s.reported(ctx, topic, r.Room)
	return one[0], told, err
}

// fill adds their messages to reports, as v sees them.
func (s *Service) fill(ctx context.Context, v Viewer, reports []Report) error {
	var ids, messages []int64
	for _, r := range reports {
		ids, messages = append(ids, r.MessageID, r.EventID), append(messages, r.MessageID)
	}
	events, err := s.store.EventsNumbered(ctx, ids)
	if err != nil {
		return err
	}
	changes, err := s.store.Changes(ctx, v.User, messages)
	if err != nil {
		return err
	}
	for i := range reports {
		r := &reports[i]
		posted, kept := events[r.MessageID]
		if !kept {
			continue
		}
		now, err := presentOf(posted, changes[r.MessageID])
		if err != nil {
			return err
		}
		r.Message = &now
		current := r.MessageID
		if e := changes[r.MessageID].Edit; e != nil {
			current = e.ID
		}
		if then, kept := events[r.EventID]; kept && r.EventID != current {
			if _, r.Text, err = TextOf(then); err != nil {
				return err
			}
		}
	}
	return nil
}

func checkReason(s string) error {
	if !utf8.ValidString(s) || strings.ContainsRune(s, 0) || utf8.RuneCountInString(s) > maxReason {
		return invalid("reason", "a reason can have at most 1,000 characters, without U+0000")
	}
	return nil
}
