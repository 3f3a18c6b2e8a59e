//go:build !linux

package clock

import (
	"context"
	"time"
)

// Machine is this machine's oscillator: the monotonic clock of the Go runtime. Make it with NewMachine.
type Machine struct{ begin time.Time }

// NewMachine returns the oscillator, and the system's time when it showed 0.
func NewMachine() (*Machine, time.Time) {
	begin := time.Now()
	return &Machine{begin}, begin
}

// Elapsed is the time since the start.
func (m *Machine) Elapsed() time.Duration { return time.Since(m.begin) }

// Host is this machine's own clock as a source. What it may be wrong by is not known here.
type Host struct{ Oscillator Oscillator }

// Name says whose time it is.
func (Host) Name() string { return "this machine" }

// Pace is a question now and then, as nothing is sent.
func (Host) Pace() Pace { return local }

// Ask reads the clock.
func (h Host) Ask(context.Context) (Exchange, error) {
	t1 := h.Oscillator.Elapsed()
	now := time.Now().Round(0)
	return Exchange{T1: t1, T2: now, T3: now, T4: h.Oscillator.Elapsed(), Stratum: maxStratum, Precision: time.Microsecond, RootDispersion: unkept, Host: true}, nil
}

// unkept is what a clock may be wrong by that nobody is known to keep.
const unkept = 16 * time.Second
