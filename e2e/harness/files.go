package harness

import (
	"encoding/json"
	"testing"
)

// FilesOf returns the files of an event.
func FilesOf(t *testing.T, e Event) []File {
	t.Helper()
	var with struct{ Files []File }
	if err := json.Unmarshal(e.Raw, &with); err != nil {
		t.Fatal(err)
	}
	return with.Files
}

// In adds what is being tried to the answer's failure messages.
func (a Answer) In(t *testing.T, name string) Answer {
	a.T, a.Call = t, name+": "+a.Call
	return a
}
