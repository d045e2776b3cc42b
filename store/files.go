package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"tandem/chat"
)

// AddFile implements chat.Store.
func (s *Store) AddFile(ctx context.Context, g chat.Guard, f chat.StoredFile) error {
	return s.log.do(ctx, func(t *tx) error {
		if err := t.check(g); err != nil {
			return err
		}
		_, err := t.exec(`INSERT INTO files (id, owner, topic, name, size, type, width, height, preview, created_at)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
			f.ID, f.Owner, int64(f.Topic), f.Name, f.Size, f.Type, f.Width, f.Height, f.Preview, t.now.UnixMilli())
		return unavailable(err)
	})
}

// takeFiles assigns files to a message. It returns chat.ErrBadFiles unless its author uploaded each of them to this
// topic and no message has it yet.
func (t *tx) takeFiles(files []string, author int64, topic chat.Topic, message int64) error {
	for _, id := range files {
		n, err := affected(t, `UPDATE files SET message_id = ? WHERE id = ? AND owner = ? AND topic = ? AND message_id IS NULL`,
			message, id, author, int64(topic))
		if err != nil {
			return err
		}
		if n == 0 {
			return chat.ErrBadFiles
		}
	}
	return nil
}

// takeAvatar makes an uploaded file the user's avatar and removes the previous one; an empty id removes the avatar. It
// returns chat.ErrNoFile if there is no such file.
func (t *tx) takeAvatar(user int64, id string) error {
	inbox := chat.InboxTopic(user)
	if id != "" {
		n, err := affected(t, `UPDATE files SET message_id = 0 WHERE id = ? AND owner = ? AND topic = ?`, id, user, int64(inbox))
		if err != nil {
			return err
		}
		if n == 0 {
			return chat.ErrNoFile
		}
	}
	_, err := t.removeFiles(`topic = ? AND message_id = 0 AND id <> ?`, int64(inbox), id)
	return err
}

// removeFilesOf removes what nobody can read any more when user is deleted: files not posted, the avatar, and the files
// of conversations whose other side is deleted too, or is the user.
func (t *tx) removeFilesOf(user int64) error {
	if _, err := t.removeFiles(`owner = ? AND (message_id IS NULL OR topic = ?)`, user, int64(chat.InboxTopic(user))); err != nil {
		return err
	}
	rows, err := t.w.conn.QueryContext(t.ctx, t.w.dialect.bind(`SELECT c.other_id FROM conversations c JOIN users u ON u.id = c.other_id
		WHERE c.user_id = ? AND u.deleted`), user) // user is already marked as deleted
	if err != nil {
		return unavailable(err)
	}
	others, err := scanAll(rows, scanOne[int64])
	for _, other := range others {
		if err == nil {
			_, err = t.removeFiles(`topic = ?`, int64(chat.ConversationTopic(user, other)))
		}
	}
	return err
}

// removeFiles removes the rows of the files that match the condition, and returns how many. Their bytes are removed
// afterwards (see files.Cleaner).
func (t *tx) removeFiles(which string, args ...any) (int64, error) {
	n, err := affected(t, `INSERT INTO file_deletions (id) SELECT id FROM files WHERE `+which, args...)
	if err != nil || n == 0 {
		return 0, err
	}
	t.unfiled, t.scrubbed = true, true // their names are texts
	_, err = t.exec(`DELETE FROM files WHERE `+which, args...)
	return n, unavailable(err)
}

const selectFiles = `SELECT id, owner, topic, name, size, type, width, height, preview, created_at, message_id IS NOT NULL FROM files`

func scanFile(row scanner) (f chat.StoredFile, err error) {
	var posted int64
	err = row.Scan(&f.ID, &f.Owner, &f.Topic, &f.Name, &f.Size, &f.Type, &f.Width, &f.Height, &f.Preview, &posted, &f.Taken)
	f.Posted = time.UnixMilli(posted)
	return f, err
}

// notDeletedFile excludes files of messages that a node of an earlier version, which knows no files, has deleted.
const notDeletedFile = `NOT EXISTS (SELECT 1 FROM deletions d WHERE d.topic = files.topic AND d.message_id = files.message_id)`

// File implements chat.Store.
func (s *Store) File(ctx context.Context, id string) (chat.StoredFile, error) {
	f, err := scanFile(s.queryRow(ctx, selectFiles+` WHERE id = ? AND `+notDeletedFile, id))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.StoredFile{}, chat.ErrNoFile
	}
	return f, unavailable(err)
}

// FilesOf implements chat.Store.
func (s *Store) FilesOf(ctx context.Context, owner int64, topic chat.Topic, ids []string) ([]chat.File, error) {
	var all []chat.File
	for _, id := range ids { // few
		f, err := s.File(ctx, id)
		switch {
		case errors.Is(err, chat.ErrNoFile):
		case err != nil:
			return nil, err
		case f.Owner == owner && f.Topic == topic:
			all = append(all, f.File)
		}
	}
	return all, nil
}

// RoomNumbered implements chat.Store.
func (s *Store) RoomNumbered(ctx context.Context, room, viewer int64) (chat.RoomView, error) {
	r, err := scanRoom(s.queryRow(ctx, selectRooms+` WHERE r.id = ?`, viewer, room))
	if errors.Is(err, sql.ErrNoRows) {
		return chat.RoomView{}, chat.ErrRoomNotFound
	}
	return r, unavailable(err)
}

// UseUpload implements chat.Store. Use decays: over a window, the whole limit is restored.
func (s *Store) UseUpload(ctx context.Context, user, want, most int64) (chat.UploadUse, error) {
	var use chat.UploadUse
	err := s.log.do(ctx, func(t *tx) error {
		var used, at int64
		err := t.queryRow(`SELECT bytes, at FROM file_usage WHERE user_id = ?`, user).Scan(&used, &at)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return unavailable(err)
		}
		perByte := float64(chat.UploadWindow) / float64(most)
		now := t.now.UnixMilli()
		faded := float64(time.Duration(max(0, now-at))*time.Millisecond) / perByte
		used = max(0, used-int64(min(faded, float64(used))))
		left := max(0, most-used)
		use.Granted, use.Wait = min(want, left), 0
		if use.Granted < want {
			use.Wait = time.Duration(float64(min(want, most)-left) * perByte)
		}
		used = max(0, used+use.Granted)
		use.Left = max(0, most-used)
		_, err = t.exec(`INSERT INTO file_usage (user_id, bytes, at) VALUES (?, ?, ?)
			ON CONFLICT (user_id) DO UPDATE SET bytes = excluded.bytes, at = excluded.at`, user, used, now)
		return unavailable(err)
	})
	if err != nil {
		return chat.UploadUse{}, err
	}
	return use, nil
}

// FileDeletions lists files whose bytes must be removed.
func (s *Store) FileDeletions(ctx context.Context, limit int) ([]string, error) {
	return list(ctx, s, scanOne[string], `SELECT id FROM file_deletions ORDER BY id LIMIT ?`, limit)
}

// FilesDeleted records that the bytes of these files are removed.
func (s *Store) FilesDeleted(ctx context.Context, ids []string) error {
	text, err := json.Marshal(ids)
	if err != nil {
		return err
	}
	return s.log.do(ctx, func(t *tx) error {
		_, err := t.exec(`DELETE FROM file_deletions WHERE id IN (`+s.dialect.texts(`?`)+`)`, string(text))
		return unavailable(err)
	})
}

// KnownFiles returns those of these ids that have rows and are not deleted.
func (s *Store) KnownFiles(ctx context.Context, ids []string) (map[string]bool, error) {
	text, err := json.Marshal(ids)
	if err != nil {
		return nil, err
	}
	found, err := list(ctx, s, scanOne[string], `SELECT id FROM files WHERE id IN (`+s.dialect.texts(`?`)+`) AND `+notDeletedFile, string(text))
	known := make(map[string]bool, len(found))
	for _, id := range found {
		known[id] = true
	}
	return known, err
}

// ExpireFiles removes the rows of files that were uploaded before that time and never taken, and reports whether there
// were any; there may be more then.
func (s *Store) ExpireFiles(ctx context.Context, before time.Time) (bool, error) {
	some := false
	err := s.log.do(ctx, func(t *tx) error {
		n, err := t.removeFiles(`id IN (SELECT id FROM files WHERE message_id IS NULL AND created_at < ? ORDER BY created_at, id LIMIT ?)`,
			before.UnixMilli(), sweepStep)
		some = n > 0
		return err
	})
	if err != nil {
		return false, err // the job may still run (see writer.do)
	}
	return some, nil
}

// ClaimFileSweep reports whether no node has compared the bytes with the rows for that long; the caller does it then.
func (s *Store) ClaimFileSweep(ctx context.Context, every time.Duration) (bool, error) {
	mine := false
	err := s.log.do(ctx, func(t *tx) error {
		now := t.now.UnixMilli()
		n, err := affected(t, `INSERT INTO file_sweeps (one, at) VALUES (1, ?)
			ON CONFLICT (one) DO UPDATE SET at = excluded.at WHERE file_sweeps.at <= ?`, now, now-every.Milliseconds())
		mine = n == 1
		return err
	})
	if err != nil {
		return false, err
	}
	return mine, nil
}

// FilesAfter lists the files that messages and avatars have, by id, starting after the id after.
func (s *Store) FilesAfter(ctx context.Context, after string, limit int) ([]chat.StoredFile, error) {
	return list(ctx, s, scanFile, selectFiles+` WHERE id > ? AND message_id IS NOT NULL ORDER BY id LIMIT ?`, after, limit)
}
