package api

import (
	"context"

	"tandem/chat"
)

// ListMutes implements StrictServerInterface.
func (s *Server) ListMutes(ctx context.Context, r ListMutesRequestObject) (ListMutesResponseObject, error) {
	limit := valueOr(r.Params.Limit, defaultLimit)
	mutes, err := s.Chat.Mutes(ctx, viewer(ctx), r.Room, valueOr(r.Params.After, ""), limit+1)
	if err != nil {
		return nil, err
	}
	mutes, next := firstOf(mutes, limit, func(m chat.Mute) string { return m.Name })
	page := ListMutes200JSONResponse{Items: make([]Mute, 0, len(mutes)), Next: next}
	for _, m := range mutes {
		page.Items = append(page.Items, muteOf(m))
	}
	return page, nil
}

// Mute implements StrictServerInterface.
func (s *Server) Mute(ctx context.Context, r MuteRequestObject) (MuteResponseObject, error) {
	m, err := s.Chat.Mute(ctx, viewer(ctx), r.Room, r.Username, r.Body.Seconds)
	if err != nil {
		return nil, err
	}
	return Mute200JSONResponse(muteOf(m)), nil
}

// Unmute implements StrictServerInterface.
func (s *Server) Unmute(ctx context.Context, r UnmuteRequestObject) (UnmuteResponseObject, error) {
	return Unmute204Response{}, s.Chat.Unmute(ctx, viewer(ctx), r.Room, r.Username)
}

func muteOf(m chat.Mute) Mute {
	return Mute{Username: m.Name, By: m.By, Since: chat.FormatTime(m.Since), Until: chat.FormatTime(m.Until)}
}

// ReportMessage implements StrictServerInterface.
func (s *Server) ReportMessage(ctx context.Context, r ReportMessageRequestObject) (ReportMessageResponseObject, error) {
	told, err := s.Chat.Report(ctx, viewer(ctx), r.Room, r.Id, reason(r.Body))
	s.Hub.PublishAll(told.To, told.Event)
	return ReportMessage204Response{}, err
}

// ReportPrivateMessage implements StrictServerInterface.
func (s *Server) ReportPrivateMessage(ctx context.Context, r ReportPrivateMessageRequestObject) (ReportPrivateMessageResponseObject, error) {
	told, err := s.Chat.ReportPrivate(ctx, viewer(ctx), r.Username, r.Id, reason(r.Body))
	s.Hub.PublishAll(told.To, told.Event)
	return ReportPrivateMessage204Response{}, err
}

func reason(body *NewReport) string {
	if body == nil {
		return ""
	}
	return valueOr(body.Reason, "")
}

// ListReports implements StrictServerInterface.
func (s *Server) ListReports(ctx context.Context, r ListReportsRequestObject) (ListReportsResponseObject, error) {
	q := reportQuery(r.Params.State, r.Params.Before, r.Params.Limit)
	reports, err := s.Chat.Reports(ctx, viewer(ctx), r.Room, q)
	return ListReports200JSONResponse(reportPage(reports, q)), err
}

// ListAllReports implements StrictServerInterface.
func (s *Server) ListAllReports(ctx context.Context, r ListAllReportsRequestObject) (ListAllReportsResponseObject, error) {
	q := reportQuery(r.Params.State, r.Params.Before, r.Params.Limit)
	reports, err := s.Chat.AllReports(ctx, viewer(ctx), q)
	return ListAllReports200JSONResponse(reportPage(reports, q)), err
}

// reportQuery asks for one more than the limit, to detect a next page.
func reportQuery(state *ReportStateInQuery, before *BeforeReport, limit *Limit) chat.ReportQuery {
	return chat.ReportQuery{
		State:  chat.ReportState(valueOr(state, "")),
		Before: valueOr(before, 0),
		Limit:  valueOr(limit, defaultLimit) + 1,
	}
}

func reportPage(reports []chat.Report, q chat.ReportQuery) ReportPage {
	page := ReportPage{Items: make([]Report, 0, len(reports))}
	if len(reports) == q.Limit {
		reports = reports[:q.Limit-1]
		page.Next = &reports[len(reports)-1].ID
	}
	for _, r := range reports {
		page.Items = append(page.Items, reportOf(r))
	}
	return page
}

// ChangeReport implements StrictServerInterface.
func (s *Server) ChangeReport(ctx context.Context, r ChangeReportRequestObject) (ChangeReportResponseObject, error) {
	report, told, err := s.Chat.ChangeReport(ctx, viewer(ctx), r.Room, r.Id, chat.ReportState(r.Body.State))
	if err != nil {
		return nil, err
	}
	s.Hub.PublishAll(told.To, told.Event)
	return ChangeReport200JSONResponse(reportOf(report)), nil
}

// ChangeAnyReport implements StrictServerInterface.
func (s *Server) ChangeAnyReport(ctx context.Context, r ChangeAnyReportRequestObject) (ChangeAnyReportResponseObject, error) {
	report, told, err := s.Chat.ChangeAnyReport(ctx, viewer(ctx), r.Id, chat.ReportState(r.Body.State))
	if err != nil {
		return nil, err
	}
	s.Hub.PublishAll(told.To, told.Event)
	return ChangeAnyReport200JSONResponse(reportOf(report)), nil
}

func reportOf(r chat.Report) Report {
	report := Report{
		Id: r.ID, Room: present(r.Room), MessageId: r.MessageID, ReportedText: present(r.Text), State: ReportState(r.State),
		Reporters: make([]Reporter, 0, len(r.Reporters)), Count: r.Count, CreatedAt: chat.FormatTime(r.CreatedAt), ClosedBy: present(r.ClosedBy),
	}
	if r.Message != nil {
		report.Message = r.Message.JSON()
	}
	if r.ClosedBy != "" {
		report.ClosedAt = present(chat.FormatTime(r.ClosedAt))
	}
	for _, p := range r.Reporters {
		report.Reporters = append(report.Reporters, Reporter{Username: p.Name, Reason: p.Reason, At: chat.FormatTime(p.At)})
	}
	return report
}

// present returns nil for an empty text, which is left out.
func present(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
