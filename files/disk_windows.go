package files

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/windows"
)

// lockDir creates and opens a file in dir that nobody else can open or delete until it is closed, at the latest when
// the process ends. It fails if another process or another lockDir has it.
func lockDir(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_WRITE, windows.FILE_SHARE_DELETE, nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(h), path), nil
}

// syncDir does nothing: Windows cannot flush a folder, NTFS keeps its own journal.
func syncDir(string) error { return nil }

// full marks err as ErrFull if there is no space.
func full(err error) error {
	if errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, windows.ERROR_DISK_QUOTA_EXCEEDED) {
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return err
}
