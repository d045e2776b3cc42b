package files

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/semaphore"
)

// inUse returns the memory that Go's runtime has from the system and has not returned, in bytes.
func inUse() uint64 {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	return s[0].Value.Uint64() - s[1].Value.Uint64()
}

// watch samples memory while f runs, and returns the most by which it grew.
func watch(f func()) (growth uint64) {
	debug.FreeOSMemory()
	before := inUse()
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			if now := inUse(); now > before {
				growth = max(growth, now-before)
			}
			select {
			case <-done:
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	})
	f()
	close(done)
	watching.Wait()
	return growth
}

// A thousand concurrent uploads take little memory; with TANDEM_FAULTS=long they are 10 MiB each. Not parallel: it
// measures memory.
func TestThousandConcurrentUploadsTakeLittleMemory(t *testing.T) {
	const uploads, bound = 1000, 40 << 20
	size := int64(1 << 20)
	if raceDetector {
		size = 128 << 10
	}
	if os.Getenv("TANDEM_FAULTS") == "long" {
		size = 10 << 20
	}
	folder := newFolder(t)
	g := newIngesterIn(t, t.TempDir())
	g.staging = folder.staging
	block := bytes.Repeat([]byte("0123456789abcdef"), 1<<10)
	// All senders send a first part before any sends the rest, so that all uploads are under way at once.
	var started, all sync.WaitGroup
	started.Add(uploads)
	failed := make(chan error, uploads)
	one := func(i int) error {
		sent := int64(0)
		r := readerFunc(func(p []byte) (int, error) {
			if sent == 0 {
				defer func() { started.Done(); started.Wait() }()
			}
			if sent >= size {
				return 0, io.EOF
			}
			n := copy(p, block[:min(int64(len(block)), size-sent)])
			sent += int64(n)
			return n, nil
		})
		in, err := g.Receive(t.Context(), r, "x.bin", size)
		if err != nil {
			return err
		}
		name := fmt.Sprintf("upload%d", i)
		if err := in.Keep(t.Context(), folder, name); err != nil {
			return err
		}
		if in.Size != size {
			return fmt.Errorf("%d bytes kept", in.Size)
		}
		return folder.Delete(t.Context(), name) // the disk may be small
	}
	began := time.Now()
	growth := watch(func() {
		for i := range uploads {
			all.Go(func() { failed <- one(i) })
		}
		all.Wait()
	})
	for range uploads {
		if err := <-failed; err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d uploads of %d MiB at once: %d MiB of memory more, %s", uploads, size>>20, growth>>20, time.Since(began).Round(time.Millisecond))
	if growth > bound && !raceDetector {
		t.Errorf("memory grew by %d MiB", growth>>20)
	}
}

// Large pictures are decoded within a memory limit, however many arrive at once.
func TestConcurrentPicturesTakeBoundedMemory(t *testing.T) {
	g := newIngester(t)
	const budget = 200 << 20 // the memory for one at a time, however many cores there are
	g.memory, g.largest, g.cores = semaphore.NewWeighted(budget), budget, make(chan struct{}, 8)
	w, h, pictures := 6000, 4000, 8
	if raceDetector {
		w, h, pictures = 600, 400, 3
	}
	data := pngHeader(w, h, 8, 2) + string(pngChunk("IDAT", zeroes(t, int64(h*(w*3+1))))) + string(pngChunk("IEND", nil))
	var all sync.WaitGroup
	growth := watch(func() {
		for range pictures {
			all.Go(func() {
				in, err := g.Receive(t.Context(), bytes.NewReader([]byte(data)), "x.png", 1<<30)
				if err != nil || !in.Preview {
					t.Errorf("Receive: got %+v, %v, want a preview", in, err)
				}
			})
		}
		all.Wait()
	})
	t.Logf("%d pictures of %d MiB when decoded: %d MiB of memory more", pictures, w*h*4>>20, growth>>20)
	if growth > 2*budget && !raceDetector {
		t.Errorf("memory grew by %d MiB", growth>>20)
	}
}

// Many concurrent uploads to S3 take little memory too.
func TestUploadsToS3TakeLittleMemory(t *testing.T) {
	_, blobs := newS3(t)
	g := newIngester(t)
	const uploads, size, bound = 500, 256 << 10, 40 << 20
	if err := blobs.Ready(t.Context()); err != nil { // the client's own memory is included
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte("0123456789abcdef"), size/16)
	growth := watch(func() {
		var all sync.WaitGroup
		for i := range uploads {
			all.Go(func() {
				in, err := g.Receive(t.Context(), bytes.NewReader(block), "x.bin", size)
				if err == nil {
					err = in.Keep(t.Context(), blobs, fmt.Sprintf("upload%d", i))
				}
				if err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	})
	t.Logf("%d uploads of %d KiB at once: %d MiB of memory more", uploads, size>>10, growth>>20)
	if growth > bound && !raceDetector {
		t.Errorf("memory grew by %d MiB", growth>>20)
	}
	noLeftovers(t, g)
}
