package realtime

import "slices"

// names is a sorted list of names in chunks, so that a change moves few of them however many there are.
type names struct {
	chunks [][]string // none is empty
	count  int
}

// chunkSize is at how many names a chunk is split.
const chunkSize = 512

// find returns where name is or belongs.
func (l *names) find(name string) (chunk, at int) {
	chunk, _ = slices.BinarySearchFunc(l.chunks, name, func(c []string, name string) int {
		if c[len(c)-1] < name {
			return -1
		}
		return 1 // the first chunk that ends at or after name
	})
	if chunk == len(l.chunks) {
		return chunk, 0
	}
	at, _ = slices.BinarySearch(l.chunks[chunk], name)
	return chunk, at
}

func (l *names) insert(name string) {
	l.count++
	if len(l.chunks) == 0 {
		l.chunks = [][]string{{name}}
		return
	}
	i, at := l.find(name)
	if i == len(l.chunks) { // after all others
		i, at = i-1, len(l.chunks[i-1])
	}
	c := slices.Insert(l.chunks[i], at, name)
	l.chunks[i] = c
	if len(c) > chunkSize {
		half := len(c) / 2
		l.chunks[i] = slices.Clone(c[:half])
		l.chunks = slices.Insert(l.chunks, i+1, slices.Clone(c[half:]))
	}
}

// remove removes a name that is there.
func (l *names) remove(name string) {
	i, at := l.find(name)
	l.count--
	if l.chunks[i] = slices.Delete(l.chunks[i], at, at+1); len(l.chunks[i]) == 0 {
		l.chunks = slices.Delete(l.chunks, i, i+1)
	}
}

// first returns the first n names, or all if there are fewer.
func (l *names) first(n int) []string {
	first := make([]string, 0, min(n, l.count))
	for _, c := range l.chunks {
		first = append(first, c[:min(len(c), n-len(first))]...)
		if len(first) == n {
			break
		}
	}
	return first
}
