package followers

import (
	"context"
	"errors"
	"time"

	"tandem/panics"
)

// save is a cursor on its way to the database.
type save struct {
	Progress
	f    *running
	err  error
	done chan struct{}
}

// errLost means that another node has taken the lease.
var errLost = errors.New("the lease is lost")

// save writes f's progress, together with others being saved.
func (r *Runner) save(f *running, p Progress) error {
	r.mu.Lock()
	s := r.queueSave(f, p)
	r.mu.Unlock()
	<-s.done
	return s.err
}

// queueSave queues f's progress for writeSaves. The caller holds r.mu.
func (r *Runner) queueSave(f *running, p Progress) *save {
	s := &save{Progress: p, f: f, done: make(chan struct{})}
	r.saves = append(r.saves, s)
	if !r.saving {
		r.saving = true
		r.working.Go(r.writeSaves)
	}
	return s
}

// saveOld writes the cursors that have moved without work for some time.
func (r *Runner) saveOld() {
	before := time.Now().Add(-saveAfter)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.held {
		if !f.current || f.written.After(before) {
			continue
		}
		if f.pos = max(f.pos, r.head); f.pos > f.lease.Cursor {
			r.queueSave(f, f.progress())
		}
	}
}

// writeSaves writes queued cursors until there are none.
func (r *Runner) writeSaves() {
	for {
		r.mu.Lock()
		saves := r.saves
		r.saves = nil
		if len(saves) == 0 {
			r.saving = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		all := make([]Progress, len(saves))
		for i, s := range saves {
			all[i] = s.Progress
		}
		err := ErrPanicked
		var saved []bool
		panics.Do(r.logger, "writing the cursors of followers", func() { saved, err = r.leases.Save(context.Background(), all) })
		r.mu.Lock()
		now := time.Now()
		for i, s := range saves {
			s.err = err
			switch {
			case err != nil:
			case !saved[i]:
				s.err = errLost
				r.drop(s.f)
			default:
				s.f.lease.Cursor, s.f.written = s.Cursor, now
				s.f.stepped()
			}
			close(s.done)
		}
		r.mu.Unlock()
	}
}
