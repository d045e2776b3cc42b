package api

import (
	"context"
	"net/http"
	"net/netip"
	"strings"

	"github.com/labstack/echo/v4"
	"github.com/mileusna/useragent"

	"tandem/auth"
	"tandem/chat"
)

// CreateSession implements StrictServerInterface.
func (s *Server) CreateSession(ctx context.Context, r CreateSessionRequestObject) (CreateSessionResponseObject, error) {
	name, err := chat.PrepareUsername(r.Body.Username)
	profile := chat.ProfileChange{DisplayName: r.Body.DisplayName}
	if err := both(err, profile.Check()); err != nil {
		return nil, err
	}
	v := viewer(ctx)
	if err := s.Chat.CheckAdmin(ctx, v); err != nil { // the token's owner may no longer be one
		return nil, err
	}
	g, made, err := s.Auth.SessionFor(ctx, identityOf(v), name, valueOr(r.Body.Create, false))
	if err != nil {
		return nil, err
	}
	// After creating the session: an account without one is not changed.
	return granted{grant: g, made: made}, s.displayAs(ctx, g.User, profile)
}

// displayAs sets a user's display name, if it is valid.
func (s *Server) displayAs(ctx context.Context, u auth.User, c chat.ProfileChange) error {
	if c.DisplayName == nil {
		return nil
	}
	v := chat.Viewer{User: u.ID, Name: u.Name}
	if p, err := s.Chat.Profile(ctx, v); err != nil || p.DisplayName == *c.DisplayName {
		return err
	}
	done, err := s.Chat.ChangeProfile(ctx, v, c)
	if err == nil {
		s.Hub.PublishAll(done.To, done.Event)
	}
	return err
}

// CreateAccount implements StrictServerInterface.
func (s *Server) CreateAccount(ctx context.Context, r CreateAccountRequestObject) (CreateAccountResponseObject, error) {
	v := viewer(ctx)
	if err := s.Chat.CheckAdmin(ctx, v); err != nil {
		return nil, err
	}
	name, err := chat.PrepareUsername(r.Body.Username)
	if r.Body.Password != nil {
		err = both(err, auth.CheckPassword(*r.Body.Password))
	}
	profile := chat.ProfileChange{DisplayName: r.Body.DisplayName}
	if err := both(err, profile.Check()); err != nil {
		return nil, err
	}
	u, err := s.Auth.AddMember(ctx, name, valueOr(r.Body.Password, ""))
	if err != nil {
		return nil, err
	}
	if err := s.displayAs(ctx, u, profile); err != nil {
		return nil, err
	}
	found, err := s.Chat.Accounts(ctx, v, chat.People{Names: []string{name}, Limit: 1})
	if err == nil && len(found) == 0 {
		err = chat.ErrUserNotFound
	}
	if err != nil {
		return nil, err
	}
	return CreateAccount201JSONResponse(s.account(ctx, found[0])), nil
}

// ListSessions implements StrictServerInterface.
func (s *Server) ListSessions(ctx context.Context, r ListSessionsRequestObject) (ListSessionsResponseObject, error) {
	v, limit := viewer(ctx), valueOr(r.Params.Limit, defaultLimit)
	logins, err := s.Auth.Logins(ctx, identityOf(v), valueOr(r.Params.After, 0), limit+1)
	if err != nil {
		return nil, err
	}
	page := ListSessions200JSONResponse{Items: make([]Login, 0, len(logins))}
	if len(logins) > limit {
		logins = logins[:limit]
		page.Next = &logins[limit-1].ID
	}
	for _, n := range logins {
		page.Items = append(page.Items, Login{
			Id: n.ID, Device: describeDevice(n.Device.Agent), Address: unlessEmpty(n.Device.Address), Current: n.ID == v.Session,
			CreatedAt: chat.FormatTime(n.CreatedAt), LastSeen: chat.FormatTime(n.RotatedAt),
		})
	}
	return page, nil
}

// EndSession implements StrictServerInterface.
func (s *Server) EndSession(ctx context.Context, r EndSessionRequestObject) (EndSessionResponseObject, error) {
	return EndSession204Response{}, s.Auth.EndLogin(ctx, identityOf(viewer(ctx)), r.Id)
}

// limitSessions counts a session created by a backend like a login of that user: the backend's own limit would be
// shared by all of its users. The key differs from that of limits.logins, so that guessing a password does not use up
// these sessions.
func (s *Server) limitSessions(next StrictHandlerFunc, operation string) StrictHandlerFunc {
	if operation != "CreateSession" {
		return next
	}
	return func(c echo.Context, request any) (any, error) {
		if r, ok := request.(CreateSessionRequestObject); ok {
			if name, err := chat.PrepareUsername(r.Body.Username); err == nil {
				if err := s.limits.logins.take(c.Request().Context(), c.Response().Header(), "session:"+name); err != nil {
					return nil, err
				}
			}
		}
		return next(c, request)
	}
}

// maxAgent is how much of a User-Agent is stored, in bytes.
const maxAgent = 256

// deviceOf returns the device of a request.
func deviceOf(r *http.Request, address netip.Addr) auth.Device {
	agent := r.UserAgent()
	if len(agent) > maxAgent {
		agent = agent[:maxAgent]
	}
	d := auth.Device{Agent: strings.ToValidUTF8(strings.ReplaceAll(agent, "\x00", ""), "")}
	if address.IsValid() {
		d.Address = address.String()
	}
	return d
}

// deviceIn is deviceOf for an operation without security.
func deviceIn(ctx context.Context) auth.Device { return ctx.Value(guestKey{}).(guest).device }

const unknownDevice = "Unknown device"

// describeDevice describes a User-Agent in plain words.
func describeDevice(agent string) string {
	ua := useragent.Parse(agent)
	name, system := ua.Name, ua.OS
	switch {
	case name == "":
		// A program sends its own name first (RFC 9110 §10.1.5).
		name, _, _ = strings.Cut(agent, "/")
	case ua.Device == "iPhone" || ua.Device == "iPad":
		system = ua.Device
	}
	if name = strings.TrimPrefix(name, "Mobile "); chat.CheckLabel("device", name, 40) != nil {
		return unknownDevice
	}
	if system == "" {
		return name
	}
	return name + " on " + system
}
