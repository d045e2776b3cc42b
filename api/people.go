package api

import (
	"context"

	"tandem/chat"
)

// ListUsers implements StrictServerInterface.
func (s *Server) ListUsers(ctx context.Context, r ListUsersRequestObject) (ListUsersResponseObject, error) {
	if r.Params.Names != nil {
		return s.usersNamed(ctx, r.Params)
	}
	limit, me := valueOr(r.Params.Limit, defaultLimit), viewer(ctx).User
	p := chat.People{Part: valueOr(r.Params.Q, ""), After: valueOr(r.Params.After, ""), Limit: limit + 1}
	if online := r.Params.Online; online != nil {
		if now := s.Hub.UsersOnline(me); *online {
			p.Among = now
		} else {
			p.Except = now
		}
	}
	users, err := s.Chat.People(ctx, p)
	if err != nil {
		return nil, err
	}
	users, next := firstOf(users, limit, func(p chat.Person) string { return p.Name })
	page := PersonPage{Items: make([]Person, 0, len(users)), Next: next}
	for _, u := range users {
		online := s.Hub.UserOnline(u.ID, me)
		if r.Params.Online != nil {
			online = *r.Params.Online // as it was when they were selected
		}
		page.Items = append(page.Items, personOf(u, online))
	}
	return asKept(page)
}

// ListAccounts implements StrictServerInterface.
func (s *Server) ListAccounts(ctx context.Context, r ListAccountsRequestObject) (ListAccountsResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	accounts, err := s.Chat.Accounts(ctx, viewer(ctx), chat.People{
		Part: valueOr(r.Params.Q, ""), After: valueOr(r.Params.After, ""), Limit: limit + 1,
	})
	if err != nil {
		return nil, err
	}
	accounts, next := firstOf(accounts, limit, func(a chat.Account) string { return a.Name })
	page := ListAccounts200JSONResponse{Items: make([]Account, 0, len(accounts)), Next: next}
	for _, a := range accounts {
		page.Items = append(page.Items, s.account(ctx, a))
	}
	return page, nil
}

// ChangeAccount implements StrictServerInterface.
func (s *Server) ChangeAccount(ctx context.Context, r ChangeAccountRequestObject) (ChangeAccountResponseObject, error) {
	c := chat.AccountChange{Disabled: r.Body.Disabled}
	if r.Body.Role != nil {
		admin := *r.Body.Role == AccountChangeRoleAdmin
		c.Admin = &admin
	}
	a, err := s.Chat.ChangeAccount(ctx, viewer(ctx), r.Username, c)
	if err != nil {
		return nil, err
	}
	s.Auth.Forget(0, a.ID) // here at once; elsewhere by the control event
	return ChangeAccount200JSONResponse(s.account(ctx, a)), nil
}

func (s *Server) account(ctx context.Context, a chat.Account) Account {
	role := AccountRoleUser
	if a.Admin {
		role = AccountRoleAdmin
	}
	return Account{
		Username: a.Name, Role: role, Disabled: a.Disabled, Deleted: a.Deleted, Online: s.Hub.UserOnline(a.ID, viewer(ctx).User),
		CreatedAt: chat.FormatTime(a.CreatedAt),
	}
}

// Stats implements StrictServerInterface.
func (s *Server) Stats(ctx context.Context, _ StatsRequestObject) (StatsResponseObject, error) {
	users, rooms, err := s.Chat.Counts(ctx, viewer(ctx))
	if err != nil {
		return nil, err
	}
	now := s.Hub.Stats()
	return Stats200JSONResponse{
		Users: users, Rooms: rooms, Head: now.Head, Online: now.Online, Streams: now.Streams,
		PostsPerSecond: now.PostsPerSecond, DeliveriesPerSecond: now.DeliveriesPerSecond,
		Uptime: int64(now.Uptime.Seconds()),
	}, nil
}
