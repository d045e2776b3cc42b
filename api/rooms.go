package api

import (
	"cmp"
	"context"
	"time"

	"tandem/chat"
)

const defaultLimit = 50

// ListRooms implements StrictServerInterface.
func (s *Server) ListRooms(ctx context.Context, r ListRoomsRequestObject) (ListRoomsResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	rooms, err := s.Chat.Rooms(ctx, viewer(ctx), valueOr(r.Params.After, ""), limit+1)
	if err != nil {
		return nil, err
	}
	page := ListRooms200JSONResponse{Items: make([]Room, 0, len(rooms))}
	if len(rooms) > limit {
		rooms = rooms[:limit]
		page.Next = &rooms[limit-1].Name
	}
	for _, v := range rooms {
		page.Items = append(page.Items, s.room(ctx, v))
	}
	return page, nil
}

// CreateRoom implements StrictServerInterface.
func (s *Server) CreateRoom(ctx context.Context, r CreateRoomRequestObject) (CreateRoomResponseObject, error) {
	v, err := s.Chat.Create(ctx, viewer(ctx), chat.Room{
		Name:       r.Body.Name,
		Title:      valueOr(r.Body.Title, ""),
		Visibility: chat.Visibility(valueOr(r.Body.Visibility, Public)),
		Posting:    chat.Posting(valueOr(r.Body.Posting, Everyone)),
		Receipts:   valueOr(r.Body.Receipts, false),
		SlowMode:   valueOr(r.Body.SlowMode, 0),
	})
	if err != nil {
		return nil, err
	}
	return CreateRoom201JSONResponse{TheRoomJSONResponse(s.room(ctx, v))}, nil
}

// EnterRoom implements StrictServerInterface.
func (s *Server) EnterRoom(ctx context.Context, r EnterRoomRequestObject) (EnterRoomResponseObject, error) {
	v, made, err := s.Chat.Enter(ctx, viewer(ctx), r.Room)
	switch {
	case err != nil:
		return nil, err
	case made:
		return EnterRoom201JSONResponse(s.room(ctx, v)), nil
	}
	return EnterRoom200JSONResponse{TheRoomJSONResponse(s.room(ctx, v))}, nil
}

// GetRoom implements StrictServerInterface.
func (s *Server) GetRoom(ctx context.Context, r GetRoomRequestObject) (GetRoomResponseObject, error) {
	v, err := s.Chat.Room(ctx, viewer(ctx), r.Room)
	if err != nil {
		return nil, err
	}
	return GetRoom200JSONResponse{TheRoomJSONResponse(s.room(ctx, v))}, nil
}

// ChangeRoom implements StrictServerInterface.
func (s *Server) ChangeRoom(ctx context.Context, r ChangeRoomRequestObject) (ChangeRoomResponseObject, error) {
	v, err := s.Chat.Change(ctx, viewer(ctx), r.Room, chat.RoomChange{
		Title:      r.Body.Title,
		Visibility: (*chat.Visibility)(r.Body.Visibility),
		Posting:    (*chat.Posting)(r.Body.Posting),
		Receipts:   r.Body.Receipts,
		SlowMode:   r.Body.SlowMode,
		Retention:  r.Body.Retention,
	})
	if err != nil {
		return nil, err
	}
	return ChangeRoom200JSONResponse{TheRoomJSONResponse(s.room(ctx, v))}, nil
}

// DeleteRoom implements StrictServerInterface.
func (s *Server) DeleteRoom(ctx context.Context, r DeleteRoomRequestObject) (DeleteRoomResponseObject, error) {
	return DeleteRoom204Response{}, s.Chat.Delete(ctx, viewer(ctx), r.Room)
}

func (s *Server) room(ctx context.Context, v chat.RoomView) Room {
	r := Room{
		Name:       v.Name,
		Title:      v.Title,
		Visibility: Visibility(v.Visibility),
		Posting:    Posting(v.Posting),
		Receipts:   v.Receipts,
		SlowMode:   v.SlowMode,
		Online:     s.Hub.Online(v.ID, viewer(ctx).User),
		Unread:     v.Unread,
		Mentions:   v.Mentions,
		LastId:     v.LastID,
		CreatedBy:  v.CreatedBy,
		CreatedAt:  chat.FormatTime(v.CreatedAt),
		Notify:     NotifyLevel(cmp.Or(v.Level, chat.NotifyRooms)),
	}
	if v.Retention != 0 {
		r.Retention = &v.Retention
	}
	if v.Role != "" {
		role := MemberRole(v.Role)
		r.Role = &role
	}
	if v.MutedUntil.After(time.Now()) {
		until := chat.FormatTime(v.MutedUntil)
		r.MutedUntil = &until
	}
	return r
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
