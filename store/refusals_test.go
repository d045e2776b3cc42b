package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"tandem/chat"
)

// The migration deletes the bans, mutes and blocks of accounts that were deleted by an older version, and no others.
func TestRefusalsOfDeletedAccountsAreRemoved(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s, ada, r := world(t, p, nil)
		bob, gone := addUser(t, s, "bob"), addUser(t, s, "gone")
		file := "migrations/sqlite/00020_refusals.sql"
		if p.URL != "" {
			file = "migrations/postgres/00021_refusals.sql"
		}
		migration, err := migrations.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.inTx(t, func(tx *tx) error {
			statements := []string{fmt.Sprint(`UPDATE users SET deleted = TRUE WHERE id = `, gone.ID)}
			for _, of := range []chat.User{bob, gone} {
				statements = append(statements,
					fmt.Sprintf(`INSERT INTO bans (room_id, user_id, by_id, since) VALUES (%d, %d, %d, 1)`, r.ID, of.ID, ada.ID),
					fmt.Sprintf(`INSERT INTO mutes (room_id, user_id, by_id, since, until) VALUES (%d, %d, %d, 1, 2)`, r.ID, of.ID, ada.ID),
					fmt.Sprintf(`INSERT INTO blocks (user_id, blocked_id) VALUES (%d, %d)`, ada.ID, of.ID))
			}
			statements = append(statements, fmt.Sprintf(`INSERT INTO blocks (user_id, blocked_id) VALUES (%d, %d)`, gone.ID, ada.ID))
			for _, q := range append(statements, strings.Split(strings.TrimSpace(string(migration)), ";\n")...) {
				if _, err := tx.exec(q); err != nil {
					return err
				}
			}
			return nil
		})
		for table, column := range map[string]string{"bans": "user_id", "mutes": "user_id", "blocks": "blocked_id"} {
			got, err := list(t.Context(), s, scanOne[int64], `SELECT `+column+` FROM `+table)
			if err != nil || !slices.Equal(got, []int64{bob.ID}) {
				t.Errorf("%s: got users %v, %v, want bob, %d", table, got, err, bob.ID)
			}
		}
	})
}
