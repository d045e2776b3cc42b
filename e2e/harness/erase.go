package harness

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// WhatIsLeft returns the files below dir that have one of the words in their name or content.
func WhatIsLeft(t *testing.T, dir string, words ...string) (left []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		var text []byte
		if err == nil && !e.IsDir() {
			text, err = os.ReadFile(path)
		}
		if errors.Is(err, fs.ErrNotExist) { // it was just removed
			return nil
		}
		if err != nil {
			return err
		}
		for _, word := range words {
			if bytes.Contains(text, []byte(word)) || strings.Contains(e.Name(), word) {
				left = append(left, word+" in "+e.Name())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return left
}
