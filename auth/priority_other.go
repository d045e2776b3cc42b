//go:build !linux

package auth

// lowerPriority only works on Linux, where priorities belong to threads.
func lowerPriority() {}
