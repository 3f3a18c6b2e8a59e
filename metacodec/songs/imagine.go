package songs

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"strings"
	"time"

	"tutti/metacodec"
	"tutti/metacodec/corpus"
)

// Imagined is a song of a corpus as a file in somebody's library. Corpora say what music there is and not how it is kept,
// but a model must know that a library's files are alike; so the file is drawn from what is usual: its format and where it
// lies from the release, its ids at random. The same song always gives the same file.
type Imagined struct {
	*corpus.Song
	release, own uint64 // seeds: of what all songs of a release have in common, and of the song's own
}

// Imagine draws the file of a song.
func Imagine(s *corpus.Song) *Imagined {
	seed := func(parts ...string) uint64 {
		h := fnv.New64a()
		for _, p := range parts {
			_, _ = h.Write([]byte(p + "\x00")) // never fails
		}
		return h.Sum64()
	}
	return &Imagined{Song: s, release: seed(s.Release()), own: seed(s.Release(), s.Artist, s.Title, fmt.Sprint(s.Disc, s.Track))}
}

// Release implements metacodec.Sample: it is told from the song without a file.
func (i *Imagined) Release() string { return "file\x00" + i.Song.Release() }

// Artist implements metacodec.Sample.
func (i *Imagined) Artist() string { return i.Primary() }

// formats in which music is kept, with how many in a hundred have them.
var formats = []struct {
	share   int
	suffix  string
	bits    uint64
	rates   []uint64 // kbit/s; of those without loss the least and the most
	sampled []uint64
}{
	{45, "flac", 16, []uint64{450, 1100}, []uint64{44100, 44100, 44100, 48000}},
	{5, "flac", 24, []uint64{1500, 3200}, []uint64{96000, 48000, 44100}},
	{35, "mp3", 0, []uint64{320, 320, 320, 192, 256, 128, 245, 160}, []uint64{44100, 44100, 44100, 48000}},
	{9, "m4a", 0, []uint64{256, 256, 128}, []uint64{44100}},
	{4, "opus", 0, []uint64{128, 160, 96}, []uint64{48000}},
	{2, "ogg", 0, []uint64{192, 256, 320}, []uint64{44100}},
}

// layouts of paths under a music folder; the last has nothing to do with the tags.
var layouts = []string{
	"{aa}/{al}/{nn} - {t}.{x}", "{aa}/{al}/{nn} {t}.{x}", "{aa}/{al}/{nn}. {t}.{x}", "{aa}/{al} ({y})/{nn} - {t}.{x}",
	"{aa}/{y} - {al}/{nn} - {t}.{x}", "{aa} - {al}/{nn} - {t}.{x}", "{aa}/{al}/{nn} - {a} - {t}.{x}", "{aa}/{al}/{d}-{nn} {t}.{x}",
	"{al}/{nn}_{t}.{x}", "{aa}/{al}/track{nn}.{x}",
}

// Write implements metacodec.Sample.
func (i *Imagined) Write(e *metacodec.Encoder) {
	own := rand.New(rand.NewPCG(i.own, 0))
	s := i.song(rand.New(rand.NewPCG(i.release, 0)), own)
	s.write(e)
	e.Bool(metacodec.Usual, own.IntN(30) > 0)
	e.End()
}

func (i *Imagined) song(release, own *rand.Rand) *song {
	s := &song{
		genre: i.Genre, albumArtist: i.AlbumArtist, artist: i.Song.Artist, album: i.Album, title: i.Title,
		year: uint64(i.Year), disc: uint64(i.Disc), track: uint64(i.Track), seconds: uint64(i.Seconds), channels: 2,
	}
	if s.seconds == 0 {
		s.seconds = 30 + uint64(own.ExpFloat64()*60+max(own.NormFloat64()*60+150, 0))
	}
	f := formats[0]
	share := release.IntN(100)
	for _, f = range formats {
		if share -= f.share; share < 0 {
			break
		}
	}
	s.suffix, s.bitDepth, s.sampleRate = f.suffix, f.bits, f.sampled[release.IntN(len(f.sampled))]
	if release.IntN(30) == 0 {
		s.channels = 1
	}
	if f.bits > 0 {
		s.bitRate = f.rates[0] + uint64(own.IntN(int(f.rates[1]-f.rates[0])))
	} else {
		s.bitRate = f.rates[release.IntN(len(f.rates))]
		if f.suffix == "opus" || f.suffix == "ogg" || s.bitRate == 245 {
			s.bitRate = uint64(float64(s.bitRate) * (1 + own.NormFloat64()*0.06))
		}
	}
	// what a length in seconds and a rate in kbit/s leave open, and a picture in the file
	seconds := float64(s.seconds) + own.Float64() - 0.5
	s.size = uint64(max(seconds*(float64(s.bitRate)+own.Float64()-0.5)*125, 0)) + uint64(release.IntN(2)*(20_000+release.IntN(300_000)))
	layout := layouts[min(release.IntN(2*len(layouts)), release.IntN(len(layouts)))]
	name := func(t string) string { return strings.ReplaceAll(t, "/", "_") }
	s.path = strings.NewReplacer(
		"{aa}", name(s.albumArtist), "{al}", name(s.album), "{a}", name(s.artist), "{t}", name(s.title), "{nn}", fmt.Sprintf("%02d", s.track),
		"{d}", fmt.Sprint(s.disc), "{y}", fmt.Sprint(s.year), "{x}", s.suffix,
	).Replace(layout)
	s.idForm, s.id = idRaw, own.Uint64()
	s.parentForm, s.library = idDerived, 1
	s.albumIDForm = idDerived
	if release.IntN(4) == 0 {
		s.albumIDForm, s.albumID = idRaw, release.Uint64()
	}
	s.artistIDForm = idDerived
	if !ascii(s.artist) {
		s.artistIDForm, s.artistID = idRaw, release.Uint64()
	}
	if release.IntN(8) > 0 {
		s.cover = coverAlbum
	}
	day := release.IntN(6 * 365)
	s.created = time.Date(2021, 1, 1, 0, 0, release.IntN(86400), 0, time.UTC).AddDate(0, 0, day).Add(time.Duration(own.IntN(5_000)) * time.Millisecond)
	if s.hasMBID = release.IntN(4) == 0; s.hasMBID {
		for b := range s.mbid {
			s.mbid[b] = byte(own.Uint32())
		}
	}
	return s
}

// JSON returns the song as a server would write it whose ids are derived as d says.
func (i *Imagined) JSON(d Derive) []byte {
	s := i.song(rand.New(rand.NewPCG(i.release, 0)), rand.New(rand.NewPCG(i.own, 0)))
	b := []byte{'{'}
	for k, v := range New(d).predict(s) {
		if v == nil {
			continue
		}
		if len(b) > 1 {
			b = append(b, ',')
		}
		b = append(append(append(append(b, '"'), names[k]...), '"', ':'), v...)
	}
	return append(b, '}')
}
