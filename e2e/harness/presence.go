package harness

import ()

// PresenceOf returns the joins and leaves among events, as "ada in" and "ada out".
func PresenceOf(events []Event) []string {
	var told []string
	for _, e := range events {
		switch e.Type {
		case "user_join":
			told = append(told, e.User+" in")
		case "user_leave":
			told = append(told, e.User+" out")
		}
	}
	return told
}

func (s *Stream) UntilLeft(user string) []Event {
	s.t.Helper()
	return s.Until(func(e Event) bool { return e.Type == "user_leave" && e.User == user })
}
