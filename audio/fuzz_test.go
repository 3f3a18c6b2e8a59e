package audio

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"tutti"
)

// FuzzRead feeds every reader of files. Its seeds are the small files of the generated library and the beginnings of
// the others.
func FuzzRead(f *testing.F) {
	dir, files := Files(f)
	for _, file := range files {
		b, err := os.ReadFile(filepath.Join(dir, file.Path))
		if err != nil {
			f.Fatal(err)
		}
		if len(b) > 6<<10 {
			b = append(bytes.Clone(b[:4<<10]), b[len(b)-2<<10:]...)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		size := int64(len(b))
		info, err := Read(t.Context(), r, size, "a.mp3")
		if err != nil {
			if tutti.KindOf(err) != tutti.KindInvalid {
				t.Fatalf("an error of kind %v: %v", tutti.KindOf(err), err)
			}
			return
		}
		if info.AudioOffset < 0 || info.AudioLength < 0 || info.AudioOffset+info.AudioLength > size {
			t.Fatalf("audio at %d, %d bytes, in a file of %d", info.AudioOffset, info.AudioLength, size)
		}
		if info.Duration < 0 || info.Samples < 0 || info.BitRate < 0 || info.SampleRate <= 0 || info.Channels <= 0 || info.BitDepth < 0 {
			t.Fatalf("impossible: %+v", info)
		}
		for _, tag := range info.Tags {
			if tag.Key == "" || tag.Value == "" || !utf8.ValidString(tag.Key) || !utf8.ValidString(tag.Value) {
				t.Fatalf("tag %q", tag)
			}
		}
		if info.ContentType() == "" {
			t.Fatal("no content type")
		}
		useTags(&info)
		if _, err := Fingerprint(t.Context(), &info, r, size); err != nil {
			t.Fatal(err)
		}
		if data, mime, err := Picture(t.Context(), r, size, "a.mp3", PictureFront); err == nil && (len(data) == 0 || mime == "") {
			t.Fatalf("a picture of %d bytes, %q", len(data), mime)
		}
	})
}

// useTags calls every accessor.
func useTags(i *Info) {
	t := i.Tags
	t.Title()
	t.Album()
	t.SortNames()
	t.DisplayArtist()
	t.DisplayAlbumArtist()
	t.DisplayComposer()
	t.Artists()
	t.AlbumArtists()
	t.Track()
	t.Disc()
	t.DiscSubtitle()
	t.Compilation()
	t.Date()
	t.OriginalDate()
	t.ReleaseDate()
	t.MusicBrainz()
	t.BPM()
	t.Comment()
	t.Contributors()
	t.Genres()
	t.Moods()
	t.ISRC()
	t.Labels()
	t.ReleaseTypes()
	t.Groupings()
	t.Edition()
	t.Explicit()
	t.Work()
	t.Movement()
	i.Gain()
	i.Lyrics()
}

// FuzzTags feeds the accessors with one field at a time.
func FuzzTags(f *testing.F) {
	for _, v := range []string{"3/12", "2019-05-17T10:00", "(17)(4)Euro", "A feat. B; C", "-6,5 dB", "İ feat. ı", "Name (violin)", "A3"} {
		f.Add("ARTIST", v)
	}
	f.Fuzz(func(t *testing.T, key, value string) {
		for _, k := range []string{key, "ARTIST", "DATE", "TRACKNUMBER", "GENRE", "REPLAYGAIN_TRACK_GAIN", "PERFORMER", "MUSICBRAINZ_ARTISTID", "BPM", "LYRICS"} {
			i := Info{}
			i.Tags.add(k, value)
			useTags(&i)
			for _, a := range i.Tags.Artists() {
				if a == "" {
					t.Fatal("an artist without a name")
				}
			}
		}
		d := ParseDate(value)
		if !d.IsZero() && ParseDate(d.String()) != d {
			t.Fatalf("%v does not survive", d)
		}
	})
}

func FuzzParseCue(f *testing.F) {
	f.Add([]byte(cueSheet))
	f.Add([]byte("FILE a b c WAVE\nTRACK 1 AUDIO\nINDEX 0 0:0:0\nFILE d WAVE\nINDEX 1 0:0:0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := ParseCue(b)
		if err != nil {
			if tutti.KindOf(err) != tutti.KindInvalid {
				t.Fatal(err)
			}
			return
		}
		for _, file := range c.Files {
			if len(file.Sections()) != len(file.Tracks) {
				t.Fatal("sections and tracks differ in number")
			}
			for _, track := range file.Tracks {
				if track.Start < 0 {
					t.Fatal("a track before the beginning")
				}
				c.TrackTags(track)
			}
		}
	})
}

func FuzzParseLRC(f *testing.F) {
	f.Add([]byte("[ar:A]\n[offset:-250]\n[00:01.00][00:05.5]Line\n[00:02.00]<00:02.10>Two <00:02.50>words<00:03.00>"))
	f.Add([]byte("plain\n[Chorus]\n<3 hearts"))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLRC(b)
		if err != nil {
			if tutti.KindOf(err) != tutti.KindInvalid {
				t.Fatal(err)
			}
			return
		}
		last := time.Duration(0)
		for _, line := range l.Lines {
			if line.Start < last {
				t.Fatal("lines out of order")
			}
			last = line.Start
			for _, c := range line.Cues {
				if c.From < 0 || c.From >= c.To || c.To > len(line.Text) {
					t.Fatalf("cue %+v of %q", c, line.Text)
				}
			}
		}
	})
}

func FuzzParseM3U(f *testing.F) {
	f.Add([]byte("#EXTM3U\n#PLAYLIST:P\n#EXTINF:12,A - B\n../a/b.mp3\nC:\\x\\y.mp3\nfile:///a%20b.flac\nhttp://host/x"), "dir")
	f.Fuzz(func(t *testing.T, b []byte, dir string) {
		l, err := ParseM3U(b)
		if err != nil {
			return
		}
		for _, e := range l.Entries {
			for _, c := range e.Candidates("some/dir") {
				if c == ".." || strings.HasPrefix(c, "../") || strings.HasPrefix(c, "/") {
					t.Fatalf("%q leads outside", c)
				}
			}
		}
	})
}

func FuzzParseProbe(f *testing.F) {
	f.Add([]byte(`{"format":{"format_name":"asf","duration":"3.1","tags":{"artist":"A;B"}},"streams":[{"codec_type":"audio","codec_name":"wmav2","sample_rate":"44100","channels":2}],"chapters":[{"start_time":"0","end_time":"1","tags":{"title":"x"}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := parseProbe(b)
		if err == nil && !json.Valid(b) {
			t.Fatal("accepted what is no JSON")
		}
		if err == nil && (info.Duration < 0 || info.SampleRate < 0 || info.BitRate < 0) {
			t.Fatalf("impossible: %+v", info)
		}
	})
}
