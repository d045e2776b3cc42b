//go:build !linux

package realtime

// awaitPeer cannot tell here: stalled readers are cut.
func awaitPeer(sink) (alive, known bool) { return false, false }

func resumePeer(sink) {}
