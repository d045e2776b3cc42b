//go:build linux

package main

import (
	"bufio"
	"context"
	"encoding/gob"
	"errors"
	"net"
	"sync"

	"tandem/chat"
)

// forwarded is a post on its way to the node that commits, and forwardedAnswer its outcome.
type forwarded struct {
	Number  int64
	Guard   chat.Guard
	Message chat.Message
}

type forwardedAnswer struct {
	Number int64
	Error  string // "" if there was none
}

// queued writes what is put into it to a connection, with one write for everything that is waiting.
type queued[T any] chan T

func (q queued[T]) write(conn net.Conn) error {
	w := bufio.NewWriterSize(conn, 64<<10)
	out := gob.NewEncoder(w)
	for v := range q {
		for more := true; more; {
			if err := out.Encode(v); err != nil {
				return err
			}
			select {
			case v = <-q:
			default:
				more = false
			}
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	return nil
}

// forwarder sends posts to the node that commits.
type forwarder struct {
	out     queued[forwarded]
	mu      sync.Mutex
	number  int64
	waiting map[int64]chan forwardedAnswer
}

func newForwarder(address string) (*forwarder, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	f := &forwarder{out: make(queued[forwarded], 512), waiting: make(map[int64]chan forwardedAnswer)}
	go f.out.write(conn)
	go func() {
		in := gob.NewDecoder(bufio.NewReaderSize(conn, 64<<10))
		for {
			var a forwardedAnswer
			if in.Decode(&a) != nil {
				return // the run is over
			}
			f.mu.Lock()
			answered := f.waiting[a.Number]
			delete(f.waiting, a.Number)
			f.mu.Unlock()
			answered <- a
		}
	}()
	return f, nil
}

func (f *forwarder) post(_ context.Context, g chat.Guard, m chat.Message) error {
	answered := make(chan forwardedAnswer, 1)
	f.mu.Lock()
	f.number++
	n := f.number
	f.waiting[n] = answered
	f.mu.Unlock()
	f.out <- forwarded{n, g, m}
	if a := <-answered; a.Error != "" {
		return errors.New(a.Error)
	}
	return nil
}

// serveForwarded stores the posts of other nodes, and answers each when it is stored.
func serveForwarded(ctx context.Context, address string, post postFunc) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			answers := make(queued[forwardedAnswer], 512)
			go answers.write(conn)
			go func() {
				in := gob.NewDecoder(bufio.NewReaderSize(conn, 64<<10))
				for {
					var p forwarded
					if in.Decode(&p) != nil {
						return
					}
					go func() {
						a := forwardedAnswer{Number: p.Number}
						if err := post(ctx, p.Guard, p.Message); err != nil {
							a.Error = err.Error()
						}
						answers <- a
					}()
				}
			}()
		}
	}()
	return nil
}
