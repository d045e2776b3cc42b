package followers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"tandem/panics"
)

// Run runs the followers until ctx ends, returns their leases, and returns when all of them have ended.
func (r *Runner) Run(ctx context.Context) {
	r.mu.Lock()
	r.running = true
	for _, f := range r.locals {
		r.start(f)
	}
	r.mu.Unlock()
	r.keep(ctx)
	r.mu.Lock()
	for _, f := range r.locals {
		close(f.leave)
	}
	locals := slices.Clone(r.locals)
	r.mu.Unlock()
	r.giveBack(context.WithoutCancel(ctx), locals)
	r.mu.Lock()
	r.running, r.stopped = false, true // nobody starts any more
	for _, f := range locals {
		f.stepped()
	}
	r.mu.Unlock()
	r.working.Wait()
}

// keep renews the leases and claims free ones, until ctx ends.
func (r *Runner) keep(ctx context.Context) {
	t := time.NewTicker(r.lease / 3)
	defer t.Stop()
	for {
		asleep := r.gate.Asleep()
		panics.Do(r.logger, "the leases of followers", func() { r.tick(ctx) })
		select {
		case <-t.C:
		case <-r.free:
		case <-asleep:
			panics.Do(r.logger, "returning the leases of followers", func() { r.giveBack(ctx, nil) })
			select {
			case <-r.gate.Awake():
			case <-ctx.Done():
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// tick renews held leases and claims free ones.
func (r *Runner) tick(ctx context.Context) {
	began := time.Now()
	if err := r.lookForHead(ctx); err != nil {
		return
	}
	r.mu.Lock()
	kinds := slices.Sorted(maps.Keys(r.kinds))
	singles, node, holds := slices.Clone(r.singles), r.node, len(r.held)+len(r.unloaded) > 0
	r.mu.Unlock()
	if len(kinds) == 0 {
		return
	}
	err := r.ensure(ctx, singles)
	if err == nil && node != "" && holds {
		err = r.renew(ctx, node)
	} else if err == nil && node != "" {
		r.giveBack(ctx, nil) // nothing is left of it
	}
	if err == nil {
		err = r.claim(ctx, kinds)
	}
	if err == nil {
		err = r.load(ctx)
	}
	if err != nil && ctx.Err() == nil {
		r.logger.Debug("cannot renew the leases of followers; trying again", "error", err)
	}
	if err == nil {
		r.mu.Lock()
		r.looked = began
		r.mu.Unlock()
	}
	r.saveOld()
}

// lookForHead reads the log's head if it is unknown.
func (r *Runner) lookForHead(ctx context.Context) error {
	r.mu.Lock()
	known := r.name != ""
	r.mu.Unlock()
	if known {
		return nil
	}
	state, err := r.log.Head(ctx)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.name == "" {
		r.restart(state.Name, state.Head)
	}
	return nil
}

func (r *Runner) ensure(ctx context.Context, names []string) error {
	for _, name := range names {
		if err := r.leases.Ensure(ctx, name); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.singles = nil
	return nil
}

// renew renews the node's leases. If others have taken them, it holds nothing any more.
func (r *Runner) renew(ctx context.Context, node string) error {
	began := time.Now()
	alive, err := r.leases.Renew(ctx, node, r.lease)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if alive {
		r.lastUntil(began.Add(r.lease))
		return nil
	}
	r.dropAll()
	return nil
}

// lastUntil records when the leases end. The caller holds r.mu.
func (r *Runner) lastUntil(until time.Time) {
	r.until = until
	if r.expiry != nil {
		r.expiry.Stop()
	}
	r.expiry = time.AfterFunc(time.Until(until), func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if !time.Now().Before(r.until) {
			r.dropAll()
		}
	})
}

// claim claims the free followers.
func (r *Runner) claim(ctx context.Context, kinds []string) error {
	r.mu.Lock()
	doubt := r.doubt
	r.mu.Unlock()
	for {
		if !doubt {
			if free, err := r.leases.Free(ctx, kinds); err != nil || !free {
				return err
			}
		}
		r.mu.Lock()
		if r.node == "" {
			r.node = nodeName()
		}
		node := r.node
		var held []string
		if doubt {
			held = make([]string, 0, len(r.held)) // not nil
			for name := range r.held {
				held = append(held, name)
			}
			for _, l := range r.unloaded {
				held = append(held, l.Name)
			}
		}
		r.doubt = true // until it has answered
		r.mu.Unlock()
		began := time.Now()
		leases, err := r.leases.Claim(ctx, node, r.lease, kinds, mostClaimed, held)
		if err != nil {
			return err
		}
		r.mu.Lock()
		r.doubt, doubt = false, false
		r.lastUntil(began.Add(r.lease))
		r.unloaded = append(r.unloaded, leases...)
		r.mu.Unlock()
		if len(leases) < mostClaimed {
			return nil
		}
	}
}

// load starts the followers whose leases were claimed.
func (r *Runner) load(ctx context.Context) error {
	r.mu.Lock()
	leases := r.unloaded
	r.mu.Unlock()
	byKind := make(map[string][]string)
	for _, l := range leases {
		byKind[KindOf(l.Name)] = append(byKind[KindOf(l.Name)], l.Name)
	}
	var failed error
	for kind, names := range byKind {
		r.mu.Lock()
		k := r.kinds[kind]
		r.mu.Unlock()
		err := ErrPanicked
		var found []Follower
		panics.Do(r.logger, "loading followers", func() { found, err = k.Load(ctx, names) })
		if err != nil {
			failed = errors.Join(failed, err)
			continue // they stay with the unloaded
		}
		r.loaded(names, found)
	}
	return failed
}

// loaded runs these followers, if the leases of these names are still held.
func (r *Runner) loaded(names []string, found []Follower) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unloaded = slices.DeleteFunc(slices.Clone(r.unloaded), func(l Lease) bool {
		if !slices.Contains(names, l.Name) {
			return false
		}
		i := slices.IndexFunc(found, func(f Follower) bool { return f.Name == l.Name })
		if i < 0 { // held, so that it is not claimed repeatedly
			r.held[l.Name] = newRunning(Follower{Name: l.Name}, l)
			return true
		}
		f := newRunning(found[i], l)
		r.held[l.Name] = f
		r.list(f)
		r.start(f)
		return true
	})
}

// list registers a follower for its topics' events. The caller holds r.mu.
func (r *Runner) list(f *running) {
	if f.Topics == nil {
		r.all = append(r.all, f)
	}
	for _, t := range f.Topics {
		r.byTopic[t] = append(r.byTopic[t], f)
	}
}

// drop stops a follower and cancels its work. The caller holds r.mu.
func (r *Runner) drop(f *running) {
	if f.left() {
		return
	}
	close(f.leave)
	f.cancel()
	r.forget(f)
}

// forget removes a follower from the lists. The caller holds r.mu.
func (r *Runner) forget(f *running) {
	is := func(other *running) bool { return other == f }
	if r.held[f.Name] == f {
		delete(r.held, f.Name)
	}
	r.all = slices.DeleteFunc(r.all, is)
	r.due = slices.DeleteFunc(r.due, is)
	for _, t := range f.Topics {
		r.byTopic[t] = slices.DeleteFunc(r.byTopic[t], is)
		if len(r.byTopic[t]) == 0 {
			delete(r.byTopic, t)
		}
	}
}

// dropAll drops all leased followers. The caller holds r.mu.
func (r *Runner) dropAll() {
	r.unloaded, r.doubt = nil, true
	for _, f := range r.held {
		r.drop(f)
	}
}

// giveBack stops the leased followers, and these others, and returns the leases. Running work has a moment to end.
func (r *Runner) giveBack(ctx context.Context, others []*running) {
	r.mu.Lock()
	leaving := slices.Concat(slices.Collect(maps.Values(r.held)), others)
	for _, f := range leaving {
		if !f.left() {
			close(f.leave)
		}
	}
	r.mu.Unlock()
	grace := time.NewTimer(leaveGrace)
	defer grace.Stop()
	over := false
	var all []Progress
	for _, f := range leaving {
		for ended := false; !ended; {
			r.mu.Lock()
			step, active := f.step, f.active
			if ended = !active; ended && f.cursor == nil {
				if f.current {
					f.pos = max(f.pos, r.head)
				}
				all = append(all, f.progress())
			}
			r.mu.Unlock()
			if ended {
				continue
			}
			if over {
				f.cancel()
				<-step
				continue
			}
			select {
			case <-step:
			case <-grace.C:
				over = true
			}
		}
		f.cancel()
	}
	r.mu.Lock()
	node := r.node
	for _, f := range leaving {
		r.forget(f)
	}
	r.node, r.unloaded, r.doubt = "", nil, false // the next leases get a new node name
	if r.expiry != nil {
		r.expiry.Stop()
	}
	r.mu.Unlock()
	if node == "" {
		return
	}
	if err := r.leases.Release(ctx, node, all); err != nil {
		r.logger.Warn("could not return the leases of followers; they will expire", "error", err)
	}
}
