package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// A pooler such as PgBouncer gives each transaction to any free session of the server. So behind one, nothing may be
// left in a session or expected there: no prepared statements, no settings, no locks beyond a transaction.

// findPooler detects a pooler in front of the server: it gives its clients process numbers that differ from the
// server's own. A pooler of whole sessions is detected too; that only costs a little.
func findPooler(ctx context.Context, c *pgx.ConnConfig, wait time.Duration) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*wait)
	defer cancel()
	c = c.Copy()
	c.DefaultQueryExecMode = pgx.QueryExecModeExec
	conn, err := pgx.ConnectConfig(ctx, c)
	if err != nil {
		return false, err
	}
	defer conn.Close(ctx)
	var pid uint32
	err = conn.QueryRow(ctx, `SELECT pg_backend_pid()`).Scan(&pid)
	return err == nil && pid != conn.PgConn().PID(), err
}

// behindPooler restricts the dialect and its connections to transactions. Another server may take over without any
// connection being lost, so each transaction checks that the log is the one that the writer knows.
func behindPooler(d *dialect, c *pgx.ConnConfig, settings []sessionSetting) {
	c.DefaultQueryExecMode = pgx.QueryExecModeCacheDescribe // only unnamed statements
	set := make([]string, len(settings))
	for i, s := range settings {
		set[i] = fmt.Sprintf(`set_config('%s', '%s', true)`, s.name, s.value)
	}
	d.begin = []string{`BEGIN`, `SELECT ` + strings.Join(set, ", "), lockHead}
	d.guard = `SELECT CASE WHEN name = CAST(? AS text) AND origin IS NOT DISTINCT FROM ` + origin + ` THEN 1
		ELSE ('another server has taken over the log ' || name)::int END FROM log`
}

// explained returns err in one line, with what to do about it if known.
func explained(err error) error {
	if err == nil {
		return nil
	}
	advice := ""
	pg, _ := errors.AsType[*pgconn.PgError](err)
	text := strings.Join(strings.Fields(err.Error()), " ")
	switch {
	case pg != nil && strings.HasPrefix(pg.Message, "unsupported startup parameter"):
		advice = "the pooler does not pass it on; remove it from database-url and set it for the role: ALTER ROLE … SET …"
	case pg != nil && pg.Code == "42501" && strings.Contains(pg.Message, "for schema"):
		advice = "the role cannot create tables there; GRANT CREATE ON SCHEMA … TO it, or start tandem once with a role that can, to migrate"
	case pg != nil && pg.Code == "42501":
		advice = "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA … TO the role, or let the tables' owner migrate"
	case pg != nil && pg.Code == "55P03":
		advice = "something else in the database, such as pg_dump, takes too long; start again when it has ended"
	case pg != nil && pg.Code == "3F000":
		advice = "the role's search_path has no existing schema; CREATE SCHEMA … first"
	case strings.Contains(text, "certificate signed by unknown authority"):
		advice = "set sslrootcert in database-url to the file of the authority that signed the server's certificate"
	case strings.Contains(text, "certificate is valid for"), strings.Contains(text, "certificate is not valid for any names"),
		strings.Contains(text, "doesn't contain any IP SANs"):
		advice = "database-url must use the host name in the server's certificate"
	}
	if advice == "" && text == err.Error() {
		return err
	}
	if advice != "" {
		text += " (" + advice + ")"
	}
	return &explainedError{text, err}
}

// explainedError is an error with a different text.
type explainedError struct {
	text string
	err  error
}

func (e *explainedError) Error() string { return e.text }
func (e *explainedError) Unwrap() error { return e.err }
