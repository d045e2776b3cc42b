package store

import (
	"context"
	"errors"
	"fmt"
	"os"

	"tandem/chat"
)

// Backup writes a consistent copy of the database to file, which must not exist, while a server may be running. The
// copy becomes a different log: from here on, events in it and in the original get the same ids, so it must not accept
// the original's cursors. PostgreSQL has its own tools.
func (s *Store) Backup(ctx context.Context, file string) (err error) {
	if s.dialect != sqliteDialect {
		return errors.New("the data is in PostgreSQL: use pg_dump")
	}
	var from string
	if err := s.queryRow(ctx, `SELECT file FROM pragma_database_list WHERE name = 'main'`).Scan(&from); err != nil {
		return err
	}
	// SQLite treats an empty file as a new one; we create it so that, like the original, nobody else can read it.
	f, err := os.OpenFile(file, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err = errors.Join(err, f.Close()); err != nil {
			err = errors.Join(err, os.Remove(file))
		}
	}()
	source := open(from, "busy_timeout(10000)")
	_, err = source.ExecContext(ctx, `VACUUM INTO ?`, file)
	if err = errors.Join(err, source.Close()); err != nil {
		return fmt.Errorf("copy %s: %w", from, err)
	}
	made := open(file)
	_, err = made.ExecContext(ctx, `UPDATE log SET name = ?`, newLogName())
	if err = errors.Join(err, made.Close()); err != nil {
		return fmt.Errorf("name the copy's log: %w", err)
	}
	return f.Sync()
}

// AllRooms lists every room, by name, starting after the name after.
func (s *Store) AllRooms(ctx context.Context, after string, limit int) ([]chat.RoomView, error) {
	return list(ctx, s, scanRoom, selectRooms+` WHERE r.name > ? ORDER BY r.name LIMIT ?`, 0, after, limit)
}
