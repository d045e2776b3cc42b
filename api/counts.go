package api

import (
	"sync"
	"sync/atomic"
)

// counts are a Server's counters since its start.
type counts struct {
	answers   [6]atomic.Uint64 // by the first digit of the status
	problems  sync.Map         // code: *atomic.Uint64
	frames    atomic.Uint64    // WebSocket frames that came too fast
	streams   atomic.Uint64    // streams beyond a user's limit
	spent     atomic.Uint64    // uploads beyond the daily quota
	uploads   atomic.Uint64
	uploaded  atomic.Uint64 // bytes
	downloads atomic.Uint64
}

// Counts are a Server's figures since its start.
type Counts struct {
	Answers       map[string]uint64 // by class of status, such as 2xx; includes commands over WebSockets
	Problems      map[string]uint64 // problem responses, by code
	Limited       map[string]uint64 // calls refused by a limit, by the limit's name
	Uploads       uint64
	UploadedBytes uint64
	Downloads     uint64 // of files and previews
}

// Counts returns the current figures.
func (s *Server) Counts() Counts {
	c := &s.counts
	stats := Counts{
		Answers: make(map[string]uint64), Problems: make(map[string]uint64),
		Limited: map[string]uint64{"frames": c.frames.Load(), "streams": c.streams.Load(), "files": c.spent.Load()},
		Uploads: c.uploads.Load(), UploadedBytes: c.uploaded.Load(), Downloads: c.downloads.Load(),
	}
	for class := 1; class < len(c.answers); class++ {
		stats.Answers[string(rune('0'+class))+"xx"] = c.answers[class].Load()
	}
	for _, code := range []string{"internal", "unavailable"} { // so that alerts on them start from 0
		stats.Problems[code] = 0
	}
	c.problems.Range(func(code, n any) bool {
		stats.Problems[code.(string)] = n.(*atomic.Uint64).Load()
		return true
	})
	for _, l := range s.limits.all() {
		if l != nil {
			stats.Limited[l.name] = l.refused.Load()
		}
	}
	return stats
}

func (c *counts) answer(status int) {
	if class := status / 100; class > 0 && class < len(c.answers) {
		c.answers[class].Add(1)
	}
}

// problem counts a refusal. Codes are our own, so there are few.
func (c *counts) problem(code string) {
	n, ok := c.problems.Load(code)
	if !ok {
		n, _ = c.problems.LoadOrStore(code, new(atomic.Uint64))
	}
	n.(*atomic.Uint64).Add(1)
}
