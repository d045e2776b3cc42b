package api

import (
	"context"
	"time"

	"tandem/auth"
	"tandem/chat"
)

// CreateToken implements StrictServerInterface.
func (s *Server) CreateToken(ctx context.Context, r CreateTokenRequestObject) (CreateTokenResponseObject, error) {
	if err := chat.CheckTokenName(r.Body.Name); err != nil {
		return nil, err
	}
	v := viewer(ctx)
	t := auth.NewToken{Name: r.Body.Name, Life: time.Duration(valueOr(r.Body.ExpiresIn, 0)) * time.Second}
	if r.Body.Scopes != nil {
		if r.Body.Rooms != nil {
			return nil, badField("rooms", "a token with scopes cannot have rooms")
		}
		if err := s.Chat.CheckAdmin(ctx, v); err != nil {
			return nil, err
		}
		for _, scope := range *r.Body.Scopes {
			t.Scopes = append(t.Scopes, string(scope))
		}
	}
	var rooms []chat.Room
	if r.Body.Rooms != nil {
		var missing []string
		var err error
		if rooms, missing, err = s.Chat.Follow(ctx, v, *r.Body.Rooms, nil); err != nil {
			return nil, err
		}
		if len(missing) > 0 {
			return nil, chat.RoomNotFound(missing[0])
		}
		for _, room := range rooms {
			t.Rooms = append(t.Rooms, room.ID)
		}
	}
	n, token, err := s.Auth.CreateToken(ctx, identityOf(v), t)
	if err != nil {
		return nil, err
	}
	names := make(map[int64]string, len(rooms))
	for _, room := range rooms {
		names[room.ID] = room.Name
	}
	made := apiToken(n, names)
	return CreateToken201JSONResponse{
		Id: made.Id, Token: token, Name: made.Name, Rooms: made.Rooms, Scopes: made.Scopes, CreatedAt: made.CreatedAt, ExpiresAt: made.ExpiresAt,
	}, nil
}

// ListTokens implements StrictServerInterface.
func (s *Server) ListTokens(ctx context.Context, r ListTokensRequestObject) (ListTokensResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	tokens, err := s.Auth.Tokens(ctx, identityOf(viewer(ctx)), valueOr(r.Params.After, 0), limit+1)
	if err != nil {
		return nil, err
	}
	page := ListTokens200JSONResponse{Items: make([]ApiToken, 0, len(tokens))}
	if len(tokens) > limit {
		tokens = tokens[:limit]
		page.Next = &tokens[limit-1].ID
	}
	var numbers []int64
	for _, n := range tokens {
		numbers = append(numbers, n.Rooms...)
	}
	names, err := s.Chat.RoomNames(ctx, numbers)
	if err != nil {
		return nil, err
	}
	for _, n := range tokens {
		page.Items = append(page.Items, apiToken(n, names))
	}
	return page, nil
}

// RevokeToken implements StrictServerInterface.
func (s *Server) RevokeToken(ctx context.Context, r RevokeTokenRequestObject) (RevokeTokenResponseObject, error) {
	return RevokeToken204Response{}, s.Auth.RevokeToken(ctx, identityOf(viewer(ctx)), r.Id)
}

// apiToken leaves out deleted rooms.
func apiToken(n auth.Session, names map[int64]string) ApiToken {
	t := ApiToken{Id: n.ID, Name: n.Name, CreatedAt: chat.FormatTime(n.CreatedAt)}
	if !n.ExpiresAt.IsZero() {
		at := chat.FormatTime(n.ExpiresAt)
		t.ExpiresAt = &at
	}
	if n.Scopes != nil {
		scopes := make([]Scope, len(n.Scopes))
		for i, scope := range n.Scopes {
			scopes[i] = Scope(scope)
		}
		t.Scopes = &scopes
	}
	if n.Rooms != nil {
		rooms := make([]string, 0, len(n.Rooms))
		for _, id := range n.Rooms {
			if name, ok := names[id]; ok {
				rooms = append(rooms, name)
			}
		}
		t.Rooms = &rooms
	}
	return t
}
