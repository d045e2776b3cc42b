package program

import (
	"crypto/rand"
	"errors"
	"time"
)

// nodes is the state for nodes that may share the database.
type nodes struct {
	Node      string // this node's name, new at each start; empty without Valkey
	LookEvery time.Duration
}

// lookAmongNodes is how late another node's events are at most if the bus does not deliver them.
const lookAmongNodes = 250 * time.Millisecond

func (s Settings) nodes() (n nodes) {
	if s.DatabaseURL != "" {
		n.LookEvery = lookAmongNodes
	}
	if s.ValkeyURL != "" {
		n.Node = rand.Text()
	}
	return n
}

var errAlone = errors.New("valkey-url needs database-url: nodes without a shared database share nothing")
