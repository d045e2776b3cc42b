package store

import (
	"database/sql"
	"errors"

	"tandem/chat"
)

// leaveAll ends a user's memberships, each with its event. A room that loses its last owner gets another.
func leaveAll(t *tx, user int64) error {
	for {
		var r chat.Room
		var role chat.Role
		u := chat.User{ID: user}
		err := t.queryRow(`DELETE FROM members WHERE user_id = ? AND room_id = (SELECT min(room_id) FROM members WHERE user_id = ?)
			RETURNING room_id, role, (SELECT name FROM rooms WHERE id = room_id), (SELECT name FROM users WHERE id = user_id)`, user, user).
			Scan(&r.ID, &role, &r.Name, &u.Name)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		if err != nil {
			return unavailable(err)
		}
		if role == chat.RoleOwner {
			if err := succeed(t, r, u); err != nil {
				return err
			}
		}
		if _, err := t.append(chat.Left(r, u, t.now)); err != nil {
			return err
		}
	}
}

// succeed makes a member the owner of a room that u, an owner, is leaving, if it has no other: the moderator who has
// been a member longest, else the member, but only if necessary one who is disabled. No limit applies.
func succeed(t *tx, r chat.Room, u chat.User) error {
	// Others may have decided by who the owners were.
	if err := touchRoom(t, r.ID); err != nil {
		return err
	}
	var next chat.User
	err := t.queryRow(`UPDATE members SET role = ? WHERE room_id = ? AND user_id = (
			SELECT m.user_id FROM members m JOIN users n ON n.id = m.user_id
			WHERE m.room_id = ? AND NOT EXISTS (SELECT 1 FROM members WHERE room_id = ? AND role = ?)
			ORDER BY n.disabled, m.role <> ?, m.since, m.user_id LIMIT 1)
		RETURNING user_id, (SELECT name FROM users WHERE id = user_id)`, chat.RoleOwner, r.ID, r.ID, r.ID, chat.RoleOwner, chat.RoleModerator).
		Scan(&next.ID, &next.Name)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return unavailable(err)
	}
	_, err = t.append(chat.Succeeded(r, u, next, t.now))
	return err
}

// endRefusals removes what is kept about a user whose account is being deleted, and nobody could remove afterwards.
func endRefusals(t *tx, user int64) error {
	for _, where := range []string{`bans WHERE user_id = ?`, `mutes WHERE user_id = ?`, `blocks WHERE user_id = ?`, `blocks WHERE blocked_id = ?`} {
		if _, err := t.exec(`DELETE FROM `+where, user); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// exists returns ErrUserNotFound if the account has been deleted since the decision.
func (t *tx) exists(user int64) error {
	var deleted bool
	err := t.queryRow(`SELECT deleted FROM users WHERE id = ?`, user).Scan(&deleted)
	if err == nil && deleted {
		return chat.ErrUserNotFound
	}
	return unavailable(err)
}
