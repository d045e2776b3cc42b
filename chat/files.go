package chat

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"regexp"
	"slices"
	"time"
)

// MaxFiles is how many files a message can have.
const MaxFiles = 10

// StoredFile is a file's row.
type StoredFile struct {
	File
	Owner  int64
	Topic  Topic // the room or conversation it was uploaded to; its owner's inbox for an avatar
	Taken  bool  // by a message, or as an avatar
	Posted time.Time
}

// FilePlace is where a file is uploaded to: a room, or the conversation with a user, or, with neither, the caller's own
// place for an avatar.
type FilePlace struct {
	Room     string
	Username string
}

// Errors about files.
var (
	ErrNoFile   = errors.New("no such file")
	ErrBadFiles = &Invalid{"files", "each must be a file that you uploaded here and have not posted yet"}
)

// NewFileID returns an id that nobody can guess.
func NewFileID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

var fileID = regexp.MustCompile(`^[A-Za-z0-9_-]{22}$`)

// IsFileID reports whether id has the form of a file's id.
func IsFileID(id string) bool { return fileID.MatchString(id) }

// checkFiles checks the ids of a message's files.
func checkFiles(ids []string) error {
	if len(ids) > MaxFiles {
		return invalid("files", "a message can have at most %d files", MaxFiles)
	}
	for i, id := range ids {
		if !IsFileID(id) || slices.Contains(ids[:i], id) {
			return ErrBadFiles
		}
	}
	return nil
}

// MayUpload checks whether the caller may upload a file to a place now: everyone who may post there.
func (s *Service) MayUpload(ctx context.Context, v Viewer, to FilePlace) error {
	switch {
	case to.Room != "":
		_, err := s.MayPost(ctx, v, to.Room)
		return err
	case to.Username != "":
		other, err := s.correspondent(ctx, v, to.Username)
		if err == nil {
			err = other.mayGet(User{ID: v.User})
		}
		return err
	}
	return nil
}

// AddFile records an uploaded file, whose bytes are stored already, so that the caller can post it where it was
// uploaded to.
func (s *Service) AddFile(ctx context.Context, v Viewer, to FilePlace, f File) error {
	row := StoredFile{File: f, Owner: v.User}
	switch {
	case to.Room != "":
		return s.inRoom(ctx, v, to.Room, func(u User, r RoomView) error {
			if err := r.mayPost(s.now()); err != nil {
				return err
			}
			row.Topic = RoomTopic(r.ID)
			return s.store.AddFile(ctx, guard(r.Room, u), row)
		})
	case to.Username != "":
		return s.withUser(ctx, v, to.Username, func(u User, other Correspondent) error {
			if err := other.mayGet(u); err != nil {
				return err
			}
			row.Topic = ConversationTopic(u.ID, other.ID)
			return s.store.AddFile(ctx, guardBoth(u, other.User), row)
		})
	}
	row.Topic = InboxTopic(v.User)
	return s.decide(func(fresh bool) error {
		u, _, err := s.user(ctx, v.User, fresh)
		if err != nil {
			return err
		}
		return s.store.AddFile(ctx, guard(Room{}, u), row)
	})
}

// File returns a file that the caller may read, or ErrNoFile, as for one that does not exist. Only its uploader can
// read a file that no message has yet.
func (s *Service) File(ctx context.Context, v Viewer, id string) (File, error) {
	if !IsFileID(id) {
		return File{}, ErrNoFile
	}
	f, err := s.store.File(ctx, id)
	if err != nil {
		return File{}, err
	}
	if !f.Taken && f.Owner != v.User {
		return File{}, ErrNoFile
	}
	switch {
	case f.Topic.IsRoom():
		var r RoomView
		if r, err = s.store.RoomNumbered(ctx, f.Topic.Number(), v.User); err == nil && (!v.Reaches(r.ID) || r.mayRead() != nil) {
			err = ErrNoFile
		}
		if errors.Is(err, ErrRoomNotFound) {
			err = ErrNoFile
		}
	case f.Topic.IsConversation():
		if a, b := f.Topic.Between(); v.Only != nil || v.User == 0 || v.User != a && v.User != b {
			err = ErrNoFile
		}
	case v.Only != nil || v.User == 0: // an avatar
		err = ErrNoFile
	}
	if err != nil {
		return File{}, err
	}
	return f.File, nil
}

// UploadWindow is the time over which a user's uploads are counted.
const UploadWindow = 24 * time.Hour

// UploadUse is the result of counting an upload.
type UploadUse struct {
	Granted int64         // bytes
	Left    int64         // bytes that are left now
	Wait    time.Duration // how long until the wanted bytes are available, if they were not granted
}

// UseUpload counts up to want bytes that the caller uploads, but no more than are left of most in an UploadWindow.
// Negative bytes return what was counted too much.
func (s *Service) UseUpload(ctx context.Context, v Viewer, want, most int64) (UploadUse, error) {
	return s.store.UseUpload(ctx, v.User, want, most)
}

// attach resolves the draft's files among those that the caller has uploaded to the topic. The store checks whether
// they can still be taken when it takes them: a retry's cannot.
func (s *Service) attach(ctx context.Context, owner int64, topic Topic, d *Draft) (err error) {
	if len(d.Files) == 0 {
		return nil
	}
	d.attached, err = s.store.FilesOf(ctx, owner, topic, d.Files)
	return err
}
