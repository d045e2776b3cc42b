package store

import (
	"database/sql"
	"errors"
	"math"

	"tandem/auth"
	"tandem/chat"
)

func insertUser(t *tx, name, password string) (int64, error) {
	if _, err := fillSkeletons(t, math.MaxInt); err != nil {
		return 0, err
	}
	skeleton := chat.Skeleton(name)
	var like string
	err := t.queryRow(`SELECT name FROM users WHERE skeleton = ? ORDER BY name <> ? LIMIT 1`, skeleton, name).Scan(&like)
	switch {
	case err == nil && like == name:
		return 0, auth.ErrNameTaken
	case err == nil:
		return 0, auth.ErrLooksTaken
	case !errors.Is(err, sql.ErrNoRows):
		return 0, unavailable(err)
	}
	var made int64
	err = t.queryRow(`INSERT INTO users (name, password, created_at, skeleton) VALUES (?, ?, ?, ?) RETURNING id`,
		name, password, t.now.UnixMilli(), skeleton).Scan(&made)
	return made, unavailable(err)
}

// fillSkeletons computes missing skeletons of names, up to most at once, and reports whether there may be more. Names
// that already look alike stay.
func fillSkeletons(t *tx, most int) (more bool, err error) {
	for range most {
		var id int64
		var name string
		err := t.queryRow(`SELECT id, name FROM users WHERE skeleton IS NULL LIMIT 1`).Scan(&id, &name)
		if errors.Is(err, sql.ErrNoRows) {
			return false, nil
		}
		if err == nil {
			_, err = t.exec(`UPDATE users SET skeleton = ? WHERE id = ?`, chat.Skeleton(name), id)
		}
		if err != nil {
			return false, unavailable(err)
		}
	}
	return true, nil
}
