package store

import (
	"context"
	"errors"
	"slices"
	"time"

	"tandem/chat"
	"tandem/followers"
)

// RetentionConfig configures retention.
type RetentionConfig struct {
	Site time.Duration    // 0 is unlimited; a room can have less
	Now  func() time.Time // the clock for the age of messages
	// Every is how often to look for old messages; 0 is an hour.
	Every time.Duration
}

const (
	retentionEvery = time.Hour
	// retentionNotice is the time between the announcement and the first deletion: a stream whose cursor was accepted
	// before has read on by then.
	retentionNotice = 2 * time.Second
	// expireStep is how many events are deleted at once, when no post waits: so few that a post that arrives then waits about
	// as long as for other posts. Posts then have the database to themselves for expireShare times as long as the step
	// took, so that less than one in a hundred meets a step; expireIdle applies if nobody posts.
	expireStep  = 50
	expireShare = 250
	expireIdle  = 4
	// expireRest bounds that time: even if the database is slow, a hundred are deleted per second.
	expireRest = 400 * time.Millisecond
)

// retention deletes old messages. Every node looks for them; the node that announces a deletion first performs it.
// First the floor of a room, or of the whole log, moves, and older cursors are no longer accepted. Then everything
// below it is deleted in small steps, each of which records its progress; a crash costs one step at most.
type retention struct {
	RetentionConfig
	s      *Store
	looked time.Time
	swept  map[int64]int64 // the progress of each room, and of the whole log, at that time
	left   []*expiring
	head   int64 // the log's head at the last deletion
}

// expiring is what is to be deleted of a room, or of the whole log.
type expiring struct {
	room         int64 // 0 for the whole log
	swept, floor int64 // delete from swept on, below floor
	before       time.Time
	after        time.Time // when to start
}

// Retention returns the job that deletes old messages.
func (s *Store) Retention(cfg RetentionConfig) followers.Job {
	if cfg.Every == 0 {
		cfg.Every = retentionEvery
	}
	r := &retention{RetentionConfig: cfg, s: s}
	return followers.Job{Name: "retention", Do: r.step}
}

// step does the next step, and returns when to continue.
func (r *retention) step(ctx context.Context) (time.Duration, error) {
	if len(r.left) == 0 {
		if wait := time.Until(r.looked.Add(r.Every)); !r.looked.IsZero() && wait > 0 {
			return wait, nil
		}
		left, err := r.look(ctx)
		if err != nil {
			return 0, err
		}
		if r.looked, r.left = time.Now(), left; len(left) == 0 {
			return r.Every, nil
		}
	}
	e := r.left[0]
	if wait := time.Until(e.after); wait > 0 {
		return wait, nil
	}
	done, took, before, head, err := r.s.expire(ctx, e)
	if errors.Is(err, errExpiring) {
		done, err = true, nil
	}
	if err != nil {
		return 0, err
	}
	share := time.Duration(expireIdle)
	if before != r.head { // others have written
		share = expireShare
	}
	if r.head = head; done {
		r.left = r.left[1:]
	}
	return min(share*took, expireRest), nil
}

// look finds old messages and announces their deletion. It resumes an earlier deletion that no node has continued since
// the last look.
func (r *retention) look(ctx context.Context) (left []*expiring, err error) {
	was, swept := r.swept, make(map[int64]int64)
	state, err := r.s.Head(ctx)
	if err != nil {
		return nil, err
	}
	now := r.Now()
	add := func(e *expiring, floor int64, retention time.Duration) error {
		e.before = now.Add(-max(retention, chat.MinRetention*time.Second))
		e.after = time.Now().Add(retentionNotice)
		last, known := was[e.room]
		mine := !known || last == e.swept
		swept[e.room] = e.swept
		if retention > 0 {
			old, err := r.s.lastBefore(ctx, e.room, e.before, max(floor, state.Floor), state.Head)
			if err != nil {
				return err
			}
			if old >= floor {
				if mine, err = r.s.keepFrom(ctx, e.room, old+1); err != nil {
					return err
				}
				floor = old + 1
			}
		}
		if e.floor = floor; mine && e.swept < floor {
			left = append(left, e)
		}
		return nil
	}
	site := &expiring{}
	if err := r.s.queryRow(ctx, `SELECT swept FROM log`).Scan(&site.swept); err != nil {
		return nil, unavailable(err)
	}
	if err := add(site, state.Floor, r.Site); err != nil {
		return nil, err
	}
	type room struct{ id, seconds, floor, swept int64 }
	rooms, err := list(ctx, r.s, func(row scanner) (o room, err error) {
		err = row.Scan(&o.id, &o.seconds, &o.floor, &o.swept)
		return o, err
	}, `SELECT id, retention, floor, swept FROM rooms WHERE retention > 0 OR swept < floor ORDER BY id`)
	if err != nil {
		return nil, err
	}
	for _, o := range rooms {
		retention := time.Duration(o.seconds) * time.Second
		if r.Site > 0 {
			retention = min(retention, r.Site)
		}
		if err := add(&expiring{room: o.id, swept: o.swept}, o.floor, retention); err != nil {
			return nil, err
		}
	}
	r.swept = swept
	return left, nil
}

// eventsFrom returns the first events of a room, or of the whole log, with ids from first up to upto.
func (s *Store) eventsFrom(ctx context.Context, room, first, upto int64, limit int) ([]chat.Event, error) {
	if room == 0 {
		return s.ReadAll(ctx, first-1, upto, limit)
	}
	return s.Read(ctx, []chat.TopicSince{{Topic: chat.RoomTopic(room), After: first - 1}}, upto, limit)
}

// lastBefore returns the last id, from floor up to head, up to which everything in a room, or in the whole log, is
// older than a time; below floor if nothing is. Ids are in order of time, apart from differences between the nodes'
// clocks.
func (s *Store) lastBefore(ctx context.Context, room int64, before time.Time, floor, head int64) (int64, error) {
	// Everything below low is old. Look at low itself first: usually nothing is old.
	low, high := floor, head+1
	for mid := low; low < high; mid = low + (high-low)/2 {
		id, old := high, false
		for from := mid; from < high; {
			page, err := s.eventsFrom(ctx, room, from, high-1, 20)
			if err != nil {
				return 0, err
			}
			i := slices.IndexFunc(page, func(e chat.Event) bool { return !e.SentAt().IsZero() })
			if i >= 0 {
				id, old = page[i].ID, page[i].SentAt().Before(before)
				break
			}
			if len(page) < 20 {
				break
			}
			from = page[len(page)-1].ID + 1
		}
		if old {
			low = id + 1
		} else {
			high = mid
		}
	}
	return low - 1, nil
}

// keepFrom announces that everything below a floor in a room, or in the whole log, will be deleted. It reports whether
// this node was the first to do so.
func (s *Store) keepFrom(ctx context.Context, room, floor int64) (bool, error) {
	first := false
	err := s.log.do(ctx, func(t *tx) error {
		query, args := `UPDATE log SET floor = ?1 WHERE floor < ?1`, []any{floor}
		if room != 0 {
			query, args = `UPDATE rooms SET floor = ?1 WHERE floor < ?1 AND id = ?2`, append(args, room)
		}
		n, err := affected(t, query, args...)
		if first = n > 0; err != nil || !first {
			return err
		}
		_, err = t.append(chat.ControlEvent{Kept: &chat.Kept{Room: room, Floor: floor}}.Event(0))
		return err
	})
	if err != nil {
		return false, err
	}
	return first, nil
}

// errExpiring means that another node performs the deletion.
var errExpiring = errors.New("another node does it")

// errReplan means that somebody wrote about a message in a step between its plan and the lock.
var errReplan = errors.New("the plan is outdated")

// expire takes one step of a deletion, and returns whether it was the last, how long it kept the log's head, and the
// head before and after.
func (s *Store) expire(ctx context.Context, e *expiring) (last bool, took time.Duration, before, head int64, err error) {
	events, err := s.eventsFrom(ctx, e.room, e.swept, e.floor-1, expireStep)
	if err != nil {
		return false, 0, 0, 0, err
	}
	done := len(events) < expireStep
	upto := e.floor - 1
	if !done {
		upto = events[len(events)-1].ID
	}
	// If a clock was wrong, young events stay all the same.
	if i := slices.IndexFunc(events, func(v chat.Event) bool { return v.SentAt().After(e.before) }); i >= 0 {
		done, upto, events = true, events[i].ID-1, events[:i]
	}
	if e.room != 0 { // keep a room's own changes as long as the log has them
		events = slices.DeleteFunc(events, func(v chat.Event) bool {
			return v.Also != chat.NoTopic || v.Type == chat.TypeRoomUpdated || v.Type == chat.TypeRoomDeleted
		})
	}
	sweep := statement{`UPDATE log SET swept = ? WHERE swept = ?`, []any{upto + 1, e.swept}}
	if e.room != 0 {
		sweep = statement{`UPDATE rooms SET swept = ? WHERE swept = ? AND id = ?`, []any{upto + 1, e.swept, e.room}}
	}
	var was, is int64
	j := &job{idle: true, done: make(chan struct{})}
	if expire := s.dialect.expire; expire != nil {
		x, err := s.planExpiry(ctx, events)
		if err != nil {
			return false, 0, 0, 0, err
		}
		j.apart = func(w *writer) (told []chat.Event, err error) {
			told, is, err = expire(w, x, sweep)
			was = is - int64(len(told))
			return told, err
		}
	} else {
		j.run = func(t *tx) error {
			was = t.head
			scrubbed := t.scrubbed
			if err := t.expire(events); err != nil {
				return err
			}
			t.scrubbed = scrubbed || done // all of it is erased with the last step
			is = t.head
			n, err := affected(t, sweep.query, sweep.args...)
			if err == nil && n == 0 {
				err = errExpiring
			}
			return err
		}
	}
	switch err := s.log.submit(ctx, j); {
	case errors.Is(err, errReplan):
		return false, j.took, was, is, nil // the next step tries again
	case err != nil:
		return false, 0, 0, 0, err
	}
	e.swept = upto + 1
	return done, j.took, was, is, nil
}

// planExpiry plans the deletion of events outside of the writer's transaction.
func (s *Store) planExpiry(ctx context.Context, events []chat.Event) (*expiry, error) {
	return planExpiry(s.dialect, events,
		func(q statement) ([]finding, error) { return list(ctx, s, scanFinding, q.query, q.args...) },
		func(q statement) ([]chat.Event, error) { return list(ctx, s, scanEvent, q.query, q.args...) })
}

// RoomFloors implements realtime.Log.
func (s *Store) RoomFloors(ctx context.Context) (map[int64]int64, error) {
	type floor struct{ room, id int64 }
	all, err := list(ctx, s, func(row scanner) (f floor, err error) {
		err = row.Scan(&f.room, &f.id)
		return f, err
	}, `SELECT id, floor FROM rooms WHERE floor > 0`)
	floors := make(map[int64]int64, len(all))
	for _, f := range all {
		floors[f.room] = f.id
	}
	return floors, err
}
