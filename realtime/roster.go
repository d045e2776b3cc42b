package realtime

import (
	"iter"
	"time"
)

// roster spreads a hub's streams over the seconds at which each is pinged: each second handles its share of the
// streams, and no stream has a timer. Guarded by Hub.mu.
type roster struct {
	began  time.Time // second 0
	second int       // the clock's position
	seats  [pingSeconds][]*Stream
	count  int
	// expiring are those that end before their second comes again. It may contain streams that are gone.
	expiring []*Stream
}

// seat is a stream's place in a roster.
type seat struct{ second, index int32 }

var nowhere = seat{-1, -1}

const (
	// pingEvery is how often a stream shows that it is alive, below the 30 s of common proxies.
	pingEvery   = pingSeconds * time.Second
	pingSeconds = 20
	// fewPings is how many streams a second can always handle.
	fewPings = 64
)

// add places s where it is pinged in pingEvery, or sooner if that second has more than twice its share: after a restart
// all streams come at once, and their pings would delay everything else every 20 s.
func (r *roster) add(s *Stream) {
	most := fewPings + 2*r.count/pingSeconds
	at := r.second % pingSeconds
	for range pingSeconds {
		if len(r.seats[at]) < most {
			break
		}
		at = (at + pingSeconds - 1) % pingSeconds
	}
	s.seat = seat{int32(at), int32(len(r.seats[at]))}
	r.seats[at] = append(r.seats[at], s)
	r.count++
	if s.expires(r.began.Add(time.Duration(r.second+pingSeconds) * time.Second)) {
		r.expiring = append(r.expiring, s)
	}
}

// remove returns false if s is no longer there.
func (r *roster) remove(s *Stream) bool {
	if s.seat == nowhere {
		return false
	}
	row := r.seats[s.seat.second]
	last := len(row) - 1
	row[s.seat.index] = row[last]
	row[s.seat.index].seat.index = s.seat.index
	row[last] = nil
	r.seats[s.seat.second] = row[:last]
	r.count--
	s.seat = nowhere
	return true
}

func (r *roster) all() iter.Seq[*Stream] {
	return func(yield func(*Stream) bool) {
		for _, row := range r.seats {
			for _, s := range row {
				if !yield(s) {
					return
				}
			}
		}
	}
}

// advance moves the clock to now and returns the streams to ping and those whose time is over.
func (r *roster) advance(now time.Time) (pings, expired []*Stream) {
	upto := int(now.Sub(r.began) / time.Second)
	for r.second = max(r.second, upto-pingSeconds); r.second < upto; {
		r.second++
		row := r.seats[r.second%pingSeconds]
		pings = append(pings, row...)
		again := r.began.Add(time.Duration(r.second+pingSeconds+1) * time.Second)
		for _, s := range row {
			if s.expires(again) {
				r.expiring = append(r.expiring, s)
			}
		}
	}
	waiting := r.expiring[:0]
	for _, s := range r.expiring {
		if s.expires(now) {
			expired = append(expired, s)
		} else {
			waiting = append(waiting, s)
		}
	}
	clear(r.expiring[len(waiting):])
	r.expiring = waiting
	return pings, expired
}

// expires reports whether s must end at or before that time.
func (s *Stream) expires(by time.Time) bool {
	return s.tokenEnds(by) || s.ends > 0 && by.UnixNano() >= s.ends
}

// tokenEnds reports whether s's token expires at or before that time.
func (s *Stream) tokenEnds(by time.Time) bool {
	return !s.viewer.Expires.IsZero() && !by.Before(s.viewer.Expires)
}
