// Package valkey speeds up communication between nodes: fresh events, presence, and shared rate limits. It stores
// nothing that must survive: without Valkey the nodes read the log, presence freezes, and each node counts limits on
// its own.
package valkey
