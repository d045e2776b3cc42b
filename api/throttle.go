package api

import "time"

// framesPerPost is how many frames a WebSocket takes for each post that limit-posts allows a second: reading, typing
// and reacting are cheaper than posting, and need not be counted one by one.
const framesPerPost = 10

// throttle allows a connection so many frames a second, twice as many at once. A frame counts whether it is answered
// or refused, so that whoever goes on regardless gets deeper into debt, and is cut at as many again.
type throttle struct {
	every time.Duration // 0 is no limit
	size  int
	paid  time.Time // when the bucket will be full again
}

func newThrottle(perSecond int) throttle {
	if perSecond == 0 {
		return throttle{}
	}
	return throttle{every: time.Second / time.Duration(perSecond), size: 2 * perSecond}
}

// take counts a frame. wait is 0 for one that is allowed, else how long until one will be; flood says that it is over.
func (t *throttle) take(now time.Time) (wait time.Duration, flood bool) {
	if t.every == 0 {
		return 0, false
	}
	if t.paid.Before(now) {
		t.paid = now
	}
	t.paid = t.paid.Add(t.every)
	burst := time.Duration(t.size) * t.every
	debt := t.paid.Sub(now) - burst
	return max(0, debt), debt > burst
}
