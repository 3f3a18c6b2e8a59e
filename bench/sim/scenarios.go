package sim

import (
	"math"
	"time"

	"tutti/bench/traffic"
	"tutti/deploy/capacity"
)

// Scenario is a run with a name and what it is about.
type Scenario struct {
	Name, How string
	Config    Config
	// Event is when something happens, for the reports: the release, or the loss; 0 in a usual day.
	Event time.Duration
}

// Bitrate is that of the music in all scenarios, in kbit/s.
const Bitrate = 256

// edgeBytes is nginx's cache: the default of --nginx-cache-size, most of which stays in the memory of the plan's machines.
const edgeBytes = 10 << 30

// usual is a fleet of the machines that a plan for so many listeners asks for. Its track caches hold six tenths of the
// catalogue, twice, which is less than the plan's disks do, so that there is something to be missed; and the music lies
// under as many prefixes of the object store as that takes.
//
// All scenarios can be played at a share of their size: listeners, tracks, machines and the object store's rate are all
// divided by the same number, and so is each nginx's cache, because any of them may be asked for any track. Hit ratios of a sample of the objects in a cache as much smaller are those of the whole
// (Waldspurger, Park, Garthwaite and Ahmad, "Efficient MRC construction with SHARDS", FAST 2015).
func usual(m, a capacity.Figures, seed uint64, listeners, tracks, by int) (Config, error) {
	rate := 5500 * math.Ceil(float64(listeners)/1e6) / float64(by)
	listeners, tracks = listeners/by, tracks/by
	cat := traffic.NewCatalogue(seed, tracks, 0.9, Bitrate)
	p, err := capacity.Make(capacity.Question{Listeners: listeners, Bitrate: Bitrate, Tracks: cat.Tracks(), TrackSeconds: 240, HitRatio: 0.8, Zones: 3}, m, a)
	if err != nil {
		return Config{}, err
	}
	return Config{
		Traffic:   traffic.Config{Seed: seed, Catalogue: cat, Seats: listeners, AlbumRun: 0.5, Skip: 0.25, Sitting: 8},
		Plan:      p,
		DiskShare: 1.2,
		EdgeBytes: edgeBytes / int64(by),
		Zones:     3,
		Warm:      true,
		Origin:    Origin{Median: 60 * time.Millisecond, Spread: 0.5, Rate: rate},
		Every:     10 * time.Second,
	}, nil
}

// Day is 24 hours, from four in the night.
func Day(m, a capacity.Figures, listeners, tracks, by int) (Scenario, error) {
	c, err := usual(m, a, 11, listeners, tracks, by)
	if err != nil {
		return Scenario{}, err
	}
	c.Warm = false
	c.Until = 24 * time.Hour
	c.Every = 30 * time.Minute
	c.Traffic.Active = func(at time.Duration) float64 { return traffic.Evening(at + 4*time.Hour) }
	return Scenario{Name: "day", Config: c, How: "a day, from four in the night, beginning with empty caches"}, nil
}

// Release is a new album that half of all want at once, and half as many listeners more, who come within a minute.
func Release(m, a capacity.Figures, listeners, tracks, by int) (Scenario, error) {
	c, err := usual(m, a, 12, listeners, tracks, by)
	if err != nil {
		return Scenario{}, err
	}
	c.Until = 7 * time.Minute
	c.Traffic.Flash = &traffic.Flash{
		At: 2 * time.Minute, Album: c.Traffic.Catalogue.Albums() - 1, Share: 0.5, HalfLife: 20 * time.Minute, Surge: 0.5, Ramp: time.Minute,
	}
	return Scenario{
		Name: "release", Config: c, Event: c.Traffic.Flash.At,
		How: "an album nobody has heard comes out: half of all who begin something want it, and half as many listeners more come within a minute",
	}, nil
}

// Loss is a zone of three that is cut off: a third of all machines, those of nginx included, answers nothing and refuses
// nothing.
func Loss(m, a capacity.Figures, listeners, tracks, by int, until time.Duration) (Scenario, error) {
	c, err := usual(m, a, 13, listeners, tracks, by)
	if err != nil {
		return Scenario{}, err
	}
	c.Until = until
	c.LostAt = until / 4
	c.Every = 5 * time.Second
	return Scenario{Name: "loss", Config: c, Event: c.LostAt, How: "a zone of three is cut off in the middle of the evening"}, nil
}

// Sum adds up the points of an interval.
func (r Result) Sum(from, to time.Duration) Point {
	var s Point
	var n float64
	for _, p := range r.Points {
		if p.At <= from || p.At > to {
			continue
		}
		n++
		s.At = p.At
		s.Starts += p.Starts
		s.Refused += p.Refused
		s.Lost += p.Lost
		s.Requests += p.Requests
		s.Edge += p.Edge
		s.Cache += p.Cache
		s.Peer += p.Peer
		s.Head += p.Head
		s.Origin += p.Origin
		s.OriginRate += p.OriginRate
		s.HeadRate += p.HeadRate
		s.HeadWrite += p.HeadWrite
		s.Skew += p.Skew
		s.SkewP99 += p.SkewP99
		s.EdgeBusy += p.EdgeBusy
		s.DeliveryBusy += p.DeliveryBusy
		s.CacheBusy += p.CacheBusy
		s.P50 = max(s.P50, p.P50)
		s.P99 = max(s.P99, p.P99)
	}
	if n > 0 {
		for _, v := range []*float64{&s.OriginRate, &s.HeadRate, &s.HeadWrite, &s.Skew, &s.SkewP99, &s.EdgeBusy, &s.DeliveryBusy, &s.CacheBusy} {
			*v /= n
		}
	}
	return s
}

// Recovered is how long after an event the slowest starts are again at most twice what they were before it, nobody is
// refused, and it stays so; ok is false if that does not happen before the end.
func (r Result) Recovered(event time.Duration) (after time.Duration, ok bool) {
	before := r.Sum(0, event).P99
	for _, p := range r.Points {
		switch {
		case p.At <= event:
		case p.P99 <= 2*before && p.Refused == 0:
			if !ok {
				after, ok = p.At-event, true
			}
		default:
			ok = false
		}
	}
	return after, ok
}
