package store

import (
	"context"
	"math/rand/v2"
	"testing"
	"time"

	"tandem/chat"
	"tandem/followers"
)

// A caller that gives up on its job shares no memory with it: the job may still run (see writer.do). The race detector
// would notice.
func TestAbandonedJobsShareNothingWithTheirCallers(t *testing.T) {
	onBoth(t, testAbandonedJobsShareNothingWithTheirCallers)
}

func testAbandonedJobsShareNothingWithTheirCallers(t *testing.T, p place) {
	s, ada, lobby := world(t, p, nil)
	guard, topic := guardOf(ada, lobby), chat.RoomTopic(lobby.ID)
	e, _, err := s.Post(t.Context(), guard, message(ada, lobby, "hello"), nil)
	if err != nil {
		t.Fatal(err)
	}
	calls := map[string]func(context.Context) error{
		"Claim": func(ctx context.Context) error {
			_, err := s.Claim(ctx, "a", time.Minute, []string{"test"}, 10, nil)
			return err
		},
		"Renew":  func(ctx context.Context) error { _, err := s.Renew(ctx, "a", time.Minute); return err },
		"Save":   func(ctx context.Context) error { _, err := s.Save(ctx, []followers.Progress{{}}); return err },
		"Report": func(ctx context.Context) error { _, err := s.Report(ctx, guard, topic, e.ID, "spam"); return err },
		"ChangeReport": func(ctx context.Context) error {
			_, err := s.ChangeReport(ctx, guard, topic, 1, chat.ReportOpen)
			return err
		},
		"MarkRead": func(ctx context.Context) error { _, err := s.MarkRead(ctx, ada.ID, topic, e.ID); return err },
		"UseUpload": func(ctx context.Context) error {
			_, err := s.UseUpload(ctx, ada.ID, 1, 1<<20)
			return err
		},
		"keepFrom": func(ctx context.Context) error { _, err := s.keepFrom(ctx, 0, 1); return err },
		"expire": func(ctx context.Context) error {
			_, _, _, _, err := s.expire(ctx, &expiring{})
			return err
		},
		"Post": func(ctx context.Context) error {
			_, _, err := s.Post(ctx, guard, message(ada, lobby, "and gone"), nil)
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			for range 100 {
				ctx, leave := context.WithTimeout(t.Context(), time.Duration(rand.IntN(1000))*time.Microsecond)
				_ = call(ctx) // the outcome is unknown
				leave()
			}
		})
	}
}
