package catalog

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
	"tutti/metacodec"
	"tutti/metacodec/metacodectest"
)

// odd are entries such as taggers, copied disks and other programs leave behind: what is derived does not follow, names are
// no templates, numbers are far from one another.
func odd() []scan.Entry {
	var list []scan.Entry
	for e := range catalogtest.Synthetic(40) {
		list = append(list, e)
	}
	peak := math.Pi
	change := []func(*scan.Entry){
		func(e *scan.Entry) { e.ID = tutti.NewID(tutti.PrefixTrack, 1) },
		func(e *scan.Entry) { e.Version = "as another program names it" },
		func(e *scan.Entry) { e.Version = "" },
		func(e *scan.Entry) { e.Path = "a\x01b/\x02\x03.flac" },
		func(e *scan.Entry) { e.Title = "\xff\xfe\x01" },
		func(e *scan.Entry) { e.Title, e.Path = "What/If: \"so\"?", "x/03 - What_If_ _so__.mp3" },
		func(e *scan.Entry) { e.Duration = 1 },
		func(e *scan.Entry) { e.Duration = math.MaxInt64 },
		func(e *scan.Entry) { e.Duration = 44100 * time.Second / 48000 },
		func(e *scan.Entry) { e.Track, e.Disc, e.BitRate, e.BPM = trackWith(e), -3, -1, math.MaxInt32 },
		func(e *scan.Entry) { e.Size = math.MaxInt64 },
		func(e *scan.Entry) { e.ModTime, e.Added = time.Unix(0, -1), time.Time{} },
		func(e *scan.Entry) { e.Gain = tutti.Gain{Track: &peak, Base: new(float64)} },
		func(e *scan.Entry) { e.MusicBrainzID, e.MusicBrainzTrackID = "not one", strings.Repeat("ab", 16) },
		func(e *scan.Entry) { e.ISRC, e.Moods = []string{"USRC17607839", "USRC17607840", ""}, []string{"calm"} },
		func(e *scan.Entry) { e.Work, e.Movement, e.MovementNumber = "Suite", "Suite: Air", 2 },
		func(e *scan.Entry) { e.Start, e.End = time.Second, time.Minute },
		func(e *scan.Entry) { e.Artists = []tutti.ArtistRef{{ID: tutti.NewID(tutti.PrefixArtist, 7), Name: ""}} },
		func(e *scan.Entry) { e.AlbumMBID, e.AlbumSort, e.DisplayAlbumArtist = "x", "y", "\x02" },
		func(e *scan.Entry) { e.OriginalDate = tutti.Date{Year: -44, Month: 3, Day: 15} },
		func(e *scan.Entry) { e.Comment = strings.Repeat("no end\n", 2000) },
		func(e *scan.Entry) { e.CoverPath, e.Explicit, e.DiscSubtitle = "elsewhere.png", "clean", "Live" },
		func(e *scan.Entry) { e.Genres, e.Groupings = nil, []string{"g", "g"} },
		func(e *scan.Entry) { e.FolderID = tutti.NewID(tutti.PrefixFolder, 9) },
	}
	for i, fn := range change {
		fn(&list[i])
	}
	return list
}

func trackWith(e *scan.Entry) tutti.Track {
	t := e.Track
	t.Track = math.MaxInt32
	return t
}

// TestPackOdd: every record and every part comes back to the byte, whatever is in it, in both forms.
func TestPackOdd(t *testing.T) {
	c := coder(t)
	as := packing{zstd: c.pack, unzstd: c.unpack, packed: true, log: c.log, saved: new(savings)}
	var changes []scan.Change
	for _, e := range odd() {
		changes = append(changes, scan.Change{Put: &e}, scan.Change{Missing: e.ID})
	}
	changes = append(changes, someChanges(20)...)
	m := newModel(nil)
	m.apply(changes)
	for _, few := range []bool{false, true} {
		for p, err := range m.capture().parts(packing{zstd: c.pack, unzstd: c.unpack, log: c.log, saved: new(savings)}) {
			if err != nil {
				t.Fatal(err)
			}
			raw, err := c.unpackPart(t.Context(), p)
			if err != nil {
				t.Fatal(err)
			}
			if raw[0] != partDict && raw[0] != partTracks {
				continue
			}
			// pack unpacks, compares, and fails where there is a difference
			if _, err := as.pack(raw[0], raw, 0, m.capture().sorts(), few); err != nil {
				t.Errorf("part %c: %v", raw[0], err)
			}
		}
		c.cfg.Packed = func() bool { return !few }
		records, err := c.encodeChanges(changes)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range records {
			again, err := c.decodeChanges(t.Context(), r)
			if err != nil || len(again) != len(changes) {
				t.Errorf("%d changes came back of %d: %v", len(again), len(changes), err)
			}
		}
	}
}

// TestPackSmall holds the packed form to what it is for.
func TestPackSmall(t *testing.T) {
	c := coder(t)
	c.cfg.Packed = func() bool { return true }
	m := newModel(nil)
	m.beginBulk()
	const n = 5000
	for e := range catalogtest.Synthetic(n) {
		m.put(&e)
	}
	m.endBulk()
	for p, err := range m.capture().parts(c.packing()) {
		if err != nil || p[0] != packedFormat {
			t.Fatalf("a part of format %d: %v", p[0], err)
		}
	}
	before, stored := c.saved.snapshot.before.Load(), c.saved.snapshot.stored.Load()
	t.Logf("a track in a snapshot: %.1f bytes, %.1f before", float64(stored)/n, float64(before)/n)
	if stored*9 > before*5 {
		t.Errorf("a snapshot of %d bytes is packed into %d, more than 5/9", before, stored)
	}
	for e := range catalogtest.Synthetic(1) {
		r, err := c.encodeChanges([]scan.Change{{Put: &e}})
		if err != nil || len(r) != 1 {
			t.Fatal(err)
		}
		t.Logf("a track alone in a log record: %d bytes, %d before", len(r[0]), c.saved.log.before.Load())
		if len(r[0]) > 300 {
			t.Errorf("a record with one track takes %d bytes", len(r[0]))
		}
	}
}

// sealed gives bytes a checksum that is right.
func sealed(b []byte) []byte {
	return binary.LittleEndian.AppendUint32(bytes.Clone(b), crc32.Checksum(b, castagnoli))
}

// FuzzPacked: whatever a packed value holds, unpacking it ends, with bytes or with an error, and takes no more memory than
// its limit.
func FuzzPacked(f *testing.F) {
	c := coder(f)
	c.cfg.Packed = func() bool { return true }
	m := newModel(nil)
	m.apply(someChanges(30))
	m.apply([]scan.Change{{Put: &odd()[1]}})
	for p, err := range m.capture().parts(c.packing()) {
		if err != nil {
			f.Fatal(err)
		}
		f.Add(p[:len(p)-4])
	}
	for _, n := range []int{1, 20} {
		records, err := c.encodeChanges(someChanges(n))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(records[0][:len(records[0])-4])
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) > 0 {
			b[0] = packedFormat
		}
		_, raw, err := unpack(c.unpack, nil, sealed(b))
		if err == nil && len(raw) > maxUnpacked {
			t.Errorf("%d bytes unpack to %d", len(b), len(raw))
		}
		if len(b) > 9 {
			b[9] ^= 1
			if _, _, err := unpack(c.unpack, nil, append(b, 0, 0, 0, 0)); err == nil && crc32.Checksum(b, castagnoli) != 0 {
				t.Error("a wrong checksum goes unnoticed")
			}
		}
	})
}

// shelf is a process's models, and those that it can get.
type shelf struct {
	all, there *metacodec.Models
	found      int
}

func (s *shelf) All() *metacodec.Models { return s.all }

func (s *shelf) Find(_ context.Context, tag uint16) error {
	for _, id := range s.there.IDs() {
		if id.Tag() == tag {
			s.found++
			s.all.Add(s.there.Get(id))
			return nil
		}
	}
	return tutti.Wrap(tutti.KindNotFound, "find", &metacodec.UnknownModelError{Tag: tag})
}

func (s *shelf) Writing() *metacodec.Model {
	if ids := s.all.IDs(); len(ids) > 0 {
		return s.all.Get(ids[0])
	}
	return nil
}

// TestPackedThroughModel: what was written through a model is read by a process that has to get it first, and where it
// is nowhere, that is what the error says.
func TestPackedThroughModel(t *testing.T) {
	model := metacodectest.Model(t, "one")
	w := coder(t)
	w.cfg.Packed = func() bool { return true }
	w.cfg.Models = &shelf{all: metacodec.NewModels(model), there: metacodec.NewModels()}
	var changes []scan.Change
	for e := range catalogtest.Synthetic(1) { // with names as the model has learnt them
		band := tutti.ArtistRef{ID: scan.ArtistID("The Band No. 1"), Name: "The Band No. 1"}
		e.Title, e.Album, e.Artists, e.AlbumArtists = "Song of the 5th Day (Live)", "The Album No. 2", []tutti.ArtistRef{band}, []tutti.ArtistRef{band}
		e.DisplayArtist, e.DisplayAlbumArtist, e.DisplayComposer, e.Genres = band.Name, band.Name, "", []string{"Rock"}
		e.Contributors, e.ArtistDetails, e.CoverPath = nil, nil, ""
		e.Path = "The Band No. 1/The Album No. 2/05 - Song of the 5th Day (Live).flac"
		changes = append(changes, scan.Change{Put: &e})
	}
	records, err := w.encodeChanges(changes)
	if err != nil {
		t.Fatal(err)
	}
	m := newModel(nil)
	m.apply(changes)
	var parts [][]byte
	for p, err := range m.capture().parts(w.packing()) {
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, p)
	}
	through := 0
	for _, v := range append(parts, records...) {
		if v[0] == packedFormat && v[1]&packedTexts != 0 {
			through++
		}
	}
	if through == 0 || records[0][1]&packedTexts == 0 {
		t.Fatalf("%d values went through the model", through)
	}

	r := coder(t)
	has := &shelf{all: metacodec.NewModels(), there: metacodec.NewModels(model)}
	r.cfg.Models = has
	again, err := r.decodeChanges(t.Context(), records[0])
	if err != nil || len(records) == 1 && len(again) != len(changes) {
		t.Errorf("%d of %d changes: %v", len(again), len(changes), err)
	}
	for _, p := range parts {
		if raw, err := r.unpackPart(t.Context(), p); err != nil || len(raw) == 0 {
			t.Errorf("a part of %d bytes: %v", len(raw), err)
		}
	}
	if has.found != 1 {
		t.Errorf("the model was fetched %d times", has.found)
	}
	r.cfg.Models = &shelf{all: metacodec.NewModels(), there: metacodec.NewModels()}
	if _, err := r.decodeChanges(t.Context(), records[0]); !tutti.IsKind(err, tutti.KindNotFound) || !strings.Contains(err.Error(), fmt.Sprint("tag ", model.ID().Tag())) {
		t.Errorf("without the model: %v", err)
	}
	for i := range records[0] {
		b := bytes.Clone(records[0])
		b[i] ^= 1 << (i % 8)
		if _, err := w.decodeChanges(t.Context(), b); err == nil {
			t.Fatalf("byte %d of a record is damaged, and nobody notices", i)
		}
	}
}
