package push

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"tandem/activity"
	"tandem/chat"
)

// shelf is a Store in memory, with one unread message for each notice.
type shelf struct {
	Store
	mu    sync.Mutex
	rows  map[int64]*row // by subscription
	asked int
}

type row struct {
	Due
	due   time.Time // zero for never
	claim int64
	ends  []End
}

func newShelf(services ...string) *shelf {
	f := &shelf{rows: map[int64]*row{}}
	for i, service := range services {
		n := int64(i + 1)
		f.rows[n] = &row{due: time.Now().Add(Grace), Due: Due{
			Topic: chat.RoomTopic(1), Message: 1, Since: time.Now().Add(Grace),
			Subscription: Subscription{Number: n, User: n, Kind: WebPush, Service: service, Target: service},
		}}
	}
	return f
}

func (f *shelf) NextPush(context.Context) (next time.Time, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	for _, r := range f.rows {
		if !r.due.IsZero() && (next.IsZero() || r.due.Before(next)) {
			next = r.due
		}
	}
	return next, nil
}

func (f *shelf) ClaimPush(_ context.Context, c Claim) (due []Due, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	for _, r := range f.rows {
		if !r.due.IsZero() && !r.due.After(c.Now) && !slices.Contains(c.Except, r.Subscription.Service) && len(due) < c.Most {
			r.claim, r.due = c.By, c.Until
			r.Tries++
			due = append(due, r.Due)
		}
	}
	return due, nil
}

func (f *shelf) EndDue(_ context.Context, by int64, d Due, e End) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked++
	r := f.rows[d.Subscription.Number]
	if r.claim != by {
		return nil
	}
	r.claim, r.ends = 0, append(r.ends, e)
	if r.due = e.At; e.Gone || e.Notified != 0 || e.GivenUp {
		r.due, r.Tries = time.Time{}, 0
	}
	if e.Untried {
		r.Tries--
	}
	return nil
}

func (f *shelf) DelayPush(_ context.Context, service string, until time.Time) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rows {
		if r.Subscription.Service == service && r.claim == 0 && !r.due.IsZero() && r.due.Before(until) {
			r.due = until
		}
	}
	return nil
}

func (f *shelf) Standing(context.Context, Due, time.Time) (Standing, error) {
	return Standing{Live: true, Name: "bob", Level: chat.NotifyAll, Room: "lobby", May: true}, nil
}

func (f *shelf) UnreadMessages(context.Context, int64, chat.Topic, int64, bool) ([]int64, error) {
	return []int64{1}, nil
}

func (f *shelf) UnreadMentionsOf(context.Context, int64, chat.Topic, int64, bool) ([]int64, error) {
	return nil, nil
}

func (f *shelf) PushedMessage(context.Context, int64) (Message, error) {
	return Message{Author: "ada", Text: "hi"}, nil
}

// sends is a Sender that records its calls.
type sends struct {
	mu   sync.Mutex
	at   map[string][]time.Duration // by service; times since the start
	from time.Time
	err  func(ctx context.Context, service string, n int) error
}

func (s *sends) Send(ctx context.Context, to Subscription, _ *Notice) error {
	s.mu.Lock()
	s.at[to.Service] = append(s.at[to.Service], time.Since(s.from))
	n := len(s.at[to.Service])
	s.mu.Unlock()
	return s.err(ctx, to.Service, n)
}

func (s *sends) to(service string) []time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.at[service])
}

// running runs a Service on a shelf in a bubble, until the end of the test.
func running(t *testing.T, f *shelf, gate *activity.Gate, err func(ctx context.Context, service string, n int) error) *sends {
	t.Helper()
	s := &sends{at: map[string][]time.Duration{}, from: time.Now(), err: err}
	push, newErr := New(f, Config{Key: NewKey(), Own: map[Kind]Sender{WebPush: s}, Gate: gate, Now: time.Now})
	if newErr != nil {
		t.Fatal(newErr)
	}
	if gate != nil {
		gate.Busy = push.Busy
	}
	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	done.Go(func() { push.Run(ctx) })
	if gate != nil {
		done.Go(func() { gate.Run(ctx) })
	}
	t.Cleanup(func() {
		stop()
		done.Wait()
	})
	return s
}

// A failing service is retried at growing intervals until it works. Its subscriptions lose nothing, and other services
// are not delayed.
func TestFailingServiceIsRetriedLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const each = 100
		var services []string
		for range each {
			services = append(services, "bad", "good")
		}
		f := newShelf(services...)
		s := running(t, f, nil, func(_ context.Context, service string, _ int) error {
			if service == "bad" && time.Since(f.rows[1].Since) < 2*time.Hour {
				return &Failure{Reason: "503", Service: true}
			}
			return nil
		})
		time.Sleep(Grace + time.Minute)
		synctest.Wait()
		if n := len(s.to("good")); n != each {
			t.Errorf("good service got %d notifications, want %d", n, each)
		}
		if n := len(s.to("bad")); n > 20 {
			t.Errorf("failing service got %d requests within a minute", n)
		}
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		if n := len(s.to("bad")); n > 60 {
			t.Errorf("failing service got %d requests within two hours", n)
		}
		time.Sleep(4 * time.Hour)
		synctest.Wait()
		for n, r := range f.rows {
			if len(r.ends) == 0 || r.ends[len(r.ends)-1].Notified != 1 {
				t.Errorf("device %d of service %s not notified: %+v", n, r.Subscription.Service, r.ends)
			}
		}
	})
}

// Requests that are in flight during a short outage count as one failure: notifications go on soon afterwards.
func TestShortOutageDelaysNotificationsBriefly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const devices = 100
		f := newShelf(slices.Repeat([]string{"short"}, devices)...)
		s := running(t, f, nil, func(ctx context.Context, _ string, n int) error {
			if n > 20 && time.Since(f.rows[1].Since) < 15*time.Second {
				<-ctx.Done()
				return unreached(ctx.Err())
			}
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		time.Sleep(Grace + 2*time.Minute)
		synctest.Wait()
		if n := len(s.to("short")); n < devices {
			t.Errorf("requests two minutes after a short outage: got %d, want at least %d", n, devices)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		for n, r := range f.rows {
			if len(r.ends) == 0 || r.ends[len(r.ends)-1].Notified != 1 {
				t.Errorf("device %d two minutes after a short outage: got %+v, want it notified", n, r.ends)
			}
		}
	})
}

// Requests without an answer end after ten seconds, and at most two per service are in flight.
func TestHangingServiceHoldsTwoRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		services := slices.Repeat([]string{"hangs"}, 300)
		f := newShelf(append(services, "good")...)
		s := running(t, f, nil, func(ctx context.Context, service string, _ int) error {
			if service == "good" {
				return nil
			}
			<-ctx.Done()
			return unreached(ctx.Err())
		})
		time.Sleep(Grace + 5*time.Second)
		synctest.Wait()
		if hangs, good := s.to("hangs"), s.to("good"); len(hangs) > 2 || len(good) != 1 {
			t.Errorf("requests to the hanging service at %v, to the good one at %v", hangs, good)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if n := len(s.to("hangs")); n < 3 || n > 12 {
			t.Errorf("hanging service got %d requests in a minute", n)
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if r := f.rows[1]; len(r.ends) > 0 && r.ends[0].Asked && r.ends[0].Error != "the push service did not answer within 10s" {
			t.Errorf("error shown to the owner = %q", r.ends[0].Error)
		}
	})
}

// Retry-After counts: at 429 for the subscription, and for the whole service when that fails.
func TestRetryAfterIsObeyed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newShelf("throttles", "throttles", "down", "down")
		s := running(t, f, nil, func(_ context.Context, service string, n int) error {
			switch {
			case service == "throttles" && n == 1:
				return &Failure{Reason: "429", After: 10 * time.Minute}
			case service == "down" && n == 1:
				return &Failure{Reason: "503", After: 20 * time.Minute, Service: true}
			case service == "down" && n == 2: // was called at the same time
				return &Failure{Reason: "503", Service: true}
			}
			return nil
		})
		time.Sleep(time.Hour)
		synctest.Wait()
		throttles, down := s.to("throttles"), s.to("down")
		if len(throttles) != 3 || throttles[1] != Grace || throttles[2] < Grace+10*time.Minute || throttles[2] > Grace+11*time.Minute {
			t.Errorf("requests to a throttling service after %v", throttles)
		}
		if len(down) != 4 || down[2] < Grace+20*time.Minute || down[3] > Grace+22*time.Minute {
			t.Errorf("requests to a service that is down after %v", down)
		}
	})
}

// A notification is dropped after three days, and at once if it is refused permanently.
func TestNotificationsAreDroppedAfterRetries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newShelf("never", "refuses")
		s := running(t, f, nil, func(_ context.Context, service string, _ int) error {
			return &Failure{Reason: service, Final: service == "refuses"}
		})
		time.Sleep(10 * 24 * time.Hour)
		synctest.Wait()
		never, refuses := s.to("never"), s.to("refuses")
		if last := never[len(never)-1]; last < 70*time.Hour || last > 74*time.Hour {
			t.Errorf("last retry %s after the due time, want about 72h", last)
		}
		if len(refuses) != 1 {
			t.Errorf("refused notification tried %d times, want once", len(refuses))
		}
		for _, r := range f.rows {
			if end := r.ends[len(r.ends)-1]; !end.GivenUp || end.Error != r.Subscription.Service {
				t.Errorf("result of the notification = %+v", end)
			}
		}
	})
}

// A node that is not needed does not query the database and sends nothing. Retries due meanwhile happen when it wakes.
// Work that is due within a minute keeps it awake.
func TestSilentNodeSendsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gate := activity.New()
		f := newShelf("down")
		works := false
		s := running(t, f, gate, func(context.Context, string, int) error {
			if works {
				return nil
			}
			return errors.New("fails")
		})
		time.Sleep(activity.Quiet + 10*time.Minute)
		synctest.Wait()
		tried := len(s.to("down"))
		if gate.Open() || tried < 3 {
			t.Fatalf("after ten minutes: gate open = %v, requests at %v", gate.Open(), s.to("down"))
		}
		f.mu.Lock()
		asked := f.asked
		works = true
		f.mu.Unlock()
		time.Sleep(12 * time.Hour)
		synctest.Wait()
		f.mu.Lock()
		if f.asked != asked || len(s.to("down")) != tried {
			t.Errorf("silent node made %d database queries and %d requests", f.asked-asked, len(s.to("down"))-tried)
		}
		f.mu.Unlock()
		if err := gate.Enter(t.Context()); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		gate.Leave()
		if n := len(s.to("down")); n != tried+1 {
			t.Errorf("node sent %d due notifications after waking, want 1", n-tried)
		}
	})
}

// When the program stops, running requests get a moment to finish, and unsent notices become due for the next node at
// once.
func TestStopWaitsBrieflyForRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newShelf("slow", "hangs", "hangs", "hangs")
		push, err := New(f, Config{Key: NewKey(), Now: time.Now, Own: map[Kind]Sender{WebPush: senderFunc(func(ctx context.Context, to Subscription) error {
			wait := 500 * time.Millisecond
			if to.Service == "hangs" {
				wait = time.Hour
			}
			select {
			case <-time.After(wait):
				return nil
			case <-ctx.Done():
				return unreached(ctx.Err())
			}
		})}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan time.Time)
		go func() {
			push.Run(ctx)
			ended <- time.Now()
		}()
		time.Sleep(Grace + 100*time.Millisecond)
		stopped := time.Now()
		stop()
		if took := (<-ended).Sub(stopped); took != leave {
			t.Errorf("shutdown took %s", took)
		}
		untried := 0
		for _, r := range f.rows {
			end := r.ends[0]
			if r.Subscription.Service == "slow" && end.Notified != 1 {
				t.Errorf("result of the notification in flight = %+v", end)
			}
			if end.Untried {
				untried++
				if end.At.After(time.Now()) {
					t.Errorf("notification that was not tried is due in %s, want now", time.Until(end.At))
				}
			}
		}
		if untried != 1 {
			t.Errorf("%d notifications not tried, want 1", untried)
		}
	})
}

type senderFunc func(ctx context.Context, to Subscription) error

func (f senderFunc) Send(ctx context.Context, to Subscription, _ *Notice) error { return f(ctx, to) }
