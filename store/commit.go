package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"tandem/chat"
	"tandem/panics"
)

// commit runs the batch, sets each job's err and returns the events that are durable.
func (w *writer) commit(batch []*job) []chat.Event {
	if w.dialect.posts == nil {
		return w.contain(batch, w.transact)
	}
	var posts, others, apart []*job
	for _, j := range batch {
		if j.post != nil && j.post.alone() {
			posts = append(posts, j)
		} else if j.apart != nil {
			apart = append(apart, j)
		} else {
			others = append(others, j)
		}
	}
	var events []chat.Event
	if len(others) > 0 {
		events = w.contain(others, w.transact)
	}
	if len(posts) > 0 {
		post := func(posts []*job) []chat.Event { return w.dialect.posts(w, posts) }
		events = append(events, w.contain(posts, post)...)
	}
	for _, j := range apart {
		events = append(events, w.contain([]*job{j}, func([]*job) (events []chat.Event) {
			events, j.err = j.apart(w)
			return events
		})...)
	}
	return events
}

// errPanicked is returned to the callers of a write that panicked: as with a commit whose response was lost, it may be
// done.
var errPanicked = fmt.Errorf("%w: the write failed; see the server's log", chat.ErrUnavailable)

// contain runs jobs with commit; if that panics they fail, and the next batch starts with a new connection.
func (w *writer) contain(jobs []*job, commit func([]*job) []chat.Event) (events []chat.Event) {
	if !panics.Do(w.logger, "a commit", func() { events = commit(jobs) }) {
		panics.Do(w.logger, "closing the writer's connection", w.abandon)
		w.conn = nil // its state is unknown
		for _, j := range jobs {
			j.err = errPanicked
		}
	}
	return events
}

// transact runs jobs in one transaction, one after the other.
func (w *writer) transact(jobs []*job) []chat.Event {
	ctx, cancel := w.dialect.patience(context.Background())
	defer cancel()
	events, err := w.runJobs(ctx, jobs)
	if errors.Is(err, errPanicked) && len(jobs) > 1 { // nothing is done; now only the faulty one fails
		for _, j := range jobs {
			events = append(events, w.contain([]*job{j}, w.transact)...)
		}
		return events
	}
	if err != nil {
		for _, j := range jobs {
			j.err = unavailable(err)
		}
		return nil
	}
	return events
}

func (w *writer) runJobs(ctx context.Context, jobs []*job) (_ []chat.Event, err error) {
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	t := &tx{ctx: ctx, w: w, now: w.now()}
	defer func() {
		if err != nil {
			w.seen = unseen() // some of it may be undone
		}
		if errors.Is(err, errPanicked) {
			w.abandon()
		} else if err != nil {
			_, _ = t.exec(`ROLLBACK`) // fails if the database has rolled back itself
			if w.dialect.reconnect {
				w.disconnect()
			}
		}
	}()
	if !w.takeLock() {
		for _, q := range w.dialect.begin {
			if _, err := t.exec(q); err != nil {
				return nil, err
			}
		}
	}
	if w.dialect.guard != "" {
		if err := w.check(ctx); err != nil {
			return nil, err
		}
	}
	if err := w.seen.recall(t); err != nil {
		return nil, err
	}
	if err := t.readHead(); err != nil {
		return nil, err
	}
	start := t.head
	for _, j := range jobs {
		if !panics.Do(w.logger, "a write", func() { j.err = w.runJob(t, j) }) {
			return nil, errPanicked
		}
		if t.broken != nil {
			return nil, t.broken
		}
	}
	if q := w.dialect.keepHead; q != "" && t.head != start {
		if _, err := t.exec(q, t.head); err != nil {
			return nil, err
		}
	}
	if _, err := t.exec(`COMMIT`); err != nil {
		return nil, err
	}
	w.seen.head = t.head
	if t.scrubbed {
		w.scrubbed()
	}
	if t.unfiled && w.unfiled != nil {
		w.unfiled()
	}
	return t.events, nil
}

// runJob runs one job. If it cannot be undone alone, or the database itself fails, it sets t.broken and the whole batch
// is given up.
func (w *writer) runJob(t *tx, j *job) error {
	if j.post != nil { // it fails without a trace or not at all
		return t.post(j.post)
	}
	head, events := t.head, len(t.events)
	if _, err := t.exec(`SAVEPOINT job`); err != nil {
		t.broken = err
		return err
	}
	err := j.run(t)
	if err != nil {
		t.head, t.events = head, t.events[:events]
		if _, undoErr := t.exec(`ROLLBACK TO SAVEPOINT job`); undoErr != nil {
			t.broken = errors.Join(err, undoErr)
		}
	}
	if _, relErr := t.exec(`RELEASE SAVEPOINT job`); relErr != nil && t.broken == nil {
		t.broken = relErr
	}
	w.seen.forgetVersions()
	return err
}

// sweepStep is how many rows of each kind are deleted at once, so that posts do not wait long.
const sweepStep = 500

// sweep deletes expired rows in small batches and runs again immediately while any remain.
func (w *writer) sweep(t *tx) error {
	now := t.now.UnixMilli()
	for _, q := range []struct {
		sql    string
		before int64
	}{
		{`DELETE FROM idempotency WHERE created_at < ? AND event_id IN
			(SELECT event_id FROM idempotency ORDER BY event_id LIMIT ?)`, now - (25 * time.Hour).Milliseconds()},
		{`DELETE FROM tickets WHERE hash IN (SELECT hash FROM tickets WHERE expires_at < ? LIMIT ?)`, now},
		{`DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE expires_at < ? LIMIT ?)`, now},
	} {
		res, err := t.exec(q.sql, q.before, sweepStep)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == sweepStep {
			w.sweepAgain = true
		}
	}
	return nil
}
