// Package chat is the domain: events and their one encoding, rooms, messages, and every rule about them.
//
// Service decides; Store keeps what was decided and numbers it. The package starts no goroutines and
// imports nothing of ours, so that every other package can speak in its terms.
package chat
