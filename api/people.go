package api

import (
	"context"

	"tandem/chat"
)

// ListUsers implements StrictServerInterface.
func (s *Server) ListUsers(ctx context.Context, r ListUsersRequestObject) (ListUsersResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	p := chat.People{Part: valueOr(r.Params.Q, ""), After: valueOr(r.Params.After, ""), Limit: limit + 1}
	if r.Params.Online != nil {
		p.Limit = 1000 // most of them may not fit
	}
	found := make([]Person, 0, limit+1)
	for {
		users, err := s.Chat.Users(ctx, p)
		if err != nil {
			return nil, err
		}
		for _, u := range users {
			online := s.Hub.UserOnline(u.ID)
			if len(found) <= limit && (r.Params.Online == nil || *r.Params.Online == online) {
				found = append(found, Person{Username: u.Name, Online: online})
			}
		}
		if len(users) < p.Limit || len(found) > limit {
			break
		}
		p.After = users[len(users)-1].Name
	}
	found, next := firstOf(found, limit, func(p Person) string { return p.Username })
	return ListUsers200JSONResponse{Items: found, Next: next}, nil
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
		page.Items = append(page.Items, s.account(a))
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
	return ChangeAccount200JSONResponse(s.account(a)), nil
}

func (s *Server) account(a chat.Account) Account {
	role := AccountRoleUser
	if a.Admin {
		role = AccountRoleAdmin
	}
	return Account{
		Username: a.Name, Role: role, Disabled: a.Disabled, Deleted: a.Deleted, Online: s.Hub.UserOnline(a.ID),
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
