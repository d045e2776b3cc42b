package api

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"

	"github.com/labstack/echo/v4"

	"tandem/chat"
)

// deeds are the operations that the audit log records, each with the members of its body that are kept there: never
// texts, secrets, or addresses of other servers, which may contain secrets.
var deeds = map[string][]string{
	"createAccount": nil, "changeAccount": {"role", "disabled"}, "createSession": {"create"}, "createToken": {"scopes"},
	"changeRoom": {"visibility", "posting", "receipts", "slow_mode", "retention"}, "deleteRoom": nil,
	"setMember": {"role"}, "removeMember": nil, "ban": nil, "unban": nil, "mute": {"seconds", "until"}, "unmute": nil,
	"changeReport": {"state"}, "changeAnyReport": {"state"}, "deleteMessage": nil, "pinMessage": nil, "unpinMessage": nil,
	"setBeforePost": {"on_failure"}, "deleteBeforePost": nil, "createInlet": nil, "deleteInlet": nil,
	"createRoomHook": {"events"}, "changeRoomHook": {"events", "paused"}, "deleteRoomHook": nil, "replayRoomHook": {"since"}, "testRoomHook": nil,
	"createSiteHook": {"events", "rooms"}, "changeSiteHook": {"events", "paused", "rooms"}, "deleteSiteHook": nil, "replaySiteHook": {"since"}, "testSiteHook": nil,
}

// audit makes the store record what an operation does, in the same transaction.
func (s *Server) audit(id string) echo.MiddlewareFunc {
	kept, is := deeds[id]
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		if !is {
			return next
		}
		return func(c echo.Context) error {
			d := deedOf(c, id, kept)
			if d == nil {
				return next(c)
			}
			ctx := chat.WithDeed(c.Request().Context(), d)
			c.SetRequest(c.Request().WithContext(ctx))
			err := next(c)
			if err == nil && c.Response().Status < http.StatusBadRequest { // and nothing was written, such as by the test of a hook
				if err := s.Chat.RecordDeed(context.WithoutCancel(ctx)); err != nil {
					s.Logger.Error("the audit log lacks a call", "action", id, "user", d.Actor, "error", err)
				}
			}
			return err
		}
	}
}

// deedOf returns nil for what users do to themselves.
func deedOf(c echo.Context, id string, kept []string) *chat.Deed {
	v := viewer(c.Request().Context())
	d := &chat.Deed{Actor: v.User, Via: chat.ViaLogin, Action: id, Room: pathParam(c, "room"), Target: pathParam(c, "username"), Object: pathParam(c, "id")}
	if v.Script {
		d.Via, d.Token = chat.ViaToken, v.Session
	}
	body := make(map[string]json.RawMessage)
	if b, ok := c.Request().Body.(*readyBody); ok {
		_ = json.Unmarshal(b.data, &body) // a body that is not an object has nothing to keep, and is refused
	}
	if d.Target == "" {
		_ = json.Unmarshal(body["username"], &d.Target) // of created users, and of sessions created for them
	}
	if name, err := chat.PrepareUsername(d.Target); err == nil {
		d.Target = name
	}
	if name, err := chat.PrepareRoomName("room", d.Room); err == nil {
		d.Room = name
	}
	if (id == "setMember" || id == "removeMember") && d.Target == v.Name || id == "createToken" && body["scopes"] == nil {
		return nil
	}
	details := make(map[string]json.RawMessage)
	for _, name := range kept {
		if value, given := body[name]; given {
			details[name] = bytes.TrimSpace(value)
		}
	}
	if len(details) > 0 {
		d.Detail, _ = json.Marshal(details) // raw JSON that was parsed just now
	}
	return d
}

// ListAudit implements StrictServerInterface.
func (s *Server) ListAudit(ctx context.Context, r ListAuditRequestObject) (ListAuditResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	found, err := s.Chat.Deeds(ctx, viewer(ctx), valueOr(r.Params.Before, 0), limit+1)
	if err != nil {
		return nil, err
	}
	page := ListAudit200JSONResponse{Items: make([]AuditEntry, 0, len(found))}
	if len(found) > limit {
		found = found[:limit]
		page.Next = &found[limit-1].ID
	}
	for _, d := range found {
		e := AuditEntry{Id: d.ID, At: chat.FormatTime(d.At), Via: AuditEntryVia(d.Via), Action: d.Action,
			Actor: present(d.Actor), Room: present(d.Room), Target: present(d.Target), Object: present(d.Object)}
		if d.Token != 0 {
			e.Token = &d.Token
		}
		if d.Detail != nil {
			var detail map[string]any
			if err := json.Unmarshal(d.Detail, &detail); err != nil {
				return nil, err
			}
			e.Detail = &detail
		}
		page.Items = append(page.Items, e)
	}
	return page, nil
}
