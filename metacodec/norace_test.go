//go:build !race

package metacodec_test

const raceDetector = false
