package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"tandem/chat"
	"tandem/followers"
)

const selectHooks = `SELECT h.id, coalesce(h.room_id, 0), h.url, coalesce(h.events, ''), h.secret, u.name, h.created_at
	FROM hooks h JOIN users u ON u.id = h.created_by`

func scanHook(row scanner) (h chat.Hook, err error) {
	var created int64
	var events string
	if err := row.Scan(&h.ID, &h.Room, &h.URL, &events, &h.Secret, &h.CreatedBy, &created); err != nil {
		return h, err
	}
	h.CreatedAt = time.UnixMilli(created)
	if events != "" {
		err = json.Unmarshal([]byte(events), &h.Events)
	}
	return h, err
}

// hookFollower returns the name of the follower that serves a hook.
func hookFollower(id int64) string { return "hook:" + strconv.FormatInt(id, 10) }

// hookEvents returns types as they are stored; nil for all.
func hookEvents(types []string) (any, error) {
	if len(types) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(types)
	return string(text), err
}

// nullable returns an id, or NULL for 0.
func nullable(id int64) any {
	if id == 0 {
		return nil
	}
	return id
}

// CreateHook implements chat.Store.
func (s *Store) CreateHook(ctx context.Context, g chat.Guard, h chat.Hook, since *int64) (chat.HookState, error) {
	events, err := hookEvents(h.Events)
	if err != nil {
		return chat.HookState{}, err
	}
	err = s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		if err := t.queryRow(`INSERT INTO hooks (room_id, url, events, secret, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?) RETURNING id`,
			nullable(h.Room), h.URL, events, h.Secret, g.User, h.CreatedAt.UnixMilli()).Scan(&h.ID); err != nil {
			return unavailable(err)
		}
		if err := t.withinHooks(h.Room, g.User); err != nil {
			return err
		}
		cursor := t.head
		if since != nil {
			cursor = *since
		}
		return t.addFollower(hookFollower(h.ID), cursor)
	})
	if err != nil {
		return chat.HookState{}, err
	}
	all, err := s.Hooks(ctx, h.Room, h.ID)
	if err == nil && len(all) == 0 {
		err = chat.ErrNoHook // deleted meanwhile
	}
	if err != nil {
		return chat.HookState{}, err
	}
	return all[0], nil
}

func (t *tx) withinHooks(room, user int64) error {
	if room == 0 {
		return t.within(chat.MaxSiteHooks, "there can be %d hooks for all rooms; delete one first", `SELECT count(*) FROM hooks WHERE room_id IS NULL`)
	}
	if err := t.within(chat.MaxRoomHooks, "a room can have %d hooks; delete one first", `SELECT count(*) FROM hooks WHERE room_id = ?`, room); err != nil {
		return err
	}
	return t.within(chat.MaxUserHooks, "a user can create %d hooks; delete one first",
		`SELECT count(*) FROM hooks WHERE created_by = ? AND room_id IS NOT NULL`, user)
}

// Hooks implements chat.Store.
func (s *Store) Hooks(ctx context.Context, room, hook int64) ([]chat.HookState, error) {
	where, args := ` WHERE h.room_id IS NULL`, []any{}
	if room != 0 {
		where, args = ` WHERE h.room_id = ?`, []any{room}
	}
	if hook != 0 {
		where, args = where+` AND h.id = ?`, append(args, hook)
	}
	hooks, err := list(ctx, s, scanHook, selectHooks+where+` ORDER BY h.id`, args...)
	if err != nil || len(hooks) == 0 {
		return nil, err
	}
	head, err := s.Head(ctx)
	if err != nil {
		return nil, err
	}
	names := make([]string, len(hooks))
	for i, h := range hooks {
		names[i] = hookFollower(h.ID)
	}
	states, err := s.Followers(ctx, names)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]followers.State, len(states))
	for _, f := range states {
		byName[f.Name] = f
	}
	all := make([]chat.HookState, 0, len(hooks))
	for i, h := range hooks {
		f, there := byName[names[i]]
		if !there {
			continue // deleted meanwhile
		}
		state := chat.HookState{
			Hook: h, Cursor: chat.Cursor{ID: f.Cursor, Log: head.Name}, Paused: f.Paused, Error: f.Error, FailingSince: f.FailingSince, RetryAt: f.RetryAt,
		}
		if state.Lag, err = s.hookLag(ctx, h, f.Cursor); err != nil {
			return nil, err
		}
		all = append(all, state)
	}
	return all, nil
}

// hookLag counts the events that a hook still has to send, among the next chat.MaxLag of those it follows.
func (s *Store) hookLag(ctx context.Context, h chat.Hook, cursor int64) (lag int, err error) {
	wanted, types := `1 = 1`, []any{}
	if len(h.Events) > 0 {
		text, err := json.Marshal(h.Events)
		if err != nil {
			return 0, err
		}
		wanted, types = `e.type IN (`+s.dialect.texts(`?`)+`)`, []any{string(text)}
	}
	parts := []string{`SELECT type, topic FROM events WHERE id > ? ORDER BY id`}
	args := []any{cursor}
	if h.Room == 0 {
		wanted += fmt.Sprintf(` AND e.topic > %d AND e.topic %% 2 = 0`, chat.Control)
	} else { // each part has its own index
		const of = `SELECT type, topic FROM events WHERE topic = ? AND id > ? AND `
		parts, args = []string{of + isMain + ` ORDER BY topic, id`, of + isRest + ` ORDER BY topic, id`}, []any{int64(chat.RoomTopic(h.Room)), cursor}
	}
	var counts []string
	var all []any
	for _, part := range parts {
		counts = append(counts, `(SELECT count(*) FROM (`+part+` LIMIT `+strconv.Itoa(chat.MaxLag)+`) e WHERE `+wanted+`)`)
		all = append(append(all, args...), types...)
	}
	err = s.queryRow(ctx, `SELECT `+strings.Join(counts, ` + `), all...).Scan(&lag)
	return min(lag, chat.MaxLag), unavailable(err)
}

// ChangeHook implements chat.Store.
func (s *Store) ChangeHook(ctx context.Context, g chat.Guard, room, hook int64, c chat.HookChange) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		h, err := t.hook(room, hook)
		if err != nil {
			return err
		}
		if c.URL != nil {
			h.URL = *c.URL
		}
		if c.Events != nil {
			h.Events = *c.Events
		}
		events, err := hookEvents(h.Events)
		if err != nil {
			return err
		}
		if _, err := t.exec(`UPDATE hooks SET url = ?, events = ? WHERE id = ?`, h.URL, events, hook); err != nil {
			return unavailable(err)
		}
		var paused string
		if err := t.queryRow(`SELECT coalesce(paused, '') FROM followers WHERE name = ?`, hookFollower(hook)).Scan(&paused); err != nil {
			return unavailable(err)
		}
		if c.Paused != nil {
			paused = *c.Paused
		}
		return t.changeFollower(hookFollower(hook), c.Since, paused)
	})
}

// hook returns one hook of a room, or for all rooms, or chat.ErrNoHook.
func (t *tx) hook(room, hook int64) (chat.Hook, error) {
	h, err := scanHook(t.queryRow(selectHooks+` WHERE h.id = ?`, hook))
	if errors.Is(err, sql.ErrNoRows) || err == nil && h.Room != room {
		return chat.Hook{}, chat.ErrNoHook
	}
	return h, unavailable(err)
}

// DeleteHook implements chat.Store.
func (s *Store) DeleteHook(ctx context.Context, g chat.Guard, room, hook int64) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		if _, err := t.hook(room, hook); err != nil {
			return err
		}
		return t.removeHooks(`id = ?`, hook)
	})
}

// removeHooks removes hooks and their followers.
func (t *tx) removeHooks(where string, args ...any) error {
	ids, err := listIn(t, scanOne[int64], `DELETE FROM hooks WHERE `+where+` RETURNING id`, args...)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := t.removeFollower(hookFollower(id)); err != nil {
			return err
		}
	}
	return nil
}

// HooksOf returns the hooks that these followers serve.
func (s *Store) HooksOf(ctx context.Context, names []string) ([]chat.Hook, error) {
	ids := make([]int64, 0, len(names))
	for _, name := range names {
		_, number, _ := strings.Cut(name, ":")
		if id, err := strconv.ParseInt(number, 10, 64); err == nil {
			ids = append(ids, id)
		}
	}
	text, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	return list(ctx, s, scanHook, selectHooks+` WHERE h.id IN (`+s.dialect.numbers(`?`)+`)`, string(text))
}

// EndHook removes a hook whose receiver wants no more, unless its URL has changed.
func (s *Store) EndHook(ctx context.Context, hook int64, url string) error {
	return s.log.do(ctx, func(t *tx) error { return t.removeHooks(`id = ? AND url = ?`, hook, url) })
}
