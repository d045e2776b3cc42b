//go:build linux

// Bench measures a real tandem from outside: it builds the binary, starts it as a child process on a free port with a new
// data directory, loads it over loopback, and reads its CPU time and memory from /proc. It prints figures. It exits with 1
// if a post was not stored exactly once, or a reader did not get every message exactly once and in order. Figures above
// their bounds are failures only with -check.
//
// The generator shares the machine with the server, so it is lean: raw sockets, epoll, requests built beforehand, and
// answers scanned rather than parsed. A few readers per run parse everything.
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

// limit ends a run that hangs.
const limit = time.Hour

type options struct {
	binary      string        // a built tandem; "" builds it
	dir         string        // where data directories are made
	serverFlags []string      // passed to the server
	seconds     time.Duration // how long each measurement runs
	warmup      time.Duration
	readers     int // in the ordinary delivery runs
	crowd       int // in the large delivery run and the idle run
	events      int // in the long log of the scale and resume runs
}

// children lists the subcommands: those with which this program starts itself, and plot.
var children = map[string]func(args []string) error{
	"floor":    serveFloor,
	"loop":     servePosts,
	"crowd":    crowdCalls,
	"appender": runAppender,
	"plot":     func([]string) error { return plot(os.Stdin, os.Stdout) },
}

func main() {
	if len(os.Args) > 1 && children[os.Args[1]] != nil {
		if err := children[os.Args[1]](os.Args[2:]); err != nil {
			fmt.Fprintf(os.Stderr, "bench %s: %v\n", os.Args[1], err)
			os.Exit(1)
		}
		return
	}
	var o options
	run := flag.String("run", strings.Join(sectionNames(), ","), "what to measure")
	flag.StringVar(&o.binary, "bin", "", "a tandem binary; built from source if empty")
	flag.StringVar(&o.dir, "dir", os.TempDir(), "where the data directory is made; its disk is what is measured")
	extra := flag.String("server-flags", "", "more flags for the server, separated by spaces")
	seconds := flag.Int("seconds", 8, "length of each measurement")
	flag.IntVar(&o.readers, "readers", 1000, "readers of one room")
	flag.IntVar(&o.crowd, "crowd", 10000, "readers of the large run, and idle streams")
	flag.IntVar(&o.events, "events", 10_000_000, "events in the long log of the scale and resume runs")
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

// sections lists what -run may name, in the order in which they run.
var sections = []struct {
	name string
	run  func(context.Context, *options, *report) error
}{{"posts", benchPosts}, {"traces", benchTraces}, {"deliveries", benchDeliveries}, {"rooms", benchRooms}, {"scale", benchScale}, {"program", benchProgram}, {"idle", benchIdle}, {"logins", benchLogins},
	{"storm", benchStorm}, {"stalled", benchStalled}, {"attack", benchAttack},
	{"appends", benchAppends}, {"nodes", benchNodes}, {"forwarding", benchForwarding}, {"resume", benchResume}, {"followers", benchFollowers}, {"hooks", benchHooks}, {"retention", benchRetention}}

func sectionNames() (names []string) {
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

func (o *options) measure(ctx context.Context, r *report, wanted []string) error {
	for _, name := range wanted {
		if !slices.Contains(sectionNames(), name) {
			return fmt.Errorf("-run: %q is none of %s", name, strings.Join(sectionNames(), ", "))
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

// fitToFiles limits the crowd to what the limit on open files allows: server and generator each hold one end of every
// connection.
func (o *options) fitToFiles() {
	var lim syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &lim) != nil {
		return
	}
	if most := int(lim.Cur) - 500; most < max(o.crowd, o.readers) {
		progress("the limit of %d open files allows %d readers only\n", lim.Cur, most)
		o.crowd, o.readers = min(o.crowd, most), min(o.readers, most)
	}
}
