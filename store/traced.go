package store

import (
	"context"
	"sync"
	"time"
)

// Traces follows writes by their traces.
type Traces interface {
	// Parent is the traceparent of ctx; empty where it is not traced.
	Parent(ctx context.Context) string
	// Committed is called for each event of a traced write, before Config.Committed: its id, the traceparent, when the
	// transaction began, how long it took, and how many writes shared it.
	Committed(id int64, parent string, began time.Time, took time.Duration, writes int)
}

// traced has the traces of the jobs on their way. It is empty, and is not looked at, if to is nil.
type traced struct {
	to   Traces
	jobs sync.Map // *job: *trace
}

type trace struct {
	parent string
	events []int64 // what the job's run appended when it was last run
}

// follow notes the trace of a job that is about to be submitted. forget is called when the caller leaves.
func (r *traced) follow(ctx context.Context, j *job) (forget func()) {
	parent := r.to.Parent(ctx)
	if parent == "" {
		return func() {}
	}
	tr := &trace{parent: parent}
	if run := j.run; run != nil {
		j.run = func(t *tx) error {
			from := len(t.events)
			err := run(t)
			tr.events = tr.events[:0]
			for _, e := range t.events[from:] {
				tr.events = append(tr.events, e.ID)
			}
			return err
		}
	}
	r.jobs.Store(j, tr)
	return func() { r.jobs.Delete(j) }
}

// committed reports the jobs of a batch that are durable.
func (r *traced) committed(batch []*job, began time.Time, took time.Duration) {
	for _, j := range batch {
		v, ok := r.jobs.Load(j)
		if !ok || j.err != nil {
			continue
		}
		tr := v.(*trace)
		ids := tr.events
		if j.post != nil && j.post.fresh {
			ids = []int64{j.post.message.ID}
		}
		for _, id := range ids {
			r.to.Committed(id, tr.parent, began, took, len(batch))
		}
	}
}
