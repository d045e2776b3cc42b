package push

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"tandem/panics"
)

// lane is the queue of one push service: a slow or broken service delays nobody else. Service.mu guards it.
type lane struct {
	service string
	queue   []job
	running int
	proven  bool      // the last request was answered
	fails   int       // in a row; requests that were running together count once
	failed  time.Time // when the last of them failed
	until   time.Time // nothing is sent before
}

const (
	// width is how many requests a service gets at once, and narrow how many before it has answered one.
	width, narrow = 16, 2
	// enough is how many of its notices are queued before others are claimed.
	enough = 32
	// broken is how many consecutive requests fail before the service is paused.
	broken = 3
	// mostLanes bounds the services that are remembered without queued notices.
	mostLanes = 1000
)

// full returns the services whose notices must not be claimed now. The caller holds s.mu.
func (s *Service) full(now time.Time) []string {
	names := []string{}
	for name, l := range s.lanes {
		if len(l.queue)+l.running >= enough || l.until.After(now) {
			names = append(names, name)
		}
	}
	return names
}

// enqueue queues a job. The caller holds s.mu.
func (s *Service) enqueue(ctx context.Context, j job) {
	l := s.lanes[j.Subscription.Service]
	if l == nil {
		s.forgetLanes()
		l = &lane{service: j.Subscription.Service}
		s.lanes[l.service] = l
	}
	l.queue = append(l.queue, j)
	s.claimed++
	s.advance(ctx, l)
}

// forgetLanes bounds their number. The caller holds s.mu.
func (s *Service) forgetLanes() {
	if len(s.lanes) < mostLanes {
		return
	}
	now := s.now()
	for name, l := range s.lanes {
		if l.running == 0 && len(l.queue) == 0 && !l.until.After(now) {
			delete(s.lanes, name)
		}
	}
}

// advance starts as many requests as the service gets. The caller holds s.mu.
func (s *Service) advance(ctx context.Context, l *lane) {
	most := narrow
	if l.proven {
		most = width
	}
	for l.running < most && len(l.queue) > 0 {
		l.running++
		s.working.Go(func() { s.work(ctx, l) })
	}
}

// work does a lane's jobs until there are no more.
func (s *Service) work(ctx context.Context, l *lane) {
	for {
		s.mu.Lock()
		if len(l.queue) == 0 {
			l.running--
			s.mu.Unlock()
			s.Kick() // there is room for more
			return
		}
		j := l.queue[0]
		l.queue = l.queue[1:]
		now, until := s.now(), l.until
		s.mu.Unlock()
		end := End{At: now}
		if until.After(now) || now.Add(askFor).After(j.claim.Until) || ctx.Err() != nil { // or there is no time left to send
			end.At, end.Untried = later(now, until), true
		} else if !panics.Do(s.logger, "sending a notification", func() { end = s.notify(ctx, l, j) }) {
			end.GivenUp = true // it would panic again
		}
		s.end(context.WithoutCancel(ctx), j, end)
		s.mu.Lock()
		s.claimed--
		s.advance(ctx, l)
		s.mu.Unlock()
	}
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// end stores a job's outcome, retrying for a while: what was sent and is not recorded will be sent again.
func (s *Service) end(ctx context.Context, j job, e End) {
	var err error
	for wait := 100 * time.Millisecond; wait < 4*time.Second; wait *= 2 {
		if err = s.store.EndDue(ctx, j.claim.By, j.Due, e); err == nil {
			return
		}
		time.Sleep(wait)
	}
	s.logger.Warn("could not store the outcome of a notification; it may be sent again", "error", err)
}

// notify decides on a notice and sends it if needed.
func (s *Service) notify(ctx context.Context, l *lane, j job) End {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	v, err := s.decide(ctx, j.Due)
	if err != nil {
		return End{At: s.now().Add(s.backoff(j.Tries))} // the database's fault, so it does not count as a failure
	}
	if v.send == nil {
		return v.end
	}
	sender := s.senders[j.Subscription.Kind]
	if sender == nil { // no longer configured
		return End{GivenUp: true, Asked: true, Error: fmt.Sprintf("this server sends no notifications by %s", j.Subscription.Kind)}
	}
	began := s.now()
	err = sender.Send(ctx, j.Subscription, v.send)
	v.end.Asked = true
	return s.learn(l, j, began, v.end, err)
}

// learn updates the lane after a push service's answer to a request that began then.
func (s *Service) learn(l *lane, j job, began time.Time, sent End, err error) End {
	var f *Failure
	if err != nil && !errors.As(err, &f) {
		f = &Failure{Reason: err.Error()}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f == nil || f.Gone || f.Final {
		l.proven, l.fails, l.until = true, 0, time.Time{}
		switch {
		case f == nil:
			return sent
		case f.Gone:
			return End{Gone: true, Asked: true}
		}
		return End{GivenUp: true, Asked: true, Error: f.Reason}
	}
	now := s.now()
	wait := max(f.After, s.backoff(j.Tries))
	if f.Service {
		if !began.Before(l.failed) {
			l.fails++
			l.failed = now
		}
		l.proven = false
		if pause := max(f.After, s.backoff(l.fails)); l.fails >= broken || f.After > 0 {
			until := now.Add(pause)
			l.until = until
			s.working.Go(func() { s.delay(l.service, until) })
		}
	}
	end := End{At: now.Add(wait), Asked: true, Error: f.Reason}
	if end.At.Sub(j.Since) > keepFor {
		end.GivenUp = true
	}
	return end
}

// delay moves a service's notices out of the way of others.
func (s *Service) delay(service string, until time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), askFor)
	defer cancel()
	if err := s.store.DelayPush(ctx, service, until); err != nil {
		s.logger.Warn("could not delay a push service's notifications", "service", service, "error", err)
	}
	s.logger.Warn("a push service does not accept notifications", "service", service, "until", until)
}

// keepFor is how long a notification is retried, and how long push services keep it for a device that is off: three
// days, a weekend.
const keepFor = 72 * time.Hour

// backoff returns the wait after the n-th consecutive failure: 5 s, then three times as long, an hour at most.
func (s *Service) backoff(n int) time.Duration {
	d := 5 * time.Second
	for range min(n, 8) - 1 {
		d *= 3
	}
	d = min(d, time.Hour)
	return d + rand.N(d/4)
}

// Failure is why a notification did not arrive.
type Failure struct {
	Reason  string        // for users
	Gone    bool          // the device no longer has a subscription
	Final   bool          // retrying makes no sense
	Service bool          // it affects all subscriptions of the service
	After   time.Duration // when the service asks to retry; 0 if it does not
}

func (f *Failure) Error() string { return f.Reason }
