package program

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tandem/api"
	"tandem/auth"
	"tandem/chat"
	"tandem/frontend"
	"tandem/store"
	"tandem/valkey"
)

// complete takes the secrets that are given as files, where a line break at the end does not count, and judges what no
// part of the program does.
func (s Settings) complete() (Settings, error) {
	var errs []error
	if s.RingBytes < 0 {
		errs = append(errs, errors.New("ring-bytes is 0 or more"))
	}
	if err := s.bounds().Check(); err != nil {
		errs = append(errs, err)
	}
	for _, secret := range []struct {
		name, file string
		value      *string
	}{{"jwt-secret", s.JWTSecretFile, &s.JWTSecret}, {"admin", s.AdminFile, &s.Admin}, {"database-url", s.DatabaseURLFile, &s.DatabaseURL}, {"valkey-url", s.ValkeyURLFile, &s.ValkeyURL}} {
		if secret.file == "" {
			continue
		}
		if *secret.value != "" {
			errs = append(errs, fmt.Errorf("%s and %[1]s-file are both given", secret.name))
			continue
		}
		text, err := os.ReadFile(secret.file)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s-file: %w", secret.name, err))
			continue
		}
		*secret.value = strings.TrimRight(string(text), "\r\n")
	}
	return s, errors.Join(errs...)
}

// splitAdmin reads "username:password"; the password may have colons.
func splitAdmin(s string) (username, password string, err error) {
	username, password, ok := strings.Cut(s, ":")
	if !ok {
		return "", "", errors.New("admin is username:password")
	}
	if username, err = chat.PrepareUsername(username); err != nil {
		return "", "", fmt.Errorf("admin: %w", err)
	}
	if err := auth.CheckPassword(password); err != nil {
		return "", "", fmt.Errorf("admin: %w", err)
	}
	return username, password, nil
}

// Check names all that is wrong with the settings, as far as it shows without starting. It changes nothing.
func (s Settings) Check(spec []byte) (wrong []error) {
	s, err := s.complete()
	add := func(err error) {
		if several, ok := err.(interface{ Unwrap() []error }); ok {
			wrong = append(wrong, several.Unwrap()...)
		} else if err != nil {
			wrong = append(wrong, err)
		}
	}
	add(err)
	if _, err := net.ResolveTCPAddr("tcp", s.Addr); err != nil {
		add(fmt.Errorf("addr: %w", err))
	}
	if _, err := net.ResolveTCPAddr("tcp", s.MetricsAddr); s.MetricsAddr != "" && err != nil {
		add(fmt.Errorf("metrics-addr: %w", err))
	}
	cert, err := s.certificate()
	add(err)
	if cert != nil && time.Now().After(cert.Leaf.NotAfter) {
		add(fmt.Errorf("tls-cert: it expired on %s", cert.Leaf.NotAfter.Format(time.DateOnly)))
	}
	if s.DatabaseURL == "" {
		add(checkDir(s.DataDir))
	} else {
		add(store.CheckURL(s.DatabaseURL))
	}
	if s.ValkeyURL != "" {
		add(valkey.CheckURL(s.ValkeyURL))
		if s.DatabaseURL == "" {
			add(errAlone)
		}
	}
	_, err = s.reserved()
	add(err)
	if s.Admin != "" {
		_, _, err := splitAdmin(s.Admin)
		add(err)
	}
	keys, err := readKeys(s.JWTKeyFiles)
	add(err)
	outside, err := (&Program{settings: s, logger: slog.New(slog.DiscardHandler)}).outside()
	add(err)
	secret := []byte(s.JWTSecret)
	if len(secret) == 0 {
		secret = make([]byte, auth.MinSecret) // one will be made
	}
	_, err = auth.New(nil, auth.Config{Secret: secret, Keys: keys, Issuer: s.JWTIssuer, Audience: s.JWTAudience, Outside: outside, Now: time.Now})
	add(err)
	_, err = api.New(api.Config{Spec: spec, Page: frontend.Page(), Origins: s.Origins, Limits: s.limits(), TrustedProxies: s.TrustedProxies})
	add(err)
	return wrong
}

// reserved says which usernames nobody can sign up under.
func (s Settings) reserved() (func(name string) error, error) {
	names, err := chat.NewReserved(s.ReservedNames)
	if err != nil {
		return nil, fmt.Errorf("reserved-names: %w", err)
	}
	return func(name string) error {
		switch {
		case names.Has(name):
			return auth.ErrNameTaken
		case names.Like(name):
			return auth.ErrLooksTaken
		}
		return nil
	}, nil
}

func (s Settings) limits() api.Limits {
	return api.Limits{Posts: s.LimitPosts, Logins: s.LimitLogins, Signups: s.LimitSignups, Streams: s.LimitStreams, Writes: s.LimitWrites, Reads: s.LimitReads}
}

func (s Settings) bounds() chat.Bounds {
	return chat.Bounds{
		Rooms: s.LimitRooms, Memberships: s.LimitMemberships, Bans: s.LimitBans, Blocks: s.LimitBlocks,
		Tokens: s.LimitTokens, Tickets: s.LimitTickets, Sessions: s.LimitSessions,
	}
}

// checkDir tells whether data can be kept in dir, or dir be made.
func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if errors.Is(err, os.ErrNotExist) {
		parent := filepath.Dir(filepath.Clean(dir))
		if parent == dir {
			return fmt.Errorf("data-dir: %w", err)
		}
		return checkDir(parent)
	}
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is no directory", dir)
	}
	if err != nil {
		return fmt.Errorf("data-dir: %w", err)
	}
	probe, err := os.CreateTemp(dir, ".tandem-check-")
	if err != nil {
		return fmt.Errorf("data-dir: %w", err)
	}
	return errors.Join(probe.Close(), os.Remove(probe.Name()))
}
