package realtime

import (
	"context"
	"errors"
	"slices"

	"tandem/chat"
)

// burst is about how many bytes Next returns at once.
const burst = 32 << 10

// Next appends the next frames to buf, about 32 KiB at most, or nothing if there is nothing to send. done reports that
// the stream has ended with these frames. An error means that the log could not be read: nothing is lost, and a later
// call continues.
func (s *Stream) Next(ctx context.Context, buf []byte) (out []byte, done bool, err error) {
	return s.next(ctx, buf, true)
}

// errLogNeeded means that the next events must be read from the log, by a goroutine that may block.
var errLogNeeded = errors.New("the ring no longer has it")

// next is Next; without mayRead it does not read the log, but returns errLogNeeded.
func (s *Stream) next(ctx context.Context, buf []byte, mayRead bool) (out []byte, done bool, err error) {
	out = buf
	if s.opening != nil {
		out, s.opening = append(out, s.opening...), nil
	}
	s.mu.Lock()
	out, s.control = append(out, s.control...), nil
	s.letSend()
	ping, ending, closing, retry := s.ping, s.ending, s.closing, s.retry
	s.ping = false
	s.mu.Unlock()
	switch {
	case ending != nil:
		return append(out, ending...), true, nil
	case closing != "":
		if closing == chat.CloseRestart && !s.behind {
			out = s.fromRing(out) // or the client must fetch it again
		}
		c := chat.StreamClose(closing, retry.Milliseconds())
		out = s.framer.Frame(out, c.Type, chat.Cursor{}, c.JSON)
		return s.framer.End(out, closing), true, nil
	}
	for len(out) < burst {
		n, wasBehind := len(out), s.behind
		if s.behind {
			out, err = s.fromLog(ctx, out, mayRead)
		} else {
			out = s.fromRing(out)
		}
		if err != nil || len(out) == n && !wasBehind && !s.behind { // what the log did not have, the ring may
			break
		}
	}
	if ping { // even if it is behind: what it waits for takes time
		p := chat.Ping(s.cursor())
		out = s.framer.Frame(out, p.Type, s.cursor(), p.JSON)
	}
	return out, false, err
}

// fromRing appends what the ring has after s's position, or finds that s is behind the ring.
func (s *Stream) fromRing(out []byte) []byte {
	h := s.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	if s.over {
		return out
	}
	if s.seq < h.ring.evicted {
		s.behind = true
		return out
	}
	var few [4]*entry // enough for the usual case, without an allocation
	entries := few[:0]
	upto := h.ring.seq
	topics := 0
	const most = 256
	for i := range s.follows {
		f := &s.follows[i]
		tail, more := f.topic.tail(s.seq, most)
		if len(tail) > 0 {
			topics++
			if f.after == 0 && f.until == 0 {
				entries = append(entries, tail...)
			} else {
				for _, e := range tail {
					// In the inbox, presencePos says what came before the stream.
					if f.covers(e.at, e.id != 0) || e.id == 0 && !f.topic.key.IsRoom() {
						entries = append(entries, e)
					}
				}
			}
		}
		if more {
			upto = min(upto, tail[len(tail)-1].seq)
		}
	}
	if topics > 1 {
		entries = merge(entries)
	}
	var sent uint64
	var last *entry
	for _, e := range entries {
		if e.seq > upto {
			break
		}
		if len(out) >= burst {
			upto = e.seq - 1
			break
		}
		if e.id == 0 && e.seq > s.presencePos && !e.excludes(s) || e.id > s.pos {
			out = append(out, e.frame(s.framer, s.log)...)
			sent, last = sent+1, e
			s.news = s.news || e.id != 0
			if h.traces != nil && e.id != 0 {
				h.traces.Handed(e.id)
			}
		}
		s.pos = max(s.pos, e.at)
	}
	h.countDelivered(s, sent, last)
	s.seq = upto
	s.presencePos = max(s.presencePos, upto)
	if upto == h.ring.seq {
		s.pos = max(s.pos, h.pos)
	}
	s.settle()
	return out
}

// fromLog appends what the log has after s's position, until the ring has the rest.
func (s *Stream) fromLog(ctx context.Context, out []byte, mayRead bool) ([]byte, error) {
	h := s.hub
	out, follows, upto := s.toRing(out)
	if !s.behind {
		return out, nil
	}
	if !mayRead {
		return out, errLogNeeded
	}
	since := make([]chat.TopicSince, 0, len(follows))
	for _, f := range follows {
		if f.topic.key != siteTopic {
			since = append(since, chat.TopicSince{Topic: f.topic.key, After: max(s.pos, f.after)})
		}
	}
	h.meter.logReads.Add(1)
	events, err := h.log.Read(ctx, since, upto, logPage)
	if err != nil {
		return out, err
	}
	var json []byte
	for i := range events {
		if len(out) >= burst {
			return out, nil // long messages; the rest is read again
		}
		e := &events[i]
		s.pos = e.ID
		if !covered(follows, e) {
			continue
		}
		json = e.AppendJSON(json[:0])
		out = s.framer.Frame(out, e.Type, chat.Cursor{ID: e.ID, Log: s.log}, json)
		h.meter.deliveries.Add(1)
		s.news = true
	}
	if len(events) < logPage {
		s.pos = upto
	}
	return out, nil
}

// toRing ends the catch-up if the ring has what follows s's position, or nothing more is to be sent. Otherwise it
// returns what to read from the log: all of it is committed up to upto, so that a read sees it, and its effects on
// follows are applied.
func (s *Stream) toRing(out []byte) (_ []byte, follows []follow, upto int64) {
	h := s.hub
	h.mu.RLock()
	defer h.mu.RUnlock()
	switch {
	case s.over:
		s.behind = false // caught up
	case s.pos >= h.ring.floor:
		s.behind = false
		s.seq = h.ring.seqAt(s.pos)
		// Presence changes were missed meanwhile; the current list replaces them.
		for i := range s.follows {
			if f := &s.follows[i]; f.until == 0 && f.topic.changed > s.presencePos {
				out = append(out, f.topic.userList(s.viewer.User).frame(s.framer, s.log)...)
			}
		}
		s.presencePos = h.ring.seq
	default:
		s.settle()
		return out, slices.Clone(s.follows), h.pos // the hub moves on
	}
	return out, nil, 0
}

func (s *Stream) cursor() chat.Cursor { return chat.Cursor{ID: s.pos, Log: s.log} }
