package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"tandem/chat"
)

// writer is the group commit: its goroutine takes every job that waits, runs them in one transaction and
// commits once, so that the cost of the fsync is shared. A job that fails fails alone.
type writer struct {
	jobs       chan *job
	closing    chan struct{}
	done       chan struct{}
	closeOnce  sync.Once
	conn       *sql.Conn
	committed  func([]chat.Event)
	now        func() time.Time
	sweepEvery time.Duration
	// sweepAgain says that the last sweep left something; only the loop touches it.
	sweepAgain bool
	stmts
}

// job is a piece of work in the writer's transaction. Its function has either done all of its work or,
// unless lone is set, is rolled back.
type job struct {
	run  func(*tx) error
	lone bool // fails before its first write or not at all, so it needs no savepoint
	err  error
	done chan struct{}
}

// stmts are prepared on the writer's connection.
type stmts struct {
	begin, commit, rollback, savepoint, release, undo *sql.Stmt

	readHead, moveHead, addEvent, roomVersion, userVersion, findKey, addKey *sql.Stmt
}

const (
	// maxBatch bounds a transaction, and so how long the first in it waits for the last.
	maxBatch = 512
	// sweepEvery is how often the writer removes what has expired.
	sweepEvery = 10 * time.Minute
	// sweepPause lets those who post come between the steps of a long sweep.
	sweepPause = 20 * time.Millisecond
)

var errClosed = fmt.Errorf("%w: the store is closed", chat.ErrUnavailable)

func startWriter(ctx context.Context, db *sql.DB, cfg Config) (*writer, error) {
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	w := &writer{
		jobs:      make(chan *job, maxBatch),
		closing:   make(chan struct{}),
		done:      make(chan struct{}),
		conn:      conn,
		committed: cfg.Committed,
		now:       cfg.Now,

		sweepEvery: cmp.Or(cfg.sweepEvery, sweepEvery),
	}
	for _, p := range []struct {
		to  **sql.Stmt
		sql string
	}{
		{&w.begin, `BEGIN IMMEDIATE`}, // the lock of the log's head
		{&w.commit, `COMMIT`},
		{&w.rollback, `ROLLBACK`},
		{&w.savepoint, `SAVEPOINT job`},
		{&w.release, `RELEASE job`},
		{&w.undo, `ROLLBACK TO job`},
		{&w.readHead, `SELECT head FROM log`},
		{&w.moveHead, `UPDATE log SET head = ?`},
		{&w.addEvent, `INSERT INTO events (id, topic, also, author, type, body) VALUES (?, ?, ?, ?, ?, ?)`},
		{&w.roomVersion, `SELECT version FROM rooms WHERE id = ?`},
		{&w.userVersion, `SELECT version FROM users WHERE id = ?`},
		{&w.findKey, `SELECT fingerprint, event_id FROM idempotency WHERE user_id = ? AND topic = ? AND key = ?`},
		{&w.addKey, `INSERT INTO idempotency (user_id, topic, key, fingerprint, event_id, created_at) VALUES (?, ?, ?, ?, ?, ?)`},
	} {
		if *p.to, err = conn.PrepareContext(ctx, p.sql); err != nil {
			return nil, errors.Join(fmt.Errorf("prepare %q: %w", p.sql, err), conn.Close())
		}
	}
	go w.loop()
	return w, nil
}

// do runs f in the writer's transaction and returns once it is durable, or with the reason why it is not.
// A ctx that ends while f waits leaves its outcome unknown: f may be committed all the same.
func (w *writer) do(ctx context.Context, f func(*tx) error) error { return w.submit(ctx, f, false) }

// doLone is do for a function that fails before its first write or not at all.
func (w *writer) doLone(ctx context.Context, f func(*tx) error) error { return w.submit(ctx, f, true) }

func (w *writer) submit(ctx context.Context, f func(*tx) error, lone bool) error {
	j := &job{run: f, lone: lone, done: make(chan struct{})}
	select {
	case <-w.closing:
		return errClosed
	default:
	}
	select {
	case w.jobs <- j:
	case <-w.closing:
		return errClosed
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
	select {
	case <-j.done:
		return j.err
	case <-w.done:
		// The loop has ended; it may have answered this job as its last.
		select {
		case <-j.done:
			return j.err
		default:
			return errClosed
		}
	case <-ctx.Done():
		return unavailable(ctx.Err())
	}
}

// stop ends the loop after the jobs that wait.
func (w *writer) stop() {
	w.closeOnce.Do(func() { close(w.closing) })
	<-w.done
}

func (w *writer) loop() {
	defer close(w.done)
	defer w.conn.Close()
	sweep := time.NewTimer(w.sweepEvery)
	defer sweep.Stop()
	batch := make([]*job, 0, maxBatch)
	for {
		batch = batch[:0]
		swept := false
		select {
		case j := <-w.jobs:
			batch = append(batch, j)
		case <-sweep.C:
			w.sweepAgain = false
			batch = append(batch, &job{run: w.sweep, done: make(chan struct{})})
			swept = true
		case <-w.closing:
			select {
			case j := <-w.jobs:
				batch = append(batch, j)
			default:
				return
			}
		}
	more:
		for len(batch) < maxBatch {
			select {
			case j := <-w.jobs:
				batch = append(batch, j)
			default:
				break more
			}
		}
		w.commitBatch(batch)
		switch {
		case swept && w.sweepAgain:
			sweep.Reset(sweepPause)
		case swept:
			sweep.Reset(w.sweepEvery)
		}
	}
}

// commitBatch runs and commits a batch, tells Committed, then answers the jobs: in this order, so that
// nobody hears of an event that a crash could still take back.
func (w *writer) commitBatch(batch []*job) {
	events, err := w.runBatch(batch)
	if err != nil {
		for _, j := range batch {
			j.err = err
		}
	} else if len(events) > 0 && w.committed != nil {
		w.committed(events)
	}
	for _, j := range batch {
		close(j.done)
	}
}

func (w *writer) runBatch(batch []*job) (_ []chat.Event, err error) {
	// The statements take no context: one that can end would cost a goroutine each, and a batch is not
	// any single request's to cancel.
	if _, err := w.begin.Exec(); err != nil {
		return nil, unavailable(err)
	}
	defer func() {
		if err != nil {
			_, _ = w.rollback.Exec() // fails where SQLite has rolled back by itself
			err = unavailable(err)
		}
	}()
	t := &tx{w: w, now: w.now()}
	if err := w.readHead.QueryRow().Scan(&t.head); err != nil {
		return nil, err
	}
	start := t.head
	for _, j := range batch {
		if j.err = w.runJob(t, j); t.broken != nil {
			return nil, t.broken
		}
	}
	if t.head != start {
		if _, err := w.moveHead.Exec(t.head); err != nil {
			return nil, err
		}
	}
	if _, err := w.commit.Exec(); err != nil {
		return nil, err
	}
	return t.events, nil
}

// runJob runs one job. Where it cannot be undone alone, or the database itself fails, t.broken is set and
// the whole batch is given up.
func (w *writer) runJob(t *tx, j *job) error {
	if j.lone {
		return j.run(t)
	}
	head, events := t.head, len(t.events)
	if _, err := w.savepoint.Exec(); err != nil {
		t.broken = err
		return err
	}
	err := j.run(t)
	if err != nil {
		t.head, t.events = head, t.events[:events]
		if _, undoErr := w.undo.Exec(); undoErr != nil {
			t.broken = errors.Join(err, undoErr)
		}
	}
	if _, relErr := w.release.Exec(); relErr != nil && t.broken == nil {
		t.broken = relErr
	}
	clear(t.rooms)
	clear(t.users)
	return err
}

// sweepStep is how many rows of each kind go at once, so that posts do not wait long behind them.
const sweepStep = 500

// sweep removes what has expired, a step at a time, and goes on at once while there is more.
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
