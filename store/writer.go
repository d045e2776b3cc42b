package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"tandem/activity"
	"tandem/chat"
	"tandem/panics"
)

// writer is the group commit: its goroutine takes every job that waits, runs them in one transaction and
// commits once, so that the cost of the fsync is shared. A job that fails fails alone.
type writer struct {
	jobs       chan *job
	closing    chan struct{}
	done       chan struct{}
	closeOnce  sync.Once
	db         *sql.DB
	dialect    *dialect
	committed  func(log string, events []chat.Event)
	name       string // the log's, as it was when the connection was made
	now        func() time.Time
	bounds     chat.Bounds
	logger     *slog.Logger
	sweepEvery time.Duration
	// sweepAgain says that the last sweep left something; only the loop touches it.
	sweepAgain bool

	gate     *activity.Gate
	scrubbed func() // is called when a transaction is durable that deleted texts

	conn     *sql.Conn            // nil where it has to be made anew
	prepared map[string]*sql.Stmt // on conn
}

// job is a piece of work in the writer's transaction: a post, or a function that has either done all of its
// work or is rolled back.
type job struct {
	post  *post
	run   func(*tx) error
	taken atomic.Bool // by the loop, or back by who does not wait any longer
	err   error
	done  chan struct{}
}

// take says whether the job is the caller's, to run it or to drop it.
func (j *job) take() bool { return j.taken.CompareAndSwap(false, true) }

const (
	// maxBatch bounds a transaction, and so how long the first in it waits for the last.
	maxBatch = 512
	// sweepEvery is how often the writer removes what has expired.
	sweepEvery = 10 * time.Minute
	// keepEvery is how often the writer looks after its connection while nobody writes.
	keepEvery = time.Second
	// sweepPause lets those who post come between the steps of a long sweep.
	sweepPause = 20 * time.Millisecond
)

var errClosed = fmt.Errorf("%w: the store is closed", chat.ErrUnavailable)

func startWriter(ctx context.Context, db *sql.DB, d *dialect, cfg Config) (*writer, error) {
	w := &writer{
		jobs:      make(chan *job, maxBatch),
		closing:   make(chan struct{}),
		done:      make(chan struct{}),
		db:        db,
		dialect:   d,
		committed: cfg.Committed,
		now:       cfg.Now,
		bounds:    cfg.Bounds,
		logger:    cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		scrubbed:  func() {},
		gate:      cfg.Gate,

		sweepEvery: cmp.Or(cfg.sweepEvery, sweepEvery),
	}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	go w.loop()
	return w, nil
}

// connect makes the writer's connection, unless it is there.
func (w *writer) connect(ctx context.Context) error {
	if w.conn != nil {
		return nil
	}
	conn, err := w.db.Conn(ctx)
	if err != nil {
		return err
	}
	defer func() {
		if w.conn != conn { // an error, or a panic: there may be no other connection
			_ = conn.Close()
		}
	}()
	if w.dialect.connected != nil {
		if err := w.dialect.connected(ctx, conn); err != nil {
			return err
		}
	}
	if err := conn.QueryRowContext(ctx, `SELECT name FROM log`).Scan(&w.name); err != nil {
		return err
	}
	w.conn, w.prepared = conn, make(map[string]*sql.Stmt)
	return nil
}

// keep makes a lost connection anew although nobody writes: that another server has taken over is found out by whoever
// connects to it (see sameServer).
func (w *writer) keep() {
	if !w.dialect.reconnect {
		return
	}
	ctx, cancel := w.dialect.patience(context.Background())
	defer cancel()
	if w.conn != nil && w.check(ctx) != nil {
		w.disconnect()
	}
	if err := w.connect(ctx); err != nil {
		w.logger.Debug("the writer has no connection; trying again", "error", err)
	}
}

// abandon closes the connection after a panic, and with it the transaction: nobody knows what state they are in.
func (w *writer) abandon() {
	if w.conn != nil {
		_ = w.conn.Raw(func(c any) error {
			// Past database/sql, whose statements may be locked. SQLite keeps a transaction for as long as they live.
			if e, ok := c.(driver.ExecerContext); ok {
				_, _ = e.ExecContext(context.Background(), `ROLLBACK`, nil)
			}
			return driver.ErrBadConn // database/sql does not use it again
		})
	}
	w.disconnect()
}

// check tells whether the connection leads to the log that the writer knows.
func (w *writer) check(ctx context.Context) error {
	if w.dialect.guard == "" {
		return w.conn.PingContext(ctx)
	}
	_, err := w.conn.ExecContext(ctx, w.dialect.bind(w.dialect.guard), w.name)
	return err
}

// disconnect has the next batch begin with a new connection.
func (w *writer) disconnect() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn = nil
	}
}

// do runs f in the writer's transaction and returns once it is durable, or with the reason why it is not.
// Where ctx ends, or the database takes too long, f has not been done if it still waited for its turn; else its
// outcome is unknown: f may be committed all the same.
func (w *writer) do(ctx context.Context, f func(*tx) error) error {
	return w.submit(ctx, &job{run: f, done: make(chan struct{})})
}

func (w *writer) submit(ctx context.Context, j *job) error {
	select {
	case <-w.closing:
		return errClosed
	default:
	}
	ctx, cancel := w.dialect.patience(ctx)
	defer cancel()
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
		j.take()
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
	defer w.disconnect()
	sweep := time.NewTimer(w.sweepEvery)
	defer sweep.Stop()
	keep := time.NewTicker(keepEvery)
	defer keep.Stop()
	batch := make([]*job, 0, maxBatch)
	for {
		batch = batch[:0]
		add := func(j *job) {
			if j.take() {
				batch = append(batch, j)
			}
		}
		swept := false
		select {
		case j := <-w.jobs:
			add(j)
		case <-sweep.C:
			if !w.gate.Open() {
				sweep.Reset(keepEvery) // until somebody comes
				continue
			}
			w.sweepAgain = false
			add(&job{run: w.sweep, done: make(chan struct{})})
			swept = true
		case <-keep.C:
			if !w.gate.Open() {
				continue
			}
			panics.Do(w.logger, "looking after the writer's connection", w.keep)
			continue
		case <-w.closing:
			select {
			case j := <-w.jobs:
				add(j)
			default:
				return
			}
		}
	more:
		for len(batch) < maxBatch {
			select {
			case j := <-w.jobs:
				add(j)
			default:
				break more
			}
		}
		if len(batch) == 0 {
			continue
		}
		w.commitBatch(batch)
		if swept && batch[0].err != nil {
			w.logger.Error("what has expired could not be removed", "error", batch[0].err)
		}
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
	events := w.commit(batch)
	if len(events) > 0 && w.committed != nil {
		// They are durable whatever happens here, and whoever is not told finds them in the log.
		panics.Do(w.logger, "telling of a commit", func() { w.committed(w.name, events) })
	}
	for _, j := range batch {
		close(j.done)
	}
}

// commit runs the batch, sets each job's err and returns the events that are durable now.
func (w *writer) commit(batch []*job) []chat.Event {
	if w.dialect.posts == nil {
		return w.contain(batch, w.transact)
	}
	var posts, others []*job
	for _, j := range batch {
		if j.post != nil {
			posts = append(posts, j)
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
	return events
}

// errPanicked is what the callers of a write get that panicked: as with a commit whose answer was lost, it may be done.
var errPanicked = fmt.Errorf("%w: the write failed; the server's log says why", chat.ErrUnavailable)

// contain runs jobs by commit; where that panics they fail, and the next batch begins with a new connection.
func (w *writer) contain(jobs []*job, commit func([]*job) []chat.Event) (events []chat.Event) {
	if !panics.Do(w.logger, "a commit", func() { events = commit(jobs) }) {
		panics.Do(w.logger, "closing the writer's connection", w.abandon)
		w.conn = nil // whatever became of it
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
	if errors.Is(err, errPanicked) && len(jobs) > 1 { // nothing is done; now whose fault it is fails alone
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
		if errors.Is(err, errPanicked) {
			w.abandon()
		} else if err != nil {
			_, _ = t.exec(`ROLLBACK`) // fails where the database has rolled back by itself
			if w.dialect.reconnect {
				w.disconnect()
			}
		}
	}()
	for _, q := range w.dialect.begin {
		if _, err := t.exec(q); err != nil {
			return nil, err
		}
	}
	if w.dialect.guard != "" {
		if err := w.check(ctx); err != nil {
			return nil, err
		}
	}
	if err := t.queryRow(`SELECT head FROM log`).Scan(&t.head); err != nil {
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
	if t.head != start {
		if _, err := t.exec(`UPDATE log SET head = ?`, t.head); err != nil {
			return nil, err
		}
	}
	if _, err := t.exec(`COMMIT`); err != nil {
		return nil, err
	}
	if t.scrubbed {
		w.scrubbed()
	}
	return t.events, nil
}

// runJob runs one job. Where it cannot be undone alone, or the database itself fails, t.broken is set and
// the whole batch is given up.
func (w *writer) runJob(t *tx, j *job) error {
	if j.post != nil { // fails before its first write or not at all
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
