// Package chat is the domain: events and their one encoding, rooms, messages, and every rule about them.
//
// Service decides; Store keeps what was decided and numbers it. The package starts no goroutines and imports no other
// package of tandem, so that all of them can use its types.
package chat
