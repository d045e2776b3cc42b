package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"

	"tandem/auth"
	"tandem/chat"
)

// GetMe implements StrictServerInterface.
func (s *Server) GetMe(ctx context.Context, _ GetMeRequestObject) (GetMeResponseObject, error) {
	u, err := s.Auth.User(ctx, identityOf(viewer(ctx)))
	if err != nil {
		return nil, err
	}
	p, err := s.Chat.Profile(ctx, viewer(ctx))
	if err != nil {
		return nil, err
	}
	return asKept(meOf(u, p))
}

// ChangeMe implements StrictServerInterface.
func (s *Server) ChangeMe(ctx context.Context, r ChangeMeRequestObject) (ChangeMeResponseObject, error) {
	c, err := profileChange(r.Body)
	if err != nil {
		return nil, err
	}
	v := viewer(ctx)
	u, setPassword, err := s.confirmed(ctx, v, r.Body)
	if err != nil {
		return nil, err
	}
	p, err := s.changeProfile(ctx, v, c)
	if err != nil {
		return nil, err
	}
	if err := setPassword(); err != nil { // last: what is invalid changes nothing
		return nil, err
	}
	return asKept(meOf(u, p))
}

// confirmed returns the caller's account, and the function that sets a new password if one is requested.
func (s *Server) confirmed(ctx context.Context, v chat.Viewer, b *ChangeMeJSONRequestBody) (u auth.User, set func() error, err error) {
	switch {
	case b.Password == nil && b.CurrentPassword == nil:
		u, err = s.Auth.User(ctx, identityOf(v))
		return u, func() error { return nil }, err
	case b.Password == nil:
		return u, nil, badField("password", "current_password requires a new password")
	case b.CurrentPassword == nil:
		return u, nil, badField("current_password", "a new password needs the current one")
	}
	return s.Auth.ConfirmPassword(ctx, identityOf(v), *b.CurrentPassword, *b.Password)
}

// changeProfile returns the caller's profile after a change, which may be empty.
func (s *Server) changeProfile(ctx context.Context, v chat.Viewer, c chat.ProfileChange) (chat.Profile, error) {
	if c.Empty() {
		return s.Chat.Profile(ctx, v)
	}
	done, err := s.Chat.ChangeProfile(ctx, v, c)
	if err != nil {
		return chat.Profile{}, err
	}
	s.Hub.PublishAll(done.To, done.Event)
	if done.At != 0 {
		s.Hub.Reach(ctx, done.At) // here at once; elsewhere when the nodes get there
	}
	return done.Profile, nil
}

// profileChange returns the requested change of the caller's profile, or why it is invalid.
func profileChange(b *ChangeMeJSONRequestBody) (chat.ProfileChange, error) {
	c := chat.ProfileChange{Data: b.Data, Receipts: b.Receipts, Invisible: b.Invisible}
	for _, t := range []struct {
		sent json.RawMessage
		into **string
	}{{b.DisplayName, &c.DisplayName}, {b.Avatar, &c.Avatar}} {
		if t.sent == nil {
			continue
		}
		text := ""
		if err := json.Unmarshal(t.sent, &text); err != nil { // null leaves it empty
			return c, err
		}
		*t.into = &text
	}
	return c, c.Check()
}

func meOf(u auth.User, p chat.Profile) Me {
	role := MeRoleUser
	if u.Admin {
		role = MeRoleAdmin
	}
	return Me{
		Username: u.Name, Role: role, DisplayName: cmp.Or(p.DisplayName, u.Name), Avatar: unlessEmpty(p.Avatar), Data: p.Data,
		Receipts: p.Receipts, Invisible: p.Invisible,
	}
}

// GetUser implements StrictServerInterface.
func (s *Server) GetUser(ctx context.Context, r GetUserRequestObject) (GetUserResponseObject, error) {
	p, err := s.Chat.PersonNamed(ctx, r.Username)
	if err != nil {
		return nil, err
	}
	return asKept(personOf(p, s.Hub.UserOnline(p.ID, viewer(ctx).User)))
}

// usersNamed is the response to ListUsers with names.
func (s *Server) usersNamed(ctx context.Context, params ListUsersParams) (ListUsersResponseObject, error) {
	if params.Q != nil || params.Online != nil || params.After != nil {
		return nil, badField("names", "names cannot be combined with q, online and after")
	}
	people, err := s.Chat.PeopleNamed(ctx, *params.Names)
	if err != nil {
		return nil, err
	}
	page := PersonPage{Items: make([]Person, 0, len(people))}
	for _, p := range people {
		page.Items = append(page.Items, personOf(p, s.Hub.UserOnline(p.ID, viewer(ctx).User)))
	}
	return asKept(page)
}

func personOf(p chat.Person, online bool) Person {
	person := Person{Username: p.Name, DisplayName: cmp.Or(p.DisplayName, p.Name), Avatar: unlessEmpty(p.Avatar), Data: p.Data, Online: online}
	if !online && !p.LastSeen.IsZero() {
		at := chat.FormatTime(p.LastSeen)
		person.LastSeen = &at
	}
	return person
}

func unlessEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// asKept is a response that may contain data of the app.
func asKept(v any) (rawJSON, error) {
	b, err := encode(v)
	return rawJSON{http.StatusOK, b}, err
}

// VisitGetMeResponse implements GetMeResponseObject.
func (a rawJSON) VisitGetMeResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitChangeMeResponse implements ChangeMeResponseObject.
func (a rawJSON) VisitChangeMeResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitGetUserResponse implements GetUserResponseObject.
func (a rawJSON) VisitGetUserResponse(w http.ResponseWriter) error { return a.write(w) }

// VisitListUsersResponse implements ListUsersResponseObject.
func (a rawJSON) VisitListUsersResponse(w http.ResponseWriter) error { return a.write(w) }
