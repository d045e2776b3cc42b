package store

import (
	"errors"
	"testing"

	"tandem/chat"
)

// The number of levels is limited. An existing one can be changed, and the default level is not stored.
func TestNotifyLevelsAreBounded(t *testing.T) { onBoth(t, testNotifyLevelsAreBounded) }

func testNotifyLevelsAreBounded(t *testing.T, p place) {
	s, ada, _ := world(t, p, nil)
	err := s.log.do(t.Context(), func(tx *tx) error {
		// A single statement: transactions have a time limit, and so many take too long on a busy machine.
		_, err := tx.exec(`WITH RECURSIVE n (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
			INSERT INTO notify_levels (user_id, topic, level) SELECT ?, 1000 + 2 * i, 'all' FROM n`, chat.MaxNotifyLevels, ada.ID)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	set := func(topic chat.Topic, level chat.NotifyLevel) error {
		return s.SetNotify(t.Context(), ada.ID, topic, level, chat.NotifyRooms)
	}
	if err := set(10, chat.NotifyAll); !errors.Is(err, chat.ErrLimitReached) {
		t.Errorf("one level more than allowed: got %v, want chat.ErrLimitReached", err)
	}
	for _, err := range []error{set(1000, chat.NotifyNone), set(10, chat.NotifyRooms), set(1000, chat.NotifyRooms), set(10, chat.NotifyAll)} {
		if err != nil {
			t.Errorf("changing a level, or setting the default: %v", err)
		}
	}
}
