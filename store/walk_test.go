package store

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"tandem/chat"
	"tandem/testservers"
)

// The cost of reading a room's messages does not depend on its other events: room 1 has 100 messages and then 20,000
// reactions; room 2 is quiet.
const (
	walkMessages = 100
	walkEvents   = 20_100
	walkRow      = `CASE WHEN i % 2000 = 0 THEN 4 ELSE 2 END, NULL, 0, CASE WHEN i <= 100 THEN 'chat_message' ELSE 'reaction_added' END`
)

// walks lists the reads that look for messages, and what they find.
var walks = []struct {
	name string
	read func(t *testing.T, s *Store) any
	want any
}{
	{"room", func(t *testing.T, s *Store) any {
		r, err := s.Room(t.Context(), "room1", 1)
		return result(t, r.LastID, err)
	}, int64(walkMessages)},
	{"rooms", func(t *testing.T, s *Store) any {
		r, err := s.Rooms(t.Context(), chat.Viewer{User: 1}, "", 1)
		return result(t, len(r) == 1 && r[0].LastID == walkMessages, err)
	}, true},
	{"start", func(t *testing.T, s *Store) any {
		id, err := s.Start(t.Context(), chat.RoomTopic(1), 10)
		return result(t, id, err)
	}, int64(walkMessages - 10)},
	{"start of fewer", func(t *testing.T, s *Store) any {
		id, err := s.Start(t.Context(), chat.RoomTopic(1), walkMessages+1)
		return result(t, id, err)
	}, int64(0)},
	{"messages", func(t *testing.T, s *Store) any {
		page, err := s.Messages(t.Context(), chat.RoomTopic(1), chat.Page{Limit: 10})
		return result(t, fmt.Sprint(ids(page.Events), page.Prev != nil, page.Next != nil), err)
	}, "[91 92 93 94 95 96 97 98 99 100] true false"},
	{"messages before", func(t *testing.T, s *Store) any {
		page, err := s.Messages(t.Context(), chat.RoomTopic(1), chat.Page{Before: walkEvents, Limit: 2})
		return result(t, fmt.Sprint(ids(page.Events), page.Prev != nil, page.Next != nil), err)
	}, "[99 100] true false"},
	{"messages after", func(t *testing.T, s *Store) any {
		page, err := s.Messages(t.Context(), chat.RoomTopic(1), chat.Page{HasAfter: true, After: walkMessages, Limit: 10})
		return result(t, fmt.Sprint(ids(page.Events), page.Prev != nil, page.Next != nil), err)
	}, "[] true false"},
	{"unread", func(t *testing.T, s *Store) any {
		n, err := s.Unread(t.Context(), 1, chat.RoomTopic(1))
		return result(t, n, err)
	}, walkMessages},
	{"conversation", func(t *testing.T, s *Store) any {
		page, err := s.Messages(t.Context(), chat.ConversationTopic(1, 2), chat.Page{Limit: 10})
		return result(t, len(page.Events), err)
	}, 0},
	{"read of a quiet room", func(t *testing.T, s *Store) any {
		events, err := s.Read(t.Context(), []chat.TopicSince{{Topic: chat.RoomTopic(2)}, {Topic: chat.InboxTopic(1)}}, walkEvents, 500)
		return result(t, len(events), err)
	}, 10},
	{"marker", func(t *testing.T, s *Store) any {
		id, err := s.MarkRead(t.Context(), 1, chat.RoomTopic(1), walkEvents)
		return result(t, id == walkMessages || id == 0, err) // 0 is again
	}, true},
}

func result(t *testing.T, v any, err error) any {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	return v
}

// PostgreSQL counts the rows and index entries that it reads.
func TestMessageQueriesUseTheIndexOnPostgres(t *testing.T) {
	t.Parallel()
	for _, plans := range []string{"auto", "force_custom_plan", "force_generic_plan"} {
		t.Run(plans, func(t *testing.T) {
			p := place{URL: testservers.Database(t)}
			fillLog(t, p, walkEvents, walkRow)
			at, err := url.Parse(p.URL)
			if err != nil {
				t.Fatal(err)
			}
			query := at.Query()
			query.Set("plan_cache_mode", plans)
			at.RawQuery = query.Encode()
			p.URL = at.String()
			s := p.open(t, Config{})
			s.reads.SetMaxOpenConns(1) // a session reports its counts when asked
			walked := func() (n int64) {
				t.Helper()
				if _, err := s.reads.ExecContext(t.Context(), `SELECT pg_stat_force_next_flush()`); err != nil {
					t.Fatal(err)
				}
				err := s.reads.QueryRowContext(t.Context(), `SELECT (SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'events')
					+ (SELECT sum(idx_tup_read) FROM pg_stat_user_indexes WHERE relname = 'events')::bigint`).Scan(&n)
				if err != nil {
					t.Fatal(err)
				}
				return n
			}
			for _, w := range walks {
				for range 8 { // PostgreSQL may use a generic plan from the sixth execution on
					before := walked()
					if got := w.read(t, s); got != w.want {
						t.Errorf("%s finds %v, want %v", w.name, got, w.want)
					}
					if n := walked() - before; n > 3*walkMessages {
						t.Errorf("rows read by %s: got %d, want at most %d", w.name, n, 3*walkMessages)
						break
					}
				}
			}
		})
	}
}

// SQLite does not count rows, but it shows its plan: each access to the events must be one of these searches.
func TestMessageQueriesUseTheIndexOnSQLite(t *testing.T) {
	t.Parallel()
	good := regexp.MustCompile(`^SEARCH (e|events) USING (` +
		`(COVERING )?INDEX events_(main|rest) \(topic=\? AND id>\? AND id<\?\)|` +
		`(COVERING )?INDEX events_main \(topic>\? AND topic<\?\)|` +
		`(COVERING )?INDEX events_by_also \(also=\? AND id>\? AND id<\?\)|` +
		`INTEGER PRIMARY KEY \(rowid=\?\))$`)
	about := regexp.MustCompile(`(SCAN|SEARCH) (e|events)\b`)
	s := fillLog(t, place{Dir: t.TempDir()}, walkEvents, walkRow)
	var mu sync.Mutex
	var asked []string
	d := *s.dialect
	d.bind = func(query string) string {
		mu.Lock()
		defer mu.Unlock()
		asked = append(asked, query)
		return query
	}
	s.dialect = &d
	for _, w := range walks {
		asked = nil
		if got := w.read(t, s); got != w.want {
			t.Errorf("%s finds %v, want %v", w.name, got, w.want)
		}
		seen := 0
		for _, q := range asked {
			rows, err := s.reads.QueryContext(t.Context(), `EXPLAIN QUERY PLAN `+q, make([]any, 8)[:arguments(q)]...)
			if err != nil {
				t.Fatal(err)
			}
			steps, err := scanAll(rows, func(row scanner) (step string, err error) {
				var n any
				err = row.Scan(&n, &n, &n, &step)
				return step, err
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, step := range steps {
				if about.MatchString(step) {
					seen++
					if !good.MatchString(step) {
						t.Errorf("plan of %s: got %q, want a search of an index\n%s", w.name, step, q)
					}
				}
				if strings.Contains(step, "TEMP B-TREE") && !strings.HasPrefix(w.name, "read") {
					t.Errorf("%s sorts: %s\n%s", w.name, step, q)
				}
			}
		}
		if seen == 0 {
			t.Errorf("%s: no query about events: %q", w.name, asked)
		}
	}
}

// arguments returns how many arguments a query has.
func arguments(query string) (n int) {
	for i := range len(query) {
		if query[i] == '?' {
			if i+1 < len(query) && query[i+1] >= '1' && query[i+1] <= '9' {
				n = max(n, int(query[i+1]-'0'))
			} else {
				n++
			}
		}
	}
	return n
}
