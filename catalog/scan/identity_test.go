package scan

import (
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"tutti"
	"tutti/audio"
	"tutti/store"
)

func TestFold(t *testing.T) {
	for _, same := range [][]string{
		{"ac/dc", "AC/DC", "Ac/Dc "},
		{"guns n' roses", "Guns N’ Roses", "GUNS  N' ROSES", "\tGuns N` Roses\n"},
		{"a-ha", "A‐ha", "a–HA"},
		{"björk", "Björk", "Bjo\u0308rk", "BJÖRK"},
		{"abc", "ＡＢＣ"},
	} {
		for _, s := range same {
			if got := fold(s); got != same[0] {
				t.Errorf("fold(%q) = %q, want %q", s, got, same[0])
			}
		}
	}
	if fold("Mørk") == fold("Mork") || fold("Björk") == fold("Bjork") {
		t.Error("accents do not count")
	}
}

func TestFoldIsFinal(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "s")
		once := fold(s)
		if twice := fold(once); twice != once || !utf8.ValidString(once) {
			t.Fatalf("fold(%q) = %q, and again %q", s, once, twice)
		}
	})
}

func TestDiscFolder(t *testing.T) {
	for name, want := range map[string]int{
		"CD1": 1, "cd 02": 2, "Disc 3": 3, "Disk_04 - Live": 4, "DVD-1": 1, "disc#12": 12, "CD2 (bonus)": 2,
		"CD": 0, "CD1a": 0, "Discovery": 0, "Disc One": 0, "CD100": 0, "1": 0, "Album": 0, "cd0": 0, "Disco 2000": 0,
	} {
		if got, ok := discFolder(name); got != want || ok != (want > 0) {
			t.Errorf("discFolder(%q) = %d, %v, want %d", name, got, ok, want)
		}
	}
}

func TestTitleOf(t *testing.T) {
	for p, want := range map[string]struct {
		title string
		track int
	}{
		"a/07 - Gold.mp3":     {"Gold", 7},
		"1-08. Silver.flac":   {"Silver", 8},
		"03_Bronze.ogg":       {"Bronze", 3},
		"1979.flac":           {"1979", 0},
		"99 Luftballons.mp3":  {"Luftballons", 99}, // the price of the rule, paid only by files without a title
		"12.mp3":              {"12", 0},
		"50ft Queenie.mp3":    {"50ft Queenie", 0},
		"R\uefF3s.mp3":        {"Rós", 0},
		"no suffix":           {"no suffix", 0},
		"a.b.c.mp3":           {"a.b.c", 0},
		"2001 - A Space.opus": {"2001 - A Space", 0},
	} {
		if title, track := titleOf(p); title != want.title || track != want.track {
			t.Errorf("titleOf(%q) = %q, %d, want %q, %d", p, title, track, want.title, want.track)
		}
	}
}

// TestIDsStay pins the ids of a few things: they are in people's stars and playlists, and must never change.
func TestIDsStay(t *testing.T) {
	fp := Fingerprint{1, 2, 3}
	for got, want := range map[string]string{
		string(TrackID(fp, 0, 0)):        "tr-cs19taqark88j",
		string(TrackID(fp, 2, 1)):        "tr-ek6xrm2q2mzw0",
		string(ArtistID("AC/DC")):        "ar-34kt3cbrcyytd",
		string(FolderID("1", "a/b")):     "fo-bm75sa58tn4q5",
		string(PlaylistID("1", "a.m3u")): "pl-66x0t5bpbsb33",
		string(newAlbumID("1", albumKey{name: "n", artist: "a"}, 2000, "a/n")):                        "al-96knsdwahd777",
		string(newAlbumID("1", albumKey{name: "n", artist: "a", mbid: "11111111-1111"}, 2000, "a/n")): "al-en033rwc8gsbb",
		string(VersionOf(fp, 123, 456)): "331566229311314f9ecada5cb50e8e6b",
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	if TrackID(fp, 1, 0) == TrackID(fp, 0, 1) || id("x-y", "ab", "c") == id("x-y", "a", "bc") {
		t.Error("different things have the same id")
	}
}

// FuzzDrafts makes entries of hostile tags and cue sheets: they must be complete, and fit a store's item.
func FuzzDrafts(f *testing.F) {
	f.Add("ARTIST", "a;b feat. c", 3, "FILE x WAVE\nTRACK 01 AUDIO\nINDEX 01 00:00:00\nTRACK 02 AUDIO\nINDEX 01 00:02:00", int64(1000))
	f.Add("COMMENT", "long", 4000, "", int64(0))
	f.Add("PERFORMER", "n (i)", 1000, "FILE x WAVE\nTRACK 01 AUDIO\nINDEX 01 99:59:74", int64(1<<40))
	f.Fuzz(func(t *testing.T, key, value string, n int, cue string, size int64) {
		n = min(max(n, 0), 500)
		info := audio.Info{Format: "mp3", Codec: "mp3", Duration: 4e9}
		for i := range n {
			info.Tags = append(info.Tags, audio.Tag{Key: key, Value: value + string(rune('a'+i%26))})
		}
		var sh *sheet
		if c, err := audio.ParseCue([]byte(cue)); err == nil && len(c.Files[0].Tracks) > 1 {
			sh = &sheet{c, c.Files[0]}
		}
		size = max(size, 0)
		fo := folder{library: "1", dir: "a/b"}
		fo.albumFolder, fo.disc = albumFolderOf(fo.dir)
		fi := tutti.FileInfo{Path: "a/b/c.mp3", Size: size}
		ds := fo.drafts(&fi, &info, Fingerprint{}, sh)
		var sum int64
		for i := range ds {
			e := &ds[i].Entry
			sum += e.Size
			if e.Title == "" || len(e.Artists) == 0 || e.Album == "" || e.Size < 0 || e.Duration < 0 {
				t.Fatalf("incomplete: %+v", e)
			}
			if w := e.weight(); w > store.MaxValue*9/10 {
				t.Fatalf("an entry of %d bytes", w)
			}
		}
		if len(ds) == 0 || sum != size {
			t.Fatalf("%d entries of %d bytes from a file of %d", len(ds), sum, size)
		}
	})
}
