package harness

import (
	"slices"
)

func Sorted(names []string) []string { return slices.Sorted(slices.Values(names)) }
