package api

import "time"

// framesPerPost is how many frames a WebSocket may send for each post per second that limit-posts allows: reading,
// typing and reacting are cheaper than posting and need not be counted one by one.
const framesPerPost = 10

// throttle allows a connection a number of frames per second, twice as many in a burst. A frame counts whether it is
// answered or refused, so a client that keeps sending goes deeper into debt, and is cut at twice the burst.
type throttle struct {
	every time.Duration // 0 for no limit
	size  int
	paid  time.Time // when the bucket will be full again
}

func newThrottle(perSecond int) throttle {
	if perSecond == 0 {
		return throttle{}
	}
	return throttle{every: time.Second / time.Duration(perSecond), size: 2 * perSecond}
}

// take counts a frame. wait is 0 if it is allowed, otherwise how long until one will be; flood means that the
// connection must end.
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
