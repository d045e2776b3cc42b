package files

import (
	"context"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"tandem/panics"
)

// Rows are the database's rows of files, as a Cleaner needs them. Several nodes may clean up at once: each step may be
// done twice.
type Rows interface {
	// FileDeletions lists files whose rows are gone and whose bytes must be removed.
	FileDeletions(ctx context.Context, limit int) ([]string, error)
	// FilesDeleted records that their bytes are removed.
	FilesDeleted(ctx context.Context, ids []string) error
	// ExpireFiles removes the rows of files that were uploaded before that time and never taken, and reports whether
	// there were any; there may be more then.
	ExpireFiles(ctx context.Context, before time.Time) (bool, error)
	// ClaimFileSweep reports whether no node has compared bytes and rows for that long; the caller then does it.
	ClaimFileSweep(ctx context.Context, every time.Duration) (bool, error)
	// KnownFiles returns those of these ids that have rows.
	KnownFiles(ctx context.Context, ids []string) (map[string]bool, error)
}

const (
	// keepUntaken is how long to keep a file that no message has taken, and bytes without a row: an upload's bytes
	// precede its row, and an upload may take its time.
	keepUntaken = 24 * time.Hour
	// sweepEvery is how often all bytes are compared with the rows.
	sweepEvery = 24 * time.Hour
	// expireEvery is how often untaken files are searched for.
	expireEvery = time.Hour
	// lookEvery is how often deletions are searched for that another node has not completed.
	lookEvery = time.Minute
	// retryFrom and retryUpTo bound the wait after a failure.
	retryFrom, retryUpTo = time.Second, time.Minute
	// cleanBatch is how many files are removed at once.
	cleanBatch = 200
)

// Cleaner removes the bytes of files whose rows are gone. Run is its only goroutine.
type Cleaner struct {
	rows   Rows
	blobs  Blobs
	awake  func() bool // nil means always
	logger *slog.Logger
	due    chan struct{}
	now    func() time.Time

	removed  atomic.Uint64
	expired  time.Time // when untaken files were last searched for
	sweeping bool      // a claimed sweep has not finished
}

// Removed returns how many deleted files' bytes this node has removed since its start.
func (c *Cleaner) Removed() uint64 { return c.removed.Load() }

// NewCleaner returns a Cleaner that works by the clock only while awake returns true.
func NewCleaner(rows Rows, blobs Blobs, awake func() bool, logger *slog.Logger) *Cleaner {
	if awake == nil {
		awake = func() bool { return true }
	}
	return &Cleaner{rows: rows, blobs: blobs, awake: awake, logger: logger, due: make(chan struct{}, 1), now: time.Now}
}

// Signal announces that there is something to delete. It does not block.
func (c *Cleaner) Signal() {
	select {
	case c.due <- struct{}{}:
	default:
	}
}

// Run cleans up until ctx ends: signalled deletions at once, everything else periodically.
func (c *Cleaner) Run(ctx context.Context) {
	panics.Keep(ctx, c.logger, "removing files", func() { c.run(ctx) })
}

func (c *Cleaner) run(ctx context.Context) {
	timer := time.NewTimer(0) // what a killed process has left behind
	defer timer.Stop()
	var failing time.Duration
	for {
		select {
		case <-c.due:
			if failing > 0 {
				continue // the timer comes
			}
		case <-timer.C:
			if !c.awake() {
				timer.Reset(lookEvery)
				continue
			}
		case <-ctx.Done():
			return
		}
		err := c.clean(ctx)
		switch {
		case err == nil:
			failing = 0
			timer.Reset(lookEvery)
		case ctx.Err() != nil:
			return
		default:
			if failing = min(max(retryFrom, 2*failing), retryUpTo); failing == retryFrom {
				c.logger.Warn("could not remove files; trying again", "error", err)
			}
			timer.Reset(failing)
		}
	}
}

// clean does everything that is due.
func (c *Cleaner) clean(ctx context.Context) error {
	if now := c.now(); now.Sub(c.expired) >= expireEvery {
		for more := true; more; {
			var err error
			if more, err = c.rows.ExpireFiles(ctx, now.Add(-keepUntaken)); err != nil {
				return err
			}
		}
		c.expired = now
		mine, err := c.rows.ClaimFileSweep(ctx, sweepEvery)
		if err != nil {
			return err
		}
		c.sweeping = c.sweeping || mine
	}
	if err := c.delete(ctx); err != nil || !c.sweeping {
		return err
	}
	err := c.sweep(ctx)
	c.sweeping = err != nil
	return err
}

// delete removes the bytes that the database lists for removal, and then the list's entry, so that a crash only repeats
// it.
func (c *Cleaner) delete(ctx context.Context) error {
	for {
		ids, err := c.rows.FileDeletions(ctx, cleanBatch)
		if err != nil || len(ids) == 0 {
			return err
		}
		for _, id := range ids {
			if err := c.blobs.Delete(ctx, PreviewName(id)); err != nil {
				return err
			}
			if err := c.blobs.Delete(ctx, id); err != nil {
				return err
			}
		}
		if err := c.rows.FilesDeleted(ctx, ids); err != nil {
			return err
		}
		c.removed.Add(uint64(len(ids)))
	}
}

// sweep removes bytes without a row, left by uploads that a crash interrupted.
func (c *Cleaner) sweep(ctx context.Context) error {
	before := c.now().Add(-keepUntaken)
	var old []string // names
	removed := 0
	remove := func() error {
		ids := make([]string, len(old))
		for i, name := range old {
			ids[i] = strings.TrimSuffix(name, previewSuffix)
		}
		known, err := c.rows.KnownFiles(ctx, ids)
		if err != nil {
			return err
		}
		for i, name := range old {
			if known[ids[i]] {
				continue
			}
			if err := c.blobs.Delete(ctx, name); err != nil {
				return err
			}
			removed++
		}
		old = old[:0]
		return nil
	}
	for info, err := range c.blobs.List(ctx) {
		if err != nil {
			return err
		}
		if !info.ModTime.Before(before) {
			continue
		}
		if old = append(old, info.Name); len(old) == cleanBatch {
			if err := remove(); err != nil {
				return err
			}
		}
	}
	err := remove()
	if removed > 0 {
		c.logger.Info("removed bytes without a row", "files", removed)
	}
	return err
}
