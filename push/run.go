package push

import (
	"context"
	"math/rand/v2"
	"time"

	"tandem/panics"
)

const (
	// most is how many notices a node claims at once.
	most = 256
	// claimAtOnce bounds how many of them one claim adds, so that all services get their turn.
	claimAtOnce = 32
	// claimFor is when a notice of a dead node is due again.
	claimFor = 45 * time.Second
	// askFor is how long a push service may take.
	askFor = 10 * time.Second
	// leave is how long requests may take to end when the program stops.
	leave = time.Second
	// lookAgain is when to check for due notices again if no service takes more now.
	lookAgain = time.Second
)

// Run sends due notices until ctx ends. Running requests then get a moment to end.
func (s *Service) Run(ctx context.Context) {
	asking, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer func() {
		cut := time.AfterFunc(leave, stop)
		s.working.Wait()
		cut.Stop()
		stop()
	}()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-s.gate.Awake(): // due notices wait while the node is silent
		case <-ctx.Done():
			return
		}
		wait := lookAgain
		panics.Do(s.logger, "sending notifications", func() { wait = s.pass(ctx, asking) })
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.more:
		case <-ctx.Done():
			return
		}
	}
}

// pass claims due notices and starts sending them. It returns how long nothing else is due, unless Kick is called.
func (s *Service) pass(ctx, asking context.Context) time.Duration {
	next, err := s.store.NextPush(ctx)
	now := s.now()
	for err == nil && !next.IsZero() && !next.After(now) {
		s.mu.Lock()
		except, room := s.full(now), most-s.claimed
		s.mu.Unlock()
		if room <= 0 {
			break
		}
		c := Claim{By: 1 + rand.Int64N(1<<53), Now: now, Until: now.Add(claimFor), Except: except, Most: min(room, claimAtOnce)}
		var due []Due
		if due, err = s.store.ClaimPush(ctx, c); err != nil || len(due) == 0 {
			break
		}
		s.mu.Lock()
		for _, d := range due {
			s.enqueue(asking, job{d, c})
		}
		s.mu.Unlock()
		next, err = s.store.NextPush(ctx)
	}
	if err != nil && ctx.Err() == nil {
		s.logger.Warn("notifications wait for the database", "error", err)
		next = now.Add(lookAgain)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next = next
	switch {
	case next.IsZero():
		return 24 * time.Hour // Kick announces more
	case next.After(now):
		return next.Sub(now)
	}
	return lookAgain
}

// job is a notice that this node has claimed.
type job struct {
	Due
	claim Claim
}
