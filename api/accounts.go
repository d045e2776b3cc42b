package api

import (
	"context"
	"net/http"

	"tandem/auth"
	"tandem/chat"
)

// Signup implements StrictServerInterface.
func (s *Server) Signup(ctx context.Context, r SignupRequestObject) (SignupResponseObject, error) {
	// Check both, so that a form can show both errors.
	name, err := chat.PrepareUsername(r.Body.Username)
	if err := both(err, auth.CheckPassword(r.Body.Password)); err != nil {
		return nil, err
	}
	if err := s.admitSignup(ctx); err != nil {
		return nil, err
	}
	g, err := s.Auth.Signup(ctx, name, r.Body.Password, deviceIn(ctx))
	if err != nil {
		return nil, err
	}
	return granted{grant: g, cookie: valueOr(r.Body.Cookie, false)}, nil
}

// Login implements StrictServerInterface.
func (s *Server) Login(ctx context.Context, r LoginRequestObject) (LoginResponseObject, error) {
	// An invalid username is treated as an unknown one, with the same response after the same time.
	name, _ := chat.PrepareUsername(r.Body.Username)
	if err := s.admitLogin(ctx, name, r.Body.Username); err != nil {
		return nil, err
	}
	g, err := s.Auth.Login(ctx, name, r.Body.Password, deviceIn(ctx))
	if err != nil {
		return nil, err
	}
	return granted{grant: g, cookie: valueOr(r.Body.Cookie, false)}, nil
}

// Refresh implements StrictServerInterface.
func (s *Server) Refresh(ctx context.Context, r RefreshRequestObject) (RefreshResponseObject, error) {
	g, err := s.Auth.Refresh(ctx, r.Body.RefreshToken, deviceIn(ctx))
	if err != nil {
		return nil, err
	}
	return granted{grant: g}, nil
}

// CreateTicket implements StrictServerInterface.
func (s *Server) CreateTicket(ctx context.Context, _ CreateTicketRequestObject) (CreateTicketResponseObject, error) {
	ticket, err := s.Auth.Ticket(ctx, identityOf(viewer(ctx)))
	if err != nil {
		return nil, err
	}
	return CreateTicket201JSONResponse{Ticket: ticket, ExpiresIn: int(auth.TicketLife.Seconds())}, nil
}

// Logout implements StrictServerInterface.
func (s *Server) Logout(ctx context.Context, _ LogoutRequestObject) (LogoutResponseObject, error) {
	return Logout204Response{}, s.Auth.Logout(ctx, identityOf(viewer(ctx)))
}

// DeleteMe implements StrictServerInterface.
func (s *Server) DeleteMe(ctx context.Context, r DeleteMeRequestObject) (DeleteMeResponseObject, error) {
	return DeleteMe204Response{}, s.Auth.DeleteUser(ctx, identityOf(viewer(ctx)), valueOr(r.Body.CurrentPassword, ""))
}

// ListBlocks implements StrictServerInterface.
func (s *Server) ListBlocks(ctx context.Context, r ListBlocksRequestObject) (ListBlocksResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	names, err := s.Chat.Blocks(ctx, viewer(ctx), valueOr(r.Params.After, ""), limit+1)
	if err != nil {
		return nil, err
	}
	var page ListBlocks200JSONResponse
	if len(names) > limit {
		names = names[:limit]
		page.Next = &names[limit-1]
	}
	page.Items = make([]struct {
		Username string `json:"username"`
	}, len(names))
	for i, name := range names {
		page.Items[i].Username = name
	}
	return page, nil
}

// Block implements StrictServerInterface.
func (s *Server) Block(ctx context.Context, r BlockRequestObject) (BlockResponseObject, error) {
	return Block204Response{}, s.Chat.Block(ctx, viewer(ctx), r.Username, true)
}

// Unblock implements StrictServerInterface.
func (s *Server) Unblock(ctx context.Context, r UnblockRequestObject) (UnblockResponseObject, error) {
	return Unblock204Response{}, s.Chat.Block(ctx, viewer(ctx), r.Username, false)
}

// granted is the response that carries a session; cookie asks for the stream cookie as well (see setCookie).
type granted struct {
	grant  auth.Grant
	cookie bool
	made   bool // the account was created, for CreateSession
}

func (g granted) session() TheSessionJSONResponse {
	return TheSessionJSONResponse{
		AccessToken:  g.grant.AccessToken,
		TokenType:    Bearer,
		ExpiresIn:    int(g.grant.ExpiresIn.Seconds()),
		RefreshToken: g.grant.RefreshToken,
		User:         userOf(g.grant.User),
	}
}

// VisitSignupResponse implements SignupResponseObject.
func (g granted) VisitSignupResponse(w http.ResponseWriter) error {
	return Signup201JSONResponse{g.session()}.VisitSignupResponse(w)
}

// VisitLoginResponse implements LoginResponseObject.
func (g granted) VisitLoginResponse(w http.ResponseWriter) error {
	return Login200JSONResponse{g.session()}.VisitLoginResponse(w)
}

// VisitRefreshResponse implements RefreshResponseObject.
func (g granted) VisitRefreshResponse(w http.ResponseWriter) error {
	return Refresh200JSONResponse{g.session()}.VisitRefreshResponse(w)
}

// VisitCreateSessionResponse implements CreateSessionResponseObject.
func (g granted) VisitCreateSessionResponse(w http.ResponseWriter) error {
	if g.made {
		return CreateSession201JSONResponse(g.session()).VisitCreateSessionResponse(w)
	}
	return CreateSession200JSONResponse{g.session()}.VisitCreateSessionResponse(w)
}

func userOf(u auth.User) User {
	role := UserRoleUser
	if u.Admin {
		role = UserRoleAdmin
	}
	return User{Username: u.Name, Role: role}
}
