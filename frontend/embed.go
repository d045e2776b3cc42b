// Package frontend owns the web pages that the server shows: the chat app at / and the API reference at /docs. They
// are built by Node and embedded as files. Where they were not built, a page says how to, so that building the
// program needs no Node. The package has no goroutines and imports nothing of ours.
package frontend

import (
	"embed"
	"io/fs"
)

// app/dist has a file to keep it in git, which begins with a dot: all.
//
//go:embed all:app/dist unbuilt
var files embed.FS

// Page returns the files of the built app, or of the page that stands in for it, index.html at the root. Of a file that
// is kept packed there is only NAME.gz, its gzip. Page is read-only and safe for concurrent use; its files can seek.
func Page() fs.FS {
	if page := sub("app/dist"); Built() {
		return page
	}
	return sub("unbuilt")
}

// Built tells whether the app is in this binary.
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
