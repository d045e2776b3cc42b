package api

import (
	"context"
	"time"

	"tandem/chat"
	"tandem/outbound"
)

// Hooks of a room and for all rooms only differ in their owner: an empty room means all rooms.
const allRooms = ""

func (s *Server) createHook(ctx context.Context, room string, n *NewHook) (MadeHook, error) {
	made, err := s.Chat.CreateHook(ctx, viewer(ctx), room, chat.NewHook{
		URL: n.Url, Events: valueOr(n.Events, nil), Since: n.Since, Secret: outbound.NewSecret(),
	}, s.Hooks.CheckURL)
	if err != nil {
		return MadeHook{}, err
	}
	h := hookOf(made)
	return MadeHook{
		Id: h.Id, Secret: made.Secret, Url: h.Url, Events: h.Events, Paused: h.Paused, Cursor: h.Cursor, Lag: h.Lag, CreatedBy: h.CreatedBy, CreatedAt: h.CreatedAt,
	}, nil
}

func (s *Server) listHooks(ctx context.Context, room string) (HookList, error) {
	all, err := s.Chat.Hooks(ctx, viewer(ctx), room)
	list := HookList{Items: make([]Hook, len(all))}
	for i, h := range all {
		list.Items[i] = hookOf(h)
	}
	return list, err
}

func (s *Server) getHook(ctx context.Context, room string, id int64) (Hook, error) {
	h, err := s.Chat.Hook(ctx, viewer(ctx), room, id)
	return hookOf(h), err
}

func (s *Server) changeHook(ctx context.Context, room string, id int64, c *HookChange) (Hook, error) {
	h, err := s.Chat.ChangeHook(ctx, viewer(ctx), room, id, c.Url, c.Events, c.Paused, s.Hooks.CheckURL)
	return hookOf(h), err
}

func (s *Server) replayHook(ctx context.Context, room string, id int64, r *HookReplay) (Hook, error) {
	h, err := s.Chat.ReplayHook(ctx, viewer(ctx), room, id, r.Since)
	return hookOf(h), err
}

func (s *Server) testHook(ctx context.Context, room string, id int64) (HookTest, error) {
	h, err := s.Chat.Hook(ctx, viewer(ctx), room, id)
	if err != nil {
		return HookTest{}, err
	}
	got := s.Hooks.Test(ctx, h.Hook, h.Cursor.Log)
	test := HookTest{Ok: got.Err == nil, TookMs: int(got.Took.Milliseconds())}
	if got.Status != 0 {
		test.Status = &got.Status
	}
	if got.Err != nil {
		test.Error = new(sentence(got.Err.Error()))
	}
	return test, nil
}

func hookOf(h chat.HookState) Hook {
	hook := Hook{
		Id: h.ID, Url: h.URL, Paused: h.Paused != "", Cursor: h.Cursor.String(), Lag: h.Lag, CreatedBy: h.CreatedBy, CreatedAt: chat.FormatTime(h.CreatedAt),
		PausedReason: unlessEmpty(h.Paused), LastError: unlessEmpty(h.Error), FailingSince: unlessZero(h.FailingSince),
	}
	if len(h.Events) > 0 {
		hook.Events = &h.Events
	}
	if h.Paused == "" {
		hook.RetryAt = unlessZero(h.RetryAt)
	}
	return hook
}

func unlessZero(t time.Time) *string {
	if t.IsZero() {
		return nil
	}
	return new(chat.FormatTime(t))
}
