package api

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"

	"tandem/chat"
	"tandem/inlets"
)

// maxInletBody is the largest body that an inlet accepts, in bytes: enough for GitHub's pushes of a few hundred
// commits.
const maxInletBody = 1 << 20

// CreateInlet implements StrictServerInterface.
func (s *Server) CreateInlet(ctx context.Context, r CreateInletRequestObject) (CreateInletResponseObject, error) {
	secret := rand.Text()
	in, err := s.Chat.CreateInlet(ctx, viewer(ctx), r.Room, r.Body.Name, secretHash(secret))
	if err != nil {
		return nil, err
	}
	made := inletOf(in)
	return CreateInlet201JSONResponse{
		Id: made.Id, Url: selfIn(ctx) + "/in/" + secret, Name: made.Name, CreatedBy: made.CreatedBy, CreatedAt: made.CreatedAt,
	}, nil
}

// ListInlets implements StrictServerInterface.
func (s *Server) ListInlets(ctx context.Context, r ListInletsRequestObject) (ListInletsResponseObject, error) {
	all, err := s.Chat.Inlets(ctx, viewer(ctx), r.Room)
	if err != nil {
		return nil, err
	}
	answer := ListInlets200JSONResponse{Items: make([]Inlet, len(all))}
	for i, in := range all {
		answer.Items[i] = inletOf(in)
	}
	return answer, nil
}

// DeleteInlet implements StrictServerInterface.
func (s *Server) DeleteInlet(ctx context.Context, r DeleteInletRequestObject) (DeleteInletResponseObject, error) {
	return DeleteInlet204Response{}, s.Chat.DeleteInlet(ctx, viewer(ctx), r.Room, r.Id)
}

func inletOf(in chat.Inlet) Inlet {
	return Inlet{Id: in.ID, Name: in.Name, CreatedBy: in.CreatedBy, CreatedAt: chat.FormatTime(in.CreatedAt)}
}

func secretHash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// routeInlets mounts the endpoint that other products post to. It is not generated, because it accepts bodies of any
// type.
func (s *Server) routeInlets() {
	at := "/in/:secret"
	post, describe := s.operations["postToInlet"], s.operations["describeInlet"]
	s.router().POST(at, s.postToInlet, s.limitCalls("postToInlet", post), post.validate)
	s.router().GET(at, s.describeInlet, s.limitCalls("postToInlet", post), describe.validate)
}

// inlet returns the inlet whose secret is in the path, or chat.ErrNoInlet.
func (s *Server) inlet(c echo.Context) (chat.Inlet, error) {
	return s.Chat.InletOf(c.Request().Context(), secretHash(pathParam(c, "secret")))
}

func (s *Server) describeInlet(c echo.Context) error {
	if _, err := s.inlet(c); err != nil {
		return err
	}
	return c.String(http.StatusOK, "POST to this URL to post to a room. It accepts "+inlets.Understood+".\n")
}

func (s *Server) postToInlet(c echo.Context) error {
	r := c.Request()
	in, err := s.inlet(c)
	if err != nil {
		return err
	}
	if err := s.limits.posts.take(r.Context(), c.Response().Header(), "inlet:"+strconv.FormatInt(in.ID, 10)); err != nil {
		return err
	}
	body, err := readInletBody(c)
	if err != nil {
		return err
	}
	m, err := inlets.Read(r.Header, body, chat.MaxMessage)
	if err != nil {
		return err
	}
	if _, _, err := s.Chat.PostByInlet(r.Context(), in, m.Text, m.Key, m.Within); err != nil {
		return err
	}
	return c.String(http.StatusOK, "ok") // like Slack; some senders check for it
}

func readInletBody(c echo.Context) ([]byte, error) {
	r := c.Request()
	if isMultipart(r.Header.Get("Content-Type")) {
		return nil, errMultipart()
	}
	if r.ContentLength > maxInletBody {
		c.Response().Header().Set("Connection", "close")
		return nil, errInletTooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), r.Body, maxInletBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, errInletTooLarge()
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, errBodyTimeout()
	}
	if err != nil {
		return nil, errBodyBroken()
	}
	if r.ContentLength != 0 {
		_ = http.NewResponseController(c.Response()).SetReadDeadline(time.Time{})
	}
	return body, nil
}

func errInletTooLarge() *fault {
	return &fault{http.StatusRequestEntityTooLarge, "body_too_large", "Body too large", "An inlet accepts at most 1 MiB.", nil}
}
