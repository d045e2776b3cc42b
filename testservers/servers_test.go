package testservers

import (
	"os"
	"testing"
)

func TestMain(m *testing.M) {
	code := m.Run()
	Close()
	os.Exit(code)
}

func TestServersStartAndComeBack(t *testing.T) {
	url := Database(t)
	if url == "" || url == Database(t) {
		t.Error("two tests share a database")
	}
	v := NewValkey(t)
	v.Kill()
	if v.answers() {
		t.Error("a killed server answers")
	}
	if err := v.Start(); err != nil {
		t.Fatal(err)
	}
}
