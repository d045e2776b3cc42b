package harness

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

// ManyAtOnce calls f n times concurrently and counts the answers by status.
func ManyAtOnce(t *testing.T, n int, f func(i int) (Answer, error)) map[int]int {
	t.Helper()
	var mu sync.Mutex
	var answers []Answer
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			a, err := f(i)
			unknown := false // the database was too slow to confirm the outcome; a retry finds it out
			for tries := 1; err == nil && a.Status == http.StatusServiceUnavailable && tries < 10; tries++ {
				unknown = true
				a, err = f(i)
			}
			if err != nil {
				t.Error(err)
				return
			}
			if unknown && a.Status == http.StatusConflict && a.WantProblem(409, "", "").Code == "room_exists" {
				a.Status = http.StatusCreated
			}
			mu.Lock()
			defer mu.Unlock()
			answers = append(answers, a)
		})
	}
	wg.Wait()
	counts := make(map[int]int)
	for _, a := range answers {
		counts[a.Status]++
		if a.Status >= 400 && !strings.HasPrefix(a.WantProblem(409, "limit_reached", "").Detail, "Limit reached: ") {
			t.Errorf("%s: problem does not name the limit: %s", a.Call, a.Body)
		}
	}
	return counts
}
