package store

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// The migration deletes the bans, mutes and blocks of accounts that were deleted by an older version, and no others.
func TestRefusalsOfDeletedAccountsAreRemoved(t *testing.T) {
	onBoth(t, func(t *testing.T, p place) {
		s, ada, r := world(t, p, nil)
		ids := map[string]int64{"ada": ada.ID}
		for _, name := range []string{"bob", "gone"} {
			u, _, err := s.CreateUser(t.Context(), name, "hash", nil)
			if err != nil {
				t.Fatal(err)
			}
			ids[name] = u.ID
		}
		file := "migrations/sqlite/00020_refusals.sql"
		if p.URL != "" {
			file = "migrations/postgres/00021_refusals.sql"
		}
		migration, err := migrations.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		s.inTx(t, func(tx *tx) error {
			statements := []string{fmt.Sprint(`UPDATE users SET deleted = TRUE WHERE id = `, ids["gone"])}
			for _, of := range []string{"bob", "gone"} {
				statements = append(statements,
					fmt.Sprintf(`INSERT INTO bans (room_id, user_id, by_id, since) VALUES (%d, %d, %d, 1)`, r.ID, ids[of], ada.ID),
					fmt.Sprintf(`INSERT INTO mutes (room_id, user_id, by_id, since, until) VALUES (%d, %d, %d, 1, 2)`, r.ID, ids[of], ada.ID),
					fmt.Sprintf(`INSERT INTO blocks (user_id, blocked_id) VALUES (%d, %d)`, ada.ID, ids[of]))
			}
			statements = append(statements, fmt.Sprintf(`INSERT INTO blocks (user_id, blocked_id) VALUES (%d, %d)`, ids["gone"], ada.ID))
			for _, q := range append(statements, strings.Split(strings.TrimSpace(string(migration)), ";\n")...) {
				if _, err := tx.exec(q); err != nil {
					return err
				}
			}
			return nil
		})
		for table, column := range map[string]string{"bans": "user_id", "mutes": "user_id", "blocks": "blocked_id"} {
			got, err := list(t.Context(), s, scanOne[int64], `SELECT `+column+` FROM `+table)
			if err != nil || !slices.Equal(got, []int64{ids["bob"]}) {
				t.Errorf("%s: got users %v, %v, want bob, %d", table, got, err, ids["bob"])
			}
		}
	})
}
