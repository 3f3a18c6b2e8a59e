package songs

import (
	"encoding/binary"

	"tutti/metacodec"
)

// write writes what a record holds: the tags first, in the order that the models are trained on, then the file.
func (s *song) write(e *metacodec.Encoder) {
	e.Begin(Kind)
	e.Text(metacodec.Genre, s.genre)
	e.Text(metacodec.AlbumArtist, s.albumArtist)
	e.Text(metacodec.Artist, s.artist)
	e.Text(metacodec.Album, s.album)
	e.Uint(metacodec.Year, s.year)
	e.Uint(metacodec.DiscNumber, s.disc)
	e.Uint(metacodec.TrackNumber, s.track)
	e.Text(metacodec.Title, s.title)
	e.Uint(metacodec.Seconds, s.seconds)
	e.Text(metacodec.Token, s.suffix)
	e.Uint(metacodec.BitRate, s.bitRate)
	e.Uint(metacodec.BitDepth, s.bitDepth)
	e.Uint(metacodec.SampleRate, s.sampleRate)
	e.Uint(metacodec.Channels, s.channels)
	e.Int(metacodec.Size, int64(s.size)-int64(usualSize(s.seconds, s.bitRate)))
	k := s.known()
	e.TextBytes(metacodec.Path, k.Fold([]byte(s.path), marks))
	id(e, metacodec.Identifier, s.idForm, s.id)
	id(e, metacodec.FolderKey, s.parentForm, s.parent)
	e.Uint(metacodec.Reference, s.library)
	id(e, metacodec.AlbumKey, s.albumIDForm, s.albumID)
	id(e, metacodec.ArtistKey, s.artistIDForm, s.artistID)
	e.Time(metacodec.When, s.created)
	e.Uint(metacodec.Picture, s.cover)
	rare := s.playCount|s.bpm != 0 || s.comment != "" || s.composer != "" || s.hasSort || s.hasMBID
	e.Bool(metacodec.Flag, rare)
	if !rare {
		return
	}
	e.Uint(metacodec.Count, s.playCount)
	e.Uint(metacodec.Tempo, s.bpm)
	e.Text(metacodec.Comment, s.comment)
	e.Text(metacodec.Composer, s.composer)
	e.Bool(metacodec.Flag, s.hasSort)
	if s.hasSort {
		e.Text(metacodec.Sort, s.sort)
	}
	e.Bool(metacodec.Flag, s.hasMBID)
	if s.hasMBID {
		e.ID(metacodec.Identifier, s.mbid)
	}
}

// read is the inverse of write. Damage shows in the decoder.
func (s *song) read(d *metacodec.Decoder) {
	s.genre = d.String(metacodec.Genre)
	s.albumArtist = d.String(metacodec.AlbumArtist)
	s.artist = d.String(metacodec.Artist)
	s.album = d.String(metacodec.Album)
	s.year = d.Uint(metacodec.Year)
	s.disc = d.Uint(metacodec.DiscNumber)
	s.track = d.Uint(metacodec.TrackNumber)
	s.title = d.String(metacodec.Title)
	s.seconds = d.Uint(metacodec.Seconds)
	s.suffix = d.String(metacodec.Token)
	s.bitRate = d.Uint(metacodec.BitRate)
	s.bitDepth = d.Uint(metacodec.BitDepth)
	s.sampleRate = d.Uint(metacodec.SampleRate)
	s.channels = d.Uint(metacodec.Channels)
	s.size = uint64(d.Int(metacodec.Size) + int64(usualSize(s.seconds, s.bitRate)))
	k := s.known()
	if path, err := k.Unfold(d.Text(metacodec.Path)); err == nil { // what is too long was never written, and shows below
		s.path = string(path)
	}
	s.idForm, s.id = readID(d, metacodec.Identifier)
	s.parentForm, s.parent = readID(d, metacodec.FolderKey)
	s.library = d.Uint(metacodec.Reference)
	s.albumIDForm, s.albumID = readID(d, metacodec.AlbumKey)
	s.artistIDForm, s.artistID = readID(d, metacodec.ArtistKey)
	s.created = d.Time(metacodec.When)
	s.cover = d.Uint(metacodec.Picture)
	if !d.Bool(metacodec.Flag) {
		return
	}
	s.playCount = d.Uint(metacodec.Count)
	s.bpm = d.Uint(metacodec.Tempo)
	s.comment = d.String(metacodec.Comment)
	s.composer = d.String(metacodec.Composer)
	if s.hasSort = d.Bool(metacodec.Flag); s.hasSort {
		s.sort = d.String(metacodec.Sort)
	}
	if s.hasMBID = d.Bool(metacodec.Flag); s.hasMBID {
		s.mbid = d.ID(metacodec.Identifier)
	}
}

// marks are what a path is made of, the likelier first: a title may be the album's.
var marks = []byte{
	metacodec.MarkTitle, metacodec.MarkAlbum, metacodec.MarkArtist, metacodec.MarkTrack, metacodec.MarkTrackShort, metacodec.MarkYear,
	metacodec.MarkDisc, metacodec.MarkSuffix,
}

func (s *song) known() (k metacodec.Known) {
	k.Set(metacodec.MarkTitle, []byte(s.title))
	k.Set(metacodec.MarkAlbum, []byte(s.album))
	artist := s.albumArtist
	if artist == "" {
		artist = s.artist
	}
	k.SetArtist([]byte(artist))
	k.SetNumbers(int64(s.track), int64(s.disc), int64(s.year))
	k[metacodec.MarkSuffix] = []byte(s.suffix)
	return k
}

func id(e *metacodec.Encoder, f metacodec.Field, form, n uint64) {
	e.Uint(f, form)
	if form == idRaw {
		var b [8]byte
		binary.BigEndian.PutUint64(b[:], n)
		e.Bytes(f, b[:])
	}
}

func readID(d *metacodec.Decoder, f metacodec.Field) (form, n uint64) {
	if form = d.Uint(f); form == idRaw {
		if b := d.Bytes(f); len(b) == 8 {
			n = binary.BigEndian.Uint64(b)
		}
	}
	return form, n
}
