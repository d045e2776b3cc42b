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

// writer is the group commit: its goroutine takes all queued jobs, runs them in one transaction and commits once, so
// that they share the cost of the fsync. A job that fails fails alone.
type writer struct {
	jobs       chan *job
	idle       chan *job // taken while jobs is empty
	closing    chan struct{}
	done       chan struct{}
	closeOnce  sync.Once
	db         *sql.DB
	dialect    *dialect
	committed  func(log string, events []chat.Event)
	name       string // the log's name when the connection was made
	now        func() time.Time
	bounds     chat.Bounds
	logger     *slog.Logger
	sweepEvery time.Duration
	// sweepAgain: the last sweep left something; only the loop uses it.
	sweepAgain bool

	gate     *activity.Gate
	measured func(writes int, took time.Duration, failed int)
	traced   traced
	scrubbed func() // called when a transaction that deleted texts is durable
	unfiled  func() // the same for files

	conn     *sql.Conn            // nil if it must be replaced
	prepared map[string]*sql.Stmt // on conn
	seen     seen                 // through conn
	turn     turn                 // of conn
	locked   bool                 // conn is in a transaction that holds the head's lock, and has done nothing else
}

// job is a piece of work in the writer's transaction: a post, or a function that is either completed or rolled back.
type job struct {
	post  *post
	run   func(*tx) error
	apart func(*writer) ([]chat.Event, error) // has a transaction of its own
	idle  bool                                // can wait until there is nothing else to do
	took  time.Duration                       // of its batch, once it is done
	taken atomic.Bool                         // by the loop, or back by a caller that gave up
	err   error
	done  chan struct{}
}

// take claims the job. Only the caller that gets true may run or drop it.
func (j *job) take() bool { return j.taken.CompareAndSwap(false, true) }

const (
	// maxBatch bounds a transaction, and so how long its first job waits for the last.
	maxBatch = 512
	// sweepEvery is how often the writer deletes expired rows.
	sweepEvery = 10 * time.Minute
	// keepEvery is how often the writer checks its connection while there are no writes.
	keepEvery = time.Second
	// idleAtMost is how long work waits until there is nothing else to do.
	idleAtMost = time.Second
	// sweepPause lets posts run between the steps of a long sweep.
	sweepPause = 20 * time.Millisecond
)

var errClosed = fmt.Errorf("%w: the store is closed", chat.ErrUnavailable)

func startWriter(ctx context.Context, db *sql.DB, d *dialect, cfg Config) (*writer, error) {
	w := &writer{
		jobs:      make(chan *job, maxBatch),
		idle:      make(chan *job),
		closing:   make(chan struct{}),
		done:      make(chan struct{}),
		db:        db,
		dialect:   d,
		committed: cfg.Committed,
		now:       cfg.Now,
		bounds:    cfg.Bounds,
		logger:    cmp.Or(cfg.Logger, slog.New(slog.DiscardHandler)),
		measured:  cfg.Measured,
		traced:    traced{to: cfg.Traces},
		scrubbed:  func() {},
		unfiled:   cfg.FilesRemoved,
		gate:      cfg.Gate,

		sweepEvery: cmp.Or(cfg.sweepEvery, sweepEvery),
	}
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	go w.loop()
	return w, nil
}

// connect opens the writer's connection if there is none.
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
	w.seen, w.locked = unseen(), false
	if w.dialect.ahead {
		if err := w.measureTrip(ctx); err != nil {
			w.disconnect()
			return err
		}
	}
	return nil
}

// keep replaces a lost connection even without writes: a new connection detects that another server has taken over (see
// sameServer).
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

// abandon closes the connection after a panic, and with it the transaction: their state is unknown.
func (w *writer) abandon() {
	if w.conn != nil {
		_ = w.conn.Raw(func(c any) error {
			// Bypass database/sql, whose statements may be locked. SQLite keeps a transaction as long as they live.
			if e, ok := c.(driver.ExecerContext); ok {
				_, _ = e.ExecContext(context.Background(), `ROLLBACK`, nil)
			}
			return driver.ErrBadConn // database/sql does not use it again
		})
	}
	w.disconnect()
}

// check checks that the connection leads to the log that the writer knows.
func (w *writer) check(ctx context.Context) (err error) {
	began := time.Now()
	if w.dialect.guard == "" {
		err = w.conn.PingContext(ctx)
	} else {
		_, err = w.conn.ExecContext(ctx, w.dialect.bind(w.dialect.guard), w.name)
	}
	w.turn.trip = min(w.turn.trip, time.Since(began))
	return err
}

// disconnect makes the next batch start with a new connection.
func (w *writer) disconnect() {
	if w.conn != nil {
		_ = w.conn.Close()
		w.conn, w.locked = nil, false
	}
}

// drop is disconnect for a connection that may be in a transaction: database/sql does not use it again.
func (w *writer) drop() {
	if w.conn != nil {
		_ = w.conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	w.disconnect()
}

func (w *writer) submit(ctx context.Context, j *job) error {
	select {
	case <-w.closing:
		return errClosed
	default:
	}
	if w.traced.to != nil {
		defer w.traced.follow(ctx, j)()
	}
	ctx, cancel := w.dialect.patience(ctx)
	defer cancel()
	queue, late := w.jobs, (<-chan time.Time)(nil)
	if j.idle {
		queue, late = w.idle, time.After(idleAtMost)
	}
	for queue != nil {
		select {
		case queue <- j:
			queue = nil
		case <-late:
			queue, late = w.jobs, nil
		case <-w.closing:
			return errClosed
		case <-ctx.Done():
			return unavailable(ctx.Err())
		}
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

// stop ends the loop after the queued jobs.
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
		swept, alone := false, false
		idle := w.idle
		if len(w.jobs) > 0 {
			idle = nil
		}
		select {
		case j := <-w.jobs:
			add(j)
		case j := <-idle:
			add(j)
			alone = true // jobs that arrive now do not wait for its end
		case <-sweep.C:
			if !w.gate.Open() {
				sweep.Reset(keepEvery) // until there is a job
				continue
			}
			w.sweepAgain = false
			add(&job{run: w.sweep, done: make(chan struct{})})
			swept = true
		case <-keep.C:
			if !w.gate.Open() {
				continue
			}
			panics.Do(w.logger, "maintaining the writer's connection", w.keep)
			continue
		case <-w.closing:
			select {
			case j := <-w.jobs:
				add(j)
			default:
				return
			}
		}
		began := time.Now()
		if len(batch) > 0 && !swept && !alone && !w.lockAhead(batch) {
			w.answer(batch, time.Since(began))
			continue
		}
	more:
		for len(batch) < maxBatch && !alone {
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
		w.commitBatch(batch, began)
		if swept && batch[0].err != nil {
			w.logger.Error("could not delete expired rows", "error", batch[0].err)
		}
		switch {
		case swept && w.sweepAgain:
			sweep.Reset(sweepPause)
		case swept:
			sweep.Reset(w.sweepEvery)
		}
	}
}

// commitBatch runs and commits a batch, calls Committed, then answers the jobs: in this order, so that nobody learns of
// an event that a crash could still undo.
func (w *writer) commitBatch(batch []*job, began time.Time) {
	events := w.commit(batch)
	took := time.Since(began)
	if w.traced.to != nil {
		panics.Do(w.logger, "tracing a commit", func() { w.traced.committed(batch, began, took) })
	}
	if len(events) > 0 && w.committed != nil {
		// They are durable whatever happens here; a hub that is not called finds them in the log.
		panics.Do(w.logger, "publishing a commit", func() { w.committed(w.name, events) })
	}
	w.answer(batch, took)
}

// answer answers the jobs of a batch.
func (w *writer) answer(batch []*job, took time.Duration) {
	w.measure(batch, took)
	for _, j := range batch {
		j.took = took
		close(j.done)
	}
}

// measure reports a batch to Measured.
func (w *writer) measure(batch []*job, took time.Duration) {
	if w.measured == nil {
		return
	}
	failed := 0
	for _, j := range batch {
		if j.err != nil && errors.Is(j.err, chat.ErrUnavailable) {
			failed++
		}
	}
	w.measured(len(batch), took, failed)
}
