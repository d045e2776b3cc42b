package store

import (
	"context"
	"database/sql"
)

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// list reads all rows of a query with scan.
func list[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	s.asked.Add(1)
	ctx, cancel := s.dialect.patience(ctx)
	defer cancel()
	rows, err := s.query(ctx, query, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	return scanAll(rows, scan)
}

// query runs a query outside writing transactions.
func (s *Store) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	query = s.dialect.bind(query)
	if st := s.statement(ctx, query); st != nil {
		return st.QueryContext(ctx, args...)
	}
	return s.reads.QueryContext(ctx, query, args...)
}

// statement returns the query prepared, or nil if that does not help. SQLite takes several times as long to plan a
// short read as to run it.
func (s *Store) statement(ctx context.Context, query string) *sql.Stmt {
	if !s.dialect.prepare {
		return nil
	}
	if st, ok := s.prepared.Load(query); ok {
		return st.(*sql.Stmt)
	}
	if s.kept.Load() >= maxPrepared {
		return nil
	}
	st, err := s.reads.PrepareContext(ctx, query)
	if err != nil {
		return nil // running it returns the error
	}
	if earlier, ok := s.prepared.LoadOrStore(query, st); ok {
		_ = st.Close()
		return earlier.(*sql.Stmt)
	}
	s.kept.Add(1)
	return st
}

// listIn is list in the writer's transaction.
func listIn[T any](t *tx, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	rows, err := t.query(query, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	return scanAll(rows, scan)
}

// scanAll reads all remaining rows with scan and closes them.
func scanAll[T any](rows *sql.Rows, scan func(scanner) (T, error)) ([]T, error) {
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, unavailable(err)
		}
		all = append(all, v)
	}
	return all, unavailable(rows.Err())
}

// scanOne reads a row of one column.
func scanOne[T any](row scanner) (v T, err error) {
	err = row.Scan(&v)
	return v, err
}

// row is the only row of a query, to be scanned.
type row struct {
	*sql.Row
	cancel context.CancelFunc
}

func (r row) Scan(dest ...any) error {
	defer r.cancel()
	return r.Row.Scan(dest...)
}

// queryRow queries one row.
func (s *Store) queryRow(ctx context.Context, query string, args ...any) row {
	s.asked.Add(1)
	ctx, cancel := s.dialect.patience(ctx)
	query = s.dialect.bind(query)
	if st := s.statement(ctx, query); st != nil {
		return row{st.QueryRowContext(ctx, args...), cancel}
	}
	return row{s.reads.QueryRowContext(ctx, query, args...), cancel}
}

// Reads returns how often the database was read since Open, outside writing transactions.
func (s *Store) Reads() uint64 { return s.asked.Load() }

// Waiting returns how many writes are queued.
func (s *Store) Waiting() int { return len(s.log.jobs) }
