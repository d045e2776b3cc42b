// Package frontend owns the web page that the server shows at /. It is plain HTML, CSS and JavaScript
// modules, embedded as they are: building needs no Node. The package has no goroutines and imports
// nothing of ours.
package frontend

import (
	"embed"
	"io/fs"
)

//go:embed page
var files embed.FS

// Page returns the page's files, index.html at the root. It is read-only and safe for concurrent use.
func Page() fs.FS {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic(err) // only an invalid path can fail, and this one is a constant
	}
	return page
}
