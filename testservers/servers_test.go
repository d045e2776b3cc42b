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

func TestServersStartAndRestart(t *testing.T) {
	url := Database(t)
	if url == "" || url == Database(t) {
		t.Error("two tests share a database")
	}
	v := NewValkey(t)
	v.Kill()
	if v.ping(t.Context()) == nil {
		t.Error("a killed server still responds")
	}
	if err := v.Start(); err != nil {
		t.Fatal(err)
	}
}

// A port is given out once, even if nobody listens on it yet.
func TestFreePortIsReturnedOnce(t *testing.T) {
	t.Parallel()
	seen := map[int]bool{}
	for range 1000 {
		port, err := FreePort()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] {
			t.Fatalf("port %d returned twice", port)
		}
		seen[port] = true
	}
}
