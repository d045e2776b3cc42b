package store

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/pressly/goose/v3"

	"tandem/chat"
)

// dialect is what differs between the databases. Queries are written once, with ? for their arguments.
type dialect struct {
	goose      goose.Dialect
	migrations string // their directory
	// migrating takes the lock under which the schema is brought up to date; nil for none.
	migrating func(ctx context.Context, db *sql.DB) (unlock func() error, err error)

	// connected is called with each new connection of the writer, before it is used; nil for nothing.
	connected func(ctx context.Context, conn *sql.Conn) error
	// begin opens the writer's transaction and takes the lock of the log's head.
	begin []string
	// guard fails in that transaction, behind the lock, where the log has not the name that is its argument any more;
	// empty where that cannot be without a new connection.
	guard string
	// bind puts the database's own placeholders into a query.
	bind func(query string) string
	// list is the query whose rows are the numbers in a JSON list, %s.
	list string
	// prepare says that the writer keeps its statements prepared; a driver that does so itself needs no help.
	prepare bool
	// tidy is the last statement before the database is closed; empty for none.
	tidy string
	// reconnect says that the connection may be lost and made anew.
	reconnect bool
	// wait is how long the database may take to answer; 0 is no limit.
	wait time.Duration
	// posts commits a batch of posts faster than one after the other; nil where nothing does. It sets each job's
	// err and returns the events that are durable now.
	posts func(w *writer, posts []*job) []chat.Event
	// shared is Store.Shared.
	shared func(ctx context.Context, s *Store, name string) (int64, error)
	// read is Store.Read.
	read func(ctx context.Context, s *Store, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error)
}

// numbers is the subquery of the numbers in a JSON list: arg is ? or ?3.
func (d *dialect) numbers(arg string) string { return strings.Replace(d.list, "%s", arg, 1) }

// patience bounds what is asked of the database.
func (d *dialect) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.wait == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.wait)
}

var bound sync.Map // query with ? → query with $1, $2, …

// bindNumbered turns ? into $1, $2, …, and ?3 into $3. No query of ours has a question mark in a literal.
func bindNumbered(query string) string {
	if q, ok := bound.Load(query); ok {
		return q.(string)
	}
	var b strings.Builder
	n := 0
	for i := 0; i < len(query); i++ {
		if query[i] != '?' {
			b.WriteByte(query[i])
			continue
		}
		b.WriteByte('$')
		if i+1 < len(query) && query[i+1] >= '1' && query[i+1] <= '9' {
			continue // its number follows
		}
		n++
		b.WriteString(strconv.Itoa(n))
	}
	bound.Store(query, b.String())
	return b.String()
}
