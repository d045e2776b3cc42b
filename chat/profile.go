package chat

import (
	"context"
	"encoding/json"
	"time"
)

// MaxProfileData is the longest data of a profile, in bytes as sent.
const MaxProfileData = 2 << 10

// MaxNames is how many users can be looked up at once.
const MaxNames = 100

// Profile is what users say about themselves, and how others see them.
type Profile struct {
	DisplayName string          // empty for the username
	Avatar      string          // the id of a file; empty for none
	Data        json.RawMessage // an object of the app; nil for none
	Receipts    bool            // shows others how far they have read, and sees how far others have
	Invisible   bool            // counts as absent for others
}

// ProfileChange is a change to a Profile; nil fields keep their value.
type ProfileChange struct {
	DisplayName *string         // empty removes it
	Avatar      *string         // the id of an uploaded picture; empty removes it
	Data        json.RawMessage // "null" removes it
	Receipts    *bool
	Invisible   *bool
}

// Empty reports whether c changes nothing.
func (c *ProfileChange) Empty() bool {
	return c.DisplayName == nil && c.Avatar == nil && c.Data == nil && c.Receipts == nil && c.Invisible == nil
}

// Check returns an *Invalid for invalid values.
func (c *ProfileChange) Check() error {
	if c.DisplayName != nil && *c.DisplayName != "" {
		if err := CheckLabel("display_name", *c.DisplayName, 64); err != nil {
			return err
		}
	}
	if c.Avatar != nil && *c.Avatar != "" && !IsFileID(*c.Avatar) {
		return ErrBadAvatar
	}
	var err error
	c.Data, err = prepareDataChange(c.Data, MaxProfileData)
	return err
}

// ErrBadAvatar means that the avatar is not a picture uploaded by the user.
var ErrBadAvatar = &Invalid{"avatar", "an avatar must be a file that you uploaded to /v1/me/files"}

// Of returns p with c applied.
func (c *ProfileChange) Of(p Profile) Profile {
	p.DisplayName = valueOr(c.DisplayName, p.DisplayName)
	p.Avatar = valueOr(c.Avatar, p.Avatar)
	p.Receipts = valueOr(c.Receipts, p.Receipts)
	p.Invisible = valueOr(c.Invisible, p.Invisible)
	p.Data = changeData(p.Data, c.Data)
	return p
}

// LooksLike reports whether p and q look the same to others.
func (p Profile) LooksLike(q Profile) bool {
	return p.DisplayName == q.DisplayName && p.Avatar == q.Avatar && string(p.Data) == string(q.Data)
}

// Person is a user as others see them.
type Person struct {
	ID          int64
	Name        string
	DisplayName string
	Avatar      string
	Data        json.RawMessage
	LastSeen    time.Time // the end of their last stream; zero for never
	Disabled    bool
}

// Profile returns v's own profile.
func (s *Service) Profile(ctx context.Context, v Viewer) (Profile, error) {
	return s.store.Profile(ctx, v.User)
}

// ProfileChanged is the result of a ProfileChange.
type ProfileChanged struct {
	Profile Profile
	Event   Ephemeral // for the streams of To, if others see the change
	To      []Topic
	At      int64 // the position in the log of what the nodes must know; 0 for nothing
}

// ChangeProfile changes v's profile. It returns an *Invalid.
func (s *Service) ChangeProfile(ctx context.Context, v Viewer, c ProfileChange) (ProfileChanged, error) {
	if err := c.Check(); err != nil {
		return ProfileChanged{}, err
	}
	// Read this first: repeating a completed change then notifies nobody.
	notified, err := s.store.Acquainted(ctx, v.User, maxNotifiedRooms, maxNotifiedUsers)
	if err != nil {
		return ProfileChanged{}, err
	}
	was, is, at, err := s.store.ChangeProfile(ctx, v.User, c)
	if err != nil {
		return ProfileChanged{}, err
	}
	done := ProfileChanged{Profile: is, Event: userUpdated(v.Name), At: at}
	if !is.LooksLike(was) {
		done.To = notified
	}
	return done, nil
}

// How many of a user's rooms and latest conversations are notified of a changed profile. Others see it the next time
// they fetch it.
const (
	maxNotifiedRooms = 1000
	maxNotifiedUsers = 500
)

// userUpdated announces that a user must be fetched again.
func userUpdated(user string) Ephemeral {
	return ephemeral("user_updated", struct {
		Type string `json:"type"`
		User string `json:"user"`
	}{"user_updated", user})
}

// People lists enabled users by name.
func (s *Service) People(ctx context.Context, p People) ([]Person, error) {
	if p.Part != "" {
		var known bool
		if p.Part, known = partOfName(p.Part); !known {
			return nil, nil
		}
	}
	return s.store.People(ctx, p)
}

// PeopleNamed returns the users with these names, by name, each once. Unknown and disabled users are left out.
func (s *Service) PeopleNamed(ctx context.Context, names []string) ([]Person, error) {
	prepared := make([]string, 0, len(names))
	for _, name := range names {
		if name, err := PrepareUsername(name); err == nil {
			prepared = append(prepared, name)
		}
	}
	if len(prepared) == 0 {
		return nil, nil
	}
	return s.store.People(ctx, People{Names: prepared, Limit: len(prepared)})
}

// PersonNamed returns one user. It returns ErrUserNotFound.
func (s *Service) PersonNamed(ctx context.Context, username string) (Person, error) {
	if _, err := PrepareUsername(username); err != nil {
		return Person{}, err
	}
	found, err := s.PeopleNamed(ctx, []string{username})
	if err == nil && len(found) == 0 {
		err = ErrUserNotFound
	}
	if err != nil {
		return Person{}, err
	}
	return found[0], nil
}
