package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"tutti"
	"tutti/carbon"
	"tutti/store"
)

// makeCarbon makes the meter of this machine's energy.
func (n *node) makeCarbon(ctx context.Context) error {
	s := n.settings
	config := carbon.MeterConfig{
		Powercap: s.Carbon.Powercap, Grid: n.grid, Clock: n.clock, Logger: n.logger,
		Model:    carbon.Model{MinWatts: s.Carbon.VCPUMinWatts, MaxWatts: s.Carbon.VCPUMaxWatts, MemoryWatts: s.Carbon.MemoryWatts},
		Hardware: s.Carbon.hardware(), Ledger: &carbonDays{store: n.store},
		Work: []carbon.Work{
			{Component: carbon.Stream, CPU: n.streaming},
			{Component: carbon.Scan, CPU: n.spent.scan.CPU},
			{Component: carbon.Rooms, CPU: n.spent.rooms.CPU},
		},
	}
	config.Rooms = func() (time.Duration, int64) {
		if n.rooms == nil {
			return 0, 0 // not made yet, or nothing that this process has
		}
		return n.rooms.Sent()
	}
	if s.Role == "trackcache" {
		config.Rest = carbon.Stream // it does nothing else
	}
	if config.Model.MemoryWatts == 0 {
		config.Model.MemoryWatts = -1 // of none, not of whatever is usual
	}
	if s.fleet() {
		config.Every = fleetKeeps
		var err error
		if config.Member, err = memberID(s.Data, s.Role); err != nil {
			return err
		}
	}
	if s.Carbon.Plug != "" {
		plug, err := carbon.NewPlug(carbon.PlugConfig{URL: s.Carbon.Plug, Path: s.Carbon.PlugPath, Unit: s.Carbon.PlugUnit, Clock: n.clock})
		if err != nil {
			return err
		}
		config.Plug = plug
	}
	meter, err := carbon.NewMeter(ctx, config)
	if err != nil {
		// Music does not depend on it: on another system than Linux there is nothing to read.
		n.logger.WarnContext(ctx, "energy and carbon are not metered", "err", err)
		return nil
	}
	n.meter = meter
	n.runners = append(n.runners, meter.Run)
	return n.registry.Register(meter)
}

// fleetKeeps is how far apart a member of a fleet keeps what its machine used, though nothing happens. Energy counters that
// are read so often have not run round: the smallest holds 65 kJ, 18 minutes of 60 W.
const fleetKeeps = 15 * time.Minute

func (s carbonSettings) hardware() carbon.Hardware {
	return carbon.Hardware{
		Made: carbon.Grams(s.EmbodiedKg * 1000), Life: time.Duration(s.LifeYears * 365 * 24 * float64(time.Hour)), Share: s.Share,
	}
}

// spent is the CPU time of what this process does in threads of its own.
type spent struct{ scan, rooms carbon.Tally }

// What a start and a GB cost of CPU time, for telling streaming from the rest of the process: docs/benchmarks.md, "Serve
// an original" with one connection, and "a start, CPU by service" of delivery and catalogue. What the process used in all
// is known, so that these share it out and no more.
const (
	startCPU = 300 * time.Microsecond
	gbCPU    = 400 * time.Millisecond
)

// streaming estimates the CPU time that streams took so far.
func (n *node) streaming() time.Duration {
	if n.metrics == nil {
		return 0
	}
	starts, bytes := n.metrics.Served()
	return time.Duration(starts)*startCPU + time.Duration(float64(bytes)/1e9*float64(gbCPU))
}

// carbonDays keeps the days of the meters in the store: an item for each day and member, a partition for each year. They
// are kept for as long as a report looks back, and a month more.
type carbonDays struct{ store store.Store }

var _ carbon.Ledger = (*carbonDays)(nil)

const carbonDaysKept = 400 * 24 * time.Hour

func carbonKey(d carbon.Day) store.Key {
	return store.Key{PK: carbonYear(d.Date[:4]), SK: d.Date + "#" + d.Member}
}

func carbonYear(year string) string { return "carbon#" + year }

// Days implements carbon.Ledger.
func (l *carbonDays) Days(ctx context.Context, from, to string) ([]carbon.Day, error) {
	var days []carbon.Day
	first, err := time.Parse(time.DateOnly, from)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, "read the days of energy", err)
	}
	for year := first; year.Format("2006") <= to[:4]; year = year.AddDate(1, 0, 0) {
		for after := ""; ; {
			page, err := l.store.Query(ctx, carbonYear(year.Format("2006")), "", after, store.MaxPage)
			if err != nil {
				return nil, tutti.Wrap(tutti.KindUnavailable, "read the days of energy", err)
			}
			for _, item := range page.Items {
				if date, _, _ := strings.Cut(item.SK, "#"); date < from || date > to {
					continue
				}
				var d carbon.Day
				if err := json.Unmarshal(item.Value, &d); err != nil {
					return nil, tutti.Wrap(tutti.KindInternal, "read the energy of "+item.SK, err)
				}
				days = append(days, d)
			}
			if after = page.Next; after == "" {
				break
			}
		}
	}
	return days, nil
}

// Keep implements carbon.Ledger.
func (l *carbonDays) Keep(ctx context.Context, d carbon.Day) error {
	date, err := time.Parse(time.DateOnly, d.Date)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, "keep a day of energy", err)
	}
	value, err := json.Marshal(d)
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, "keep a day of energy", err)
	}
	_, err = l.store.Put(ctx, carbonKey(d), value, date.Add(carbonDaysKept), store.Always)
	return tutti.Wrap(tutti.KindUnavailable, fmt.Sprintf("keep the energy of %s", d.Date), err)
}

// played returns who is told of music that was sent, nil for nobody.
func (n *node) played() func(carbon.Play) {
	if n.meter == nil {
		return nil
	}
	return n.meter.Played
}
