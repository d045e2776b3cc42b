package api

import (
	"context"

	"tandem/chat"
)

// firstOf cuts a list that was queried with one more than limit, and returns the cursor of its next page.
func firstOf[T any](all []T, limit int, name func(T) string) ([]T, *string) {
	if len(all) <= limit {
		return all, nil
	}
	next := name(all[limit-1])
	return all[:limit], &next
}

// ListMembers implements StrictServerInterface.
func (s *Server) ListMembers(ctx context.Context, r ListMembersRequestObject) (ListMembersResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	members, err := s.Chat.Members(ctx, viewer(ctx), r.Room, valueOr(r.Params.After, ""), limit+1)
	if err != nil {
		return nil, err
	}
	members, next := firstOf(members, limit, func(m chat.Member) string { return m.Name })
	page := ListMembers200JSONResponse{Items: make([]Member, 0, len(members)), Next: next}
	for _, m := range members {
		page.Items = append(page.Items, memberOf(m))
	}
	return page, nil
}

// SetMember implements StrictServerInterface.
func (s *Server) SetMember(ctx context.Context, r SetMemberRequestObject) (SetMemberResponseObject, error) {
	m, err := s.Chat.SetMember(ctx, viewer(ctx), r.Room, r.Username, chat.Role(r.Body.Role))
	if err != nil {
		return nil, err
	}
	return SetMember200JSONResponse(memberOf(m)), nil
}

// RemoveMember implements StrictServerInterface.
func (s *Server) RemoveMember(ctx context.Context, r RemoveMemberRequestObject) (RemoveMemberResponseObject, error) {
	return RemoveMember204Response{}, s.Chat.RemoveMember(ctx, viewer(ctx), r.Room, r.Username)
}

// ListBans implements StrictServerInterface.
func (s *Server) ListBans(ctx context.Context, r ListBansRequestObject) (ListBansResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	bans, err := s.Chat.Bans(ctx, viewer(ctx), r.Room, valueOr(r.Params.After, ""), limit+1)
	if err != nil {
		return nil, err
	}
	bans, next := firstOf(bans, limit, func(b chat.Ban) string { return b.Name })
	page := ListBans200JSONResponse{Items: make([]Ban, 0, len(bans)), Next: next}
	for _, b := range bans {
		page.Items = append(page.Items, Ban{Username: b.Name, By: b.By, Since: chat.FormatTime(b.Since)})
	}
	return page, nil
}

// Ban implements StrictServerInterface.
func (s *Server) Ban(ctx context.Context, r BanRequestObject) (BanResponseObject, error) {
	return Ban204Response{}, s.Chat.Ban(ctx, viewer(ctx), r.Room, r.Username)
}

// Unban implements StrictServerInterface.
func (s *Server) Unban(ctx context.Context, r UnbanRequestObject) (UnbanResponseObject, error) {
	return Unban204Response{}, s.Chat.Unban(ctx, viewer(ctx), r.Room, r.Username)
}

func memberOf(m chat.Member) Member {
	return Member{Username: m.Name, Role: MemberRole(m.Role), Since: chat.FormatTime(m.Since)}
}
