// Package frontend owns the web pages that the server shows: the chat app at / and the API reference at /docs. They
// are built by Node and embedded as files. If they were not built, a placeholder explains how to build them, so that the
// program can be built without Node. The package has no goroutines and imports nothing of ours.
package frontend

import (
	"embed"
	"io/fs"
)

// app/dist has a file to keep it in git, which begins with a dot: all.
//
//go:embed all:app/dist unbuilt
var files embed.FS

// Page returns the files of the built app, or of the placeholder, with index.html at the root. A file that is stored
// compressed exists only as NAME.gz. Page is read-only and safe for concurrent use; its files can seek.
func Page() fs.FS {
	if page := sub("app/dist"); Built() {
		return page
	}
	return sub("unbuilt")
}

// Built reports whether the app is in this binary.
func Built() bool {
	_, err := fs.Stat(files, "app/dist/index.html.gz")
	return err == nil
}

func sub(dir string) fs.FS {
	page, err := fs.Sub(files, dir)
	if err != nil {
		panic(err) // only an invalid path can fail, and these are constants
	}
	return page
}
