package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"tandem/chat"
)

// headLock is the advisory lock on the log's head. Row locks queue unfairly; this one does not.
const headLock = 0x7a6e64656d

// postgresWait is the default of Config.PostgresWait.
const postgresWait = 1900 * time.Millisecond

func postgresDialect() *dialect {
	return &dialect{
		head:     `head`,
		keepHead: `UPDATE log SET head = ?`,
		// Alone in its statement: the next snapshot must not be older than the wait.
		begin:      []string{`BEGIN`, lockHead},
		ahead:      true,
		bind:       bindNumbered,
		list:       `SELECT value::bigint FROM jsonb_array_elements_text(CAST(%s AS text)::jsonb)`,
		textList:   `SELECT value FROM jsonb_array_elements_text(CAST(%s AS text)::jsonb)`,
		rows:       `jsonb_array_elements(CAST(? AS text)::jsonb) AS v (value)`,
		clock:      `CAST(1000 * extract(epoch FROM clock_timestamp()) AS bigint)`,
		connected:  sameServer,
		reconnect:  true,
		posts:      pipelinePosts,
		expire:     pipelineExpiry,
		within:     withinPostgres,
		read:       readPostgres,
		shared:     sharedPostgres,
		goose:      goose.DialectPostgres,
		migrating:  lockMigrations,
		migrations: "migrations/postgres",
	}
}

// lockHead takes the lock, and returns for how many microseconds it waited.
var lockHead = fmt.Sprintf(`WITH lock AS MATERIALIZED (SELECT clock_timestamp() AS asked, pg_advisory_xact_lock(%d))
SELECT CAST(1000000 * extract(epoch FROM clock_timestamp() - asked) AS bigint) FROM lock`, headLock)

// CheckURL checks that a database's URL is well formed. Its errors do not contain the password.
func CheckURL(url string) error {
	_, err := parseURL(url)
	return err
}

func parseURL(url string) (*pgx.ConnConfig, error) {
	if !strings.HasPrefix(url, "postgres://") && !strings.HasPrefix(url, "postgresql://") {
		return nil, errors.New("database-url must start with postgres://")
	}
	c, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, fmt.Errorf("database-url: %w", err)
	}
	return c, nil
}

type sessionSetting struct{ name, value string }

// sessionSettings are what the writer needs if PostgreSQL may take that long. A pooler does not pass them on: they are
// then set in each transaction.
func sessionSettings(wait time.Duration) []sessionSetting {
	ms := strconv.FormatInt((wait + 100*time.Millisecond).Milliseconds(), 10)
	return []sessionSetting{
		{"lock_timeout", ms},                        // a node that cannot get the head returns an error
		{"idle_in_transaction_session_timeout", ms}, // a frozen node loses it
		{"synchronous_commit", "on"},                // whatever the server's default: acknowledged writes are durable
	}
}

// openPostgres opens the database at cfg.URL, and returns its name for errors.
func openPostgres(ctx context.Context, cfg Config) (*Store, string, error) {
	c, err := parseURL(cfg.URL)
	if err != nil {
		return nil, "", err
	}
	name := fmt.Sprintf("the database %s at %s", c.Database, c.Host)
	wait := cmp.Or(cfg.PostgresWait, postgresWait)
	if c.ConnectTimeout == 0 || c.ConnectTimeout > wait {
		c.ConnectTimeout = wait
	}
	if _, given := c.RuntimeParams["application_name"]; !given {
		c.RuntimeParams["application_name"] = "tandem"
	}
	if c.ValidateConnect == nil { // a standby may lag, and a read that misses known events would be wrong
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	pooler := cfg.Pooler
	if !pooler {
		if pooler, err = findPooler(ctx, c, wait); err != nil {
			return nil, "", fmt.Errorf("open %s: %w", name, explained(err))
		}
	}
	d, settings := postgresDialect(), sessionSettings(wait)
	d.wait = wait
	if pooler {
		behindPooler(d, c, settings)
	} else {
		for _, s := range settings {
			if _, given := c.RuntimeParams[s.name]; !given || s.name == "synchronous_commit" {
				c.RuntimeParams[s.name] = s.value
			}
		}
	}
	reads, write := stdlib.OpenDB(*c), stdlib.OpenDB(*c)
	reads.SetMaxOpenConns(16)
	reads.SetMaxIdleConns(16)
	reads.SetConnMaxIdleTime(5 * time.Minute)
	// One connection writes; a second one migrates while the first holds the migration's lock.
	write.SetMaxOpenConns(2)
	return &Store{dialect: d, reads: reads, write: write}, name, nil
}

// migrationLock is goose's own, which nodes of earlier versions take.
const migrationLock = 4097083626

// migrationLook is how often a node checks whether another has migrated.
const migrationLook = 100 * time.Millisecond

// lockMigrations makes nodes that start at once migrate one after the other. The lock is a transaction's, because a
// pooler provides no sessions. Nodes retry, each time in a new transaction: one that waited for the lock
// would hold a snapshot, and building an index CONCURRENTLY waits for all snapshots.
func lockMigrations(ctx context.Context, db *sql.DB) (unlock func() error, err error) {
	for {
		tx, err := db.BeginTx(ctx, nil)
		if err != nil {
			return nil, err
		}
		_, err = tx.ExecContext(ctx, `SELECT set_config('idle_in_transaction_session_timeout', '0', true)`)
		locked := false
		if err == nil {
			// By the simple protocol: what the other one leaves open has a snapshot too.
			err = tx.QueryRowContext(ctx, fmt.Sprintf(`SELECT pg_try_advisory_xact_lock(%d)`, migrationLock), pgx.QueryExecModeSimpleProtocol).Scan(&locked)
		}
		if err == nil && locked {
			return tx.Rollback, nil
		}
		if err = errors.Join(err, tx.Rollback()); err != nil {
			return nil, err
		}
		select {
		case <-time.After(migrationLook):
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// withinPostgres implements within as a range of pairs. With an equality of topics, the order of an index on (topic,
// id) would be that of ids alone, and in the hope of finding them soon PostgreSQL would walk the whole log.
func withinPostgres(column, topic, after, upto string) string {
	pair := `(` + column + `, id)`
	return pair + ` > (` + topic + `, ` + after + `) AND ` + pair + ` <= (` + topic + `, ` + upto + `)`
}

// readPostgres implements read: the first ids of each topic from two indexes, then one sort and the rows. A filter by =
// ANY would walk the whole tail of a log for a quiet room (DESIGN.md §10). A room has messages and is never an event's
// second topic; an inbox is, and has none.
func readPostgres(ctx context.Context, s *Store, topics []chat.TopicSince, upto int64, limit int) ([]chat.Event, error) {
	keys, after, rooms := make([]int64, len(topics)), make([]int64, len(topics)), make([]bool, len(topics))
	for i, t := range topics {
		keys[i], after[i], rooms[i] = int64(t.Topic), t.After, t.Topic.IsRoom()
	}
	return s.events(ctx, selectEvents+` WHERE id IN (SELECT DISTINCT id FROM (
		SELECT f.id FROM unnest(CAST(?1 AS bigint[]), CAST(?2 AS bigint[]), CAST(?3 AS boolean[])) AS t (key, since, room), LATERAL (
			(SELECT e.id FROM events e WHERE e.topic = t.key AND `+isRest+` AND e.id > t.since AND e.id <= ?4 ORDER BY e.id LIMIT ?5)
			UNION ALL
			(SELECT e.id FROM events e WHERE t.room AND e.topic = t.key AND `+isMain+` AND e.id > t.since AND e.id <= ?4 ORDER BY e.id LIMIT ?5)
			UNION ALL
			(SELECT e.id FROM events e WHERE NOT t.room AND e.also = t.key AND e.id > t.since AND e.id <= ?4 ORDER BY e.id LIMIT ?5)
		) f ORDER BY f.id LIMIT 2 * CAST(?5 AS bigint)) twice ORDER BY id LIMIT ?5) ORDER BY id`, keys, after, rooms, upto, limit)
}

// origin identifies this server and its timeline.
const origin = `(SELECT system_identifier FROM pg_control_system()) || '/' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)`

// sameServer renames the log if another server, or another timeline of it, has taken over: it may not have received all
// commits, and ids that were assigned may be assigned again. Nothing is written before.
func sameServer(ctx context.Context, conn *sql.Conn) error {
	var same bool
	if err := conn.QueryRowContext(ctx, `SELECT origin IS NOT DISTINCT FROM `+origin+` FROM log`).Scan(&same); err != nil || same {
		return err
	}
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // no effect after a commit
	for _, q := range []string{
		lockHead,
		// Another node may have been faster.
		`UPDATE past_logs SET upto = least(upto, head) FROM log WHERE origin IS DISTINCT FROM ` + origin,
		`INSERT INTO past_logs (name, upto) SELECT name, head FROM log WHERE origin <> ` + origin,
		`UPDATE log SET name = CASE WHEN origin IS NULL THEN name ELSE substr(md5(random()::text || name), 1, 10) END, origin = ` + origin +
			` WHERE origin IS DISTINCT FROM ` + origin,
	} {
		if _, err := tx.ExecContext(ctx, q); err != nil {
			return fmt.Errorf("name the log: %w", err)
		}
	}
	return tx.Commit()
}

// sharedPostgres implements shared.
func sharedPostgres(ctx context.Context, s *Store, name string) (upto int64, err error) {
	err = s.queryRow(ctx, `SELECT upto FROM past_logs WHERE name = ?`, name).Scan(&upto)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return upto, unavailable(err)
}

// pipelinePosts commits posts in one round trip: the lock on the head, then one guarded statement; the end of the
// pipeline commits. A batch whose commit got no response is not tried again: its posters retry with their keys.
func pipelinePosts(w *writer, jobs []*job) (events []chat.Event) {
	for len(jobs) > 0 {
		// Of posts with the same key, the first goes now; the others then find it.
		type keyed struct {
			user  int64
			topic chat.Topic
			key   string
		}
		seen := make(map[keyed]bool)
		var now, later []*job
		for _, j := range jobs {
			if k := j.post.key; k != nil {
				id := keyed{j.post.message.Author, j.post.message.Topic, k.Name}
				if seen[id] {
					later = append(later, j)
					continue
				}
				seen[id] = true
			}
			now = append(now, j)
		}
		posted, err := w.pipeline(now)
		if err != nil {
			w.drop()
			for _, j := range append(now, later...) {
				j.err = unavailable(err)
			}
			return events
		}
		events = append(events, posted...)
		jobs = later
	}
	return events
}

// postAll gets its lists from subqueries, whose length the planner ignores. With the lists themselves it would prefer
// custom plans, and planning takes longer than running one.
const postAll = `
WITH asked AS (
	SELECT * FROM unnest((SELECT $1::bigint[]), (SELECT $2::bigint[]), (SELECT $3::bigint[]), (SELECT $4::bigint[]),
		(SELECT $5::bigint[]), (SELECT $6::bigint[]), (SELECT $7::bigint[]),
		(SELECT $8::text[]), (SELECT $9::text[]), (SELECT $10::text[]), (SELECT $11::bytea[]))
	WITH ORDINALITY AS a (room, room_version, member, member_version, topic, also, author, type, body, key, fingerprint, n)
), judged AS (
	SELECT a.n, k.event_id AS earlier, k.fingerprint = a.fingerprint AS same,
		(a.room = 0 OR r.version = a.room_version) AND (a.member = 0 OR u.version = a.member_version) AS fits
	FROM asked a
	LEFT JOIN rooms r ON r.id = a.room
	LEFT JOIN users u ON u.id = a.member
	LEFT JOIN idempotency k ON k.user_id = a.author AND k.topic = a.topic AND k.key = a.key
), numbered AS (
	SELECT n, row_number() OVER (ORDER BY n) AS i FROM judged WHERE fits AND earlier IS NULL
), moved AS (
	UPDATE log SET head = head + (SELECT count(*) FROM numbered)
	RETURNING head - (SELECT count(*) FROM numbered) AS head
), added AS (
	INSERT INTO events (id, topic, also, author, type, body)
	SELECT moved.head + i, topic, nullif(also, 0), author, type, body FROM moved, numbered JOIN asked USING (n)
), kept AS (
	INSERT INTO idempotency (user_id, topic, key, fingerprint, event_id, created_at)
	SELECT author, topic, key, fingerprint, moved.head + i, $12 FROM moved, numbered JOIN asked USING (n) WHERE key IS NOT NULL
)
SELECT coalesce(j.fits, false), coalesce(j.earlier, 0), coalesce(j.same, false), coalesce(moved.head + i, 0)
FROM moved, judged j LEFT JOIN numbered USING (n) ORDER BY j.n`

// pipeline commits posts with distinct keys.
func (w *writer) pipeline(jobs []*job) (events []chat.Event, err error) {
	ctx, cancel := w.dialect.patience(context.Background())
	defer cancel()
	if err := w.connect(ctx); err != nil {
		return nil, err
	}
	n := len(jobs)
	rooms, roomVersions := make([]int64, n), make([]int64, n)
	users, userVersions := make([]int64, n), make([]int64, n)
	topics, also, authors := make([]int64, n), make([]int64, n), make([]int64, n)
	types, bodies, keys, fingerprints := make([]string, n), make([]string, n), make([]*string, n), make([][]byte, n)
	for i, j := range jobs {
		p := j.post
		rooms[i], roomVersions[i], users[i], userVersions[i] = p.guard.Room, p.guard.RoomVersion, p.guard.User, p.guard.UserVersion
		topics[i], also[i], authors[i] = int64(p.message.Topic), int64(p.message.Also), p.message.Author
		types[i], bodies[i] = p.message.Type, p.message.Body
		if p.key != nil {
			keys[i], fingerprints[i] = &p.key.Name, p.key.Fingerprint
		}
	}
	type outcome struct {
		Fits    bool
		Earlier int64
		Same    bool
		ID      int64
	}
	var outcomes []outcome
	earlier := make(map[int64]chat.Event)
	err = w.conn.Raw(func(driver any) error {
		conn := driver.(*stdlib.Conn).Conn()
		var batch pgx.Batch
		locked := w.takeLock()
		if !locked {
			w.queueBegin(&batch, w.dialect.begin[1:]) // the end of the pipeline ends the transaction
		}
		if w.dialect.guard != "" {
			batch.Queue(w.dialect.bind(w.dialect.guard), w.name)
		}
		batch.Queue(postAll, rooms, roomVersions, users, userVersions, topics, also, authors, types, bodies, keys, fingerprints,
			w.now().UnixMilli()).Query(func(rows pgx.Rows) (err error) {
			outcomes, err = pgx.CollectRows(rows, pgx.RowToStructByPos[outcome])
			return err
		})
		if locked {
			batch.Queue(`COMMIT`)
		}
		began := time.Now()
		if err := conn.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
		w.turn.took = time.Since(began)
		if !locked {
			w.turn.took -= w.turn.waited
		}
		for _, o := range outcomes {
			if o.Earlier != 0 && o.Same {
				e, err := scanEvent(conn.QueryRow(ctx, selectEvents+` WHERE id = $1`, o.Earlier))
				if err != nil {
					return err // a retry; it may be sent again
				}
				earlier[o.Earlier] = e
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(outcomes) != n {
		return nil, fmt.Errorf("%d posts came to %d ends", n, len(outcomes))
	}
	for i, o := range outcomes {
		j := jobs[i]
		switch {
		case !o.Fits:
			j.err = chat.ErrStale
		case o.Earlier != 0 && !o.Same:
			j.err = chat.ErrKeyMismatch
		case o.Earlier != 0:
			j.post.message.Event = earlier[o.Earlier]
		default:
			j.post.message.ID, j.post.fresh = o.ID, true
			events = append(events, j.post.message.Event)
		}
	}
	return events, nil
}
