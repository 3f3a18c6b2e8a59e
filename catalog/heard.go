package catalog

import (
	"math"
	"slices"

	"tutti"
	"tutti/audio/analyse"
	"tutti/catalog/scan"
)

// rows is what was heard in tracks, by their slots, as analyse.Result.Row writes it. They lie one after the other, so that
// all can be compared with one in the order of memory, and nothing is allocated for tracks that were not listened to.
type rows struct {
	lots [][]byte // of rowLot rows each; nil: none of them yet
	n    int      // rows that are set
}

const rowLot = 1024

// at returns the row of a slot, nil where there is none.
func (r *rows) at(slot uint32) []byte {
	lot := int(slot / rowLot)
	if lot >= len(r.lots) || r.lots[lot] == nil {
		return nil
	}
	i := int(slot%rowLot) * analyse.RowSize
	row := r.lots[lot][i : i+analyse.RowSize : i+analyse.RowSize]
	if row[0] == 0 {
		return nil
	}
	return row
}

// set copies a row.
func (r *rows) set(slot uint32, row []byte) {
	lot := int(slot / rowLot)
	if lot >= len(r.lots) {
		r.lots = append(r.lots, make([][]byte, lot+1-len(r.lots))...)
	}
	if r.lots[lot] == nil {
		r.lots[lot] = make([]byte, rowLot*analyse.RowSize)
	}
	to := r.lots[lot][int(slot%rowLot)*analyse.RowSize:][:analyse.RowSize]
	if to[0] == 0 && row[0] != 0 {
		r.n++
	}
	copy(to, row)
}

func (r *rows) clear(slot uint32) {
	if row := r.at(slot); row != nil {
		clear(row)
		r.n--
	}
}

// clone copies all of it: some milliseconds for 100,000 tracks.
func (r *rows) clone() rows {
	c := rows{make([][]byte, len(r.lots)), r.n}
	for i, lot := range r.lots {
		c.lots[i] = slices.Clone(lot)
	}
	return c
}

// setHeard notes what was heard in a track, unless the track's sound is another by now. A row of another version is left
// out: the track is then listened to again.
func (m *model) setHeard(slot uint32, h *scan.Heard) {
	if m.fpOf(slot) != fpKey(h.Fingerprint) {
		return
	}
	if _, err := analyse.ParseRow(h.Row); err != nil {
		m.heard.clear(slot)
	} else {
		m.heard.set(slot, h.Row)
	}
	m.touchAlbum(m.albumOf[slot])
}

// sectionChanged reports whether a known track is to become another part of its file.
func (m *model) sectionChanged(slot uint32, e *scan.Entry) bool {
	m.read(slot, &m.scratch)
	if m.scratch.mask&hasSection == 0 {
		return e.Start != 0 || e.End != 0
	}
	var old scan.Entry
	if err := m.scratch.entry(m.dict, &old, false); err != nil {
		panic("catalog: the record of a known track does not decode")
	}
	return old.Start != e.Start || old.End != e.End
}

// albumLoudness is the loudness of an album whose live tracks were all listened to, and the highest of their peaks; 0, 0 of
// another. EBU R 128's gate would leave out what is more than 10 LU below the mean of the whole album; its tracks' means
// are what is there, so whole tracks that are so quiet are left out instead.
func (m *model) albumLoudness(n uint32) (loudness, truePeak float32) {
	type part struct{ energy, seconds float64 }
	var parts []part
	peak := math.Inf(-1)
	for _, s := range m.albums[n].tracks {
		if m.missing[s] {
			continue
		}
		row := m.heard.at(s)
		if row == nil {
			return 0, 0
		}
		l, p := analyse.RowLoudness(row)
		m.read(s, &m.scratch)
		if l > analyse.Silence {
			parts = append(parts, part{math.Pow(10, l/10), m.scratch.duration.Seconds()})
		}
		peak = max(peak, p)
	}
	mean := func(above float64) float64 {
		sum, seconds := 0.0, 0.0
		for _, p := range parts {
			if p.energy > above {
				sum += p.energy * p.seconds
				seconds += p.seconds
			}
		}
		if seconds == 0 {
			return 0
		}
		return sum / seconds
	}
	all := mean(0)
	if all == 0 {
		return 0, 0
	}
	return float32(10 * math.Log10(mean(all/10))), float32(peak)
}

// replayGainLevel is the loudness, in LUFS, to which ReplayGain 2.0 brings music.
const replayGainLevel = -18

// keyNames are the keys as ID3's TKEY writes them, in the order of analyse.Result.Key.
var keyNames = [24]string{
	"C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B",
	"Cm", "C#m", "Dm", "Ebm", "Em", "Fm", "F#m", "Gm", "G#m", "Am", "Bbm", "Bm",
}

// The least clarity at which a tempo and a key are shown. Below, most are guesses: speech, noise, free time.
const (
	leastTempo = .05
	leastKey   = .45
)

// hear fills in what was heard in a track, and what its tags lack of that. Tags win: who wrote a gain or a tempo meant it.
func (w *view) hear(slot uint32, t *tutti.Track) {
	row := w.heard.at(slot)
	if row == nil {
		return
	}
	r, err := analyse.ParseRow(row)
	if err != nil {
		panic("catalog: the row of a track that was listened to does not decode")
	}
	s := &tutti.Sound{Loudness: r.Loudness, Range: r.Range, TruePeak: r.TruePeak}
	if r.TempoClarity >= leastTempo {
		s.Tempo = r.Tempo
	}
	if r.Key != analyse.NoKey && r.KeyClarity >= leastKey {
		s.Key = keyNames[r.Key]
	}
	t.Sound = s
	if t.BPM == 0 {
		t.BPM = int(math.Round(s.Tempo))
	}
	if t.Gain.Track != nil || t.Gain.Album != nil || r.Loudness <= analyse.Silence {
		return // half of what one program measured and half of what another did would not fit together
	}
	number := func(v float64) *float64 {
		v = math.Round(v*100) / 100
		return &v
	}
	linear := func(db float64) *float64 {
		v := math.Round(math.Pow(10, db/20)*1e6) / 1e6
		return &v
	}
	t.Gain.Track, t.Gain.TrackPeak = number(replayGainLevel-r.Loudness), linear(r.TruePeak)
	if a := &w.albums[w.albumOf[slot]]; a.loudness != 0 {
		t.Gain.Album, t.Gain.AlbumPeak = number(replayGainLevel-float64(a.loudness)), linear(float64(a.truePeak))
	}
}
