package realtime

// count adds a stream to its user's count or, without an account, to its address's. It returns false if the limit is
// reached. Checking and counting happen under one lock, so that streams opened at once cannot exceed the limit. The
// caller holds Hub.mu.
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

// uncount undoes count. The caller holds Hub.mu.
func (h *Hub) uncount(s *Stream) {
	if v := s.viewer; v.User == 0 {
		if h.anonymous[v.Address]--; h.anonymous[v.Address] == 0 {
			delete(h.anonymous, v.Address)
		}
	} else if h.users[v.User] = without(h.users[v.User], s); len(h.users[v.User]) == 0 {
		delete(h.users, v.User)
	}
}
