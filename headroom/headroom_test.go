package headroom

import (
	"math"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"testing"
)

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// Memory that a collection frees does not count; memory in use does.
func TestGarbageDoesNotCount(t *testing.T) {
	const size = 64 << 20
	before, _ := goMemory()
	held := make([]byte, size)
	runtime.GC()
	with, _ := goMemory()
	if with < before+size {
		t.Errorf("used after allocating %d bytes = %d, before = %d", size, with, before)
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(int64(2 * with)))
	if used := new(Process).Used(false); used < 0.4 || used > 0.6 {
		t.Errorf("Used with half of the limit allocated = %.2f", used)
	}
	runtime.KeepAlive(held)
	if used := new(Process).Used(true); used > 0.25 {
		t.Errorf("Used(true) counts garbage: %.2f", used)
	}
	debug.SetMemoryLimit(math.MaxInt64)
	if used := new(Process).Used(false); used != 0 {
		t.Errorf("Used without a limit = %.2f, want 0", used)
	}
}

func TestCgroup(t *testing.T) {
	const stat = "anon 300\nfile 500\nsock 90\nkernel 120\nslab_reclaimable 20\ninactive_file 400\nactive_file 80\nshmem 20\n"
	for name, c := range map[string]struct {
		files   map[string]string
		of      string
		garbage uint64
		want    float64
	}{
		"of a service": {map[string]string{
			"system.slice/tandem.service/memory.max": "1000\n", "system.slice/tandem.service/memory.current": "1000\n",
			"system.slice/tandem.service/memory.stat": stat,
		}, "0::/system.slice/tandem.service\n", 100, 0.4},
		"of a container": {map[string]string{
			"memory.max": "1000\n", "memory.current": "900\n", "memory.stat": stat,
		}, "0::/\n", 0, 0.4},
		"of a container that sees the host's path": {map[string]string{
			"memory.max": "1000\n", "memory.current": "1500\n", "memory.stat": stat,
		}, "0::/docker/abc\n", 0, 1.0},
		"without a limit": {map[string]string{
			"memory.max": "max\n", "memory.current": "900\n", "memory.stat": stat,
		}, "0::/\n", 0, 0},
		"without the memory controller": {nil, "0::/\n", 0, 0},
		"of version 1":                  {map[string]string{"memory/memory.limit_in_bytes": "1000\n"}, "4:memory:/x\n", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			mount, of := t.TempDir(), filepath.Join(t.TempDir(), "cgroup")
			write(t, mount, c.files)
			write(t, filepath.Dir(of), map[string]string{"cgroup": c.of})
			dir := findCgroup(of, mount)
			if got := cgroupUsed(dir, c.garbage); math.Abs(got-c.want) > 1e-9 {
				t.Errorf("%.2f of the limit is used, want %.2f", got, c.want)
			}
		})
	}
}
