package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"tandem/panics"
)

// If several nodes commit, a batch waits for the others' commits, and posts that arrive meanwhile would have to wait for
// the node's next turn. The writer therefore takes the head's lock in a round trip of its own and collects the batch once
// it has it. The lock is held for that round trip too, so it must be short compared to the commit (docs/decisions/0040).

// turn is what the writer measured about its connection and its last batch of posts.
type turn struct {
	trip   time.Duration // the shortest round trip to the database
	waited time.Duration // how long the batch waited for the lock
	took   time.Duration // how long it took from then on, including one round trip
}

// worthWaiting reports whether to take the lock before collecting the next batch.
func (t turn) worthWaiting() bool { return t.waited > t.trip && t.took > 2*t.trip }

// tripsAtFirst is how many round trips are measured on a new connection. The writer's regular checks measure more.
const tripsAtFirst = 3

// measureTrip measures the round trip of a new connection.
func (w *writer) measureTrip(ctx context.Context) error {
	w.turn = turn{trip: w.dialect.wait}
	for range tripsAtFirst {
		if err := w.check(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lockAhead begins a transaction and takes the head's lock if that is worthwhile. If it fails, so do the batch's jobs.
func (w *writer) lockAhead(batch []*job) bool {
	if !w.dialect.ahead || !w.turn.worthWaiting() {
		return true
	}
	err := errPanicked
	if !panics.Do(w.logger, "locking the log's head", func() { err = w.lock() }) {
		panics.Do(w.logger, "closing the writer's connection", w.abandon)
	}
	for _, j := range batch {
		j.err = unavailable(err) // nil for nil
	}
	return err == nil
}

func (w *writer) lock() error {
	ctx, cancel := w.dialect.patience(context.Background())
	defer cancel()
	if err := w.connect(ctx); err != nil {
		return err
	}
	err := w.conn.Raw(func(driver any) error {
		var batch pgx.Batch
		w.queueBegin(&batch, w.dialect.begin)
		return driver.(*stdlib.Conn).Conn().SendBatch(ctx, &batch).Close()
	})
	if err != nil {
		w.drop()
		return err
	}
	w.locked = true
	return nil
}

// queueBegin adds the statements that begin a transaction to a pipeline, whose end sets turn.waited.
func (w *writer) queueBegin(batch *pgx.Batch, begin []string) {
	for _, q := range begin {
		queued := batch.Queue(q)
		if q == lockHead {
			queued.QueryRow(func(row pgx.Row) error {
				var micros int64
				err := row.Scan(&micros)
				w.turn.waited = time.Duration(micros) * time.Microsecond
				return err
			})
		}
	}
}

// takeLock reports whether lockAhead has begun the transaction. If so, the caller must end it.
func (w *writer) takeLock() bool {
	locked := w.locked
	w.locked = false
	return locked
}
