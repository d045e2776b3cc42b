package followers

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"tandem/chat"
	"tandem/panics"
)

// running is a follower that this node runs. Runner.mu guards its fields, except those of Follower, which do not
// change.
type running struct {
	Follower
	cursor func(ctx context.Context) (int64, error) // for a Local; nil for a leased follower

	job func(ctx context.Context) (time.Duration, error) // instead of everything above; nil for a follower

	ctx    context.Context    // of Handle
	cancel context.CancelFunc // cancels it
	leave  chan struct{}      // closed when no other batch may begin
	poke   chan struct{}      // ends its wait

	lease   Lease         // its Cursor as last written
	written time.Time     // when that was
	pos     int64         // everything up to it is done
	current bool          // so is everything up to Runner.head: it waits for new events
	active  bool          // its goroutine runs
	moved   bool          // its cursor must be read first; for a Local
	hurry   int64         // it does not rest before this position
	err     error         // why it is stuck; nil if it is not
	again   time.Time     // until when it waits
	step    chan struct{} // closed when pos or err changes
}

const batchSize = 100

func newRunning(f Follower, l Lease) *running {
	f.Batch = cmp.Or(f.Batch, batchSize)
	n := &running{
		Follower: f, lease: l, written: time.Now(), pos: l.Cursor, moved: l.Name == "",
		leave: make(chan struct{}), poke: make(chan struct{}, 1), step: make(chan struct{}),
	}
	n.ctx, n.cancel = context.WithCancel(context.Background())
	return n
}

func (f *running) left() bool {
	select {
	case <-f.leave:
		return true
	default:
		return false
	}
}

// nudge ends f's wait.
func (f *running) nudge() {
	select {
	case f.poke <- struct{}{}:
	default:
	}
}

// busy reports whether f works, or will before latest.
func (f *running) busy(latest time.Time) bool { return f.active && f.again.Before(latest) }

// stepped announces a change. The caller holds Runner.mu.
func (f *running) stepped() {
	close(f.step)
	f.step = make(chan struct{})
}

// work does f's work until it is at the head or is to stop.
func (r *Runner) work(f *running) {
	r.mu.Lock()
	retry := time.Until(f.lease.RetryAt) // it may have failed on another node, or waited when this one fell silent
	r.mu.Unlock()
	r.wait(f, retry)
	for {
		began := time.Now()
		full, err := false, ErrPanicked
		panics.Do(r.logger, "the follower "+f.Name, func() { full, err = r.once(f) })
		if err == errCurrent { // it is not wrapped
			return
		}
		var rest time.Duration
		switch {
		case err != nil:
			rest = r.failed(f, err)
		case f.Rest != nil:
			rest = max(pace, f.Rest(time.Since(began)))
		case !full:
			rest = pace // what arrives by then is one batch
		}
		r.wait(f, rest)
	}
}

var errCurrent = errors.New("at the head")

// ErrPanicked means that a follower's function panicked.
var ErrPanicked = errors.New("it panicked; see the server's log")

// logError means that the log, or the cursor's database, could not be read or written: it is not the follower's
// failure.
type logError struct{ error }

func (e logError) Unwrap() error { return e.error }

// once handles f's next batch, and reports whether there may be more at once. It returns errCurrent if there is nothing
// to do, and f is then no longer active.
func (r *Runner) once(f *running) (full bool, err error) {
	if f.job != nil {
		return false, r.do(f)
	}
	r.mu.Lock()
	moved := f.moved
	f.moved = false
	r.mu.Unlock()
	if moved {
		at, err := f.cursor(f.ctx)
		r.mu.Lock()
		if f.moved = err != nil; !f.moved {
			f.pos = at
			f.stepped()
		}
		r.mu.Unlock()
		if err != nil {
			return false, logError{err}
		}
	}
	b, head, err := r.next(f)
	if err != nil {
		return false, err
	}
	full = b.Upto < head
	if len(b.Events) == 0 && f.cursor == nil {
		r.mu.Lock()
		f.pos = b.Upto
		f.stepped()
		r.mu.Unlock()
		return true, nil
	}
	err = f.Handle(f.ctx, b)
	return full, r.handled(f, b, err)
}

// do does f's job, once the node is not silent.
func (r *Runner) do(f *running) error {
	select {
	case <-r.gate.Awake():
	case <-f.leave:
	}
	r.mu.Lock()
	leaves := f.leaves(r)
	r.mu.Unlock()
	if leaves {
		return errCurrent
	}
	again, err := f.job(f.ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	f.lease.Failures, f.lease.FailingSince, f.lease.RetryAt, f.err = 0, time.Time{}, time.Time{}, nil
	r.mu.Unlock()
	return &Later{After: max(again, time.Millisecond)}
}

// leaves reports whether f must stop, and then ends its being active. The caller holds Runner.mu.
func (f *running) leaves(r *Runner) bool {
	if f.cursor == nil && !f.left() && !time.Now().Before(r.until) { // this process was suspended
		r.dropAll()
		r.lookSoon()
	}
	if !f.left() {
		return false
	}
	f.active = false
	f.stepped()
	return true
}

// next returns what f does next, and the log's head.
func (r *Runner) next(f *running) (b Batch, head int64, err error) {
	r.mu.Lock()
	head = max(r.head, f.hurry)
	switch {
	case f.leaves(r):
		err = errCurrent
	case f.pos >= head:
		f.active, f.current = false, true
		f.stepped()
		err = errCurrent
	}
	from := f.pos
	events, here := r.recent.behind(from)
	here = here && head == r.head
	b = Batch{Log: r.name, Upto: head, Failures: f.lease.Failures, FailingSince: f.lease.FailingSince}
	r.mu.Unlock()
	if err != nil {
		return b, head, err
	}
	if !here {
		if events, err = r.read(f, from, head); err != nil {
			return b, head, logError{err}
		}
		if len(events) == f.Batch {
			b.Upto = events[len(events)-1].ID
		}
	}
	for i := range events {
		e := &events[i]
		if !f.wants(e) {
			continue
		}
		b.Events = append(b.Events, *e)
		if len(b.Events) == f.Batch {
			b.Upto = e.ID
			break
		}
	}
	return b, head, nil
}

func (f *running) wants(e *chat.Event) bool {
	if e.Topic == chat.Control && !f.Control {
		return false
	}
	if f.Topics != nil && !slices.Contains(f.Topics, e.Topic) && (e.Also == chat.NoTopic || !slices.Contains(f.Topics, e.Also)) {
		return false
	}
	return f.Wants == nil || f.Wants(e)
}

// read reads a batch for f from the log. Only some read at a time.
func (r *Runner) read(f *running, from, head int64) ([]chat.Event, error) {
	select {
	case r.reads <- struct{}{}:
	case <-f.ctx.Done():
		return nil, f.ctx.Err()
	}
	defer func() { <-r.reads }()
	if f.Topics == nil {
		return r.log.ReadAll(f.ctx, from, head, f.Batch)
	}
	topics := make([]chat.TopicSince, len(f.Topics))
	for i, t := range f.Topics {
		topics[i] = chat.TopicSince{Topic: t, After: from}
	}
	return r.log.Read(f.ctx, topics, head, f.Batch)
}
