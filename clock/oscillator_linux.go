package clock

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// Machine is this machine's oscillator: CLOCK_MONOTONIC_RAW, which counts the hardware's ticks and which no time
// daemon speeds up or slows down, as CLOCK_MONOTONIC is. Make it with NewMachine.
type Machine struct {
	start     int64
	suspended atomic.Int64 // nanoseconds, of all suspensions since the start
	breaks    atomic.Int64
}

// NewMachine returns the oscillator, and the system's time when it showed 0.
func NewMachine() (*Machine, time.Time) {
	m := &Machine{}
	before := nanoseconds(unix.CLOCK_MONOTONIC_RAW)
	begin := time.Now()
	m.start = before + (nanoseconds(unix.CLOCK_MONOTONIC_RAW)-before)/2
	m.suspended.Store(asleep())
	return m, begin
}

// Elapsed is the time since the start. It goes on through a suspension of the machine as far as Breaks was called since.
func (m *Machine) Elapsed() time.Duration {
	return time.Duration(nanoseconds(unix.CLOCK_MONOTONIC_RAW) - m.start + m.suspended.Load())
}

// noticeable is the least difference that is taken for a suspension; both clocks are read one after the other.
const noticeable = int64(100 * time.Millisecond)

// Breaks counts how often the machine was suspended. What it slept is known from CLOCK_BOOTTIME, about as well as the
// hardware's clock of the day knows it, so what was learned of the time before is void.
func (m *Machine) Breaks() int64 {
	slept, known := asleep(), m.suspended.Load()
	if slept-known > noticeable && m.suspended.CompareAndSwap(known, slept) {
		return m.breaks.Add(1)
	}
	return m.breaks.Load()
}

func asleep() int64 {
	awake := nanoseconds(unix.CLOCK_MONOTONIC)
	return nanoseconds(unix.CLOCK_BOOTTIME) - awake
}

// nanoseconds cannot fail with the clocks of any kernel since 2.6.39.
func nanoseconds(id int32) int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(id, &ts); err != nil {
		panic(err)
	}
	return ts.Nano()
}

// Host is this machine's own clock as a source: what its time daemon makes of it, and what the kernel knows of its error
// (adjtimex(2)). It is for those who run a time daemon already and name no server.
type Host struct{ Oscillator Oscillator }

// Name says whose time it is.
func (Host) Name() string { return "this machine" }

// Pace is a question now and then, as nothing is sent.
func (Host) Pace() Pace { return local }

// Ask reads the clock.
func (h Host) Ask(context.Context) (Exchange, error) {
	var x unix.Timex
	t1 := h.Oscillator.Elapsed()
	now := time.Now().Round(0)
	t4 := h.Oscillator.Elapsed()
	_, err := unix.Adjtimex(&x)
	e := Exchange{T1: t1, T2: now, T3: now, T4: t4, Stratum: maxStratum, Precision: time.Microsecond, RootDispersion: unkept, Host: true}
	if err == nil && x.Status&unix.STA_UNSYNC == 0 {
		e.Stratum = 1
		e.RootDispersion = time.Duration(x.Maxerror) * time.Microsecond
	}
	return e, nil
}

// unkept is what the kernel says a clock may be wrong by that nobody keeps (NTP_PHASE_LIMIT).
const unkept = 16 * time.Second
