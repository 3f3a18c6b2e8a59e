// Package demo composes and plays the small album that tutti offers to a person who has no music at hand yet: real
// FLAC files with real tags, made by arithmetic. The last two tracks are one recording cut
// in two, so that gapless playback can be heard.
package demo

import (
	"bytes"
	"context"
	"fmt"
	"image/jpeg"
	"io"
	"os"
	"path/filepath"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
)

const (
	sampleRate = 44100
	bitDepth   = 16
	blockSize  = 4096 // samples a FLAC frame; tracks end on a frame so that every frame has the same size

	// Artist and Album are what the tags say.
	Artist = "tutti"
	Album  = "All Together Now and Then"
)

// track is one file of the album.
type track struct {
	title, comment string
	bpm            int
	left, right    []int16
}

// Write makes the album in a folder of dir named after it and returns the folder. What is there already is left
// alone, so a second call is quick; a call that is interrupted leaves only whole files. progress, which may be nil, is
// told after each track.
func Write(ctx context.Context, dir string, progress func(done, total int)) (string, error) {
	folder := filepath.Join(dir, Artist, Album)
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", fmt.Errorf("demo: make the album's folder: %w", err)
	}
	if complete(folder) {
		return folder, nil
	}
	cover, err := coverJPEG()
	if err != nil {
		return "", err
	}
	if err := writeFile(filepath.Join(folder, "cover.jpg"), func(w io.WriteSeeker) error {
		_, err := w.Write(cover)
		return err
	}); err != nil {
		return "", err
	}
	n := 0
	for t := range album(ctx) {
		n++
		err := writeFile(filepath.Join(folder, fileName(n, t.title)), func(w io.WriteSeeker) error {
			return encode(w, t, n, cover)
		})
		if err != nil {
			return "", err
		}
		if progress != nil {
			progress(n, len(titles))
		}
	}
	return folder, ctx.Err()
}

func fileName(n int, title string) string { return fmt.Sprintf("%02d %s.flac", n, title) }

func complete(folder string) bool {
	for i, title := range titles {
		if _, err := os.Stat(filepath.Join(folder, fileName(i+1, title))); err != nil {
			return false
		}
	}
	return true
}

// writeFile writes through a temporary name, so that a file under its own name is a whole one.
func writeFile(path string, write func(io.WriteSeeker) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), ".demo-*")
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	defer func() {
		f.Close() // a second close of a closed file; the first one's error counts
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	if err := write(f); err != nil {
		return fmt.Errorf("demo: write %s: %w", filepath.Base(path), err)
	}
	if err := f.Chmod(0o644); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	if err := f.Close(); err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	return os.Rename(f.Name(), path)
}

// keepOpen hides Close from the FLAC encoder, which would close the file before it can be given its permissions.
type keepOpen struct{ io.WriteSeeker }

// notEmpty tells the FLAC encoder that a block has a body; it works the true length out itself, and leaves out a body
// whose length is given as 0.
const notEmpty = 1

func encode(w io.WriteSeeker, t track, number int, cover []byte) error {
	info := &meta.StreamInfo{
		BlockSizeMin: blockSize, BlockSizeMax: blockSize,
		SampleRate: sampleRate, NChannels: 2, BitsPerSample: bitDepth, NSamples: uint64(len(t.left)),
	}
	tags := &meta.VorbisComment{Vendor: "tutti", Tags: [][2]string{
		{"TITLE", t.title},
		{"ARTIST", Artist},
		{"ALBUM", Album},
		{"ALBUMARTIST", Artist},
		{"TRACKNUMBER", fmt.Sprint(number)},
		{"TRACKTOTAL", fmt.Sprint(len(titles))},
		{"DISCNUMBER", "1"},
		{"DATE", "2026"},
		{"GENRE", "Ambient"},
		{"GENRE", "Electronic"},
		{"COMPOSER", Artist},
		{"BPM", fmt.Sprint(t.bpm)},
		{"COMMENT", t.comment},
		{"COPYRIGHT", "CC0-1.0"},
	}}
	picture := &meta.Picture{
		Type: 3, MIME: "image/jpeg", Desc: "front", Width: coverSize, Height: coverSize, Depth: 24, Data: cover,
	}
	enc, err := flac.NewEncoder(
		keepOpen{w}, info,
		&meta.Block{Header: meta.Header{Type: meta.TypeVorbisComment, Length: notEmpty}, Body: tags},
		&meta.Block{Header: meta.Header{Type: meta.TypePicture, Length: notEmpty}, Body: picture},
	)
	if err != nil {
		return err
	}
	left, right := make([]int32, blockSize), make([]int32, blockSize)
	for at := 0; at < len(t.left); at += blockSize {
		for i := range blockSize {
			left[i], right[i] = int32(t.left[at+i]), int32(t.right[at+i])
		}
		err := enc.WriteFrame(&frame.Frame{
			Header: frame.Header{
				HasFixedBlockSize: true, BlockSize: blockSize, SampleRate: sampleRate,
				Channels: frame.ChannelsLR, BitsPerSample: bitDepth,
			},
			Subframes: []*frame.Subframe{
				{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, Samples: left, NSamples: blockSize},
				{SubHeader: frame.SubHeader{Pred: frame.PredVerbatim}, Samples: right, NSamples: blockSize},
			},
		})
		if err != nil {
			return err
		}
	}
	return enc.Close()
}

func coverJPEG() ([]byte, error) {
	var b bytes.Buffer
	if err := jpeg.Encode(&b, coverImage(), &jpeg.Options{Quality: 90}); err != nil {
		return nil, fmt.Errorf("demo: encode the cover: %w", err)
	}
	return b.Bytes(), nil
}
