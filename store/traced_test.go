package store

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"tandem/chat"
)

// recordedTraces records the committed events; all writes are traced.
type recordedTraces struct{ ids []int64 }

func (*recordedTraces) Parent(context.Context) string { return "00-0-0-01" }

func (t *recordedTraces) Committed(id int64, _ string, _ time.Time, _ time.Duration, _ int) {
	t.ids = append(t.ids, id)
}

// Events of a failed transaction are not in a trace: their ids go to other events later.
func TestTracesRecordDurability(t *testing.T) {
	t.Parallel()
	traces := &recordedTraces{}
	s := place{Dir: t.TempDir()}.open(t, Config{Traces: traces})
	write := func(refused, broken error) error {
		return s.log.do(t.Context(), func(tx *tx) error {
			_, err := tx.append(chat.Event{Topic: chat.RoomTopic(1), Type: "x", Body: `"x":1}`})
			tx.broken = broken
			return errors.Join(err, refused)
		})
	}
	traces.ids = nil // what opening the store wrote
	before, err := s.Head(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := write(errors.New("refused"), nil); err == nil {
		t.Fatal("refused write: got no error")
	}
	if err := write(nil, errors.New("the database is gone")); err == nil {
		t.Fatal("lost event: got no error")
	}
	if err := write(nil, nil); err != nil {
		t.Fatal(err)
	}
	if want := []int64{before.Head + 1}; !slices.Equal(traces.ids, want) {
		t.Errorf("got durable %v, want %v", traces.ids, want)
	}
}
