// Package suite tries a deployed tandem against its wire contract: each scenario over each transport, and with a
// switch of transport in the middle. It is an independent reading of the contract: it imports nothing of tandem's,
// parses every wire format by itself, and compares events as raw bytes.
//
// A scenario is a function of a T, and an entry in the list of scenarios.go:
//
//	func greeting(t *T) {
//		ada, bob := t.User(), t.User()          // accounts of their own while the scenario runs
//		room := t.Room(ada)                     // with a random name, deleted afterwards
//		s := t.Open(bob, rooms(room))           // over the transport that is tried
//		s.Opening()                             // stream_open and the user_lists
//		s.Message(ada.Post(room, "hi"))         // the next durable event must be these bytes
//		s = s.Turn()                            // the other transport, where one is tried; else nothing
//		s.Message(ada.Post(room, "hi again"))
//	}
//
// What holds for every stream is checked by Stream itself, whatever the scenario looks at. What must come is waited for
// generously; what must not come is shown by posting something else afterwards and reading up to that.
//
// Run starts a goroutine for each scenario and transport, and T.Open one for each stream; all have ended when Run
// returns.
package suite
