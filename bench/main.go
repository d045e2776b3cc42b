//go:build linux

// Bench measures a real tandem from outside: it builds the binary, starts it as a child process on a
// free port with a new data directory, loads it over loopback, and reads its CPU time and memory from
// /proc. It prints figures and judges only what must be exact: it exits 1 when a post was not stored
// once, or a reader did not get every message exactly once and in order. Slow is a failure with -check alone.
//
// The generator shares the machine with the server, so it is lean: raw sockets, epoll, requests made
// beforehand, answers scanned and not parsed. A few readers per run parse everything.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// limit ends a run that hangs in a way nobody thought of.
const limit = 30 * time.Minute

type options struct {
	binary      string        // a built tandem; empty: build it
	dir         string        // where data directories are made
	serverFlags []string      // given to the server as they are
	seconds     time.Duration // how long each measurement runs
	warmup      time.Duration
	readers     int // of the ordinary delivery runs
	crowd       int // of the large delivery run and the idle one
	events      int // in the log of the resume run
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == "floor" {
		floorChild(os.Args[2:])
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "plot" {
		if err := plot(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "bench plot:", err)
			os.Exit(1)
		}
		return
	}
	if len(os.Args) > 1 && os.Args[1] == "crowd" {
		crowdChild(os.Args[2:])
		return
	}
	var o options
	run := flag.String("run", "posts,deliveries,rooms,idle,logins,storm,stalled,attack,appends,nodes,resume", "what to measure")
	flag.StringVar(&o.binary, "bin", "", "a tandem binary; built from source if empty")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where the data directory is made; its disk is what is measured")
	extra := flag.String("server-flags", "", "more flags for the server, separated by spaces")
	seconds := flag.Int("seconds", 8, "length of each measurement")
	flag.IntVar(&o.readers, "readers", 1000, "readers of one room")
	flag.IntVar(&o.crowd, "crowd", 10000, "readers of the large run, and idle streams")
	flag.IntVar(&o.events, "events", 10_000_000, "events in the log of the resume run")
	short := flag.Bool("short", false, "a quick look: 2 s each, 200 readers, a crowd of 1,000, a log of 200,000 events")
	check := flag.Bool("check", false, "exit 1 where a figure is above its bound")
	flag.Parse()

	o.seconds, o.warmup = time.Duration(*seconds)*time.Second, 5*time.Second
	if *short {
		o.seconds, o.warmup, o.readers, o.crowd = 2*time.Second, time.Second, min(o.readers, 200), min(o.crowd, 1000)
		o.events = min(o.events, 200_000)
	}
	o.serverFlags = strings.Fields(*extra)
	o.fitToFiles()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()

	r := &report{}
	began, others := time.Now(), othersCPU()
	err := o.measure(ctx, r, strings.Split(*run, ","))
	r.tables()
	took := time.Since(began)
	fmt.Printf("\n%.0f s; meanwhile other programs kept %.2f of %d cores busy\n",
		took.Seconds(), max(0, (othersCPU()-others).Seconds()/took.Seconds()), runtime.NumCPU())
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	for _, f := range r.failures {
		fmt.Fprintln(os.Stderr, "FAILED:", f)
	}
	if *check && r.missed() > 0 {
		err = fmt.Errorf("%d figures are above their bounds", r.missed())
		fmt.Fprintln(os.Stderr, "bench:", err)
	}
	if err != nil || len(r.failures) > 0 {
		cancel()
		os.Exit(1)
	}
}

// sections are what -run may name, in the order they run in.
var sections = []struct {
	name string
	run  func(context.Context, *options, *report) error
}{{"posts", benchPosts}, {"deliveries", benchDeliveries}, {"rooms", benchRooms}, {"idle", benchIdle}, {"logins", benchLogins},
	{"storm", benchStorm}, {"stalled", benchStalled}, {"attack", benchAttack},
	{"appends", benchAppends}, {"nodes", benchNodes}, {"resume", benchResume}}

func (o *options) measure(ctx context.Context, r *report, wanted []string) error {
	for _, name := range wanted {
		known := false
		for _, s := range sections {
			known = known || s.name == name
		}
		if !known {
			return fmt.Errorf("-run: %q is none of posts, deliveries, rooms, idle, logins, storm, stalled, attack, appends, nodes, resume", name)
		}
	}
	if o.binary == "" {
		binary, remove, err := build(ctx, o.dir)
		if err != nil {
			return err
		}
		defer remove()
		o.binary = binary
	}
	for _, s := range sections {
		if !slices.Contains(wanted, s.name) {
			continue
		}
		if err := s.run(ctx, o, r); err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

// fitToFiles makes the crowd as small as the limit on open files asks; server and generator each
// hold one end of every connection.
func (o *options) fitToFiles() {
	var lim syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim) != nil {
		return
	}
	if most := int(lim.Cur) - 500; most < max(o.crowd, o.readers) {
		fmt.Printf("the limit of %d open files allows %d readers only\n", lim.Cur, most)
		o.crowd, o.readers = min(o.crowd, most), min(o.readers, most)
	}
}
