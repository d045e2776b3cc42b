package api

import (
	"context"

	"tandem/auth"
	"tandem/chat"
)

// Signup implements StrictServerInterface.
func (s *Server) Signup(ctx context.Context, r SignupRequestObject) (SignupResponseObject, error) {
	// Both at once, so that a form can show both.
	name, err := chat.PrepareUsername(r.Body.Username)
	if err := both(err, auth.CheckPassword(r.Body.Password)); err != nil {
		return nil, err
	}
	if err := s.admitSignup(ctx); err != nil {
		return nil, err
	}
	g, err := s.Auth.Signup(ctx, name, r.Body.Password)
	if err != nil {
		return nil, err
	}
	return Signup201JSONResponse{session(g)}, nil
}

// Login implements StrictServerInterface.
func (s *Server) Login(ctx context.Context, r LoginRequestObject) (LoginResponseObject, error) {
	// What is no username is an unknown one here, with the same answer after the same time.
	name, _ := chat.PrepareUsername(r.Body.Username)
	if err := s.admitLogin(ctx, name, r.Body.Username); err != nil {
		return nil, err
	}
	g, err := s.Auth.Login(ctx, name, r.Body.Password)
	if err != nil {
		return nil, err
	}
	return Login200JSONResponse{session(g)}, nil
}

// Refresh implements StrictServerInterface.
func (s *Server) Refresh(ctx context.Context, r RefreshRequestObject) (RefreshResponseObject, error) {
	g, err := s.Auth.Refresh(ctx, r.Body.RefreshToken)
	if err != nil {
		return nil, err
	}
	return Refresh200JSONResponse{session(g)}, nil
}

// CreateTicket implements StrictServerInterface.
func (s *Server) CreateTicket(ctx context.Context, _ CreateTicketRequestObject) (CreateTicketResponseObject, error) {
	v := viewer(ctx)
	ticket, err := s.Auth.Ticket(ctx, auth.Identity{User: v.User, Name: v.Name, Session: v.Session, Expires: v.Expires})
	if err != nil {
		return nil, err
	}
	return CreateTicket201JSONResponse{Ticket: ticket, ExpiresIn: int(auth.TicketLife.Seconds())}, nil
}

// GetMe implements StrictServerInterface.
func (s *Server) GetMe(ctx context.Context, _ GetMeRequestObject) (GetMeResponseObject, error) {
	u, err := s.Auth.User(ctx, auth.Identity{User: viewer(ctx).User})
	if err != nil {
		return nil, err
	}
	return GetMe200JSONResponse(userOf(u)), nil
}

func session(g auth.Grant) TheSessionJSONResponse {
	return TheSessionJSONResponse{
		AccessToken:  g.AccessToken,
		TokenType:    Bearer,
		ExpiresIn:    int(g.ExpiresIn.Seconds()),
		RefreshToken: g.RefreshToken,
		User:         userOf(g.User),
	}
}

func userOf(u auth.User) User {
	role := UserRoleUser
	if u.Admin {
		role = UserRoleAdmin
	}
	return User{Username: u.Name, Role: role}
}
