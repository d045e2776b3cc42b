// Package valkey carries speed between nodes: fresh events, who is present, and counts for limits. It keeps nothing
// that matters: with Valkey down the nodes read the log, presence stands still, and each node counts for itself.
package valkey
