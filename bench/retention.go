//go:build linux

package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"tandem/chat"
	"tandem/followers"
	"tandem/store"
)

const (
	// retentionRate is the number of posts per second meanwhile, and retentionPosters the number of posters, which each
	// wait for the answer.
	retentionRate, retentionPosters = 400, 8
	retentionTurns                  = 6
	// disturbedAtMost is the factor by which the slowest posts may become slower.
	disturbedAtMost = 1.2
)

// benchRetention measures how much slower posts get while old messages in a long log are deleted. It takes turns with
// and without deleting, so that both see the same machine. The posters call the store directly.
func benchRetention(ctx context.Context, o *options, r *report) error {
	progress("\nretention: %d posts/s into a log of %s events in %s rooms, all of them old, without their going and with it\n",
		retentionRate, thousands(o.events), thousands(busyRooms))
	table := r.section("posts meanwhile", "p50", "p99", "slowest", "going: p50", "p99", "slowest", "p99, times without", "gone/s")
	return onBoth(o, o.events, func(d longLog) error { return retentionOn(ctx, o, r, table, d) })
}

func retentionOn(ctx context.Context, o *options, r *report, table *section, d longLog) error {
	s, err := d.open(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	account, _, err := s.CreateUser(ctx, "bench", "hash", nil)
	if err != nil {
		return err
	}
	user, err := s.User(ctx, account.ID)
	if err != nil {
		return err
	}
	room, err := s.CreateRoom(ctx, chat.Guard{User: user.ID, UserVersion: user.Version},
		chat.Room{Name: "bench", Visibility: chat.Public, Posting: chat.PostingEveryone, CreatedAt: time.Now()}, func(chat.Room) []chat.Event { return nil })
	if err != nil {
		return err
	}
	job := s.Retention(store.RetentionConfig{Site: 30 * 24 * time.Hour, Now: time.Now})
	if _, err := job.Do(ctx); err != nil { // announces what will be deleted
		return err
	}
	time.Sleep(3 * time.Second)
	var took [2][]int32
	var gone, spent int64
	for turn := range 2 * retentionTurns {
		with := turn % 2
		var stop atomic.Bool
		var going sync.WaitGroup
		before, err := goneSoFar(ctx, s)
		if err != nil {
			return err
		}
		if with == 1 {
			going.Go(func() { expireUntil(ctx, r, d.name, job, &stop) })
		}
		if turn >= 2 { // the first two warm up
			took[with] = append(took[with], postAtPace(ctx, r, s, user, room, o.seconds)...)
		} else {
			postAtPace(ctx, r, s, user, room, o.seconds/2)
		}
		stop.Store(true)
		going.Wait()
		after, err := goneSoFar(ctx, s)
		if err != nil {
			return err
		}
		if with == 1 && turn >= 2 {
			gone, spent = gone+after-before, spent+int64(o.seconds)
		}
	}
	if gone == 0 {
		r.fail("%s: nothing went", d.name)
	}
	times := float64(percentile(took[1], 0.99)) / float64(percentile(took[0], 0.99))
	cells := []string{d.name}
	for _, t := range took {
		cells = append(cells, millis2(percentile(t, 0.5)), millis2(percentile(t, 0.99)), millis2(percentile(t, 1)))
	}
	table.add(append(cells, fmt.Sprintf("%.2f", times), thousands(int(float64(gone)/time.Duration(spent).Seconds())))...)
	r.bound("p99 of a post while old messages go, to without, "+d.name, times, disturbedAtMost, "")
	return nil
}

// expireUntil runs the job until it is told to stop.
func expireUntil(ctx context.Context, r *report, name string, job followers.Job, stop *atomic.Bool) {
	for !stop.Load() && ctx.Err() == nil {
		again, err := job.Do(ctx)
		if err != nil {
			r.fail("%s: %v", name, err)
			return
		}
		for until := time.Now().Add(again); !stop.Load() && time.Now().Before(until); {
			time.Sleep(min(time.Until(until), 20*time.Millisecond))
		}
	}
}

// goneSoFar returns the number of deleted events.
func goneSoFar(ctx context.Context, s *store.Store) (int64, error) {
	first, err := s.ReadAll(ctx, 0, chat.MaxID, 1)
	if err != nil || len(first) == 0 {
		return 0, err
	}
	return first[0].ID - 1, nil
}

// postAtPace posts for some time and returns each latency in microseconds.
func postAtPace(ctx context.Context, r *report, s *store.Store, user chat.User, room chat.Room, d time.Duration) []int32 {
	var mu sync.Mutex
	var all []int32
	var posters sync.WaitGroup
	end := time.Now().Add(d)
	for i := range retentionPosters {
		posters.Go(func() {
			const pause = time.Second * retentionPosters / retentionRate
			time.Sleep(pause * time.Duration(i) / retentionPosters)
			var mine []int32
			for next := time.Now(); next.Before(end) && ctx.Err() == nil; next = next.Add(pause) {
				time.Sleep(time.Until(next))
				at := time.Now()
				_, _, err := s.Post(ctx, chat.Guard{User: user.ID, UserVersion: user.Version, Room: room.ID, RoomVersion: room.Version},
					chat.Message{Event: chat.Event{Topic: chat.RoomTopic(room.ID), Type: chat.TypeChatMessage, Author: user.ID,
						Body: fmt.Sprintf(`"room":"bench","user":"bench","message":"forty-eight characters of a message over the wire","sent_at":%q}`, chat.FormatTime(at))}}, nil)
				if err != nil {
					r.fail("a post: %v", err)
					return
				}
				mine = append(mine, int32(time.Since(at).Microseconds()))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, mine...)
		})
	}
	posters.Wait()
	return all
}
