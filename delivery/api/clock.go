package api

import (
	"time"

	"tutti"
	"tutti/clock"
)

// Timekeeper is a clock that knows how exact it is; clock.Disciplined is one.
type Timekeeper interface {
	State() clock.State
	History() []clock.Sample
}

type clockReport struct {
	State    clock.Status  `json:"state" doc:"synchronised; holdover where no time server was heard for a while; else unsynchronised."`
	Reason   string        `json:"reason,omitempty" doc:"Why it is not synchronised, for a person."`
	Time     time.Time     `json:"time" doc:"What it shows."`
	OffsetUs float64       `json:"offsetUs" doc:"Microseconds from the machine's clock to the time it shows: positive where the machine is behind."`
	BoundUs  *float64      `json:"boundUs,omitempty" doc:"The most that it can be wrong by; left out where nothing is known."`
	SkewPpm  float64       `json:"skewPpm" doc:"By how much the machine's oscillator is slow, in parts per million."`
	Sources  []clockSource `json:"sources"`
	History  []clockSample `json:"history" doc:"What it showed whenever a source was asked, oldest first, back to the server's start; at most 512."`
}

type clockSource struct {
	Name     string   `json:"name"`
	Selected bool     `json:"selected,omitempty" doc:"The clock follows it."`
	Rejected string   `json:"rejected,omitempty" doc:"Why not, for a person."`
	Stratum  int      `json:"stratum"`
	OffsetUs float64  `json:"offsetUs" doc:"From the time that the clock shows to what this source says."`
	BoundUs  *float64 `json:"boundUs,omitempty" doc:"The most that the source can be wrong by."`
	DelayUs  float64  `json:"delayUs" doc:"Of the last exchange, both ways."`
	PollS    float64  `json:"pollS" doc:"How often it is asked, in seconds."`
	HeardS   *float64 `json:"heardS,omitempty" doc:"Seconds since its last answer; left out where there was none."`
	Asked    int64    `json:"asked"`
	Good     int64    `json:"good" doc:"How many of the answers were of use."`
}

type clockSample struct {
	At       time.Time `json:"at"`
	OffsetUs float64   `json:"offsetUs"`
	BoundUs  *float64  `json:"boundUs,omitempty"`
}

func (s *server) clockRoutes() []route {
	return []route{
		get("clock", "getClock", "server", "What the server's clock knows of itself, and what it has shown", holder(tutti.RoleAdmin), (*call).clock),
	}
}

func (c *call) clock() (clockReport, error) {
	if c.Time == nil {
		return clockReport{}, tutti.Errorf(tutti.KindUnavailable, "api.clock", "this process keeps no time of its own")
	}
	micros := func(d time.Duration) float64 { return float64(d) / 1e3 }
	bounded := func(d time.Duration) *float64 {
		if d == clock.Unbounded {
			return nil
		}
		v := micros(d)
		return &v
	}
	st := c.Time.State()
	out := clockReport{
		State: st.Status, Reason: st.Reason, Time: c.Clock.Now().UTC(), OffsetUs: micros(st.System), BoundUs: bounded(st.Bound), SkewPpm: st.Skew,
		Sources: []clockSource{}, History: []clockSample{},
	}
	for _, o := range st.Sources {
		w := clockSource{
			Name: o.Name, Selected: o.Selected, Rejected: o.Rejected, Stratum: o.Stratum, OffsetUs: micros(o.Offset), BoundUs: bounded(o.Bound),
			DelayUs: micros(o.Delay), PollS: o.Poll.Seconds(), Asked: o.Asked, Good: o.Good,
		}
		if o.Heard >= 0 {
			v := o.Heard.Seconds()
			w.HeardS = &v
		}
		out.Sources = append(out.Sources, w)
	}
	for _, p := range c.Time.History() {
		out.History = append(out.History, clockSample{At: p.At.UTC(), OffsetUs: micros(p.System), BoundUs: bounded(p.Bound)})
	}
	return out, nil
}
