package followers

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// handled moves f past a batch, if it was done.
func (r *Runner) handled(f *running, b Batch, err error) error {
	upto, write := b.Upto, true
	var later *Later
	var pause *Pause
	switch {
	case errors.Is(err, ErrNothing):
		write = false
		err = nil
	case errors.As(err, &later):
		upto = later.Done
	case errors.As(err, &pause):
		return r.pause(f, pause)
	case errors.Is(err, ErrMoved):
		r.mu.Lock()
		f.moved = true
		r.mu.Unlock()
		return nil
	case err != nil:
		return err
	}
	r.mu.Lock()
	moved := upto > f.pos
	f.pos = max(f.pos, upto)
	if moved || err == nil {
		write = write || f.lease.Failures > 0
		f.lease.Failures, f.lease.FailingSince, f.lease.RetryAt, f.err = 0, time.Time{}, time.Time{}, nil
	}
	p := f.progress()
	if moved && f.cursor != nil {
		f.stepped() // once it is written, if that is our task
	}
	r.mu.Unlock()
	if f.cursor == nil && moved && write {
		if err := r.saveSurely(f, p); err != nil {
			return err
		}
	}
	return err
}

// progress returns f's progress. The caller holds Runner.mu.
func (f *running) progress() Progress {
	p := Progress{Lease: f.lease}
	p.Cursor = f.pos
	if f.err != nil && f.lease.Failures > 0 {
		p.Error = f.err.Error()
	}
	return p
}

// saveSurely writes f's progress, retrying as long as f has its lease: no other batch may begin before it is written.
func (r *Runner) saveSurely(f *running, p Progress) error {
	for {
		err := r.save(f, p)
		if err == nil || errors.Is(err, errLost) {
			return err
		}
		r.logger.Warn("could not write a follower's cursor; trying again", "follower", f.Name, "error", err)
		select {
		case <-time.After(time.Second):
		case <-f.ctx.Done():
			return f.ctx.Err()
		}
	}
}

const (
	retryFrom = time.Second
	retryUpTo = time.Hour
)

// failed records a failure of f, and returns how long it waits.
func (r *Runner) failed(f *running, err error) time.Duration {
	if f.left() {
		return 0
	}
	var later *Later
	isLater := errors.As(err, &later)
	if isLater && later.Err == nil {
		return max(0, later.After)
	}
	if _, ok := errors.AsType[logError](err); ok {
		r.mu.Lock()
		f.err = err // not its own failure
		f.stepped()
		r.mu.Unlock()
		return retryFrom
	}
	r.mu.Lock()
	f.err = err
	f.lease.Failures++
	if f.lease.FailingSince.IsZero() {
		f.lease.FailingSince = time.Now()
	}
	wait := backOff(f.lease.Failures)
	if isLater && later.After > 0 {
		wait = min(later.After, retryUpTo)
	}
	f.lease.RetryAt = time.Now().Add(wait)
	p := f.progress()
	f.stepped()
	r.mu.Unlock()
	if f.cursor != nil {
		r.logger.Warn("a follower of the log is stuck; trying again", "follower", f.Name, "error", err)
		return min(wait, soon)
	}
	r.logger.Debug("a follower failed", "follower", f.Name, "failures", p.Failures, "again", wait, "error", err)
	_ = r.save(f, p) // a loss only affects how long it has been failing
	return wait
}

// backOff returns the wait after that many failures: 1 s, 2 s, 4 s … 1 h, and up to a tenth less, so that followers
// that failed together do not retry together.
func backOff(failures int) time.Duration {
	d := retryUpTo
	if failures <= 12 {
		d = min(retryFrom<<(failures-1), retryUpTo)
	}
	return d - time.Duration(rand.Int64N(int64(d)/10))
}

// wait waits, unless f is to stop or is nudged; it reports whether the time is over.
func (r *Runner) wait(f *running, d time.Duration) bool {
	r.mu.Lock()
	hurried := f.hurry > f.pos && f.err == nil
	f.again = time.Now().Add(d)
	r.mu.Unlock()
	defer func() {
		r.mu.Lock()
		f.again = time.Time{}
		r.mu.Unlock()
	}()
	if d <= 0 || hurried {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-f.poke:
	case <-f.leave:
	}
	return false
}

// pause stores that f is paused, and drops it.
func (r *Runner) pause(f *running, pause *Pause) error {
	r.mu.Lock()
	p := f.progress()
	r.mu.Unlock()
	p.Paused = cmp.Or(pause.Reason, "paused")
	if f.cursor != nil {
		return fmt.Errorf("%s cannot be paused: %w", f.Name, pause)
	}
	if err := r.saveSurely(f, p); err != nil {
		return err
	}
	r.logger.Info("a follower is paused", "follower", f.Name, "reason", p.Paused)
	r.mu.Lock()
	r.drop(f)
	r.mu.Unlock()
	return nil
}
