//go:build !linux

package auth

// lowerPriority is for Linux, where priorities are a thread's.
func lowerPriority() {}
