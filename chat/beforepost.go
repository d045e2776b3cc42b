package chat

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"sync"
)

// BeforePost is a hook that is called before each post and edit in a room, or on the whole site.
type BeforePost struct {
	Room   int64 // the room's number; 0 for the site's hook
	URL    string
	Secret string // signs requests
	Closed bool   // refuse messages while the hook fails
}

// Verdict is a hook's answer about a message.
type Verdict struct {
	Refuse *string  // refuses it, with this text for the author; nil lets it pass
	Marks  []string // stored with the message and visible to everyone
	Report string   // reports the message with this reason; empty for no report
}

// Asker calls hooks. Ask returns an error if h does not answer in time.
type Asker interface {
	Ask(ctx context.Context, h BeforePost, question []byte) (Verdict, error)
	// CheckURL reports whether a room may use the URL; the error is for the user who entered it.
	CheckURL(ctx context.Context, url string) error
}

// Asking configures the checks before messages are posted.
type Asking struct {
	Asker   Asker
	Site    *BeforePost // nil for none
	Private bool        // also call the site's hook for private messages
	// Notify notifies the moderators of a report that a hook made.
	Notify func([]Topic, Ephemeral)
}

// Refused is the error for a message that a hook refused.
type Refused struct{ Text string }

func (e *Refused) Error() string { return e.Text }

var (
	// ErrUnchecked means that a hook did not answer and its room posts nothing unchecked.
	ErrUnchecked = errors.New("messages here are checked before they are posted, but the check did not answer; try again")
	// ErrNoBeforePost means that a room has no before-post hook.
	ErrNoBeforePost = errors.New("this room has no before-post hook")
)

// AskBefore enables before-post hooks. Call it before using the service.
func (s *Service) AskBefore(a Asking) { s.asking = a }

// question is the request to a hook: the message as it would be and, for an edit, the message's id.
type question struct {
	Type string `json:"type"` // always before_post
	text
}

// asked caches the hooks' answers about a message, so that no hook is called again if the service decides again.
type asked struct {
	answers map[BeforePost]answer
	verdict Verdict // combined
}

type answer struct {
	verdict Verdict
	err     error
}

// hooksIn returns the hooks to call for a post in a room.
func (s *Service) hooksIn(r *RoomView) []BeforePost {
	if s.asking.Site == nil && r.BeforePost == nil {
		return nil // the usual case
	}
	var hooks []BeforePost
	if s.asking.Site != nil {
		hooks = append(hooks, *s.asking.Site)
	}
	if r.BeforePost != nil {
		hooks = append(hooks, *r.BeforePost)
	}
	return hooks
}

// hooksBetween returns the hooks to call for private messages.
func (s *Service) hooksBetween() []BeforePost {
	if s.asking.Site == nil || !s.asking.Private {
		return nil
	}
	return []BeforePost{*s.asking.Site}
}

// ask calls, concurrently, the hooks that have not answered yet. It returns a *Refused or ErrUnchecked.
func (s *Service) ask(ctx context.Context, a *asked, hooks []BeforePost, t text) error {
	body, err := json.Marshal(question{"before_post", t})
	if err != nil {
		return err
	}
	answers := make([]answer, len(hooks))
	var all sync.WaitGroup
	for i, h := range hooks {
		if earlier, has := a.answers[h]; has {
			answers[i] = earlier
			continue
		}
		all.Go(func() { answers[i].verdict, answers[i].err = s.asking.Asker.Ask(ctx, h, body) })
	}
	all.Wait()
	if err := ctx.Err(); err != nil {
		return err // the caller is gone
	}
	*a = asked{answers: make(map[BeforePost]answer, len(hooks))}
	for i, h := range hooks {
		a.answers[h] = answers[i]
		v, failed := answers[i].verdict, answers[i].err != nil
		switch {
		case failed && h.Closed:
			err = ErrUnchecked
		case failed:
		case v.Refuse != nil:
			return &Refused{*v.Refuse} // final: a retry cannot change it
		default:
			for _, m := range v.Marks {
				if !slices.Contains(a.verdict.Marks, m) {
					a.verdict.Marks = append(a.verdict.Marks, m)
				}
			}
			a.verdict.Report = cmp.Or(a.verdict.Report, v.Report)
		}
	}
	return err
}

// callHooks calls the hooks for a message, unless it is a retry, and records their verdict in d and m.
func (s *Service) callHooks(ctx context.Context, a *asked, hooks []BeforePost, user int64, topic Topic, key *Key, t text) error {
	if len(hooks) == 0 {
		return nil
	}
	if key != nil {
		if used, err := s.store.KeyUsed(ctx, user, topic, key.Name); used || err != nil {
			return err
		}
	}
	return s.ask(ctx, a, hooks, t)
}

// notifyReport notifies the moderators of a report that a hook made.
func (s *Service) notifyReport(ctx context.Context, a *asked, topic Topic, room string) {
	if a.verdict.Report == "" || s.asking.Notify == nil {
		return
	}
	if r, err := s.reported(ctx, topic, room); err == nil { // if this fails, they still find it in their list
		s.asking.Notify(r.To, r.Event)
	}
}

// BeforePost returns a room's hook, for its owners. It returns ErrForbidden or ErrNoBeforePost.
func (s *Service) BeforePost(ctx context.Context, v Viewer, room string) (BeforePost, error) {
	r, err := s.view(ctx, v, room, func(r *RoomView) error { return r.mayAct(owner) })
	if err != nil {
		return BeforePost{}, err
	}
	if r.BeforePost == nil {
		return BeforePost{}, ErrNoBeforePost
	}
	return *r.BeforePost, nil
}

// SetBeforePost sets a room's hook, or removes it if h is nil. It returns ErrForbidden or an *Invalid.
func (s *Service) SetBeforePost(ctx context.Context, v Viewer, room string, h *BeforePost) error {
	checked := false
	return s.inRoomNow(ctx, v, room, func(u User, r RoomView) error {
		if err := r.mayAct(owner); err != nil {
			return err
		}
		if h != nil && !checked {
			if err := s.asking.Asker.CheckURL(ctx, h.URL); err != nil {
				return &Invalid{"url", err.Error()}
			}
			checked = true
		}
		return s.store.SetBeforePost(ctx, guard(r.Room, u), r.ID, h)
	})
}
