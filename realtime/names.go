package realtime

import "strings"

// names is a sorted list of names. A name may be there more than once.
type names struct{ chunked[string] }

func (l *names) insert(name string) {
	chunk, at, _ := l.find(name, strings.Compare)
	l.insertAt(chunk, at, name)
}

// remove removes a name that is there.
func (l *names) remove(name string) {
	chunk, at, _ := l.find(name, strings.Compare)
	l.removeAt(chunk, at)
}
