package realtime

import (
	"iter"
	"time"
)

// roster is a hub's streams, spread over the seconds at which each is pinged: a second's work is that second's share of
// the streams, whatever their number, and no stream has a timer. Guarded by Hub.mu.
type roster struct {
	began  time.Time // second 0
	second int       // up to it the clock has come
	seats  [pingSeconds][]*Stream
	count  int
	// expiring are those whose token ends before their seat's second comes again. It may have some that are gone.
	expiring []*Stream
}

// seat is a stream's place in a roster.
type seat struct{ second, index int32 }

var nowhere = seat{-1, -1}

const (
	// pingEvery is how often a stream shows that it is alive, below the 30 s of common proxies.
	pingEvery   = pingSeconds * time.Second
	pingSeconds = 20
	// fewPings is how many streams of one second are never too many for it.
	fewPings = 64
)

// add seats s where it is pinged in pingEvery, or sooner where that second has more than twice its share: after a
// restart all come at once, and their pings would hold up everything else every 20 s.
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

// remove returns false where s is not there any more.
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

// advance moves the clock to now and returns those to be pinged, and those whose token has expired.
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

// expires tells whether s's token ends at that time, or before.
func (s *Stream) expires(by time.Time) bool {
	return !s.viewer.Expires.IsZero() && !by.Before(s.viewer.Expires)
}
