package program

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"tandem/api"
	"tandem/auth"
	"tandem/chat"
	"tandem/files"
	"tandem/frontend"
	"tandem/outbound"
	"tandem/store"
	"tandem/valkey"
)

// complete reads the secrets that are set as files, ignoring a trailing line break, and checks settings that no part of
// the program checks.
func (s Settings) complete() (Settings, error) {
	var errs []error
	if s.LimitFileSize < 0 || s.LimitFiles < 0 {
		errs = append(errs, errors.New("limit-file-size and limit-files must be 0, for none, or more"))
	}
	s.Addr = ListenAddr(s.Addr)
	if s.MaxStream < 0 || s.MaxStream > 0 && s.MaxStream < time.Second {
		errs = append(errs, errors.New("max-stream must be 0, for no limit, or at least a second"))
	}
	if s.RingBytes < 0 {
		errs = append(errs, errors.New("ring-bytes must be 0 or more"))
	}
	if err := s.bounds().Check(); err != nil {
		errs = append(errs, err)
	}
	for _, secret := range []struct {
		name, file string
		value      *string
	}{{"jwt-secret", s.JWTSecretFile, &s.JWTSecret}, {"admin", s.AdminFile, &s.Admin}, {"database-url", s.DatabaseURLFile, &s.DatabaseURL}, {"valkey-url", s.ValkeyURLFile, &s.ValkeyURL}, {"push-secret", s.PushSecretFile, &s.PushSecret},
		{"before-post-secret", s.BeforePostSecretFile, &s.BeforePostSecret}} {
		if secret.file == "" {
			continue
		}
		if *secret.value != "" {
			errs = append(errs, fmt.Errorf("%s and %[1]s-file are both set", secret.name))
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

// splitAdmin splits "username:password"; the password may contain colons.
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

// Check returns everything that is wrong with the settings, as far as it can tell without starting. It changes nothing.
func (s Settings) Check(spec *api.Spec) (wrong []error) {
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
	if s.FilesURL != "" {
		_, err := files.Open(context.Background(), s.DataDir, s.FilesURL) // it makes no calls
		add(err)
	}
	_, err = s.pushServices()
	add(err)
	_, err = s.reserved()
	add(err)
	_, err = s.retention()
	add(err)
	if s.Admin != "" {
		_, _, err := splitAdmin(s.Admin)
		add(err)
	}
	keys, err := readKeys(s.JWTKeyFiles)
	add(err)
	outside, err := (&Program{settings: s, logger: slog.New(slog.DiscardHandler)}).outside()
	add(err)
	_, err = s.outbound()
	add(err)
	_, err = s.asking(nil, nil, slog.New(slog.DiscardHandler))
	add(err)
	secret := []byte(s.JWTSecret)
	if len(secret) == 0 {
		secret = make([]byte, auth.MinSecret) // one will be generated
	}
	_, err = auth.New(nil, auth.Config{Secret: secret, Keys: keys, Issuer: s.JWTIssuer, Audience: s.JWTAudience, Outside: outside, Now: time.Now})
	add(err)
	_, err = api.New(api.Config{Spec: spec, Page: frontend.Page(), Origins: s.Origins, BasePath: s.BasePath, Limits: s.limits(), Files: s.fileLimits(), TrustedProxies: s.TrustedProxies})
	add(err)
	return wrong
}

// outbound calls the addresses that users provide.
func (s Settings) outbound() (*outbound.Client, error) {
	allow, err := outbound.ParsePrefixes(s.HooksAllow)
	if err != nil {
		return nil, fmt.Errorf("hooks-allow: %w", err)
	}
	return outbound.New(allow), nil
}

// reserved returns the usernames that nobody can sign up with.
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

// retention returns how long messages are kept.
func (s Settings) retention() (store.RetentionConfig, error) {
	cfg := store.RetentionConfig{Now: time.Now, Every: s.RetentionEvery}
	if s.RetentionNow != nil {
		cfg.Now = s.RetentionNow
	}
	if s.Retention == "" {
		return cfg, nil
	}
	digits, isDays := strings.CutSuffix(s.Retention, "d")
	days, err := strconv.ParseUint(digits, 10, 16)
	if cfg.Site = time.Duration(days) * 24 * time.Hour; err != nil || !isDays || days < 1 || cfg.Site > chat.MaxRetention*time.Second {
		return cfg, fmt.Errorf("retention: %q is not a number of days from 1d to %dd", s.Retention, chat.MaxRetention/chat.MinRetention)
	}
	return cfg, nil
}

// files opens the store of uploaded files.
func (s Settings) files(ctx context.Context, logger *slog.Logger) (f api.Files, err error) {
	f = s.fileLimits()
	if f.Blobs, err = files.Open(ctx, s.DataDir, s.FilesURL); err != nil {
		return f, err
	}
	f.Incoming, err = files.NewIngester(s.DataDir, logger)
	return f, err
}

func (s Settings) fileLimits() api.Files {
	return api.Files{MaxSize: s.LimitFileSize, MaxDaily: s.LimitFiles, Types: s.FileTypes}
}

func (s Settings) limits() api.Limits {
	return api.Limits{Posts: s.LimitPosts, Logins: s.LimitLogins, Signups: s.LimitSignups, Streams: s.LimitStreams, Writes: s.LimitWrites, Ephemeral: s.LimitEphemeral, Reads: s.LimitReads, Now: s.LimitNow}
}

func (s Settings) bounds() chat.Bounds {
	return chat.Bounds{
		Rooms: s.LimitRooms, Memberships: s.LimitMemberships, Bans: s.LimitBans, Blocks: s.LimitBlocks,
		Tokens: s.LimitTokens, Tickets: s.LimitTickets, Sessions: s.LimitSessions,
	}
}

// checkDir checks whether data can be stored in dir, or dir be created.
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
		err = fmt.Errorf("%s is not a directory", dir)
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
