package chat

import "context"

// Block makes v block a user's private messages, or accept them again.
func (s *Service) Block(ctx context.Context, v Viewer, username string, blocked bool) error {
	name, err := PrepareUsername(username)
	if err != nil {
		return err
	}
	other, err := s.store.UserNamed(ctx, name)
	if err != nil {
		return err
	}
	if other.ID == v.User {
		return invalid("username", "you cannot block yourself")
	}
	return s.store.SetBlock(ctx, v.User, other.ID, blocked)
}

// Blocks lists the users that v blocks, by name, starting after the name after.
func (s *Service) Blocks(ctx context.Context, v Viewer, after string, limit int) ([]string, error) {
	return s.store.Blocks(ctx, v.User, after, limit)
}
