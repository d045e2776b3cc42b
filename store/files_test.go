package store

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"tandem/chat"
)

func addFile(t *testing.T, s *Store, u chat.User, topic chat.Topic) string {
	t.Helper()
	f := chat.StoredFile{File: chat.File{ID: chat.NewFileID(), Name: "a", Size: 1, Type: "image/png"}, Owner: u.ID, Topic: topic}
	if err := s.AddFile(t.Context(), chat.Guard{User: u.ID, UserVersion: u.Version}, f); err != nil {
		t.Fatal(err)
	}
	return f.ID
}

// If one post in a batch uses a file that it cannot have, only that post fails, and no id is skipped.
func TestOnlyThePostOfAUsedFileFails(t *testing.T) { onBoth(t, testOnlyThePostOfAUsedFileFails) }

func testOnlyThePostOfAUsedFileFails(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	file := addFile(t, s, u, chat.RoomTopic(r.ID))
	post := func(files ...string) func() error {
		return func() error {
			m := message(u, r, "x")
			m.Files = files
			_, _, err := s.Post(t.Context(), guardOf(u, r), m, nil)
			return err
		}
	}
	errs := together(s, post(), post(file), post(), post(file), post(chat.NewFileID()), post())
	refused := 0
	for _, err := range errs {
		if errors.Is(err, chat.ErrBadFiles) {
			refused++
		} else if err != nil {
			t.Error(err)
		}
	}
	if refused != 2 {
		t.Errorf("%d posts refused, want 2: %v", refused, errs)
	}
	wantDense(t, s, u, r, 4)
}

// A user has one avatar. A new one removes the old one and its bytes.
func TestAvatarReplacesTheOldOne(t *testing.T) { onBoth(t, testAvatarReplacesTheOldOne) }

func testAvatarReplacesTheOldOne(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	inbox := chat.InboxTopic(u.ID)
	first, second, elsewhere := addFile(t, s, u, inbox), addFile(t, s, u, inbox), addFile(t, s, u, chat.RoomTopic(r.ID))
	take := func(id string) error {
		return s.log.do(t.Context(), func(t *tx) error { return t.takeAvatar(u.ID, id) })
	}
	due := func(want ...string) {
		t.Helper()
		got, err := s.FileDeletions(t.Context(), 10)
		slices.Sort(want)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("to be deleted are %v, want %v: %v", got, want, err)
		}
	}
	for _, id := range []string{elsewhere, chat.NewFileID()} {
		if err := take(id); !errors.Is(err, chat.ErrNoFile) {
			t.Errorf("another file as an avatar: got %v, want chat.ErrNoFile", err)
		}
	}
	if err := errors.Join(take(first), take(first)); err != nil {
		t.Fatal(err)
	}
	if f, err := s.File(t.Context(), first); err != nil || !f.Taken {
		t.Errorf("avatar = %+v, %v", f, err)
	}
	due()
	if err := take(second); err != nil {
		t.Fatal(err)
	}
	due(first)
	if err := take(""); err != nil {
		t.Fatal(err)
	}
	due(first, second)
	if err := s.FilesDeleted(t.Context(), []string{first, second}); err != nil {
		t.Fatal(err)
	}
	due()
}

// The used part of the upload allowance decays over a day.
func TestUsedUploadAllowanceDecays(t *testing.T) { onBoth(t, testUsedUploadAllowanceDecays) }

func testUsedUploadAllowanceDecays(t *testing.T, p place) {
	var mu sync.Mutex
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := p.open(t, Config{Now: func() time.Time { mu.Lock(); defer mu.Unlock(); return now }})
	a, _, err := s.CreateUser(t.Context(), "ada", "hash", nil)
	if err != nil {
		t.Fatal(err)
	}
	const most = 24_000 // 1,000 an hour
	for _, c := range []struct {
		passed        time.Duration
		want          int64
		granted, left int64
		wait          time.Duration
	}{
		{0, 10_000, 10_000, 14_000, 0},
		{0, 20_000, 14_000, 0, 6 * time.Hour},
		{0, -14_000, -14_000, 14_000, 0},
		{time.Hour, 15_000, 15_000, 0, 0},
		{30 * time.Minute, 1_000, 500, 0, 30 * time.Minute},
		{0, 100_000, 0, 0, 24 * time.Hour}, // more than a day's allowance
		{12 * time.Hour, 1, 1, 11_999, 0},
		{1000 * time.Hour, 24_000, 24_000, 0, 0},
	} {
		mu.Lock()
		now = now.Add(c.passed)
		mu.Unlock()
		use, err := s.UseUpload(t.Context(), a.ID, c.want, most)
		if err != nil || use.Granted != c.granted || use.Left != c.left || use.Wait.Round(time.Second) != c.wait {
			t.Errorf("%d bytes after %s are %+v, %v", c.want, c.passed, use, err)
		}
	}
}

// Files are also removed if a node of the previous version deletes their message.
func TestFilesOfMessagesDeletedByAnOldNode(t *testing.T) {
	onBoth(t, testFilesOfMessagesDeletedByAnOldNode)
}

func testFilesOfMessagesDeletedByAnOldNode(t *testing.T, p place) {
	s, u, r := world(t, p, nil)
	file := addFile(t, s, u, chat.RoomTopic(r.ID))
	m := message(u, r, "x")
	m.Files = []string{file}
	e, _, err := s.Post(t.Context(), guardOf(u, r), m, nil)
	if err != nil {
		t.Fatal(err)
	}
	if known, err := s.KnownFiles(t.Context(), []string{file, chat.NewFileID()}); err != nil || len(known) != 1 || !known[file] {
		t.Errorf("KnownFiles = %v, %v", known, err)
	}
	err = s.log.do(t.Context(), func(t *tx) error {
		_, err := t.exec(`INSERT INTO deletions (topic, message_id) VALUES (?, ?)`, int64(e.Topic), e.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.File(t.Context(), file); !errors.Is(err, chat.ErrNoFile) {
		t.Errorf("file after its deletion: got %v, want chat.ErrNoFile", err)
	}
	if known, err := s.KnownFiles(t.Context(), []string{file}); err != nil || len(known) != 0 {
		t.Errorf("KnownFiles = %v, %v", known, err)
	}
}
