//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// readers are many streams of one room. They scan for messages, and record for each stream how many there were and
// whether ids ascended. A stream has missed and duplicated nothing if it has as many messages as were posted, with
// strictly ascending ids from the first to the last.
type readers struct {
	threads  []*readerThread
	seen     atomic.Int64 // messages, for all readers including the parsing ones
	sampling atomic.Bool  // whether to record latencies
	stop     atomic.Bool
	stopped  sync.WaitGroup
}

type reader struct {
	fd          int
	room        int // where there are several
	chunked     bool
	chunks      dechunker
	cut         []byte // the start of an event that is not complete yet
	count       int
	first, last int64
	wrong       string // empty while all is well
	ended       bool
}

// readerThread reads some of the readers. It holds its lock while it handles what has arrived.
type readerThread struct {
	of      *readers
	poll    *poll
	lock    sync.Mutex
	readers []*reader
	latency []int32 // µs from post to delivery
	buffer  [carry + 64<<10]byte
}

// carry is the space reserved before the read buffer for the start of an event.
const carry = 2048

// openReaders opens n streams of a room, a few dozen at a time.
func openReaders(ctx context.Context, s *server, t *transport, tokens []string, room string, n int) (*readers, error) {
	return connectReaders(ctx, n, func(i int) (*reader, []byte, error) {
		fd, chunked, body, err := t.open(s, room, tokens[i%len(tokens)])
		return &reader{fd: fd, chunked: chunked}, body, err
	})
}

// connectReaders reads from n connections. connect also returns what it has read already.
func connectReaders(ctx context.Context, n int, connect func(i int) (*reader, []byte, error)) (*readers, error) {
	rs := &readers{}
	// A single reading thread leaves the other of two cores to the server.
	for range max(1, runtime.NumCPU()/2) {
		p, err := newPoll()
		if err != nil {
			return nil, err
		}
		rs.threads = append(rs.threads, &readerThread{of: rs, poll: p})
	}
	for _, th := range rs.threads {
		rs.stopped.Go(th.run)
	}
	err := parallel(n, 32, func(i int) error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		r, body, err := connect(i)
		if err != nil {
			return fmt.Errorf("reader %d: %w", i, err)
		}
		return rs.adopt(i, r, body)
	})
	if err != nil {
		rs.close()
		return nil, err
	}
	return rs, nil
}

// adopt passes a connected reader to a thread, with what was read already.
func (rs *readers) adopt(i int, r *reader, body []byte) error {
	th := rs.threads[i%len(rs.threads)]
	th.lock.Lock()
	defer th.lock.Unlock()
	n := copy(th.buffer[carry:], body)
	th.feed(r, n)
	th.readers = append(th.readers, r)
	return th.poll.add(r.fd, len(th.readers)-1)
}

func (rs *readers) close() {
	rs.stop.Store(true)
	rs.stopped.Wait()
	for _, th := range rs.threads {
		for _, r := range th.readers {
			syscall.Close(r.fd)
		}
		th.poll.close()
	}
}

// reset clears the counts before the next run.
func (rs *readers) reset(sampling bool) {
	rs.sampling.Store(sampling)
	rs.seen.Store(0)
	for _, th := range rs.threads {
		th.lock.Lock()
		th.latency = th.latency[:0]
		for _, r := range th.readers {
			r.count, r.first, r.last = 0, 0, 0
			if !r.ended {
				r.wrong = ""
			}
		}
		th.lock.Unlock()
	}
}

func (th *readerThread) run() {
	for !th.of.stop.Load() {
		err := th.poll.wait(100*time.Millisecond, func(number int) {
			th.lock.Lock()
			defer th.lock.Unlock()
			r := th.readers[number]
			n, err := read(r.fd, th.buffer[carry:])
			if err == syscall.EAGAIN {
				return
			}
			if err != nil {
				r.wrong, r.ended = fmt.Sprintf("the stream ended after %d messages (%v)", r.count, err), true
				th.poll.remove(r.fd)
				return
			}
			th.feed(r, n)
		})
		if err != nil {
			panic(err)
		}
	}
}

// messageStart is the start of every message: an event's keys have a fixed order.
var (
	messageStart = []byte(`"type":"chat_message","id":`)
	stampStart   = []byte(`"message":"t=`)
)

// feed counts the messages in the n bytes that were read into the buffer.
func (th *readerThread) feed(r *reader, n int) {
	data := th.buffer[carry : carry+n]
	if r.chunked {
		data = r.chunks.strip(data)
	}
	b := th.buffer[carry-len(r.cut) : carry+len(data)]
	copy(b, r.cut)
	r.cut = r.cut[:0]
	var now int64
	before := r.count
	for {
		i := bytes.Index(b, messageStart)
		if i < 0 {
			break
		}
		id, posted, size := parseMessage(b[i:])
		if size == 0 {
			if len(b)-i > carry {
				r.wrong = "a message that is none of ours"
				return
			}
			r.cut = append(r.cut, b[i:]...)
			b = nil
			break
		}
		b = b[i+size:]
		if id <= r.last && r.wrong == "" {
			r.wrong = fmt.Sprintf("id %d after id %d", id, r.last)
		}
		if r.count == 0 {
			r.first = id
		}
		r.last = id
		r.count++
		if th.of.sampling.Load() {
			if now == 0 {
				now = time.Now().UnixMicro()
			}
			th.latency = append(th.latency, int32(now-posted))
		}
	}
	th.of.seen.Add(int64(r.count - before))
	// The pattern may start at the very end, but the end of an event is never part of it.
	if len(b) > 0 && b[len(b)-1] != '}' && b[len(b)-1] != '\n' {
		r.cut = append(r.cut, b[max(0, len(b)-len(messageStart)+1):]...)
	}
}

// parseMessage reads the id and timestamp of the message at the start of b, and returns the length read, or 0 if b ends
// before that.
func parseMessage(b []byte) (id, posted int64, size int) {
	id, ok := eventID(b)
	i := bytes.Index(b, stampStart)
	if end := i + len(stampStart) + stampDigits; ok && i >= 0 && end <= len(b) {
		for _, c := range b[end-stampDigits : end] {
			posted = posted*10 + int64(c-'0')
		}
		return id, posted, end
	}
	return 0, 0, 0
}

// eventID finds the id in an event.
func eventID(b []byte) (id int64, ok bool) {
	_, b, _ = bytes.Cut(b, []byte(`"id":`))
	for _, c := range b {
		if c < '0' || c > '9' {
			return id, id > 0
		}
		id = id*10 + int64(c-'0')
	}
	return 0, false
}

// wait returns when all readers together have seen n messages. It gives up when none has arrived for 10 s.
func (rs *readers) wait(ctx context.Context, n int64) (complete bool) {
	last, at := rs.seen.Load(), time.Now()
	for ctx.Err() == nil {
		seen := rs.seen.Load()
		if seen >= n {
			return true
		}
		if seen != last {
			last, at = seen, time.Now()
		} else if time.Since(at) > 10*time.Second {
			return false
		}
		time.Sleep(2 * time.Millisecond)
	}
	return false
}

// compare describes the difference between what r got and what was posted, with ascending ids, or returns "".
func (r *reader) compare(ids []int64) string {
	switch {
	case r.wrong != "":
		return r.wrong
	case r.count != len(ids):
		return fmt.Sprintf("got %d messages of %d", r.count, len(ids))
	case len(ids) > 0 && (r.first != ids[0] || r.last != ids[len(ids)-1]):
		return fmt.Sprintf("got ids %d to %d, not %d to %d", r.first, r.last, ids[0], ids[len(ids)-1])
	}
	return ""
}

// wrong compares what each reader got with what was posted, with ascending ids, and describes the differences.
func (rs *readers) wrong(ids []int64) []string {
	var out []string
	for t, th := range rs.threads {
		th.lock.Lock()
		for i, r := range th.readers {
			what := r.compare(ids)
			if what != "" {
				out = append(out, fmt.Sprintf("reader %d.%d: %s", t, i, what))
			}
		}
		th.lock.Unlock()
	}
	return out
}

func (rs *readers) latencies() (all []int32) {
	for _, th := range rs.threads {
		th.lock.Lock()
		all = append(all, th.latency...)
		th.lock.Unlock()
	}
	return all
}
