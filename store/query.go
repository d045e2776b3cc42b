package store

import (
	"context"
	"database/sql"
)

// scanner is a *sql.Row or *sql.Rows.
type scanner interface{ Scan(dest ...any) error }

// list reads all rows of a query, each by scan.
func list[T any](ctx context.Context, s *Store, scan func(scanner) (T, error), query string, args ...any) ([]T, error) {
	s.asked.Add(1)
	ctx, cancel := s.dialect.patience(ctx)
	defer cancel()
	rows, err := s.reads.QueryContext(ctx, s.dialect.bind(query), args...)
	if err != nil {
		return nil, unavailable(err)
	}
	return scanAll(rows, scan)
}

// scanAll reads rows to their end, each by scan, and closes them.
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

// row is the one row of a query, to be scanned.
type row struct {
	*sql.Row
	cancel context.CancelFunc
}

func (r row) Scan(dest ...any) error {
	defer r.cancel()
	return r.Row.Scan(dest...)
}

// queryRow asks for one row.
func (s *Store) queryRow(ctx context.Context, query string, args ...any) row {
	s.asked.Add(1)
	ctx, cancel := s.dialect.patience(ctx)
	return row{s.reads.QueryRowContext(ctx, s.dialect.bind(query), args...), cancel}
}

// Reads is how often the database was read since Open, other than in a transaction that writes.
func (s *Store) Reads() uint64 { return s.asked.Load() }
