// Package realtime delivers the log's events to those who follow them: the hub with its ring of recent events, streams,
// presence, and a framer for each transport.
//
// A stream is a set of topics and a cursor. There is no queue per stream: Stream.Next sends what follows the cursor,
// from the ring, or from the log if the ring no longer has it. Opening, live delivery, resuming and falling behind are
// the same step, so a slow reader costs only its cursor.
//
// Goroutines: Hub.Run has four (bus, polling of the log's head, clock, poller) and returns after all of them. A stream
// over plain HTTP/1.1 on Linux has none: input borrows one, and sweeps write to all (docs/decisions/0020). Any other
// served stream has one that reads its connection and, only while there is something to send, one that writes; Serve
// returns after both.
//
// The package knows net/http but not Echo, and of tandem's packages imports only chat.
package realtime
