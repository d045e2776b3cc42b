package program

import (
	"context"
	"errors"
	"io"

	"tandem/auth"
	"tandem/chat"
)

// HashPasswords is the main function of a process of Settings.HashCommand; it runs until in ends.
func HashPasswords(in io.Reader, out io.Writer) error { return auth.HashPasswords(in, out) }

// access checks what a stream may do: its session lives, and its rooms may be followed.
type access struct {
	rooms    *chat.Service
	accounts *auth.Service
}

func (a access) Follow(ctx context.Context, v chat.Viewer, names []string, open chat.OpenRooms) ([]chat.Room, []string, error) {
	if v.User != 0 { // anonymous callers have no session
		if err := a.accounts.Alive(ctx, v.User, v.Session); err != nil {
			return nil, nil, err
		}
	}
	return a.rooms.Follow(ctx, v, names, open)
}

func (a access) OpenRoom(ctx context.Context, name string) (chat.Room, error) {
	return a.rooms.OpenRoom(ctx, name)
}

func (a access) Memberships(ctx context.Context, v chat.Viewer) ([]chat.Membership, error) {
	return a.rooms.Memberships(ctx, v)
}

func readKeys(files []string) (keys []auth.Key, err error) {
	for _, file := range files {
		k, err := auth.ReadKey(file)
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, nil
}

// outside returns the outside issuer, if there is one. It is not called here: an issuer that is down must not keep the
// program down.
func (p *Program) outside() (*auth.Outside, error) {
	cfg := p.settings
	if cfg.JWKSURL == "" {
		return nil, nil
	}
	if cfg.JWTIssuer == "" || cfg.JWTIssuer == defaultIssuer || cfg.JWTAudience == "" {
		return nil, errors.New("with jwks-url, set jwt-issuer and jwt-audience to the iss and aud claims of accepted tokens")
	}
	var err error
	if p.issuer, err = auth.NewIssuerKeys(cfg.JWKSURL, p.logger); err != nil {
		return nil, err
	}
	return &auth.Outside{Keys: p.issuer, PrepareName: chat.PrepareUsername}, nil
}
