package harness

import (
	"fmt"
	"slices"
)

// Difference describes which items are missing, duplicated or out of order.
func Difference(got, want []int64) string {
	times := map[int64]int{}
	var missing, doubled, strange, disordered []int64
	for i, id := range got {
		if times[id]++; times[id] == 2 {
			doubled = append(doubled, id)
		}
		if i > 0 && id < got[i-1] {
			disordered = append(disordered, id)
		}
		if !slices.Contains(want, id) {
			strange = append(strange, id)
		}
	}
	for _, id := range want {
		if times[id] == 0 {
			missing = append(missing, id)
		}
	}
	return fmt.Sprintf("got %d of %d: missing %v, duplicates %v, out of order %v, foreign %v", len(got), len(want), missing, doubled, disordered, strange)
}
