package store

import (
	"context"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"

	"tandem/chat"
)

// pipelineExpiry does a step of retention in two round trips, so that posts wait little longer than for another post:
// the lock, whether the plan is still right, and all statements; then the commit.
func pipelineExpiry(w *writer, x *expiry, sweep statement) (told []chat.Event, head int64, err error) {
	d := w.dialect
	look, err := findings(d, x.events)
	if err != nil {
		return nil, 0, err
	}
	statements, err := x.statements(d)
	if err != nil {
		return nil, 0, err
	}
	ctx, cancel := d.patience(context.Background())
	defer cancel()
	if err := w.connect(ctx); err != nil {
		return nil, 0, unavailable(err)
	}
	var found []finding
	var swept int64
	var batch pgx.Batch
	queue := func(s statement) *pgx.QueuedQuery { return batch.Queue(d.bind(s.query), s.args...) }
	if !w.takeLock() {
		w.queueBegin(&batch, d.begin)
	}
	if d.guard != "" {
		batch.Queue(d.bind(d.guard), w.name)
	}
	queue(look).Query(func(rows pgx.Rows) (err error) {
		found, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (finding, error) { return scanFinding(row) })
		return err
	})
	for _, s := range statements {
		queue(s)
	}
	queue(sweep).Query(func(rows pgx.Rows) error {
		rows.Close()
		swept = rows.CommandTag().RowsAffected()
		return rows.Err()
	})
	if len(x.messages) > 0 {
		told = []chat.Event{x.notice()}
	}
	queue(statement{`UPDATE log SET head = head + ? RETURNING head`, []any{len(told)}}).QueryRow(func(row pgx.Row) error { return row.Scan(&head) })
	for _, e := range told {
		queue(statement{`INSERT INTO events (id, topic, author, type, body) SELECT head, ?, ?, ?, ? FROM log`,
			[]any{int64(e.Topic), e.Author, e.Type, e.Body}})
	}
	err = w.conn.Raw(func(driver any) error {
		conn := driver.(*stdlib.Conn).Conn()
		if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
		end := `COMMIT`
		if swept == 0 || !slices.Equal(found, x.found) {
			end = `ROLLBACK`
		}
		_, err := conn.Exec(ctx, end)
		return err
	})
	switch {
	case err != nil:
		w.drop()
		return nil, 0, unavailable(err)
	case swept == 0:
		return nil, 0, errExpiring
	case !slices.Equal(found, x.found):
		return nil, 0, errReplan
	}
	for i := range told {
		told[i].ID = head
	}
	if x.has("files") && w.unfiled != nil {
		w.unfiled()
	}
	return told, head, nil
}
