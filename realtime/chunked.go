package realtime

import "slices"

// chunked is a sorted list in chunks, so that a change moves few elements however many there are.
type chunked[T any] struct {
	chunks [][]T // none is empty
	count  int
}

// chunkSize is at how many elements a chunk is split.
const chunkSize = 512

// find returns where v is, or belongs.
func (l *chunked[T]) find(v T, compare func(a, b T) int) (chunk, at int, found bool) {
	chunk, _ = slices.BinarySearchFunc(l.chunks, v, func(c []T, v T) int {
		if compare(c[len(c)-1], v) < 0 {
			return -1
		}
		return 1 // the first chunk that ends at or after v
	})
	if chunk == len(l.chunks) {
		return chunk, 0, false
	}
	at, found = slices.BinarySearchFunc(l.chunks[chunk], v, compare)
	return chunk, at, found
}

// insertAt inserts v where find says that it belongs.
func (l *chunked[T]) insertAt(chunk, at int, v T) {
	l.count++
	if len(l.chunks) == 0 {
		l.chunks = [][]T{{v}}
		return
	}
	if chunk == len(l.chunks) { // after all others
		chunk, at = chunk-1, len(l.chunks[chunk-1])
	}
	c := slices.Insert(l.chunks[chunk], at, v)
	l.chunks[chunk] = c
	if len(c) > chunkSize {
		half := len(c) / 2
		l.chunks[chunk] = slices.Clone(c[:half])
		l.chunks = slices.Insert(l.chunks, chunk+1, slices.Clone(c[half:]))
	}
}

// fill makes sorted elements the list's.
func (l *chunked[T]) fill(sorted []T) {
	l.chunks, l.count = slices.Collect(slices.Chunk(sorted, chunkSize)), len(sorted)
}

// removeAt removes the element that find found there.
func (l *chunked[T]) removeAt(chunk, at int) {
	l.count--
	if l.chunks[chunk] = slices.Delete(l.chunks[chunk], at, at+1); len(l.chunks[chunk]) == 0 {
		l.chunks = slices.Delete(l.chunks, chunk, chunk+1)
	}
}

// first returns the first n elements, or all if there are fewer.
func (l *chunked[T]) first(n int) []T {
	first := make([]T, 0, min(n, l.count))
	for _, c := range l.chunks {
		first = append(first, c[:min(len(c), n-len(first))]...)
		if len(first) == n {
			break
		}
	}
	return first
}
