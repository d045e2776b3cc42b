package realtime

import (
	"testing"
	"time"
)

// Posts count from the first second on, and no longer once they are older than the samples.
func TestRatesCoverTheLastSeconds(t *testing.T) {
	began := time.Now()
	m := &meter{started: began}
	m.posts.Add(12)
	for second := 1; second <= 30; second++ {
		at := began.Add(time.Duration(second) * time.Second)
		m.take(at)
		posts, _ := m.rates(at.Add(time.Second))
		want := 12 / float64(second+1)
		if second >= len(m.past) {
			want = 0
		}
		if posts != want {
			t.Errorf("after %d s: %v posts a second, want %v", second+1, posts, want)
		}
	}
}
