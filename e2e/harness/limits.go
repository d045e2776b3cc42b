package harness

import (
	"strconv"
	"strings"
)

// WantLimited checks for a 429 with its code, a Retry-After, and nothing left of the limit.
func (a Answer) WantLimited(code, policy string) {
	a.T.Helper()
	a.WantProblem(429, code, "")
	if seconds, err := strconv.Atoi(a.Header.Get("Retry-After")); err != nil || seconds < 1 {
		a.T.Errorf("%s: Retry-After = %q", a.Call, a.Header.Get("Retry-After"))
	}
	if left, has := a.Left(policy); !has || left != 0 {
		a.T.Errorf("%s: RateLimit = %q", a.Call, a.Header.Get("RateLimit"))
	}
}

// Left returns what remains of a limit according to the answer's RateLimit header.
func (a Answer) Left(policy string) (left int, has bool) {
	a.T.Helper()
	for item := range strings.SplitSeq(a.Header.Get("RateLimit"), ", ") {
		name, rest, _ := strings.Cut(item, ";r=")
		if name != strconv.Quote(policy) {
			continue
		}
		digits, _, _ := strings.Cut(rest, ";")
		left, err := strconv.Atoi(digits)
		if err != nil {
			a.T.Errorf("%s: RateLimit = %q", a.Call, a.Header.Get("RateLimit"))
		}
		return left, true
	}
	return 0, false
}
