//go:build !linux

package clock

import (
	"syscall"
	"time"
)

const oobSize = 0

func (s *stamped) arrivals() {}

func stamping(syscall.Conn) bool { return false }

func arrival(_ []byte, osc Oscillator) time.Duration { return osc.Elapsed() }
