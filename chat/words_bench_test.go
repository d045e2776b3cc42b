package chat

import "testing"

func BenchmarkWords(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		Words("Forty-eight characters of a message over the wire, v4.2 of it, forty-eight characters of a message over the wire")
	}
}
