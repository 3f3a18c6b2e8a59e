package carbon

import (
	"context"
	"maps"
	"slices"
	"time"

	"tutti"
)

// Ledger keeps what happened on each day, of every member of a fleet. A Meter writes to it after something happened, a
// minute apart at most, and when it ends: never while the machine idles.
type Ledger interface {
	// Days returns the records of all members for the days from one to another, both included, as time.DateOnly writes
	// them.
	Days(ctx context.Context, from, to string) ([]Day, error)
	// Keep replaces a member's record of a day.
	Keep(ctx context.Context, d Day) error
}

// Day is what one member did on one day, in UTC. Everything in it adds up, over days and over members.
type Day struct {
	Date   string `json:"date"`             // as time.DateOnly
	Member string `json:"member,omitempty"` // "" on one machine
	Host   string `json:"host,omitempty"`   // the same for members on one machine; "" where the member has its boundary to itself

	Hardware Hardware `json:"hardware"`
	Covered  float64  `json:"covered"` // seconds of which the energy is known

	Energy map[Component]map[Origin]Joules `json:"energy,omitempty"`
	Grams  map[Component]Grams             `json:"grams,omitempty"` // at the intensity of the time
	Grid   map[Label]Joules                `json:"grid,omitempty"`  // energy by how far the intensity is to be trusted

	Heard     map[Link]Heard       `json:"heard,omitempty"`
	Hours     [24]float64          `json:"hours"` // seconds of music by the hour of the day in which they were sent
	Listeners map[tutti.ID]float64 `json:"listeners,omitempty"`
	Crowded   bool                 `json:"crowded,omitempty"` // there were more listeners than are named
}

// Heard is the music that was sent over one kind of link.
type Heard struct {
	Seconds float64 `json:"seconds"` // of music
	Bytes   float64 `json:"bytes"`
}

// maxListeners bounds the listeners that a day names, so that its record stays far below what a store takes.
const maxListeners = 2000

// Play is music that was sent to one listener.
type Play struct {
	Listener tutti.ID // "" where nobody in particular listened
	Link     Link
	Bytes    int64
	Duration time.Duration // of the music in those bytes
}

// add adds another record of the same or another day, of this or another member.
func (d *Day) add(o *Day) {
	d.Covered += o.Covered
	for c, by := range o.Energy {
		for origin, j := range by {
			d.book(c, origin, j)
		}
	}
	for c, g := range o.Grams {
		d.emit(c, g)
	}
	for l, j := range o.Grid {
		d.grid(l, j)
	}
	for l, h := range o.Heard {
		d.hear(l, h)
	}
	for i, s := range o.Hours {
		d.Hours[i] += s
	}
	for who, s := range o.Listeners {
		if d.Listeners == nil {
			d.Listeners = map[tutti.ID]float64{}
		}
		d.Listeners[who] += s
	}
	d.Crowded = d.Crowded || o.Crowded
}

func (d *Day) book(c Component, o Origin, j Joules) {
	if d.Energy == nil {
		d.Energy = map[Component]map[Origin]Joules{}
	}
	if d.Energy[c] == nil {
		d.Energy[c] = map[Origin]Joules{}
	}
	d.Energy[c][o] += j
}

func (d *Day) emit(c Component, g Grams) {
	if d.Grams == nil {
		d.Grams = map[Component]Grams{}
	}
	d.Grams[c] += g
}

func (d *Day) grid(l Label, j Joules) {
	if d.Grid == nil {
		d.Grid = map[Label]Joules{}
	}
	d.Grid[l] += j
}

func (d *Day) hear(l Link, h Heard) {
	if d.Heard == nil {
		d.Heard = map[Link]Heard{}
	}
	sum := d.Heard[l]
	sum.Seconds += h.Seconds
	sum.Bytes += h.Bytes
	d.Heard[l] = sum
}

// seconds is how much music was sent.
func (d *Day) seconds() float64 {
	var sum float64
	for _, l := range Links {
		sum += d.Heard[l].Seconds
	}
	return sum
}

// daybook is the days that are not finished: today, and those before that have not been kept yet.
type daybook struct {
	member   string
	host     string
	hardware Hardware
	days     map[string]*Day
}

func (b *daybook) day(date string) *Day {
	d := b.days[date]
	if d == nil {
		d = &Day{Date: date, Member: b.member}
		b.days[date] = d
	}
	d.Hardware, d.Host = b.hardware, b.host
	return d
}

func dateOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// stepped is by how much a clock and the kernel may disagree about an interval before the clock is thought to have been
// set meanwhile: its dates then say nothing about when things happened.
const stepped = time.Minute

// energy books what was used over an interval, to each day in proportion to how much of the interval fell into it.
func (b *daybook) energy(from, to time.Time, seconds float64, origin Origin, parts map[Component]Joules, grid Intensity) {
	shares := map[string]float64{}
	span := to.Sub(from)
	whole := time.Duration(seconds * float64(time.Second))
	if disagree := span - whole; span <= 0 || disagree > stepped || disagree < -stepped || span > 366*24*time.Hour {
		shares[dateOf(to)] = 1
	} else {
		for at := from; at.Before(to); {
			midnight := at.UTC().Truncate(24 * time.Hour).Add(24 * time.Hour)
			end := to
			if midnight.Before(to) {
				end = midnight
			}
			shares[dateOf(at)] += end.Sub(at).Seconds() / span.Seconds()
			at = end
		}
	}
	for date, share := range shares {
		d := b.day(date)
		d.Covered += seconds * share
		for c, j := range parts {
			if j == 0 {
				continue
			}
			d.book(c, origin, j*Joules(share))
			d.emit(c, grid.Value.Of(j)*Grams(share))
			d.grid(grid.Basis.Label, j*Joules(share))
		}
	}
}

func (b *daybook) play(at time.Time, p Play) {
	d := b.day(dateOf(at))
	s := p.Duration.Seconds()
	d.hear(p.Link, Heard{Seconds: s, Bytes: float64(p.Bytes)})
	d.Hours[at.UTC().Hour()] += s
	if p.Listener == "" {
		return
	}
	if d.Listeners == nil {
		d.Listeners = map[tutti.ID]float64{}
	}
	if _, known := d.Listeners[p.Listener]; !known && len(d.Listeners) >= maxListeners {
		d.Crowded = true
		return
	}
	d.Listeners[p.Listener] += s
}

// shared returns the records with each machine in them once. Members on one machine all see the same idleness, the same
// making of it, and one another as other programs: that is left with the one that was there for longest.
func shared(days []Day) []Day {
	type machine struct{ date, host string }
	longest, company := map[machine]int{}, map[machine]int{}
	for i := range days {
		key := machine{days[i].Date, days[i].Host}
		if company[key]++; company[key] == 1 || days[i].Covered > days[longest[key]].Covered {
			longest[key] = i
		}
	}
	out := slices.Clone(days)
	for i := range out {
		key := machine{out[i].Date, out[i].Host}
		if key.host == "" || company[key] == 1 {
			continue
		}
		d := &out[i]
		d.Energy, d.Grams = maps.Clone(d.Energy), maps.Clone(d.Grams)
		if longest[key] != i {
			d.Covered = 0
			for _, c := range []Component{Idle, Other} {
				delete(d.Energy, c)
				delete(d.Grams, c)
			}
			continue
		}
		for j := range days {
			if beside := &days[j]; j != i && beside.Date == d.Date && beside.Host == d.Host {
				d.forget(beside)
			}
		}
	}
	return out
}

// forget takes what another member on the same machine did out of what other programs did.
func (d *Day) forget(beside *Day) {
	rest := maps.Clone(d.Energy[Other])
	for c, by := range beside.Energy {
		if c == Idle || c == Other {
			continue
		}
		for origin, j := range by {
			if _, ok := rest[origin]; ok {
				rest[origin] = max(0, rest[origin]-j)
			}
		}
		if g, ok := d.Grams[Other]; ok {
			d.Grams[Other] = max(0, g-beside.Grams[c])
		}
	}
	if rest != nil {
		d.Energy[Other] = rest
	}
}
