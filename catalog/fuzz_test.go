package catalog

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"pgregory.net/rapid"

	"tutti"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
	"tutti/store"
)

func coder(t testing.TB) *Catalog {
	t.Helper()
	c := &Catalog{log: slog.New(slog.DiscardHandler), articles: []string{"the"}}
	var err error
	if c.pack, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1)); err != nil {
		t.Fatal(err)
	}
	if c.unpack, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked)); err != nil {
		t.Fatal(err)
	}
	return c
}

func someChanges(n int) []scan.Change {
	var list []scan.Change
	for e := range catalogtest.Synthetic(n) {
		list = append(list, scan.Change{Put: &e}, scan.Change{Missing: e.ID}, scan.Change{Found: e.ID}, scan.Change{Remove: e.ID})
	}
	return append(list, scan.Change{Folder: &scan.FolderInfo{Library: "1", Path: "a", CoverPath: "a/c.jpg", Sides: 7}})
}

// FuzzLogRecord: whatever a log record holds, reading it ends with changes that can be applied, or with an error.
func FuzzLogRecord(f *testing.F) {
	c := coder(f)
	records, err := c.encodeChanges(someChanges(3))
	if err != nil {
		f.Fatal(err)
	}
	raw, err := c.unpackValue(f.Context(), packedLog, records[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(raw)
	f.Add([]byte{0, 1, opRemove, 1, 2, 3, 4, 5, 6, 7, 8})
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 0x0f})
	f.Fuzz(func(t *testing.T, raw []byte) {
		changes, err := parseChanges(raw)
		if err != nil {
			return
		}
		m := newModel(nil)
		for lib := range changes {
			if e := changes[lib].Put; e != nil {
				e.Library = "1" // Apply refuses too many libraries before they get here
			}
			if f := changes[lib].Folder; f != nil {
				f.Library, f.Path = "1", "."
			}
		}
		m.apply(changes)
	})
}

// FuzzRecords: bytes that are no record, part or item are an error.
func FuzzRecords(f *testing.F) {
	c := coder(f)
	m := newModel(nil)
	m.apply(someChanges(2)[:1])
	for p, err := range m.capture().parts(c.packing()) {
		if err != nil {
			f.Fatal(err)
		}
		raw, err := c.unpackPart(f.Context(), p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(raw)
	}
	f.Add([]byte(`{"fence":3,"ask":true,"status":{"Scanning":true}}`))
	f.Add([]byte{partsItem, 1, 'g', 2})
	f.Fuzz(func(_ *testing.T, raw []byte) {
		m := newModel(nil)
		var r record
		var e scan.Entry
		d := dict{list: []string{"artist", "albumartist", "12345678name"}}
		if r.decode(raw) == nil {
			_ = r.entry(&d, &e, true) // an error is an answer
		}
		_, _ = decodeAlbum(&d, string(raw)) // likewise
		_, _, _, _ = splitFolder(string(raw))
		_, _ = decodePlaylist(raw)
		p := &person{notes: map[subject]note{}}
		_ = c.loadNotes(p, c.pack.EncodeAll(raw, []byte{journalFormat}))
		_, _ = (&decoder{b: raw}).manifest("fuzz")
		_, _, _ = partsOf(&store.Item{Value: raw})
		if n, err := decodeNotice(append([]byte{noticeFormat}, raw...)); err == nil {
			m.heed(1, n)
		}
		_ = new(state).decode(raw)
	})
}

// FuzzWords: any text has words that find it again, by any beginning of theirs.
func FuzzWords(f *testing.F) {
	for _, s := range []string{"The Beatles", "Sigur Rós", "東京の空", "ガンダム", "!!!", "don't", "AC/DC", "ﬁne", "Ⅷ", "\xff\xfe", "한국어", "'", "a'", "ÀÉÎ", "ß", "e\u0301"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		folded := fold(s)
		if again := fold(folded); again != folded && strings.ToValidUTF8(s, "") == s {
			t.Errorf("%q folds to %q and then to %q", s, folded, again)
		}
		x := newIndex()
		n := 0
		eachWord(folded, func(w string) {
			if w == "" || len(w) > len(folded) {
				t.Fatalf("%q has the word %q", folded, w)
			}
			n++
			x.add(w, 1)
		})
		words := queryWords(folded)
		if n == 0 {
			if len(words) != 0 {
				t.Fatalf("%q has no words but is asked for with %q", folded, words)
			}
			return
		}
		never := func(uint32, string) bool { return false }
		if found := x.find(words, 1000, never); !slices.Equal(found, []uint32{1}) {
			t.Errorf("%q is not found by %q", s, words)
		}
		for _, w := range words {
			for end := range w {
				if end > 0 && len(x.find([]string{w[:end]}, 1000, never)) != 1 {
					t.Errorf("%q is not found by %q", s, w[:end])
				}
			}
			x.remove(w, 1)
		}
	})
}

// TestWords shows what words are.
func TestWords(t *testing.T) {
	for text, want := range map[string]string{
		"The Beatles":     "the beatles",
		"Don't Stop":      "dont stop",
		"'round Midnight": "round midnight",
		"AC/DC":           "ac dc",
		"Motörhead":       "motorhead",
		"Sigur Rós":       "sigur ros",
		"Łódź":            "lodz",
		"東京の空":            "東京 京の の空 空",
		"東京 Love空":        "東京 京 love 空",
		"!!!":             "!!!",
		"":                "",
		" - ":             "-",
		"हिन्दी":          "हिन्दी",
	} {
		var words []string
		eachWord(fold(text), func(w string) { words = append(words, w) })
		if got := strings.Join(words, " "); got != want {
			t.Errorf("%q has the words %q, want %q", text, got, want)
		}
	}
	for name, want := range map[string]string{"The Beatles": "beatles", "A-ha": "a-ha", "A": "a", "L'Arc": "arc", "Theatre": "theatre", "the  Wall": "wall", "The The": "the"} {
		if got := sortKey(name, []string{"the", "l'", "a"}); got != want {
			t.Errorf("%q is sorted as %q, want %q", name, got, want)
		}
	}
}

// TestPropertyOrder: an order is the sorted list that it stands for.
func TestPropertyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		weights := map[uint32]int{}
		o := newOrder(func(a, b uint32) int { return int(a) - int(b) }, func(v uint32) int { return weights[v] })
		var list []uint32
		if rapid.Bool().Draw(t, "filled") {
			for v := range uint32(rapid.IntRange(0, 3000).Draw(t, "n")) {
				list = append(list, v*2)
				weights[v*2] = int(v % 4)
			}
			shuffled := slices.Clone(list)
			slices.Reverse(shuffled)
			o.fill(shuffled)
		}
		for range rapid.IntRange(0, 600).Draw(t, "changes") {
			v := uint32(rapid.IntRange(0, 6000).Draw(t, "v"))
			if i, ok := slices.BinarySearch(list, v); ok {
				o.remove(v)
				list = slices.Delete(list, i, i+1)
			} else {
				weights[v] = int(v % 5)
				o.insert(v)
				list = slices.Insert(list, i, v)
			}
		}
		total := 0
		for _, v := range list {
			total += weights[v]
		}
		if o.n != len(list) || o.total != total {
			t.Fatalf("it says %d of weight %d instead of %d of %d", o.n, o.total, len(list), total)
		}
		from := rapid.IntRange(0, len(list)).Draw(t, "from")
		if got := slices.Collect(o.each(from)); !slices.Equal(got, list[from:]) {
			t.Fatalf("from %d there are %v", from, got)
		}
		back := slices.Clone(list)
		slices.Reverse(back)
		if got := slices.Collect(o.backward(from)); !slices.Equal(got, back[from:]) {
			t.Fatalf("backward from %d there are %v", from, got)
		}
		limit := rapid.Uint32Range(0, 7000).Draw(t, "rank")
		want, _ := slices.BinarySearch(list, limit)
		if got := o.rank(func(v uint32) int { return int(v) - int(limit) }); got != want {
			t.Fatalf("%d come before %d instead of %d", got, limit, want)
		}
		var units []uint32 // every element as often as it weighs
		for _, v := range list {
			for range weights[v] {
				units = append(units, v)
			}
		}
		at := rapid.IntRange(0, len(units)).Draw(t, "at")
		var rest []uint32
		for v, skip := range o.eachWeighted(at) {
			for range weights[v] - skip {
				rest = append(rest, v)
			}
		}
		if !slices.Equal(rest, units[at:]) {
			t.Fatalf("from weight %d there are %v instead of %v", at, rest, units[at:])
		}
	})
}

// TestPropertyFind: within its effort, find is what looking through everything would give.
func TestPropertyFind(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching("[ab]{1,3}")
		x := newIndex()
		texts := rapid.SliceOfN(rapid.SliceOfN(word, 1, 4), 1, 60).Draw(t, "texts")
		for slot, words := range texts {
			for _, w := range words {
				x.add(w, uint32(slot))
			}
		}
		has := func(slot uint32, prefix string) bool {
			return slices.ContainsFunc(texts[slot], func(w string) bool { return strings.HasPrefix(w, prefix) })
		}
		query := rapid.SliceOfNDistinct(word, 1, 3, func(s string) string { return s }).Draw(t, "query")
		var want []uint32
		for slot := range texts {
			if !slices.ContainsFunc(query, func(w string) bool { return !has(uint32(slot), w) }) {
				want = append(want, uint32(slot))
			}
		}
		if got := x.find(query, 1<<20, has); !slices.Equal(got, want) {
			t.Fatalf("%q is found in %v instead of %v", query, got, want)
		}
		for slot, words := range texts {
			for _, w := range words {
				x.remove(w, uint32(slot))
			}
		}
		if len(x.number) != 0 || x.sorted.n != 0 {
			t.Fatalf("%d words are left, %d of them in order", len(x.number), x.sorted.n)
		}
	})
}

// TestPropertyFrom: the rest of a list from a number on, however far.
func TestPropertyFrom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		list := rapid.SliceOfN(rapid.Uint32Range(0, 500), 0, 300).Draw(t, "list")
		slices.Sort(list)
		list = slices.Compact(list)
		v := rapid.Uint32Range(0, 510).Draw(t, "v")
		i, _ := slices.BinarySearch(list, v)
		if got := from(list, v); !slices.Equal(got, list[i:]) {
			t.Fatalf("from %d: %v of %v", v, got, list)
		}
	})
}

// TestPropertyRecord: an entry comes back from its record as it went in.
func TestPropertyRecord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.Just(""), rapid.String(), rapid.Just("d41d8cd98f00b204e9800998ecf8427e"), rapid.Just("b1a9c0e9-d987-4042-ae91-78d6a3267d69"), rapid.Just("B1A9C0E9-d987-4042-ae91-78d6a3267d69"))
		texts := rapid.Custom(func(t *rapid.T) []string {
			list := rapid.SliceOfN(text, 0, 3).Draw(t, "list")
			if len(list) == 0 {
				return nil
			}
			return list
		})
		number := rapid.IntRange(-5, 1<<31)
		when := rapid.Custom(func(t *rapid.T) time.Time {
			if rapid.Bool().Draw(t, "unknown") {
				return time.Time{}
			}
			return time.Unix(rapid.Int64Range(-1<<33, 1<<33).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()
		})
		gain := rapid.Custom(func(t *rapid.T) *float64 {
			if rapid.Bool().Draw(t, "untagged") {
				return nil
			}
			v := rapid.OneOf(rapid.Float64(), rapid.Just(-7.35), rapid.Just(0.988553), rapid.Just(1.0/256)).Draw(t, "v")
			return &v
		})
		id := func(prefix string) tutti.ID { return tutti.NewID(prefix, rapid.Uint64().Draw(t, prefix)) }
		refs := func(least int) []tutti.ArtistRef {
			var list []tutti.ArtistRef
			for range rapid.IntRange(least, 3).Draw(t, "refs") {
				list = append(list, tutti.ArtistRef{ID: id(tutti.PrefixArtist), Name: text.Draw(t, "name")})
			}
			return list
		}
		date := func() tutti.Date {
			return tutti.Date{Year: rapid.IntRange(0, 3000).Draw(t, "y"), Month: rapid.IntRange(0, 12).Draw(t, "m"), Day: rapid.IntRange(0, 31).Draw(t, "d")}
		}
		e := scan.Entry{Inode: rapid.Uint64().Draw(t, "inode"), CoverPath: text.Draw(t, "cover"), AlbumSort: text.Draw(t, "albumsort"), AlbumMBID: text.Draw(t, "mbid"), RecordLabels: texts.Draw(t, "labels"), ReleaseTypes: texts.Draw(t, "types"), AlbumEdition: text.Draw(t, "edition")}
		copy(e.Fingerprint[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "fp"))
		e.Track = tutti.Track{
			ID: id(tutti.PrefixTrack), AlbumID: id(tutti.PrefixAlbum), FolderID: id(tutti.PrefixFolder), Library: "1",
			Title: text.Draw(t, "title"), SortTitle: text.Draw(t, "sort"), Album: text.Draw(t, "album"), Artists: refs(1), AlbumArtists: refs(0),
			DisplayArtist: text.Draw(t, "credit"), DisplayAlbumArtist: text.Draw(t, "albumcredit"), DisplayComposer: text.Draw(t, "composer"),
			Track: number.Draw(t, "track"), Disc: number.Draw(t, "disc"), DiscSubtitle: text.Draw(t, "subtitle"),
			Date: date(), OriginalDate: date(), ReleaseDate: date(), Genres: texts.Draw(t, "genres"), Moods: texts.Draw(t, "moods"),
			Comment: text.Draw(t, "comment"), Groupings: texts.Draw(t, "groupings"), BPM: number.Draw(t, "bpm"), Compilation: rapid.Bool().Draw(t, "comp"),
			Explicit: text.Draw(t, "explicit"), MusicBrainzID: text.Draw(t, "recording"), MusicBrainzTrackID: text.Draw(t, "releasetrack"),
			ISRC: texts.Draw(t, "isrc"), Work: text.Draw(t, "work"), Movement: text.Draw(t, "movement"), MovementNumber: number.Draw(t, "movementno"),
			Gain:      tutti.Gain{Track: gain.Draw(t, "tg"), Album: gain.Draw(t, "ag"), TrackPeak: gain.Draw(t, "tp"), AlbumPeak: gain.Draw(t, "ap"), Base: gain.Draw(t, "bg")},
			HasLyrics: rapid.Bool().Draw(t, "lyrics"), HasCover: rapid.Bool().Draw(t, "hascover"),
			Path: rapid.SampledFrom([]string{"a.flac", "a/b.flac", "a/ü b/c#d.mp3"}).Draw(t, "path"), Size: rapid.Int64Range(0, 1<<50).Draw(t, "size"),
			ModTime: when.Draw(t, "mtime"), Added: when.Draw(t, "added"), Suffix: text.Draw(t, "suffix"), ContentType: text.Draw(t, "type"), Codec: text.Draw(t, "codec"),
			Duration: time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "duration")), BitRate: number.Draw(t, "rate"), SampleRate: number.Draw(t, "hz"),
			BitDepth: number.Draw(t, "bits"), Channels: number.Draw(t, "channels"), Start: time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "start")),
			End: time.Duration(rapid.Int64Range(0, 1<<50).Draw(t, "end")), Version: tutti.Version(text.Draw(t, "version")),
		}
		for _, a := range refs(0) {
			e.Contributors = append(e.Contributors, tutti.Contributor{Role: text.Draw(t, "role"), SubRole: text.Draw(t, "subrole"), Artist: a})
			e.ArtistDetails = append(e.ArtistDetails, scan.ArtistDetail{ID: a.ID, SortName: text.Draw(t, "artistsort"), MusicBrainzID: text.Draw(t, "artistmbid")})
		}
		if err := checkEntry(&e); err != nil {
			t.Fatal(err)
		}
		d := newDict()
		b := appendEntry(nil, d, &e)
		var r record
		var got scan.Entry
		if err := r.decode(b); err != nil {
			t.Fatal(err)
		}
		if err := r.entry(d, &got, true); err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(got, e) && fmt.Sprintf("%+v", nan(got)) != fmt.Sprintf("%+v", nan(e)) {
			t.Fatalf("%+v\ncame back as\n%+v", e, got)
		}
	})
}

// nan shows gains by their bits' text, since NaN is not equal to itself.
func nan(e scan.Entry) scan.Entry {
	g := e.Gain
	for _, f := range gainFields(&g) {
		if *f != nil {
			e.Comment += fmt.Sprint(" ", **f)
		}
	}
	e.Gain = tutti.Gain{}
	return e
}

// TestArena: holes are filled by moving what is left, and nothing is lost.
func TestPropertyArena(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var a arena
		size := rapid.IntRange(1, 200_000)
		held := map[ref][]byte{}
		for i := range rapid.IntRange(1, 200).Draw(t, "steps") {
			b := slices.Repeat([]byte{byte(i)}, size.Draw(t, "size"))
			held[a.add(b)] = b
			for r := range held {
				if rapid.IntRange(0, 2).Draw(t, "release") == 0 {
					a.release(r)
					delete(held, r)
				}
				break
			}
			if a.wasteful() {
				for r, b := range held {
					if a.sparse(r) {
						delete(held, r)
						held[a.move(r)] = b
					}
				}
			}
		}
		used := 0
		for r, b := range held {
			if !slices.Equal(a.get(r), b) {
				t.Fatal("a blob has changed")
			}
			used += len(b) + uvarintLen(uint64(len(b)))
		}
		if a.used != used {
			t.Fatalf("%d bytes in use instead of %d", a.used, used)
		}
	})
}

// TestFoldLatin: the table of common letters says what folding the whole text would, whatever stands beside them.
func TestFoldLatin(t *testing.T) {
	beside := []string{"", "A", "z", "é", "Ł", "\u0301", "\u0315\u0327", "ß", "東", "Ⅳ", "\u0e48", "’", "\xff"}
	for r := rune(firstLatin - 2); r <= lastLatin+2; r++ {
		for _, before := range beside {
			for _, after := range beside {
				s := before + string(r) + after
				if got, want := fold(s), string(appendFoldAny(nil, s)); got != want {
					t.Errorf("%q folds to %q, not %q", s, got, want)
				}
			}
		}
	}
}

func TestLateVersionRefusesStore(t *testing.T) {
	c := coder(t)
	if _, err := c.decodeChanges(t.Context(), []byte{packedFormat + 1, 0}); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Error(err)
	}
	if _, err := c.unpackPart(t.Context(), []byte{packedFormat + 1, 0}); !tutti.IsKind(err, tutti.KindInvalid) {
		t.Error(err)
	}
	if contextErr(tutti.Wrap(tutti.KindUnavailable, "x", context.Canceled)) != true {
		t.Error("a listener who leaves is taken for a fault")
	}
}
