package api

import (
	"context"
	"net/http"

	"tandem/chat"
)

// PinMessage implements StrictServerInterface.
func (s *Server) PinMessage(ctx context.Context, r PinMessageRequestObject) (PinMessageResponseObject, error) {
	return PinMessage204Response{}, s.Chat.Pin(ctx, viewer(ctx), r.Room, r.Id, true)
}

// UnpinMessage implements StrictServerInterface.
func (s *Server) UnpinMessage(ctx context.Context, r UnpinMessageRequestObject) (UnpinMessageResponseObject, error) {
	return UnpinMessage204Response{}, s.Chat.Pin(ctx, viewer(ctx), r.Room, r.Id, false)
}

// ListPins implements StrictServerInterface.
func (s *Server) ListPins(ctx context.Context, r ListPinsRequestObject) (ListPinsResponseObject, error) {
	return pins(s.Chat.Pins(ctx, viewer(ctx), r.Room))
}

// PinPrivateMessage implements StrictServerInterface.
func (s *Server) PinPrivateMessage(ctx context.Context, r PinPrivateMessageRequestObject) (PinPrivateMessageResponseObject, error) {
	return PinPrivateMessage204Response{}, s.Chat.PinPrivate(ctx, viewer(ctx), r.Username, r.Id, true)
}

// UnpinPrivateMessage implements StrictServerInterface.
func (s *Server) UnpinPrivateMessage(ctx context.Context, r UnpinPrivateMessageRequestObject) (UnpinPrivateMessageResponseObject, error) {
	return UnpinPrivateMessage204Response{}, s.Chat.PinPrivate(ctx, viewer(ctx), r.Username, r.Id, false)
}

// ListPrivatePins implements StrictServerInterface.
func (s *Server) ListPrivatePins(ctx context.Context, r ListPrivatePinsRequestObject) (ListPrivatePinsResponseObject, error) {
	return pins(s.Chat.PrivatePins(ctx, viewer(ctx), r.Username))
}

// pins are the messages, made of their own bytes.
func pins(messages []chat.Event, err error) (rawJSON, error) {
	return rawJSON{http.StatusOK, append(appendItems([]byte(`{"items":[`), messages), "]}"...)}, err
}

// VisitListPinsResponse implements ListPinsResponseObject.
func (a rawJSON) VisitListPinsResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListPrivatePinsResponse implements ListPrivatePinsResponseObject.
func (a rawJSON) VisitListPrivatePinsResponse(w http.ResponseWriter) error { return a.write(w) }
