// Package metacodec writes records of metadata (tracks, albums, artists, lists of them, pieces of a log) as few bytes,
// without loss. A record is a row of typed fields; what makes it small is a generative model of music metadata: it gives
// every next symbol of a text a probability from the field, from what came before in the text, in the record and in the
// frame, and a range coder spends as many bits as that leaves open. The same probabilities rank spellings and complete
// what somebody types.
//
//	e := metacodec.NewEncoder(model)         d := metacodec.NewDecoder(models)
//	e.Begin(1)                               err := d.Reset(frame)
//	e.Text(metacodec.Artist, "Nina Simone")  for d.Next() {
//	e.Text(metacodec.Title, "Sinnerman")         switch d.Kind() { … d.String(metacodec.Artist) … }
//	e.Uint(metacodec.TrackNumber, 10)        }
//	e.End()                                  err = d.Err()
//	frame = e.AppendFrame(nil)
//
// The reader asks for the same fields in the same order as the writer wrote them: what belongs to a kind of record is
// agreed between the two, as are lists (write their length first). Frames say by themselves which format and which model
// they were written with, and carry a checksum; a frame that the model would not make smaller is written without it, and
// such frames are read by every node. Everything that decoding depends on is integer arithmetic over tables in the model,
// so that every machine writes and reads the same bytes.
//
// Nothing here knows what a track is: that is for the callers, each with a schema of its own.
package metacodec

import "encoding/hex"

// Field says what a value means. It chooses the statistics that predict the value, nothing else: any value may be
// written under any field. Numbers and texts share one numbering, which is part of the format: add at the end only.
type Field uint8

// The fields of texts.
const (
	Other       Field = iota // text of no particular sort
	Artist                   // one credit as displayed: "A feat. B"
	AlbumArtist              //
	Album                    //
	Title                    //
	Genre                    //
	Path                     // slash-separated
	Name                     // of a person, a folder, a playlist
	Comment                  //
	Lyrics                   //
	Composer                 //
	Label                    // of a record
	Mood                     //
	Sort                     // a name as it is sorted
	Work                     //
	Token                    // words of a fixed vocabulary: suffixes, media types, codecs, roles
	Structured               // JSON and its like
)

// The fields of numbers.
const (
	Number      Field = iota + 32 // a number of no particular sort
	TrackNumber                   //
	DiscNumber                    //
	Year                          //
	Month                         //
	Day                           //
	Seconds                       // how long a track is
	BitRate                       // kbit/s
	SampleRate                    // Hz
	BitDepth                      //
	Channels                      //
	Size                          // bytes
	Count                         // how many follow, how often played
	Tempo                         // beats a minute
	Loudness                      // hundredths of a decibel
	When                          // a moment
	Flag                          // yes or no
	Identifier                    // 128 bits that nothing predicts
	Reference                     // the number of something said before
	AlbumKey                      // what names an album
	ArtistKey                     // an artist
	FolderKey                     // a folder
	Picture                       // which picture goes with it
	Usual                         // whether something is as it nearly always is
)

// fields is how many fields there can be.
const fields = 64

// Kind tells the sorts of records in a frame apart. The callers number them.
type Kind uint8

// kinds is how many kinds of records there can be.
const kinds = 32

// ModelID names a model by the first bytes of the SHA-256 of its file. The zero value names none.
type ModelID [8]byte

// String returns the ID in hexadecimal.
func (id ModelID) String() string { return hex.EncodeToString(id[:]) }

// Tag returns the part of the ID that frames carry, 6 bits. Train makes models of which no two in use have the same.
func (id ModelID) Tag() uint16 { return uint16(id[0]) >> 2 }

// The limits of what is read, checked before anything is allocated.
const (
	MaxText    = 1 << 20  // bytes of one text
	MaxRecords = 1 << 24  // in a frame
	MaxFrame   = 64 << 20 // bytes that a frame's fields take in plain form
)
