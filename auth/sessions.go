package auth

import (
	"context"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
)

// sessions caches live sessions, so that a request need not query the store. Forget is called for every control event,
// after which the store is queried again.
type sessions struct {
	store Store
	mu    sync.Mutex
	epoch uint64 // grows each time something is dropped, so that an older read is not cached
	byID  *lru.Cache[int64, Session]
	// API tokens by their hash. An entry of an ended token does no harm: its session is gone.
	byToken *lru.Cache[string, int64]
}

func newSessions(store Store) *sessions {
	byID, _ := lru.New[int64, Session](100_000) // only fails for a size below 1
	byToken, _ := lru.New[string, int64](10_000)
	return &sessions{store: store, byID: byID, byToken: byToken}
}

// get returns ErrNoSession for a session that has ended.
func (s *sessions) get(ctx context.Context, id int64) (Session, error) {
	if n, ok := s.byID.Get(id); ok {
		return n, nil
	}
	return s.remember(func() (Session, error) { return s.store.Session(ctx, id) })
}

func (s *sessions) getByToken(ctx context.Context, hash []byte) (Session, error) {
	if id, ok := s.byToken.Get(string(hash)); ok {
		return s.get(ctx, id)
	}
	n, err := s.remember(func() (Session, error) { return s.store.SessionByToken(ctx, hash) })
	if err == nil {
		s.byToken.Add(string(hash), n.ID)
	}
	return n, err
}

func (s *sessions) remember(read func() (Session, error)) (Session, error) {
	s.mu.Lock()
	began := s.epoch
	s.mu.Unlock()
	n, err := read()
	if err != nil {
		return Session{}, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.epoch == began {
		s.byID.Add(n.ID, n)
	}
	return n, nil
}

// forget drops one session or, with user, all: an index by user is not worth it.
func (s *sessions) forgetAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	s.byID.Purge()
	s.byToken.Purge()
}

func (s *sessions) forget(session, user int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.epoch++
	if session != 0 {
		s.byID.Remove(session)
	}
	if user != 0 {
		s.byID.Purge()
	}
}
