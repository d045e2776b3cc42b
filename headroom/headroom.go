// Package headroom reports how close the process is to its memory limit, so that it can refuse work before the kernel
// kills it.
package headroom

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"strings"
)

// Process reads the limits of this process: Go's own (GOMEMLIMIT) and that of its cgroup (version 2).
type Process struct {
	cgroup string // its directory; empty if there is none
}

// NewProcess looks for the cgroup of this process.
func NewProcess() *Process { return &Process{findCgroup("/proc/self/cgroup", "/sys/fs/cgroup")} }

// Used returns the share of the nearest limit that is in use, without garbage: 0 without limits, more than 1 beyond
// them. Garbage since the last collection counts, unless collect runs one, which takes longer the more memory is in use.
// Used may be called concurrently.
func (p *Process) Used(collect bool) float64 {
	if collect {
		runtime.GC()
	}
	kept, garbage := goMemory()
	used := 0.0
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		used = float64(kept) / float64(limit)
	}
	if p.cgroup == "" {
		return used
	}
	return max(used, cgroupUsed(p.cgroup, garbage))
}

// goMemory returns what Go's runtime has from the system: what is in use, and what a collection would free.
func goMemory() (kept, garbage uint64) {
	s := []metrics.Sample{
		{Name: "/memory/classes/total:bytes"},
		{Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/free:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/gc/heap/live:bytes"}, // as of the last collection
	}
	metrics.Read(s)
	total, released, free, objects, live := s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64(), s[3].Value.Uint64(), s[4].Value.Uint64()
	garbage = free + objects - min(objects, live)
	return total - min(total, released+garbage), garbage
}

// findCgroup returns the directory of the process's cgroup under mount; empty if it has none, or one of version 1.
func findCgroup(of, mount string) string {
	lines, err := os.ReadFile(of)
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(lines)) {
		path, found := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !found {
			continue
		}
		// Within a container the mount may be the cgroup itself, and the path the one outside.
		for _, dir := range []string{filepath.Join(mount, path), mount} {
			if _, err := os.Stat(filepath.Join(dir, "memory.current")); err == nil {
				return dir
			}
		}
	}
	return ""
}

// cgroupUsed returns the share of the cgroup's limit that is in use, without the page cache, which the kernel can free,
// and without our own garbage. It counts the kernel's buffers of our connections, and child processes. It is 0 if there
// is no limit.
func cgroupUsed(dir string, garbage uint64) float64 {
	limit, limited := number(dir, "memory.max")
	current, known := number(dir, "memory.current")
	if !limited || !known || limit == 0 {
		return 0
	}
	stat, err := os.ReadFile(filepath.Join(dir, "memory.stat"))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(stat)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "active_file", "inactive_file", "slab_reclaimable":
			n, _ := strconv.ParseUint(value, 10, 64)
			garbage += n
		}
	}
	return float64(current-min(current, garbage)) / float64(limit)
}

// number reads a file with one number; false if the file is missing or says "max".
func number(dir, name string) (uint64, bool) {
	text, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 64)
	return n, err == nil
}
