package chat

import "context"

// Limits of reactions.
const (
	MaxReactions = 20 // different emoji on one message
	MaxReactors  = 20 // users that a reaction names; its count includes all
)

// Reaction is one emoji's reactions to a message, as history shows it.
type Reaction struct {
	Emoji string   `json:"emoji"`
	Count int      `json:"count"`
	Me    bool     `json:"me"`    // whether the viewer is among them
	Users []string `json:"users"` // the first MaxReactors
}

// React adds or removes v's reaction to a message. Everyone who may read a message may react to it, unless muted.
func (s *Service) React(ctx context.Context, v Viewer, room string, id int64, emoji string, on bool) error {
	emoji, err := prepareEmoji(emoji)
	if err != nil {
		return err
	}
	typ := TypeReactionAdded
	if !on {
		typ = TypeReactionRemoved
	}
	return s.inRoom(ctx, v, room, func(u User, r RoomView) error {
		may := r.mayRead()
		if on {
			may = r.mayBeHeard(s.now())
		}
		if may != nil {
			return may
		}
		p := placeIn(u, r)
		if _, err := s.store.Message(ctx, p.topic, id); err != nil {
			return err
		}
		e := p.event(typ, struct {
			Room      string `json:"room"`
			MessageID int64  `json:"message_id"`
			User      string `json:"user"`
			Emoji     string `json:"emoji"`
			SentAt    string `json:"sent_at"`
		}{p.room, id, p.user.Name, emoji, FormatTime(s.now())})
		return s.store.React(ctx, p.guard, p.topic, id, emoji, on, e)
	})
}
