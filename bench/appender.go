//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tandem/chat"
	"tandem/store"
)

// appender is a node's log and its posters, without HTTP, in a separate process.
type appender struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	say    *json.Encoder
	hear   *json.Decoder
	posted int
}

type appenderTask struct {
	URL      string // of the database
	Guard    chat.Guard
	Posters  int
	Address  string // of the node that commits for the others; "" if there is none
	Forwards bool   // connect to it; otherwise this node is the one
}

// appenderPhase is one measurement; Rate 0 is as many posts as are answered.
type appenderPhase struct {
	For  time.Duration
	Rate float64 // of this node
}

type appenderResult struct {
	Latency []int32 // µs
	Commits int64
	CPU     time.Duration
	Took    time.Duration
}

// startAppender starts the process and waits until it is ready.
func startAppender(ctx context.Context, task appenderTask) (*appender, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	a := &appender{cmd: exec.CommandContext(ctx, self, "appender")}
	a.cmd.Stderr = os.Stderr
	if a.in, err = a.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := a.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	a.say, a.hear = json.NewEncoder(a.in), json.NewDecoder(out)
	if err := startChild(a.cmd); err != nil {
		return nil, err
	}
	var ready bool
	return a, errors.Join(a.say.Encode(task), a.hear.Decode(&ready))
}

func (a *appender) close() {
	_ = a.in.Close()
	_ = a.cmd.Wait()
}

// appendTogether makes all appenders post at once, and returns their combined result.
func appendTogether(all []*appender, p appenderPhase) (sum appenderResult, err error) {
	var results []appenderResult
	for _, a := range all {
		if err := a.say.Encode(p); err != nil {
			return sum, err
		}
	}
	for _, a := range all {
		var r appenderResult
		if err := a.hear.Decode(&r); err != nil {
			return sum, err
		}
		a.posted += len(r.Latency)
		results = append(results, r)
	}
	for _, r := range results {
		sum.Latency = append(sum.Latency, r.Latency...)
		sum.Commits += r.Commits
		sum.CPU += r.CPU
		sum.Took = max(sum.Took, r.Took)
	}
	return sum, nil
}

// postFunc stores a post.
type postFunc func(context.Context, chat.Guard, chat.Message) error

// runAppender is the appender's process: it reads a task and then phases, until its input ends.
func runAppender([]string) error {
	ctx := context.Background()
	hear, say := json.NewDecoder(os.Stdin), json.NewEncoder(os.Stdout)
	var task appenderTask
	if err := hear.Decode(&task); err != nil {
		return err
	}
	var commits atomic.Int64
	s, err := store.Open(ctx, store.Config{URL: task.URL, Now: time.Now, Committed: func(string, []chat.Event) { commits.Add(1) }})
	if err != nil {
		return err
	}
	defer s.Close()
	post := func(ctx context.Context, g chat.Guard, m chat.Message) error {
		_, _, err := s.Post(ctx, g, m, nil)
		return err
	}
	switch {
	case task.Forwards:
		f, err := newForwarder(task.Address)
		if err != nil {
			return err
		}
		post = f.post
	case task.Address != "":
		if err := serveForwarded(ctx, task.Address, post); err != nil {
			return err
		}
	}
	if err := say.Encode(true); err != nil {
		return err
	}
	for {
		var p appenderPhase
		if err := hear.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		r, err := p.run(ctx, task, post, &commits)
		if err != nil {
			return err
		}
		if err := say.Encode(r); err != nil {
			return err
		}
	}
}

func (p appenderPhase) run(ctx context.Context, task appenderTask, post postFunc, commits *atomic.Int64) (r appenderResult, err error) {
	var mu sync.Mutex
	cpu, was, began := used(syscall.RUSAGE_SELF), commits.Load(), time.Now()
	err = parallel(task.Posters, task.Posters, func(i int) error {
		var own []int32
		due := began.Add(time.Duration(float64(i) / max(p.Rate, 1) * float64(time.Second)))
		for time.Since(began) < p.For {
			if p.Rate > 0 {
				time.Sleep(time.Until(due))
				due = due.Add(time.Duration(float64(task.Posters) / p.Rate * float64(time.Second)))
			}
			at := time.Now()
			if err := post(ctx, task.Guard, chat.Message{Event: chat.Event{Topic: chat.RoomTopic(task.Guard.Room), Type: chat.TypeChatMessage, Author: task.Guard.User, Body: appenderBody}}); err != nil {
				return err
			}
			own = append(own, int32(time.Since(at).Microseconds()))
		}
		mu.Lock()
		defer mu.Unlock()
		r.Latency = append(r.Latency, own...)
		return nil
	})
	r.Took, r.Commits, r.CPU = time.Since(began), commits.Load()-was, used(syscall.RUSAGE_SELF)-cpu
	return r, err
}

const appenderBody = `"room":"lobby","user":"bench","sent_at":"2026-01-01T00:00:00.000Z","message":"forty-eight characters of a message over the wire"}`
