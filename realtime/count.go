package realtime

// count counts a stream among its user's, or, where nobody's account opens it, among those of its address; false
// where there are as many as may be. Judged and counted under one lock: of streams that open at once none slips
// through. Hub.mu is held.
func (h *Hub) count(s *Stream) bool {
	v := s.viewer
	n := len(h.users[v.User])
	if v.User == 0 {
		n = h.anonymous[v.Address]
	}
	if h.most > 0 && n >= h.most {
		return false
	}
	if v.User == 0 {
		h.anonymous[v.Address]++
	} else {
		h.users[v.User] = append(h.users[v.User], s)
	}
	s.counted = true
	return true
}

// uncount takes back a count. Hub.mu is held.
func (h *Hub) uncount(s *Stream) {
	if v := s.viewer; v.User == 0 {
		if h.anonymous[v.Address]--; h.anonymous[v.Address] == 0 {
			delete(h.anonymous, v.Address)
		}
	} else if h.users[v.User] = without(h.users[v.User], s); len(h.users[v.User]) == 0 {
		delete(h.users, v.User)
	}
}
