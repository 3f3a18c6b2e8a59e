// Package catalogtest makes catalogues that never were: any number of tracks with names, lengths, tags and folders
// distributed about as in real collections, the same ones every time. Benchmarks and tests of everything that reads a
// catalogue use it. What goes in here is data for tests; nothing of the server imports it.
package catalogtest

import (
	"encoding/binary"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"tutti"
	"tutti/catalog/scan"
)

// Library is the library of the synthetic tracks.
const Library = "1"

// began is when the first synthetic track was added.
var began = time.Date(2019, 4, 7, 18, 30, 0, 0, time.UTC)

// The shapes of the distributions: an album has about a dozen tracks, an artist about four albums (few have many), a
// twentieth of the albums are compilations, and genres follow a power law.
const (
	compilationShare = 0.05
	featuredShare    = 0.08
)

var genreNames = []string{
	"Rock", "Electronic", "Pop", "Jazz", "Classical", "Hip Hop", "Folk", "Metal", "Ambient", "Soul", "Punk", "Blues",
	"House", "Country", "Techno", "Indie Rock", "Reggae", "Soundtrack", "Funk", "World", "Experimental", "Drum & Bass",
	"Singer-Songwriter", "Gospel", "Trip Hop", "Post-Rock", "Baroque", "Chanson", "Bossa Nova", "Afrobeat", "Shoegaze",
	"Dub", "Krautrock", "Minimal", "Opera", "Bluegrass", "Flamenco", "Fado", "Klezmer", "Zydeco",
}

var titleWords = []string{
	"love", "night", "heart", "time", "blue", "dream", "rain", "light", "fire", "home", "river", "moon", "summer", "girl",
	"way", "day", "world", "song", "dance", "sun", "star", "road", "eyes", "sky", "life", "black", "gold", "water", "wind",
	"city", "morning", "winter", "shadow", "angel", "stone", "train", "garden", "ghost", "paper", "silver", "machine",
	"ocean", "mirror", "window", "radio", "letter", "island", "mountain", "bird", "tiger", "glass", "velvet", "thunder",
	"little", "lonely", "broken", "golden", "crazy", "silent", "electric", "beautiful", "wild", "sweet", "lost", "hidden",
}

var smallWords = []string{"the", "of", "in", "my", "a", "for", "you", "and", "to", "on", "your", "with", "no", "i"}

var onsets = []string{"b", "br", "c", "ch", "d", "dr", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "r", "s", "sh", "st", "t", "tr", "v", "w", "z", ""}

var nuclei = []string{"a", "e", "i", "o", "u", "ai", "ea", "ou", "ee", "é", "ö", "å"}

var codas = []string{"", "", "n", "r", "l", "s", "t", "ck", "m", "nd", "rt", "x"}

var scripts = [][]string{
	strings.Split("春 夏 秋 冬 花 月 風 雪 星 空 海 夢 愛 光 夜", " "),
	strings.Split("лес море ночь свет река весна зима город звезда", " "),
}

// Synthetic yields n entries, grouped by album and artist as a scan of an ordered collection would find them. The
// entries are the consumer's, but their slices are shared between tracks of an album and must not be changed.
func Synthetic(n int) iter.Seq[scan.Entry] {
	return func(yield func(scan.Entry) bool) {
		g := generator{rng: rand.New(rand.NewPCG(20190407, 1)), left: n}
		for g.left > 0 {
			if !g.artist(yield) {
				return
			}
		}
	}
}

type generator struct {
	rng    *rand.Rand
	left   int // tracks to make
	made   int
	others []tutti.ArtistRef // made before, to be featured
}

func (g *generator) pick(list []string) string { return list[g.rng.IntN(len(list))] }

// common picks from the beginning of a list more often than from its end.
func (g *generator) common(list []string) string {
	f := g.rng.Float64()
	return list[int(f*f*float64(len(list)))]
}

func (g *generator) syllables(n int) string {
	var b strings.Builder
	for range n {
		b.WriteString(g.pick(onsets))
		b.WriteString(g.pick(nuclei))
		b.WriteString(g.pick(codas))
	}
	return b.String()
}

func title(s string) string {
	words := strings.Fields(s)
	for i, w := range words {
		r := []rune(w)
		words[i] = strings.ToUpper(string(r[:1])) + string(r[1:])
	}
	return strings.Join(words, " ")
}

func (g *generator) artistName() string {
	switch f := g.rng.Float64(); {
	case f < 0.55:
		return title(g.syllables(1+g.rng.IntN(2)) + " " + g.syllables(2))
	case f < 0.75:
		return "The " + title(g.common(titleWords)+" "+g.syllables(1+g.rng.IntN(2))) + "s"
	case f < 0.85:
		return title(g.syllables(2) + " & the " + g.common(titleWords) + " " + g.syllables(2))
	case f < 0.98:
		return title(g.syllables(3))
	}
	s := scripts[g.rng.IntN(len(scripts))]
	return g.pick(s) + g.pick(s) + g.syllables(1)
}

func (g *generator) songName() string {
	var words []string
	for range 1 + g.rng.IntN(4) {
		switch f := g.rng.Float64(); {
		case f < 0.5:
			words = append(words, g.common(titleWords))
		case f < 0.78:
			words = append(words, g.common(smallWords))
		case f < 0.99:
			words = append(words, g.syllables(1+g.rng.IntN(2)))
		default:
			words = append(words, g.pick(scripts[g.rng.IntN(len(scripts))]))
		}
	}
	return title(strings.Join(words, " "))
}

func (g *generator) genres() []string {
	pick := func() string {
		f := g.rng.Float64()
		return genreNames[int(f*f*f*float64(len(genreNames)))]
	}
	list := []string{pick()}
	if g.rng.Float64() < 0.4 {
		if second := pick(); second != list[0] {
			list = append(list, second)
		}
	}
	return list
}

func (g *generator) uuid() string {
	a, b := g.rng.Uint64(), g.rng.Uint64()
	return fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", a>>32, a>>16&0xffff, a&0xfff, b>>48&0x3fff|0x8000, b&0xffffffffffff)
}

func ref(name string) tutti.ArtistRef { return tutti.ArtistRef{ID: scan.ArtistID(name), Name: name} }

func (g *generator) artist(yield func(scan.Entry) bool) bool {
	name := g.artistName()
	a := ref(name)
	// Pareto: most have a few albums, some have dozens.
	albums := min(60, int(math.Pow(1-g.rng.Float64(), -0.8))+g.rng.IntN(3))
	genres := g.genres()
	detail := scan.ArtistDetail{ID: a.ID, MusicBrainzID: g.uuid()}
	if rest, ok := strings.CutPrefix(name, "The "); ok {
		detail.SortName = rest + ", The"
	}
	for range max(1, albums) {
		if g.left <= 0 {
			return true
		}
		if !g.album(a, detail, genres, yield) {
			return false
		}
	}
	if len(g.others) < 4096 {
		g.others = append(g.others, a)
	} else {
		g.others[g.rng.IntN(len(g.others))] = a
	}
	return true
}

type codec struct {
	suffix, contentType, codec string
	bitRate, rate, depth       int
}

var codecs = []codec{
	{"flac", "audio/flac", "flac", 900, 44100, 16},
	{"mp3", "audio/mpeg", "mp3", 320, 44100, 0},
	{"mp3", "audio/mpeg", "mp3", 245, 44100, 0},
	{"flac", "audio/flac", "flac", 2600, 96000, 24},
	{"m4a", "audio/mp4", "aac", 256, 44100, 0},
	{"opus", "audio/ogg", "opus", 160, 48000, 0},
	{"ogg", "audio/ogg", "vorbis", 192, 44100, 0},
}

func (g *generator) album(owner tutti.ArtistRef, detail scan.ArtistDetail, genres []string, yield func(scan.Entry) bool) bool {
	name := g.songName()
	date := tutti.Date{Year: 1955 + int(70*math.Sqrt(g.rng.Float64())), Month: 1 + g.rng.IntN(12), Day: 1 + g.rng.IntN(28)}
	compilation := g.rng.Float64() < compilationShare && len(g.others) > 20
	artists := []tutti.ArtistRef{owner}
	if compilation {
		artists = []tutti.ArtistRef{ref("Various Artists")}
	}
	dir := fmt.Sprintf("%s/%s/%d - %s", strings.ToUpper(firstLetter(artists[0].Name)), safe(artists[0].Name), date.Year, safe(name))
	albumID := tutti.NewID(tutti.PrefixAlbum, g.rng.Uint64())
	folderID := scan.FolderID(Library, dir)
	c := codecs[int(math.Pow(g.rng.Float64(), 1.5)*float64(len(codecs)))]
	discs := 1
	if g.rng.Float64() < 0.07 {
		discs = 2
	}
	cover := ""
	if g.rng.Float64() < 0.85 {
		cover = dir + "/cover.jpg"
	}
	mbid, tagged := g.uuid(), g.rng.Float64() < 0.6
	albumGain := -3 - math.Round(900*g.rng.Float64())/100
	for disc := 1; disc <= discs; disc++ {
		for track := range 8 + g.rng.IntN(7) {
			if g.left <= 0 {
				return true
			}
			g.left--
			g.made++
			e := scan.Entry{CoverPath: cover}
			t := &e.Track
			binary.LittleEndian.PutUint64(e.Fingerprint[:], g.rng.Uint64())
			binary.LittleEndian.PutUint64(e.Fingerprint[8:], g.rng.Uint64())
			t.ID = scan.TrackID(e.Fingerprint, 0, 0)
			t.AlbumID, t.FolderID, t.Library = albumID, folderID, Library
			t.Title, t.Album = g.songName(), name
			t.Artists, t.AlbumArtists = artists, artists
			t.DisplayArtist, t.DisplayAlbumArtist = owner.Name, artists[0].Name
			e.ArtistDetails = []scan.ArtistDetail{detail}
			if compilation {
				t.Artists = []tutti.ArtistRef{g.others[g.rng.IntN(len(g.others))]}
				t.DisplayArtist, t.Compilation = t.Artists[0].Name, true
				e.ArtistDetails = nil
			} else if len(g.others) > 0 && g.rng.Float64() < featuredShare {
				guest := g.others[g.rng.IntN(len(g.others))]
				t.Artists = []tutti.ArtistRef{owner, guest}
				t.DisplayArtist = owner.Name + " feat. " + guest.Name
			}
			if g.rng.Float64() < 0.2 {
				writer := ref(title(g.syllables(2) + " " + g.syllables(2)))
				if len(g.others) > 0 && g.rng.Float64() < 0.9 {
					writer = g.others[g.rng.IntN(len(g.others))]
				}
				t.Contributors = []tutti.Contributor{{Role: "composer", Artist: writer}}
				t.DisplayComposer = writer.Name
			}
			t.Track, t.Disc = track+1, disc
			t.Date, t.Genres = date, genres
			if tagged {
				e.AlbumMBID = mbid
				t.MusicBrainzID, t.MusicBrainzTrackID = g.uuid(), g.uuid()
				gain, peak := -3-math.Round(900*g.rng.Float64())/100, math.Round(1e6*(0.7+0.3*g.rng.Float64()))/1e6
				t.Gain = tutti.Gain{Track: &gain, TrackPeak: &peak, Album: &albumGain}
				e.ReleaseTypes = []string{"Album"}
			}
			t.HasCover, t.HasLyrics = cover != "" || g.rng.Float64() < 0.5, g.rng.Float64() < 0.1
			t.Path = fmt.Sprintf("%s/%02d - %s.%s", dir, track+1, safe(t.Title), c.suffix)
			if discs > 1 {
				t.Path = fmt.Sprintf("%s/%d-%02d - %s.%s", dir, disc, track+1, safe(t.Title), c.suffix)
			}
			t.Duration = time.Duration(90+g.rng.ExpFloat64()*140) * time.Second
			t.Duration += time.Duration(g.rng.IntN(1000)) * time.Millisecond
			t.BitRate = c.bitRate
			if c.depth > 0 {
				t.BitRate += g.rng.IntN(300) - 150
			}
			t.SampleRate, t.BitDepth, t.Channels = c.rate, c.depth, 2
			t.Size = int64(t.BitRate) * int64(t.Duration/time.Millisecond) / 8
			t.Suffix, t.ContentType, t.Codec = c.suffix, c.contentType, c.codec
			t.Added = began.Add(time.Duration(g.made) * time.Minute)
			t.ModTime = t.Added.Add(-time.Duration(g.rng.IntN(1e9)) * time.Second / 100)
			t.Version = scan.VersionOf(e.Fingerprint, t.Size, t.ModTime.UnixNano())
			e.Inode = 1<<20 + uint64(g.made)
			if !yield(e) {
				return false
			}
		}
	}
	return true
}

func firstLetter(s string) string { return string([]rune(s)[:1]) }

// safe makes a name fit for a path.
func safe(s string) string { return strings.NewReplacer("/", "_", ":", "_").Replace(s) }
