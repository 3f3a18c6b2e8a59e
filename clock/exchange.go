package clock

import (
	"context"
	"fmt"
	"time"
)

// Exchange is one question to a time server and its answer: RFC 5905's four timestamps (§8) and what the server says
// of itself. T1 and T4 are readings of the asker's Oscillator, T2 and T3 the server's time, so nobody's idea of the
// time of day enters but the server's.
type Exchange struct {
	T1 time.Duration // the question left
	T2 time.Time     // it arrived
	T3 time.Time     // the answer left
	T4 time.Duration // it arrived

	Stratum        uint8 // 1 to 15; 0 is a kiss-o'-death, 16 unsynchronised
	Leap           Leap
	RootDelay      time.Duration // the server's round trip to its reference clock
	RootDispersion time.Duration // what the server's time may be wrong by, besides
	Precision      time.Duration // of the server's clock
	ReferenceID    uint32
	Kiss           string // the code of a kiss-o'-death: RATE, DENY, RSTR, …
	Smeared        bool   // the server is known to smear leap seconds
	Host           bool   // this is the machine's own clock: it is followed however wrong it may be, for want of another
}

// Leap is what a server announces of the current month's last minute (RFC 5905 §7.3).
type Leap uint8

// The values of the leap indicator.
const (
	LeapNone    Leap = iota
	LeapAdd          // it has 61 seconds
	LeapDelete       // it has 59
	LeapUnknown      // the server's clock is not synchronised
)

// Delay is the round trip without the time that the server took.
func (e Exchange) Delay() time.Duration { return e.T4 - e.T1 - e.T3.Sub(e.T2) }

// RootDistance is how far from the truth the server may be: half the way to its reference clock, and its dispersion
// (RFC 5905 §11.2.1, without this exchange's own delay, which is known from its timestamps).
func (e Exchange) RootDistance() time.Duration {
	return e.RootDelay/2 + e.RootDispersion + e.Precision
}

const (
	// maxRootDistance is RFC 5905's MAXDIST (§11.2.3, figure 25) with the half second that its reference implementation
	// adds for the dispersion of a first exchange.
	maxRootDistance = 1500 * time.Millisecond
	// maxDelay refuses answers that were under way for so long that their timestamps say nothing.
	maxDelay = 3 * time.Second
	// maxStratum is the highest of a server that is synchronised (RFC 5905 §7.3).
	maxStratum = 15
)

// problem says why an exchange is of no use; "" where it is.
func (e Exchange) problem() string {
	switch delay := e.Delay(); {
	case e.Kiss != "":
		return "sent the kiss-o'-death " + e.Kiss
	case e.Host:
		return ""
	case e.Leap == LeapUnknown || e.Stratum == 0 || e.Stratum > maxStratum:
		return "is not synchronised itself"
	case e.T2.IsZero() || e.T3.IsZero():
		return "sent no time"
	case e.T3.Before(e.T2):
		return "answered before it was asked"
	case e.T4 < e.T1 || delay < -e.Precision-timestampNoise:
		return fmt.Sprintf("answered in less than no time (%v)", delay)
	case delay > maxDelay:
		return fmt.Sprintf("took %v", delay.Round(time.Millisecond))
	case e.RootDelay < 0 || e.RootDispersion < 0 || e.RootDistance() > maxRootDistance:
		return fmt.Sprintf("is up to %v from its reference clock", e.RootDistance().Round(time.Millisecond))
	}
	return ""
}

// timestampNoise is what two readings of a clock around a packet may be wrong by besides its precision: a timestamp
// that was taken on one core and compared on another, and the rounding of NTP's fractions.
const timestampNoise = 2 * time.Microsecond

// Source is who is asked for the time. Ask is called by one goroutine at a time and ends with ctx at the latest.
type Source interface {
	// Name is the source's address as configured.
	Name() string
	// Pace says how often the source may be asked. It does not change.
	Pace() Pace
	Ask(ctx context.Context) (Exchange, error)
}

// Pace is how often a source may be asked.
type Pace struct {
	// Burst is how many questions in a row it is asked: of several exchanges the quickest each way count. Learning is the
	// same while little is known of the rate yet.
	Burst, Learning int
	// Min and Max are the shortest and the longest interval between bursts, once the rate is known. They are taken as
	// powers of two of a second, as RFC 5905 has them.
	Min, Max time.Duration
}

// The paces of a server that is near and ours, whose answers cost next to nothing; of somebody else's, which should get no
// more than one question in 64 s on the average (RFC 5905 §7.2), up to four together; and of this machine's clock.
var (
	Near  = Pace{Burst: 8, Learning: 8, Min: 16 * time.Second, Max: 64 * time.Second}
	Far   = Pace{Burst: 1, Learning: 4, Min: courtesy, Max: 1024 * time.Second}
	local = Pace{Burst: 1, Learning: 1, Min: 16 * time.Second, Max: 64 * time.Second}
)

const courtesy = 64 * time.Second

// Oscillator counts time evenly from some beginning, at about the right rate and without ever being set: all that a
// machine knows of time by itself.
type Oscillator interface {
	Elapsed() time.Duration
}
