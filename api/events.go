package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/labstack/echo/v4"

	"tandem/chat"
)

// Emit implements StrictServerInterface.
func (s *Server) Emit(ctx context.Context, r EmitRequestObject) (EmitResponseObject, error) {
	c := custom(r.Body, r.Params.IdempotencyKey)
	if isEphemeral(r.Body) {
		return s.pass(s.Chat.Passing(ctx, viewer(ctx), r.Room, c))
	}
	return posted(s.Chat.Emit(ctx, viewer(ctx), r.Room, c))
}

// EmitPrivate implements StrictServerInterface.
func (s *Server) EmitPrivate(ctx context.Context, r EmitPrivateRequestObject) (EmitPrivateResponseObject, error) {
	c := custom(r.Body, r.Params.IdempotencyKey)
	if isEphemeral(r.Body) {
		return s.pass(s.Chat.PassingPrivate(ctx, viewer(ctx), r.Username, c))
	}
	return posted(s.Chat.EmitPrivate(ctx, viewer(ctx), r.Username, c))
}

func custom(body *NewEvent, key *string) chat.Custom {
	return chat.Custom{Name: body.Name, Data: body.Data, Key: valueOr(key, "")}
}

func isEphemeral(body *NewEvent) bool { return valueOr(body.Ephemeral, false) }

// pass sends an ephemeral event to the open streams.
func (s *Server) pass(e chat.Ephemeral, topics []chat.Topic, err error) (rawJSON, error) {
	if err != nil {
		return rawJSON{}, err
	}
	for _, t := range topics {
		s.Hub.Publish(t, e)
	}
	return rawJSON{http.StatusAccepted, e.JSON}, nil
}

// limitEvents counts custom events: stored ones as posts, ephemeral ones on their own. The body states which it is.
func (s *Server) limitEvents(next StrictHandlerFunc, _ string) StrictHandlerFunc {
	return func(c echo.Context, request any) (any, error) {
		var body *NewEvent
		switch r := request.(type) {
		case EmitRequestObject:
			body = r.Body
		case EmitPrivateRequestObject:
			body = r.Body
		default:
			return next(c, request)
		}
		l := s.limits.posts
		if isEphemeral(body) {
			l = s.limits.ephemeral
		}
		ctx := c.Request().Context()
		if err := l.take(ctx, c.Response().Header(), strconv.FormatInt(viewer(ctx).User, 10)); err != nil {
			return nil, err
		}
		return next(c, request)
	}
}

// VisitEmitResponse implements EmitResponseObject.
func (a rawJSON) VisitEmitResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitEmitPrivateResponse implements EmitPrivateResponseObject.
func (a rawJSON) VisitEmitPrivateResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListMentionsResponse implements ListMentionsResponseObject.
func (a rawJSON) VisitListMentionsResponse(w http.ResponseWriter) error { return a.write(w) }
