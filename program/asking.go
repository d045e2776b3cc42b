package program

import (
	"cmp"
	"fmt"
	"log/slog"
	"net/netip"

	"tandem/beforepost"
	"tandem/chat"
	"tandem/outbound"
)

// anywhere calls addresses that only the operator sets: any address.
func anywhere() *outbound.Client {
	return outbound.New([]netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")})
}

// asking returns the caller of before-post hooks: rooms' hooks through rooms, and the site's through site.
func (s Settings) asking(rooms, site *outbound.Client, logger *slog.Logger) (a chat.Asking, err error) {
	within := cmp.Or(s.BeforePostTimeout, beforepost.Timeout)
	a = chat.Asking{Asker: beforepost.New(rooms, site, within, logger), Private: s.BeforePostPrivate}
	if s.BeforePostURL == "" {
		return a, nil
	}
	if err := outbound.CheckForm(s.BeforePostURL); err != nil {
		return a, fmt.Errorf("before-post-url: %w", err)
	}
	if err := beforepost.CheckSecret(s.BeforePostSecret); err != nil {
		return a, fmt.Errorf("before-post-url needs before-post-secret: %w", err)
	}
	a.Site = &chat.BeforePost{URL: s.BeforePostURL, Secret: s.BeforePostSecret, Closed: s.BeforePostOnFailure == "closed"}
	return a, nil
}
