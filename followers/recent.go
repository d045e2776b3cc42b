package followers

import (
	"sort"

	"tandem/chat"
)

// mostRecent bounds the bytes of events that are kept for followers near the head.
const mostRecent = 4 << 20

// recent has the events after start, in order. What it returned is never changed, so it can be read without a lock.
type recent struct {
	start  int64
	events []chat.Event
	bytes  int
}

func (r *recent) reset(start int64) { *r = recent{start: start} }

func (r *recent) add(e *chat.Event) {
	r.events = append(r.events, *e)
	r.bytes += sizeOf(e)
	if r.bytes <= mostRecent {
		return
	}
	gone := 0
	for r.bytes > mostRecent/2 {
		r.bytes -= sizeOf(&r.events[gone])
		gone++
	}
	r.start = r.events[gone-1].ID
	r.events = append([]chat.Event(nil), r.events[gone:]...)
}

func sizeOf(e *chat.Event) int { return len(e.Body) + 100 }

// behind returns the events after id, if all of them are here.
func (r *recent) behind(id int64) ([]chat.Event, bool) {
	if id < r.start {
		return nil, false
	}
	return r.events[sort.Search(len(r.events), func(i int) bool { return r.events[i].ID > id }):], true
}
