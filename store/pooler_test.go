package store

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"tandem/chat"
	"tandem/testservers"
)

// pooledPostgres is a server behind a pooler, both of which a test may damage.
func pooledPostgres(t *testing.T, settings ...string) (*testservers.Postgres, *testservers.PgBouncer, string) {
	t.Helper()
	pg := testservers.NewPostgres(t, settings...)
	name, err := pg.NewDatabase()
	if err != nil {
		t.Fatal(err)
	}
	return pg, testservers.NewPgBouncer(t, pg), name
}

// Behind a pooler, configured or detected, each transaction sets what it needs: commits wait for the disk even if that
// is not the server's default, and waiting for the head times out.
func TestPoolerKeepsTheGuarantees(t *testing.T) {
	t.Parallel()
	for _, said := range []bool{false, true} {
		t.Run(fmt.Sprint("said: ", said), func(t *testing.T) {
			pg, pooler, name := pooledPostgres(t, "synchronous_commit=off")
			p := place{URL: pooler.URL(name), Pooler: said, PostgresWait: 29900 * time.Millisecond}
			s, u, r := world(t, p, nil)
			if err := pg.Exec(name, `CREATE TABLE seen (setting text, value text)`,
				`CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
					INSERT INTO seen SELECT n, current_setting(n) FROM unnest(ARRAY['synchronous_commit', 'lock_timeout', 'idle_in_transaction_session_timeout']) n;
					RETURN NEW;
				END $$`, `CREATE TRIGGER see BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION see()`); err != nil {
				t.Fatal(err)
			}
			e, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Delete(t.Context(), guardOf(u, r), chat.RoomTopic(r.ID), e.ID, message(u, r, "gone").Event); err != nil {
				t.Fatal(err)
			}
			seen, err := list(t.Context(), s, scanOne[string], `SELECT DISTINCT setting || '=' || value FROM seen ORDER BY 1`)
			if want := "idle_in_transaction_session_timeout=30s lock_timeout=30s synchronous_commit=on"; err != nil || strings.Join(seen, " ") != want {
				t.Errorf("the transactions ran with %v, %v; want %s", seen, err, want)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			// The second start creates no prepared statements that the first left in the server's sessions.
			s, other := p.open(t, Config{}), p.open(t, Config{})
			for i, at := range []*Store{s, other, s, other} {
				if _, _, err := at.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), &chat.Key{Name: fmt.Sprint(i / 2), Fingerprint: []byte{1}}); err != nil {
					t.Error(err)
				}
			}
			if state, err := other.Head(t.Context()); err != nil || state.Head != e.ID+3 { // its deletion, and two posts that were each made twice
				t.Errorf("the log is %+v, %v; want the head %d", state, err, e.ID+3)
			}
		})
	}
}

// A pooler may switch a connection to another server without closing it: the log gets a new name before anything is
// written to that server.
func TestPoolerSwitchingServersRenamesTheLog(t *testing.T) {
	t.Parallel()
	pg, pooler, name := pooledPostgres(t)
	var told []string
	p := place{URL: pooler.URL(name)}
	s, u, r := world(t, p, func(log string, events []chat.Event) { told = append(told, log) })
	post := func() error {
		_, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), nil)
		return err
	}
	if err := post(); err != nil {
		t.Fatal(err)
	}
	before, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	// The other server's identity shows only in what its log records.
	if err := pg.Exec(name, `UPDATE log SET origin = 'another/00000001'`); err != nil {
		t.Fatal(err)
	}
	for began := time.Now(); ; time.Sleep(10 * time.Millisecond) {
		if err = post(); err == nil {
			break
		}
		if !errors.Is(err, chat.ErrUnavailable) || time.Since(began) > 20*time.Second {
			t.Fatalf("post after the failover: got %v, want chat.ErrUnavailable", err)
		}
	}
	after, err := s.Head(t.Context())
	if err != nil || after.Name == before.Name {
		t.Errorf("log = %+v, %v; want a new name, was %+v", after, err, before)
	}
	if upto, err := s.Shared(t.Context(), before.Name); err != nil || upto != before.Head {
		t.Errorf("the logs share ids up to %d, %v; want %d", upto, err, before.Head)
	}
	if last := told[len(told)-1]; last != after.Name {
		t.Errorf("the post was published for log %s, want %s", last, after.Name)
	}
}

// While the pooler is down every call fails with an error, and the same store continues when it is back.
func TestStoreSurvivesPoolerRestart(t *testing.T) {
	t.Parallel()
	_, pooler, name := pooledPostgres(t)
	s, u, r := world(t, place{URL: pooler.URL(name)}, nil)
	acknowledged := int64(0)
	post := func() error {
		_, _, err := s.Post(t.Context(), guardOf(u, r), message(u, r, "hi"), nil)
		if err == nil {
			acknowledged++
		}
		return err
	}
	for range 3 {
		if err := post(); err != nil {
			t.Fatal(err)
		}
		pooler.Kill()
		if err := post(); !errors.Is(err, chat.ErrUnavailable) {
			t.Errorf("a post without the pooler: got %v, want chat.ErrUnavailable", err)
		}
		if err := pooler.Start(); err != nil {
			t.Fatal(err)
		}
		for began := time.Now(); post() != nil; {
			if time.Since(began) > 20*time.Second {
				t.Fatal("posts still fail after the pooler is back")
			}
		}
	}
	events, err := s.ReadAll(t.Context(), 0, chat.MaxID, 100)
	if err != nil || int64(len(events)) < acknowledged {
		t.Fatalf("%d events, %v; want %d, as acknowledged", len(events), err, acknowledged)
	}
	for i, e := range events {
		if e.ID != int64(i+1) {
			t.Errorf("event %d has id %d", i+1, e.ID)
		}
	}
}

// What the pooler refuses is reported on one line, with what to do.
func TestPoolerRefusingASettingIsReported(t *testing.T) {
	t.Parallel()
	_, pooler, name := pooledPostgres(t)
	_, err := place{URL: pooler.URL(name) + "&search_path=chat"}.try(Config{})
	if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), "search_path") || !strings.Contains(err.Error(), "ALTER ROLE") {
		t.Errorf("error = %v", err)
	}
}
