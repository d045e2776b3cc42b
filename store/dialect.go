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
	migrations string // the directory of the migrations
	// migrating takes the lock for migrating the schema; nil for none.
	migrating func(ctx context.Context, db *sql.DB) (unlock func() error, err error)

	// connected is called with each new connection of the writer, before it is used; nil to skip.
	connected func(ctx context.Context, conn *sql.Conn) error
	// begin opens the writer's transaction and takes the lock on the log's head.
	begin []string
	// ahead: other nodes take that lock too, so it may be taken before the batch is collected (see lockAhead).
	ahead bool
	// guard fails in that transaction, after the lock, if the log's name is no longer its argument; empty if that
	// cannot happen without a new connection.
	guard string
	// head is the last event's id, as an expression in a query of the table log.
	head string
	// keepHead stores the head, at the end of a transaction with new events; empty if it follows from the events.
	keepHead string
	// written is a query, after the lock, for a number that changes whenever another process has committed; empty if
	// there is none.
	written string
	// bind replaces a query's placeholders with the database's own.
	bind func(query string) string
	// list is the query whose rows are the numbers of a JSON list, %s.
	list string
	// textList is list for texts.
	textList string
	// rows returns the rows of a JSON list of lists, ?, as v.value.
	rows string
	// clock is the time in Unix milliseconds, by a clock that all nodes share.
	clock string
	// prepare: the store keeps prepared statements; a driver that does so itself does not need it.
	prepare bool
	// tidy has the last statements before the database is closed; empty for none.
	tidy string
	// reconnect: the connection may be lost and replaced.
	reconnect bool
	// wait is how long the database may take to answer; 0 is no limit.
	wait time.Duration
	// posts commits a batch of posts faster than one by one; nil if there is no such way. It sets each job's err and
	// returns the events that are durable.
	posts func(w *writer, posts []*job) []chat.Event
	// expire does a step of retention that was planned before, and returns the events that are durable and the log's
	// head. sweep changes one row, unless another node has gone on with the deletion. Nil if planning within the
	// transaction costs no more.
	expire func(w *writer, x *expiry, sweep statement) ([]chat.Event, int64, error)
	// shared implements Store.Shared.
	shared func(ctx context.Context, s *Store, name string) (int64, error)
	// within returns the condition that an event's topic, in that column, is this one and that its id is after after
	// and up to upto. Ordered by (column, id), which the databases do not shorten, this walks one index.
	within func(column, topic, after, upto string) string
	// read implements Store.Read.
	read func(ctx context.Context, s *Store, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error)
}

// numbers returns the subquery of the numbers in a JSON list: arg is ? or ?3.
func (d *dialect) numbers(arg string) string { return strings.Replace(d.list, "%s", arg, 1) }

// pairs returns the subquery of the pairs of numbers in a JSON list, ?.
func (d *dialect) pairs() string {
	return `SELECT CAST(v.value->>0 AS bigint), CAST(v.value->>1 AS bigint) FROM ` + d.rows
}

// texts is numbers for a list of texts.
func (d *dialect) texts(arg string) string { return strings.Replace(d.textList, "%s", arg, 1) }

// patience bounds a call to the database.
func (d *dialect) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	if d.wait == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, d.wait)
}

var bound sync.Map // query with ? → query with $1, $2, …

// bindNumbered turns ? into $1, $2, …, and ?3 into $3. None of our queries has a question mark in a literal.
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
