package clock

import (
	"encoding/json"
	"time"
)

type stateJSON struct {
	State     Status       `json:"state"`
	Reason    string       `json:"reason,omitempty"`
	OffsetUS  float64      `json:"offset_us"`
	BoundUS   *float64     `json:"bound_us"` // null: unbounded
	PendingUS float64      `json:"pending_us"`
	SkewPPM   float64      `json:"skew_ppm"`
	Stratum   int          `json:"stratum"`
	Leap      Leap         `json:"leap"`
	Sources   []sourceJSON `json:"sources"`
}

type sourceJSON struct {
	Name           string   `json:"name"`
	Selected       bool     `json:"selected"`
	Rejected       string   `json:"rejected,omitempty"`
	Stratum        int      `json:"stratum"`
	OffsetUS       float64  `json:"offset_us"`
	BoundUS        *float64 `json:"bound_us"`
	DelayUS        float64  `json:"delay_us"`
	RootDistanceUS float64  `json:"root_distance_us"`
	PollS          float64  `json:"poll_s"`
	HeardS         *float64 `json:"heard_s"` // null: never
	Asked          int64    `json:"asked"`
	Good           int64    `json:"good"`
}

func microseconds(d time.Duration) float64 { return float64(d) / 1e3 }

func fromMicroseconds(v float64) time.Duration { return time.Duration(v * 1e3) }

func bounded(d time.Duration) *float64 {
	if d == Unbounded {
		return nil
	}
	v := microseconds(d)
	return &v
}

func unbounded(v *float64) time.Duration {
	if v == nil {
		return Unbounded
	}
	return fromMicroseconds(*v)
}

// MarshalJSON writes the form that `tutti clock --json` prints and /healthz carries: offset_us is what the system's clock
// is behind, and a bound of null is unbounded.
func (s State) MarshalJSON() ([]byte, error) {
	out := stateJSON{
		State: s.Status, Reason: s.Reason, OffsetUS: microseconds(s.System), BoundUS: bounded(s.Bound), PendingUS: microseconds(s.Pending),
		SkewPPM: s.Skew, Stratum: s.Stratum, Leap: s.Leap, Sources: []sourceJSON{},
	}
	for _, o := range s.Sources {
		j := sourceJSON{
			Name: o.Name, Selected: o.Selected, Rejected: o.Rejected, Stratum: o.Stratum, OffsetUS: microseconds(o.Offset), BoundUS: bounded(o.Bound),
			DelayUS: microseconds(o.Delay), RootDistanceUS: microseconds(o.RootDistance), PollS: o.Poll.Seconds(), Asked: o.Asked, Good: o.Good,
		}
		if o.Heard >= 0 {
			v := o.Heard.Seconds()
			j.HeardS = &v
		}
		out.Sources = append(out.Sources, j)
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote; State.Offset is not in it.
func (s *State) UnmarshalJSON(b []byte) error {
	var in stateJSON
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	*s = State{
		Status: in.State, Reason: in.Reason, System: fromMicroseconds(in.OffsetUS), Bound: unbounded(in.BoundUS), Pending: fromMicroseconds(in.PendingUS),
		Skew: in.SkewPPM, Stratum: in.Stratum, Leap: in.Leap,
	}
	for _, j := range in.Sources {
		o := SourceState{
			Name: j.Name, Selected: j.Selected, Rejected: j.Rejected, Stratum: j.Stratum, Offset: fromMicroseconds(j.OffsetUS), Bound: unbounded(j.BoundUS),
			Delay: fromMicroseconds(j.DelayUS), RootDistance: fromMicroseconds(j.RootDistanceUS), Poll: time.Duration(j.PollS * 1e9), Heard: -1, Asked: j.Asked, Good: j.Good,
		}
		if j.HeardS != nil {
			o.Heard = time.Duration(*j.HeardS * 1e9)
		}
		s.Sources = append(s.Sources, o)
	}
	return nil
}
