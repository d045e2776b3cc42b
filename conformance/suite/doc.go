// Package suite tests a deployed tandem against its wire contract: each scenario over each transport, and with a switch of
// transport in the middle. It is an independent implementation of the contract: it imports no other package of tandem,
// parses every wire format itself, and compares events as raw bytes.
//
// A scenario is a function of a T, and an entry in the list of scenarios.go:
//
//	func greeting(t *T) {
//		ada, bob := t.User(), t.User()          // accounts that nobody else uses meanwhile
//		room := t.Room(ada)                     // with a random name, deleted afterwards
//		s := t.Open(bob, rooms(room))           // over the tested transport
//		s.Opening()                             // stream_open and the user_lists
//		s.Message(ada.Post(room, "hi"))         // the next durable event must be these bytes
//		s = s.Turn()                            // switches to the other transport, if a switch is tested
//		s.Message(ada.Post(room, "hi again"))
//	}
//
// Stream itself checks what must hold for every stream. Scenarios wait generously for what must arrive. To show that
// something does not arrive, they post something else afterwards and read up to that.
//
// Run starts a goroutine for each scenario and transport, and T.Open one for each stream. All have ended when Run returns.
package suite
