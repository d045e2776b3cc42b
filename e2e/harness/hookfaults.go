package harness

import (
	"net/http"
	"sync"
	"time"
)

// InMidBatch runs post and then fault while the receiver holds back its answer to the first batch. Later events wait for
// that answer, since order is kept. If post takes longer than the sender waits for an answer, the sender repeats the batch;
// GaveUp counts that.
func (r *Receiver) InMidBatch(post, fault func()) {
	r.t.Helper()
	posted, done := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.AnswerWith(func(w http.ResponseWriter, c HookCall) {
		select {
		case <-posted:
		case <-c.Context.Done():
			r.gaveUp.Add(1)
			return
		}
		once.Do(func() {
			fault()
			close(done)
		})
		w.WriteHeader(http.StatusOK)
	})
	post()
	close(posted)
	select {
	case <-done:
	case <-time.After(Patience):
		r.t.Fatal("no batch arrived")
	}
}

// GaveUp returns how often the sender timed out waiting for an answer during InMidBatch.
func (r *Receiver) GaveUp() int { return int(r.gaveUp.Load()) }
