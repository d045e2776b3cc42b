package api

import "context"

// The generated operations of hooks: of a room, and for all rooms.

// ListRoomHooks implements StrictServerInterface.
func (s *Server) ListRoomHooks(ctx context.Context, r ListRoomHooksRequestObject) (ListRoomHooksResponseObject, error) {
	got, err := s.listHooks(ctx, r.Room)
	return ListRoomHooks200JSONResponse(got), err
}

// CreateRoomHook implements StrictServerInterface.
func (s *Server) CreateRoomHook(ctx context.Context, r CreateRoomHookRequestObject) (CreateRoomHookResponseObject, error) {
	got, err := s.createHook(ctx, r.Room, r.Body)
	return CreateRoomHook201JSONResponse(got), err
}

// GetRoomHook implements StrictServerInterface.
func (s *Server) GetRoomHook(ctx context.Context, r GetRoomHookRequestObject) (GetRoomHookResponseObject, error) {
	got, err := s.getHook(ctx, r.Room, r.Id)
	return GetRoomHook200JSONResponse(got), err
}

// ChangeRoomHook implements StrictServerInterface.
func (s *Server) ChangeRoomHook(ctx context.Context, r ChangeRoomHookRequestObject) (ChangeRoomHookResponseObject, error) {
	got, err := s.changeHook(ctx, r.Room, r.Id, r.Body)
	return ChangeRoomHook200JSONResponse(got), err
}

// ReplayRoomHook implements StrictServerInterface.
func (s *Server) ReplayRoomHook(ctx context.Context, r ReplayRoomHookRequestObject) (ReplayRoomHookResponseObject, error) {
	got, err := s.replayHook(ctx, r.Room, r.Id, r.Body)
	return ReplayRoomHook200JSONResponse(got), err
}

// TestRoomHook implements StrictServerInterface.
func (s *Server) TestRoomHook(ctx context.Context, r TestRoomHookRequestObject) (TestRoomHookResponseObject, error) {
	got, err := s.testHook(ctx, r.Room, r.Id)
	return TestRoomHook200JSONResponse(got), err
}

// DeleteRoomHook implements StrictServerInterface.
func (s *Server) DeleteRoomHook(ctx context.Context, r DeleteRoomHookRequestObject) (DeleteRoomHookResponseObject, error) {
	return DeleteRoomHook204Response{}, s.Chat.DeleteHook(ctx, viewer(ctx), r.Room, r.Id)
}

// ListSiteHooks implements StrictServerInterface.
func (s *Server) ListSiteHooks(ctx context.Context, _ ListSiteHooksRequestObject) (ListSiteHooksResponseObject, error) {
	got, err := s.listHooks(ctx, allRooms)
	return ListSiteHooks200JSONResponse(got), err
}

// CreateSiteHook implements StrictServerInterface.
func (s *Server) CreateSiteHook(ctx context.Context, r CreateSiteHookRequestObject) (CreateSiteHookResponseObject, error) {
	got, err := s.createHook(ctx, allRooms, r.Body)
	return CreateSiteHook201JSONResponse(got), err
}

// GetSiteHook implements StrictServerInterface.
func (s *Server) GetSiteHook(ctx context.Context, r GetSiteHookRequestObject) (GetSiteHookResponseObject, error) {
	got, err := s.getHook(ctx, allRooms, r.Id)
	return GetSiteHook200JSONResponse(got), err
}

// ChangeSiteHook implements StrictServerInterface.
func (s *Server) ChangeSiteHook(ctx context.Context, r ChangeSiteHookRequestObject) (ChangeSiteHookResponseObject, error) {
	got, err := s.changeHook(ctx, allRooms, r.Id, r.Body)
	return ChangeSiteHook200JSONResponse(got), err
}

// ReplaySiteHook implements StrictServerInterface.
func (s *Server) ReplaySiteHook(ctx context.Context, r ReplaySiteHookRequestObject) (ReplaySiteHookResponseObject, error) {
	got, err := s.replayHook(ctx, allRooms, r.Id, r.Body)
	return ReplaySiteHook200JSONResponse(got), err
}

// TestSiteHook implements StrictServerInterface.
func (s *Server) TestSiteHook(ctx context.Context, r TestSiteHookRequestObject) (TestSiteHookResponseObject, error) {
	got, err := s.testHook(ctx, allRooms, r.Id)
	return TestSiteHook200JSONResponse(got), err
}

// DeleteSiteHook implements StrictServerInterface.
func (s *Server) DeleteSiteHook(ctx context.Context, r DeleteSiteHookRequestObject) (DeleteSiteHookResponseObject, error) {
	return DeleteSiteHook204Response{}, s.Chat.DeleteHook(ctx, viewer(ctx), allRooms, r.Id)
}
