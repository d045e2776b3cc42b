package realtime

import (
	"cmp"
	"iter"

	"tandem/chat"
)

// people is a list of who is in which topic, sorted by topic and user. The users of a topic are adjacent, so no topic
// needs a set of its own: of many rooms, a node has only a few users each.
type people struct{ chunked[Presence] }

// compare ignores the name, as hash does: the number identifies the user.
func (p Presence) compare(q Presence) int {
	return cmp.Or(cmp.Compare(p.Topic, q.Topic), cmp.Compare(p.User, q.User))
}

// insert returns false if p is already there.
func (l *people) insert(p Presence) bool {
	chunk, at, found := l.find(p, Presence.compare)
	if !found {
		l.insertAt(chunk, at, p)
	}
	return !found
}

// remove returns false if p is not there.
func (l *people) remove(p Presence) bool {
	chunk, at, found := l.find(p, Presence.compare)
	if found {
		l.removeAt(chunk, at)
	}
	return found
}

func (l *people) has(p Presence) bool {
	_, _, found := l.find(p, Presence.compare)
	return found
}

// all returns a copy of the list.
func (l *people) all() []Presence { return l.first(l.count) }

// in returns who is in t.
func (l *people) in(t chat.Topic) iter.Seq[Presence] {
	return func(yield func(Presence) bool) {
		chunk, at, _ := l.find(Presence{Topic: t}, Presence.compare) // users have positive numbers
		for ; chunk < len(l.chunks); chunk, at = chunk+1, 0 {
			for _, p := range l.chunks[chunk][at:] {
				if p.Topic != t || !yield(p) {
					return
				}
			}
		}
	}
}
