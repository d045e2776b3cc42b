package files

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
)

// staging creates temporary files on the blobs' file system, so that a rename stores them. Each process has its own
// folder there, locked while it lives: an unlocked one was left by a crash.
type staging struct {
	parent string
	writes turns
	syncs  turns

	mu   sync.Mutex
	dir  string   // empty until the first file
	lock *os.File // held by this process
}

// How many calls may wait for the disk at once. Each holds a thread, which uses 16 KiB or more. A file system syncs
// many files in little more time than one.
const (
	writesAtOnce = 16
	syncsAtOnce  = 64
)

func newStaging(root string) *staging {
	return &staging{
		parent: filepath.Join(root, "incoming"),
		writes: make(turns, writesAtOnce),
		syncs:  make(turns, syncsAtOnce),
	}
}

// turns has room for the calls whose turn it is.
type turns chan struct{}

func (t turns) await(f func() error) error {
	t <- struct{}{}
	defer func() { <-t }()
	return f()
}

// create returns a new, empty file, open for reading and writing, that only this user can read.
func (s *staging) create() (*os.File, error) {
	for again := true; ; again = false {
		dir, err := s.folder()
		if err != nil {
			return nil, err
		}
		f, err := os.CreateTemp(dir, "")
		if errors.Is(err, fs.ErrNotExist) && again { // somebody has tidied up
			s.forget(dir)
			continue
		}
		return f, err
	}
}

// folder returns the process's folder, created at the first call.
func (s *staging) folder() (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir != "" {
		return s.dir, nil
	}
	if err := os.MkdirAll(s.parent, 0o700); err != nil {
		return "", err
	}
	// A process that starts at this moment may take a folder that is not locked yet for a leftover.
	for again := true; ; again = false {
		dir, err := os.MkdirTemp(s.parent, "")
		if err != nil {
			return "", err
		}
		lock, err := lockDir(dir)
		if err != nil && again {
			continue
		} else if err != nil {
			return "", err
		}
		s.dir, s.lock = dir, lock
		return dir, nil
	}
}

// forget makes folder create a different one than dir.
func (s *staging) forget(dir string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.dir == dir {
		_ = s.lock.Close()
		s.dir, s.lock = "", nil
	}
}

// clear removes what ended processes have left.
func (s *staging) clear() error {
	entries, err := os.ReadDir(s.parent)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	var failed error
	for _, e := range entries {
		dir := filepath.Join(s.parent, e.Name())
		lock, err := lockDir(dir)
		if err != nil {
			continue // in use
		}
		// Unlock first: Windows removes no open file. Nobody else creates a folder with that name.
		failed = errors.Join(failed, lock.Close(), os.RemoveAll(dir))
	}
	return failed
}
