// Package scan looks through the libraries of an origin, reads what is new or changed, and writes it into a Book.
// It decides which file is which track (identity), which tracks form an album, and what is missing; it keeps nothing
// itself, so a scan that is killed is simply run again and finds most of its work done.
package scan

import (
	"context"

	"tutti"
)

// Fingerprint identifies audio without its tags: FLAC's own MD5 of the samples, else a hash of the audio's length and
// sampled blocks. Two files with equal fingerprints hold the same recording in the same encoding.
type Fingerprint [16]byte

// Entry is what the catalogue keeps of one track: the track itself, how to recognise its file, and what its album and
// artists are derived from. The sizes of a cue sheet's tracks add up to their file's. Annotation is not kept here.
type Entry struct {
	tutti.Track
	Fingerprint Fingerprint
	Inode       uint64 // of the file; 0 where the origin has none
	CoverPath   string // picture beside the file, within the library; "" when it is embedded or there is none

	AlbumSort     string
	AlbumMBID     string // MusicBrainz release id
	RecordLabels  []string
	ReleaseTypes  []string
	AlbumEdition  string
	ArtistDetails []ArtistDetail // of every artist named by Artists, AlbumArtists and Contributors that has any
}

// ArtistDetail is what a file's tags say of an artist beyond the name.
type ArtistDetail struct {
	ID                      tutti.ID
	SortName, MusicBrainzID string
}

// KnownFile is what a Book remembers of a file, enough to see whether it changed. A cue sheet's tracks share one
// file and so one KnownFile.
type KnownFile struct {
	Name    string // within its directory
	Size    int64
	ModTime int64 // Unix nanoseconds
	Missing bool  // all of its tracks are missing
	Tracks  []tutti.ID
}

// Change is one change to the catalogue. Exactly one field is set.
type Change struct {
	Put     *Entry   // add the track, or replace the one with the same ID (Added is kept from the old one if it is zero here)
	Missing tutti.ID // the track's file is not there; keep the track
	Found   tutti.ID // it is there again, unchanged
	Remove  tutti.ID // forget the track
	Folder  *FolderInfo
	Heard   *Heard // what was heard in the track; not of the scanner's doing
}

// Heard is what was heard in a track (audio/analyse). It counts as long as the track's fingerprint is the same.
type Heard struct {
	Track       tutti.ID
	Fingerprint Fingerprint
	Row         []byte // analyse.Result's
}

// FolderInfo is what a scan found in a directory besides tracks.
type FolderInfo struct {
	Library, Path string
	CoverPath     string // picture that stands for the directory, within the library; "" for none
	Sides         uint64 // hash of the names, sizes and times of its pictures, lyrics and cue sheets: equal means unchanged; 0 for none
}

// Book is the catalogue as the scanner sees it. The catalogue's model implements it.
type Book interface {
	// Files returns the files known directly inside a directory, in byte order of their names, and the directory's info
	// (zero if unknown).
	Files(library, dir string) ([]KnownFile, FolderInfo)
	// Dirs returns the names of the directories known directly inside dir (those with tracks in or below them, missing
	// ones included), in byte order.
	Dirs(library, dir string) []string
	// ByFingerprint returns the tracks with the fingerprint, missing ones included.
	ByFingerprint(fp Fingerprint) []tutti.ID
	// Entry returns a track's entry; ok is false where there is none.
	Entry(id tutti.ID) (e Entry, ok bool)
	// TrackCount is how many tracks of a library are known and not missing.
	TrackCount(library string) int
	// Apply makes the changes durable and visible, in order. Callers gather a few hundred changes for each call.
	Apply(ctx context.Context, changes []Change) error
	// PlaylistFiles returns the File of every playlist that was imported from the library, in any order.
	PlaylistFiles(library string) []string
	// ImportPlaylist creates or replaces the playlist that follows the file p.File; a nil p.Tracks deletes it. Importing
	// the same list again writes nothing.
	ImportPlaylist(ctx context.Context, library string, p tutti.Playlist) error
}
