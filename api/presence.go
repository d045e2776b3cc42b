package api

import "context"

// Typing implements StrictServerInterface.
func (s *Server) Typing(ctx context.Context, r TypingRequestObject) (TypingResponseObject, error) {
	v := viewer(ctx)
	room, err := s.Chat.MayPost(ctx, v, r.Room)
	if err != nil {
		return nil, err
	}
	s.Hub.Typing(room, v)
	return Typing204Response{}, nil
}

// ListPresent implements StrictServerInterface.
func (s *Server) ListPresent(ctx context.Context, r ListPresentRequestObject) (ListPresentResponseObject, error) {
	room, err := s.Chat.Readable(ctx, viewer(ctx), r.Room)
	if err != nil {
		return nil, err
	}
	users, count := s.Hub.Users(room.ID, viewer(ctx).User)
	return ListPresent200JSONResponse{Users: append([]string{}, users...), Count: count}, nil
}
