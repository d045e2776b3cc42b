//go:build linux

package main

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
)

// keeper makes a batch of posts durable.
type keeper interface {
	keep(posts []keptPost) error
}

// newKeeper returns the keeper with that name (a file or SQLite), with its files in dir.
func newKeeper(name, dir string) (keeper, error) {
	switch name {
	case "durable":
		return newFileKeeper(dir)
	case "SQLite":
		return newSQLiteKeeper(dir)
	}
	return nil, fmt.Errorf("no keeper %q", name)
}

// fileKeeper makes one write and one fdatasync to a preallocated file. At its end it starts over.
type fileKeeper struct {
	file   *os.File
	at     int
	buffer []byte
}

const keeperFile = 64 << 20 // bytes

func newFileKeeper(dir string) (*fileKeeper, error) {
	file, err := os.Create(filepath.Join(dir, "posts"))
	if err != nil {
		return nil, err
	}
	// Written, not only allocated: otherwise fdatasync would have to record which blocks have been written.
	if _, err := file.Write(make([]byte, keeperFile)); err != nil {
		return nil, err
	}
	return &fileKeeper{file: file}, file.Sync()
}

func (k *fileKeeper) keep(posts []keptPost) error {
	k.buffer = k.buffer[:0]
	for _, p := range posts {
		k.buffer = append(k.buffer, p.event...)
	}
	if k.at+len(k.buffer) > keeperFile {
		k.at = 0
	}
	if _, err := k.file.WriteAt(k.buffer, int64(k.at)); err != nil {
		return err
	}
	k.at += len(k.buffer)
	return syscall.Fdatasync(int(k.file.Fd()))
}

// sqliteKeeper makes one transaction in a database as durable as tandem's: a row and an index entry for each post, and
// a head.
type sqliteKeeper struct {
	begin, insert, head, commit *sql.Stmt
	topics                      map[string]int
}

func newSQLiteKeeper(dir string) (*sqliteKeeper, error) {
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "posts.db")+
		"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-16000)&_pragma=wal_autocheckpoint(4000)")
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	for _, q := range []string{
		`CREATE TABLE events (id INTEGER PRIMARY KEY, topic INTEGER NOT NULL, body TEXT NOT NULL)`,
		`CREATE INDEX events_by_topic ON events (topic, id)`,
		`CREATE TABLE log (head INTEGER NOT NULL)`,
		`INSERT INTO log VALUES (0)`,
	} {
		if _, err := conn.ExecContext(ctx, q); err != nil {
			return nil, err
		}
	}
	k := &sqliteKeeper{topics: map[string]int{}}
	for q, to := range map[string]**sql.Stmt{
		`BEGIN IMMEDIATE`:                     &k.begin,
		`INSERT INTO events VALUES (?, ?, ?)`: &k.insert,
		`UPDATE log SET head = ?`:             &k.head,
		`COMMIT`:                              &k.commit,
	} {
		if *to, err = conn.PrepareContext(ctx, q); err != nil {
			return nil, err
		}
	}
	return k, nil
}

func (k *sqliteKeeper) keep(posts []keptPost) error {
	if _, err := k.begin.Exec(); err != nil {
		return err
	}
	for _, p := range posts {
		topic, ok := k.topics[p.room]
		if !ok {
			topic = len(k.topics)
			k.topics[p.room] = topic
		}
		if _, err := k.insert.Exec(p.id, topic, string(p.event)); err != nil {
			return err
		}
	}
	if _, err := k.head.Exec(posts[len(posts)-1].id); err != nil {
		return err
	}
	_, err := k.commit.Exec()
	return err
}
