package api

import (
	"context"

	"tandem/chat"
	"tandem/outbound"
)

// GetBeforePost implements StrictServerInterface.
func (s *Server) GetBeforePost(ctx context.Context, r GetBeforePostRequestObject) (GetBeforePostResponseObject, error) {
	h, err := s.Chat.BeforePost(ctx, viewer(ctx), r.Room)
	if err != nil {
		return nil, err
	}
	return GetBeforePost200JSONResponse{Url: h.URL, OnFailure: onFailure(h)}, nil
}

// SetBeforePost implements StrictServerInterface.
func (s *Server) SetBeforePost(ctx context.Context, r SetBeforePostRequestObject) (SetBeforePostResponseObject, error) {
	h := chat.BeforePost{URL: r.Body.Url, Secret: outbound.NewSecret(), Closed: valueOr(r.Body.OnFailure, OnFailureOpen) == OnFailureClosed}
	if err := s.Chat.SetBeforePost(ctx, viewer(ctx), r.Room, &h); err != nil {
		return nil, err
	}
	return SetBeforePost200JSONResponse{Url: h.URL, OnFailure: onFailure(h), Secret: h.Secret}, nil
}

// DeleteBeforePost implements StrictServerInterface.
func (s *Server) DeleteBeforePost(ctx context.Context, r DeleteBeforePostRequestObject) (DeleteBeforePostResponseObject, error) {
	return DeleteBeforePost204Response{}, s.Chat.SetBeforePost(ctx, viewer(ctx), r.Room, nil)
}

func onFailure(h chat.BeforePost) OnFailure {
	if h.Closed {
		return OnFailureClosed
	}
	return OnFailureOpen
}
