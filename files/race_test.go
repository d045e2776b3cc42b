//go:build race

package files

// raceDetector is true if the race detector is on, which makes everything slower and larger.
const raceDetector = true
