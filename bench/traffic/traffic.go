// Package traffic makes up how people listen, from a seed, and reads records of how they did. What comes out of both
// is the same: requests for the chunks of tracks, in the order of their time.
//
// The model: albums are popular by a power law (Zipf). A listener plays an album from its first track on, or goes from
// one track to another, skips some of them early, and begins something else after a while. Music is fetched at the pace
// at which it is heard, a chunk at a time. How many listen follows the hour, and a new release can draw a crowd.
package traffic

import (
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tutti"
)

// Catalogue is the made-up music: tracks grouped into albums, the most popular album first.
type Catalogue struct {
	first []int32   // of an album's tracks; one more than there are albums
	album []int32   // of each track
	base  []int32   // of each track's chunks among all chunks; one more than there are tracks
	bytes []int64   // of each track
	secs  []float32 // of each track
	picks alias     // an album by its popularity
}

// NewCatalogue makes at least tracks tracks whose albums are popular by rank^-exponent. Lengths are log-normal about 3:45
// (σ 0.35: two thirds between 2:40 and 5:20), sizes follow from the bit rate in kbit/s.
func NewCatalogue(seed uint64, tracks int, exponent float64, bitrate int) *Catalogue {
	r := rand.New(rand.NewPCG(seed, 1))
	c := &Catalogue{base: []int32{0}}
	for len(c.album) < tracks {
		c.first = append(c.first, int32(len(c.album)))
		for range 8 + r.IntN(7) {
			c.add(int32(len(c.first)-1), lengthOf(r.NormFloat64()), bitrate)
		}
	}
	weights := make([]float64, len(c.first))
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -exponent)
	}
	c.first = append(c.first, int32(len(c.album)))
	c.picks = newAlias(weights)
	return c
}

func lengthOf(normal float64) float32 {
	return float32(min(max(225*math.Exp(0.35*normal), 20), 1800))
}

func (c *Catalogue) add(album int32, secs float32, bitrate int) {
	bytes := int64(float64(secs) * float64(bitrate) * 1000 / 8)
	c.album = append(c.album, album)
	c.secs = append(c.secs, secs)
	c.bytes = append(c.bytes, bytes)
	c.base = append(c.base, c.base[len(c.base)-1]+int32((bytes+tutti.ChunkSize-1)/tutti.ChunkSize))
}

// Tracks is how many there are; Albums and Chunks likewise.
func (c *Catalogue) Tracks() int { return len(c.album) }

// Albums is how many there are.
func (c *Catalogue) Albums() int { return len(c.first) - 1 }

// Chunks is how many all tracks have together.
func (c *Catalogue) Chunks() int { return int(c.base[len(c.base)-1]) }

// Bytes is the size of all tracks.
func (c *Catalogue) Bytes() (sum int64) {
	for _, b := range c.bytes {
		sum += b
	}
	return sum
}

// ChunksOf is how many chunks a track has.
func (c *Catalogue) ChunksOf(track int32) int32 { return c.base[track+1] - c.base[track] }

// ChunkBytes is the size of chunk n of a track.
func (c *Catalogue) ChunkBytes(track, n int32) int64 {
	return min(tutti.ChunkSize, c.bytes[track]-int64(n)*tutti.ChunkSize)
}

// Chunk numbers chunk n of a track among all chunks of the catalogue.
func (c *Catalogue) Chunk(track, n int32) int32 { return c.base[track] + n }

// Object is the name that a track's original has for those who decide where its chunks lie: as unique and as well
// spread as Ref.ID.
func Object(track int32) string {
	return tutti.Ref{Library: "1", Path: "sim", Version: tutti.Version(fmt.Sprintf("%016x", uint64(track)*0x9E3779B97F4A7C15))}.ID()
}

// ByRank calls fn with every track, the most popular album's first.
func (c *Catalogue) ByRank(fn func(track int32)) {
	for t := range c.album {
		fn(int32(t))
	}
}

// Request is one request for a chunk.
type Request struct {
	At       time.Duration // since the beginning
	Listener int32
	Track    int32
	Chunk    int32 // of the track, from 0
	Start    bool  // a stream starts with it
}

// Flash is a release that everybody wants at once.
type Flash struct {
	At       time.Duration
	Album    int           // which of the catalogue it is
	Share    float64       // of those who begin something, just after At
	HalfLife time.Duration // of that share
	Surge    float64       // listeners who come besides, as a share of the seats
	Ramp     time.Duration // within which they come
}

// Config says who listens. Seats is how many could listen at once, Active which share of them does at a moment.
type Config struct {
	Seed      uint64
	Catalogue *Catalogue
	Seats     int
	Active    func(at time.Duration) float64 // from 0 to 1; nil: all
	AlbumRun  float64                        // share of the sittings that play an album in order
	Skip      float64                        // share of the plays that end early
	Sitting   float64                        // tracks until a listener begins something else, on average
	Flash     *Flash
}

// Evening is a day's shape: a tenth of all at four in the night, rising to all at eight in the evening, and down again.
func Evening(at time.Duration) float64 {
	hour := math.Mod(at.Hours(), 24)
	since := math.Mod(hour-4+24, 24) // the trough
	angle := since / 16 * math.Pi
	if since > 16 {
		angle = math.Pi + (since-16)/8*math.Pi
	}
	return 0.55 - 0.45*math.Cos(angle)
}

// seat is what a listener is about.
type seat struct {
	track int32
	chunk int32 // next to ask for; -1: begin something
	last  int32 // chunk to hear
	left  int16 // tracks in this sitting
	order bool  // an album in order
}

// step is the width of a slot of the wheel on which listeners wait for their next request, and slots how many there
// are: a turn is longer than any wait.
const (
	step  = 20 * time.Millisecond
	slots = 1 << 15
)

// Play makes requests from 0 until an end, in order, to 20 ms. The same Config gives the same requests. The number of
// seats grows with Flash.Surge.
func Play(c Config, until time.Duration) iter.Seq[Request] {
	return func(yield func(Request) bool) { play(c, until, yield) }
}

func play(c Config, until time.Duration, yield func(Request) bool) {
	r := rand.New(rand.NewPCG(c.Seed, 2))
	cat := c.Catalogue
	seats := c.Seats
	if c.Flash != nil {
		seats += int(float64(c.Seats) * c.Flash.Surge)
	}
	state := make([]seat, seats)
	next := make([]int32, seats) // of the seats in the same slot, as a list
	heads := make([]int32, slots)
	for i := range heads {
		heads[i] = -1
	}
	wait := func(i int32, at time.Duration) {
		slot := int(at/step) % slots
		next[i], heads[slot] = heads[slot], i
	}
	for i := range int32(seats) {
		state[i].chunk = -1
		switch {
		case int(i) < c.Seats:
			// In the middle of things: as far into a track as any.
			s := &state[i]
			begin(r, c, s, 0)
			if s.chunk = 1 + int32(r.IntN(int(s.last)+1)); s.chunk > s.last {
				s.chunk = -1 // the last is playing
			}
			wait(i, time.Duration(r.Float64()*float64(pace(cat, s.track))))
		default:
			at := c.Flash.At + time.Duration(r.Float64()*float64(c.Flash.Ramp))
			// Farther than a turn of the wheel: the slot comes round before, and the seat waits again.
			wait(i, at)
		}
	}
	for now := time.Duration(0); now < until; now += step {
		slot := int(now/step) % slots
		i := heads[slot]
		heads[slot] = -1
		for i >= 0 {
			following := next[i]
			s := &state[i]
			if int(i) >= c.Seats && (now < c.Flash.At) {
				wait(i, now+slots*step) // a turn later, in the same slot
				i = following
				continue
			}
			start := s.chunk < 0
			if start {
				if int(i) < c.Seats && c.Active != nil && float64(i) >= c.Active(now)*float64(c.Seats) {
					wait(i, now+60*time.Second+time.Duration(r.IntN(int(60*time.Second)))) // looks in again
					i = following
					continue
				}
				begin(r, c, s, now)
				s.chunk = 0
			}
			if !yield(Request{At: now, Listener: i, Track: s.track, Chunk: s.chunk, Start: start}) {
				return
			}
			s.chunk++
			p := pace(cat, s.track)
			if s.chunk > s.last {
				rest := float64(p) * float64(cat.ChunkBytes(s.track, s.last)) / tutti.ChunkSize
				s.chunk = -1
				p = max(step, time.Duration(rest))
			}
			wait(i, now+p)
			i = following
		}
	}
}

// pace is how long a whole chunk of a track plays.
func pace(c *Catalogue, track int32) time.Duration {
	return time.Duration(float64(c.secs[track]) * tutti.ChunkSize / float64(c.bytes[track]) * float64(time.Second))
}

// begin chooses what a seat plays next.
func begin(r *rand.Rand, c Config, s *seat, now time.Duration) {
	cat := c.Catalogue
	if s.left > 0 {
		s.left--
	}
	if f := c.Flash; f != nil && now >= f.At && r.Float64() < f.Share*math.Exp2(-float64(now-f.At)/float64(f.HalfLife)) &&
		cat.album[s.track] != int32(f.Album) {
		s.order, s.track, s.left = true, cat.first[f.Album], int16(cat.first[f.Album+1]-cat.first[f.Album])
	} else if s.order && s.left > 0 && s.track+1 < cat.first[cat.album[s.track]+1] {
		s.track++
	} else {
		if s.left <= 0 {
			s.left = int16(min(1+r.ExpFloat64()*c.Sitting, 1000))
			s.order = r.Float64() < c.AlbumRun
		}
		album := cat.picks.pick(r)
		s.track = cat.first[album]
		if !s.order {
			s.track += int32(r.IntN(int(cat.first[album+1] - s.track)))
		}
	}
	s.last = cat.ChunksOf(s.track) - 1
	if r.Float64() < c.Skip {
		s.last = int32(r.IntN(int(s.last) + 1))
	}
}

// alias picks from a discrete distribution in constant time (Walker 1977, in Vose's form of 1991).
type alias struct {
	keep  []float64
	other []int32
}

func newAlias(weights []float64) alias {
	n := len(weights)
	a := alias{make([]float64, n), make([]int32, n)}
	var sum float64
	for _, w := range weights {
		sum += w
	}
	scaled := make([]float64, n)
	var small, large []int32
	for i, w := range weights {
		scaled[i] = w / sum * float64(n)
		if scaled[i] < 1 {
			small = append(small, int32(i))
		} else {
			large = append(large, int32(i))
		}
	}
	for len(small) > 0 && len(large) > 0 {
		s, l := small[len(small)-1], large[len(large)-1]
		small = small[:len(small)-1]
		a.keep[s], a.other[s] = scaled[s], l
		scaled[l] -= 1 - scaled[s]
		if scaled[l] < 1 {
			large = large[:len(large)-1]
			small = append(small, l)
		}
	}
	for _, i := range slices.Concat(small, large) {
		a.keep[i], a.other[i] = 1, i
	}
	return a
}

func (a alias) pick(r *rand.Rand) int32 {
	i := int32(r.IntN(len(a.keep)))
	if r.Float64() < a.keep[i] {
		return i
	}
	return a.other[i]
}
