package harness

import (
	"sync/atomic"
	"time"

	"tandem/program"
)

// Clock is the clock of rate limits. It stands still until a test advances it, so that tests of limits do not depend on
// the machine's speed. Limits counted in Valkey use Valkey's clock.
type Clock struct{ at atomic.Int64 }

func NewClock() *Clock {
	c := &Clock{}
	c.at.Store(time.Now().UnixNano())
	return c
}

func (c *Clock) Now() time.Time          { return time.Unix(0, c.at.Load()) }
func (c *Clock) Advance(d time.Duration) { c.at.Add(int64(d)) }

// Limits makes a program's rate limits use the clock.
func (c *Clock) Limits(cfg *program.Settings) { cfg.LimitNow = c.Now }

// StillLimits stops the clock of rate limits: what is used up stays used up.
func StillLimits(cfg *program.Settings) { NewClock().Limits(cfg) }
