package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"

	"tandem/panics"
)

const (
	// eraseAfter is how long after a text was deleted its last copies are erased, together with texts deleted
	// meanwhile.
	eraseAfter = 10 * time.Second
	// eraseAgain is the time between two attempts.
	eraseAgain = 250 * time.Millisecond
)

// eraser empties the WAL of an SQLite database after texts were deleted: until then the WAL has the previous pages, and
// SQLite overwrites them only eventually. startEraser starts its goroutine; close ends it.
type eraser struct {
	db    *sql.DB
	due   chan struct{}
	after time.Duration
	stop  context.CancelFunc
	done  chan struct{}
}

// startEraser first erases what a killed process has left behind.
func startEraser(file string, after time.Duration, logger *slog.Logger) *eraser {
	// Its own connection. While it holds the lock, it waits for readers only as long as writers can bear.
	e := &eraser{db: open(file, "busy_timeout(20)"), due: make(chan struct{}, 1), after: after, done: make(chan struct{})}
	e.db.SetMaxOpenConns(1)
	var ctx context.Context
	ctx, e.stop = context.WithCancel(context.Background())
	e.soon()
	go func() {
		defer close(e.done)
		panics.Keep(ctx, logger, "erasing what was deleted", func() { e.run(ctx, logger) })
	}()
	return e
}

// soon is called when a text has been deleted.
func (e *eraser) soon() {
	if e == nil {
		return
	}
	select {
	case e.due <- struct{}{}:
	default:
	}
}

func (e *eraser) close() error {
	if e == nil {
		return nil
	}
	e.stop()
	<-e.done
	return e.db.Close()
}

func (e *eraser) run(ctx context.Context, logger *slog.Logger) {
	for {
		select {
		case <-e.due:
		case <-ctx.Done():
			return
		}
		for wait := e.after; ; wait = eraseAgain {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return
			}
			err := e.erase(ctx)
			if err == nil {
				break
			}
			if !errors.Is(err, errStillRead) && ctx.Err() == nil {
				logger.Warn("deleted data is still in the WAL; trying again", "error", err)
			}
		}
	}
}

var errStillRead = errors.New("the WAL is in use")

// erase moves the WAL's content into the database while others read and write, then, with their lock, the little that
// was added meanwhile, and truncates the WAL.
func (e *eraser) erase(ctx context.Context) error {
	for _, mode := range []string{"PASSIVE", "TRUNCATE"} {
		var busy, log, moved int
		if err := e.db.QueryRowContext(ctx, `PRAGMA wal_checkpoint(`+mode+`)`).Scan(&busy, &log, &moved); err != nil {
			return err
		}
		if busy != 0 || mode == "PASSIVE" && log-moved > 1000 { // a reader is behind and would keep writers waiting
			return errStillRead
		}
	}
	return nil
}
