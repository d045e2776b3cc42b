//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"tandem/testservers"
)

const (
	stormStreams = 5000
	stormRooms   = 10
	stormMissed  = 10 // messages in each room that all of its streams have missed
)

// benchStorm kills the server under thousands of streams, half of them WebSockets, and restarts it. It measures the
// time until the last stream has what it missed, and the number of database reads for that. Clients retry as fast as
// they are refused.
func benchStorm(ctx context.Context, o *options, r *report) error {
	table := r.section("reconnect storm", "all resumed after", "of which ready after", "p50 since ready", "reads of the database", "for users", "for rooms")
	n := min(stormStreams, o.crowd)
	progress("\nstorm: %s streams over %d rooms, cut at once\n", thousands(n), stormRooms)
	metrics, err := testservers.FreePort()
	if err != nil {
		return err
	}
	own := *o
	own.serverFlags = append(slices.Clone(o.serverFlags), fmt.Sprint("--metrics-addr=127.0.0.1:", metrics))
	s, err := startServer(ctx, &own)
	if err != nil {
		return err
	}
	defer s.close()
	tokens, err := signUp(ctx, s)
	if err != nil {
		return err
	}
	rooms := make([]string, stormRooms)
	for i := range rooms {
		rooms[i] = fmt.Sprint("storm", i)
	}
	if err := enter(ctx, s, tokens, rooms...); err != nil {
		return err
	}
	clients := make([]*stormClient, n)
	for i := range clients {
		clients[i] = &stormClient{server: s, transport: &transports[i%len(transports)], room: rooms[i/len(transports)%len(rooms)], token: tokens[i%len(tokens)]}
	}
	defer func() {
		for _, c := range clients {
			c.close()
		}
	}()
	if err := parallel(n, 32, func(i int) error { return clients[i].connect(ctx, "") }); err != nil {
		return err
	}
	posted := make(map[string][]int64)
	for i := range stormMissed * stormRooms {
		var m struct {
			ID int64 `json:"id"`
		}
		room := rooms[i%len(rooms)]
		body := map[string]string{"message": "missed"}
		if err := call(ctx, s, "POST", "/v1/rooms/"+room+"/messages", tokens[0], body, &m); err != nil {
			return err
		}
		posted[room] = append(posted[room], m.ID)
	}

	client.CloseIdleConnections()
	began := time.Now()
	if err := s.cmd.Process.Kill(); err != nil {
		return err
	}
	<-s.done
	var back sync.WaitGroup
	took := make([]time.Duration, n)
	failed := make([]error, n)
	for i, c := range clients {
		back.Go(func() {
			failed[i] = c.resume(ctx, posted[c.room])
			took[i] = time.Since(began)
		})
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	ready := time.Since(began)
	back.Wait()
	for i, err := range failed {
		if err != nil {
			r.fail("storm: stream %d over %s: %s", i, clients[i].transport.name, err)
			break
		}
	}
	slices.Sort(took)
	reads, err := metric(ctx, metrics, "tandem_database_reads_total")
	if err != nil {
		return err
	}
	seconds := func(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
	table.add(fmt.Sprintf("%s streams, killed", thousands(n)), seconds(took[n-1]), seconds(ready), seconds(took[n/2]-ready), thousands(reads),
		fmt.Sprint(len(tokens)), fmt.Sprint(len(rooms)))
	return nil
}

// stormClient is a stream of a room that reconnects.
type stormClient struct {
	server      *server
	transport   *transport
	room, token string
	conn        net.Conn
	since       string // its cursor
	body        []byte // what was read of it
}

func (c *stormClient) close() {
	if c.conn != nil {
		c.conn.Close()
	}
}

// connect opens the stream after since, and reads until stream_open.
func (c *stormClient) connect(ctx context.Context, since string) (err error) {
	if c.conn, err = (&net.Dialer{}).DialContext(ctx, "tcp4", c.server.addr()); err != nil {
		return err
	}
	what := c.room
	if since != "" {
		what += "&since=" + since
	}
	if _, err = c.conn.Write(c.transport.request(c.server.addr(), what, c.token)); err != nil {
		return err
	}
	c.body = nil
	err = c.readUntil(func(b []byte) bool {
		_, rest, opened := bytes.Cut(b, []byte(`"type":"stream_open"`))
		_, at, found := bytes.Cut(rest, []byte(`"since":"`))
		cursor, _, whole := bytes.Cut(at, []byte(`"`))
		c.since = string(cursor)
		return opened && found && whole
	})
	if !bytes.HasPrefix(c.body, []byte(c.transport.status)) && len(c.body) > 0 {
		return fmt.Errorf("answered\n%s", c.body)
	}
	return err
}

func (c *stormClient) readUntil(done func([]byte) bool) error {
	_ = c.conn.SetReadDeadline(time.Now().Add(time.Minute))
	for chunk := make([]byte, 4096); !done(c.body); {
		n, err := c.conn.Read(chunk)
		if c.body = append(c.body, chunk[:n]...); err != nil {
			return err
		}
	}
	return nil
}

// resume reconnects until it is accepted and has got the missed messages with these ids.
func (c *stormClient) resume(ctx context.Context, ids []int64) error {
	since := c.since
	c.close()
	for {
		err := c.connect(ctx, since)
		if err == nil {
			break
		}
		c.close()
		if ctx.Err() != nil || !errors.Is(err, syscall.ECONNREFUSED) && !errors.Is(err, syscall.ECONNRESET) && !errors.Is(err, io.EOF) {
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
	var got []int64
	err := c.readUntil(func(b []byte) bool {
		got = got[:0]
		for _, part := range bytes.Split(b, messageStart)[1:] {
			if id, ok := eventID(append([]byte(`"id":`), part...)); ok {
				got = append(got, id)
			}
		}
		return len(got) >= len(ids)
	})
	if err == nil && !slices.Equal(got, ids) {
		err = fmt.Errorf("got %v, not %v", got, ids)
	}
	return err
}

// metric reads a value from a server's /metrics.
func metric(ctx context.Context, port int, name string) (float64, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", fmt.Sprintf("http://127.0.0.1:%d/metrics", port), nil)
	if err != nil {
		return 0, err
	}
	res, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(b)) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), name+" "); is {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, fmt.Errorf("/metrics has no %s", name)
}
