package api

import (
	"context"

	"tandem/chat"
	"tandem/push"
)

// PutPush implements StrictServerInterface.
func (s *Server) PutPush(ctx context.Context, r PutPushRequestObject) (PutPushResponseObject, error) {
	n := push.Draft{Kind: push.Kind(r.Body.Kind), Endpoint: valueOr(r.Body.Endpoint, ""), Token: valueOr(r.Body.Token, "")}
	if k := r.Body.Keys; k != nil {
		n.P256dh, n.Auth = k.P256dh, k.Auth
	}
	return PutPush204Response{}, s.Push.Put(ctx, viewer(ctx), r.Id, n)
}

// DeletePush implements StrictServerInterface.
func (s *Server) DeletePush(ctx context.Context, r DeletePushRequestObject) (DeletePushResponseObject, error) {
	return DeletePush204Response{}, s.Push.Delete(ctx, viewer(ctx), r.Id)
}

// ListPush implements StrictServerInterface. It does not reveal endpoints and tokens: anyone who has one can send.
func (s *Server) ListPush(ctx context.Context, _ ListPushRequestObject) (ListPushResponseObject, error) {
	all, err := s.Push.List(ctx, viewer(ctx))
	if err != nil {
		return nil, err
	}
	page := ListPush200JSONResponse{Items: make([]PushSubscription, 0, len(all))}
	for _, sub := range all {
		item := PushSubscription{Id: sub.ID, Kind: PushKind(sub.Kind), CreatedAt: chat.FormatTime(sub.CreatedAt)}
		if sub.LastError != "" {
			item.LastError = &sub.LastError
		}
		page.Items = append(page.Items, item)
	}
	return page, nil
}

// GetPushKey implements StrictServerInterface.
func (s *Server) GetPushKey(context.Context, GetPushKeyRequestObject) (GetPushKeyResponseObject, error) {
	key := GetPushKey200JSONResponse{Key: s.Push.Key()}
	for _, k := range s.Push.Kinds() {
		key.Kinds = append(key.Kinds, PushKind(k))
	}
	return key, nil
}
