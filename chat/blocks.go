package chat

import "context"

// Block has v refuse, or take again, the private messages of a user.
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
		return invalid("username", "nobody can block themselves")
	}
	return s.store.SetBlock(ctx, v.User, other.ID, blocked)
}

// Blocks lists whom v blocks, by name, behind after.
func (s *Service) Blocks(ctx context.Context, v Viewer, after string, limit int) ([]string, error) {
	return s.store.Blocks(ctx, v.User, after, limit)
}
