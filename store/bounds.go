package store

import (
	"errors"
	"fmt"

	"tandem/chat"
)

// Bounds are checked after the write that they concern, in its transaction, whose lock of the log's head lets one run
// at a time. So concurrent writes on any nodes cannot exceed them, and a write that changes nothing is never refused. A
// row too many is undone with the job's savepoint.

// within returns chat.ErrLimitReached if a query counts more than most. what describes the limit.
func (t *tx) within(most int, what, query string, args ...any) error {
	if most == 0 {
		return nil
	}
	var n int
	if err := t.queryRow(query, args...).Scan(&n); err != nil {
		return unavailable(err)
	}
	if n > most {
		return fmt.Errorf("%w: "+what, chat.ErrLimitReached, most)
	}
	return nil
}

// withinMemberships is called after a user has become a member of a room, or its owner.
func (t *tx) withinMemberships(user int64, role chat.Role) error {
	err := t.within(t.w.bounds.Memberships, "a user can be a member of %d rooms",
		`SELECT count(*) FROM members WHERE user_id = ?`, user)
	if err == nil && role == chat.RoleOwner {
		// Include rooms that they created and left: leaving must not allow creating more.
		err = t.within(t.w.bounds.Rooms, "a user can have created, or own, %d rooms",
			`SELECT count(*) FROM (SELECT id FROM rooms WHERE created_by = ?
				UNION SELECT room_id FROM members WHERE user_id = ? AND role = '`+string(chat.RoleOwner)+`') r`, user, user)
	}
	return err
}

// endOldSessions ends a user's surplus sessions: those refreshed longest ago.
func (t *tx) endOldSessions(user int64) error {
	if t.w.bounds.Sessions == 0 {
		return nil
	}
	for {
		err := t.within(t.w.bounds.Sessions, "%d logins", `SELECT count(*) FROM sessions WHERE user_id = ? AND token IS NULL`, user)
		if !errors.Is(err, chat.ErrLimitReached) {
			return err
		}
		var id int64
		if err := t.queryRow(`SELECT id FROM sessions WHERE user_id = ? AND token IS NULL ORDER BY rotated_at, id LIMIT 1`, user).Scan(&id); err != nil {
			return unavailable(err)
		}
		if err := endSession(t, id); err != nil {
			return err
		}
	}
}
