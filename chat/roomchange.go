package chat

import "context"

// Change updates a room's title, visibility, posting, slow mode, retention or receipts. It returns ErrForbidden or
// ErrLastOwner.
func (s *Service) Change(ctx context.Context, v Viewer, room string, c RoomChange) (RoomView, error) {
	if c.Title != nil {
		if err := checkTitle(*c.Title); err != nil {
			return RoomView{}, err
		}
	}
	if err := checkRetention(valueOr(c.Retention, 0)); err != nil {
		return RoomView{}, err
	}
	least := owner
	if c.SlowMode != nil {
		if err := checkSlowMode(*c.SlowMode); err != nil {
			return RoomView{}, err
		}
		if c == (RoomChange{SlowMode: c.SlowMode}) {
			least = moderator
		}
	}
	var view RoomView
	err := s.inRoomNow(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayAct(least); err != nil {
			return err
		}
		was := r.Room
		r.Title = valueOr(c.Title, r.Title)
		r.Visibility = valueOr(c.Visibility, r.Visibility)
		r.Posting = valueOr(c.Posting, r.Posting)
		r.Retention = valueOr(c.Retention, r.Retention)
		r.Receipts = valueOr(c.Receipts, r.Receipts && r.Visibility == Private) // turned off when the room becomes public
		r.SlowMode = valueOr(c.SlowMode, r.SlowMode)
		if err := r.checkReceipts(); err != nil {
			return err
		}
		if view = r; r.Room == was {
			return nil
		}
		events := []Event{roomUpdated(r.Room, u, s.now())}
		if was.Visibility == Public && r.Visibility != Public {
			n, err := s.store.Owners(ctx, r.ID)
			if err != nil {
				return err
			}
			if n == 0 {
				return ErrLastOwner
			}
			events = append(events, ControlEvent{Room: r.ID}.Event(u.ID))
		}
		var err error
		view.Version, err = s.store.ChangeRoom(ctx, guard(was, u), r.Room, events)
		return err
	})
	if err == nil {
		err = s.count(ctx, v, &view)
	}
	return view, err
}

// Delete deletes a room; its name becomes free. It returns ErrForbidden.
func (s *Service) Delete(ctx context.Context, v Viewer, room string) error {
	return s.inRoom(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayAct(owner); err != nil {
			return err
		}
		return s.store.DeleteRoom(ctx, guard(r.Room, u), r.ID, roomDeleted(r.Room, u, s.now()))
	})
}

func valueOr[T any](p *T, otherwise T) T {
	if p == nil {
		return otherwise
	}
	return *p
}
