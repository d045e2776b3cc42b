package api

import (
	"github.com/labstack/echo/v4"

	"tandem/chat"
)

// routeFiles mounts uploads and downloads. They are not generated, because neither is ever whole in memory.
func (s *Server) routeFiles() {
	for _, u := range []struct {
		operation, path string
		to              func(c echo.Context) chat.FilePlace
	}{
		{"uploadFile", "/v1/rooms/:room/files", func(c echo.Context) chat.FilePlace { return chat.FilePlace{Room: pathParam(c, "room")} }},
		{"uploadPrivateFile", "/v1/private/:username/files", func(c echo.Context) chat.FilePlace { return chat.FilePlace{Username: pathParam(c, "username")} }},
		{"uploadMyFile", "/v1/me/files", func(echo.Context) chat.FilePlace { return chat.FilePlace{} }},
	} {
		op := s.operations[u.operation]
		s.router().POST(u.path, s.uploadTo(u.to), s.authenticate(op), s.limitCalls(u.operation, op), op.validate)
	}
	op := s.operations["getFile"]
	s.router().GET("/v1/files/:id", s.getFile, s.authenticateLink(op), op.validate)
}
