package scan_test

import (
	"bytes"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mewkiz/flac"
	"github.com/mewkiz/flac/frame"
	"github.com/mewkiz/flac/meta"
	"go.uber.org/goleak"

	"tutti"
	"tutti/catalog/scan"
	"tutti/catalog/scan/scantest"
	"tutti/clock"
	"tutti/origin/folder"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

const (
	testRate  = 8000
	testBlock = 4000 // samples: half a second
)

// sound encodes a real FLAC file of blocks half seconds whose samples depend on seed, with tags "KEY=value".
func sound(t testing.TB, seed, blocks int, picture bool, tags []string) []byte {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "")
	must(t, err)
	defer f.Close()
	comment := &meta.VorbisComment{Vendor: "test"}
	for _, tag := range tags {
		k, v, _ := strings.Cut(tag, "=")
		comment.Tags = append(comment.Tags, [2]string{k, v})
	}
	more := []*meta.Block{{Header: meta.Header{Type: meta.TypeVorbisComment, Length: 1}, Body: comment}} // the encoder works lengths out, but takes 0 for "empty"
	if picture {
		more = append(more, &meta.Block{Header: meta.Header{Type: meta.TypePicture, Length: 1}, Body: &meta.Picture{Type: 3, MIME: "image/png", Data: []byte("\x89PNG picture")}})
	}
	enc, err := flac.NewEncoder(writeSeeker{f}, &meta.StreamInfo{
		BlockSizeMin: testBlock, BlockSizeMax: testBlock, SampleRate: testRate, NChannels: 1, BitsPerSample: 16, NSamples: uint64(blocks * testBlock),
	}, more...)
	must(t, err)
	samples := make([]int32, testBlock)
	for b := range blocks {
		for i := range samples {
			samples[i] = int32(seed*31 + b)
		}
		must(t, enc.WriteFrame(&frame.Frame{
			Header:    frame.Header{HasFixedBlockSize: true, BlockSize: testBlock, SampleRate: testRate, Channels: frame.ChannelsMono, BitsPerSample: 16, Num: uint64(b)},
			Subframes: []*frame.Subframe{{SubHeader: frame.SubHeader{Pred: frame.PredConstant}, Samples: samples, NSamples: testBlock}},
		}))
	}
	must(t, enc.Close())
	_, err = f.Seek(0, io.SeekStart)
	must(t, err)
	b, err := io.ReadAll(f)
	must(t, err)
	return b
}

type writeSeeker struct{ io.WriteSeeker }

// library is a directory of music under test, with a scanner and a book.
type library struct {
	t       testing.TB
	root    string
	clock   *clock.Fake
	book    *scantest.Book
	origin  *folder.Origin
	scanner *scan.Scanner
	log     bytes.Buffer
	tick    int // gives every written file a time of its own
}

var epoch = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newLibrary(t testing.TB, set func(*scan.Config)) *library {
	l := &library{t: t, root: filepath.Join(t.TempDir(), "music"), clock: clock.NewFake(epoch), book: scantest.NewBook()}
	must(t, os.Mkdir(l.root, 0o755))
	var err error
	l.origin, err = folder.New(folder.Config{Libraries: []folder.Library{{ID: "1", Name: "Music", Path: l.root}}})
	must(t, err)
	l.restart(set)
	return l
}

// restart makes a new scanner over the same book, as after a restart of the server.
func (l *library) restart(set func(*scan.Config)) {
	c := scan.Config{Origin: l.origin, Book: l.book, Clock: l.clock, Logger: slog.New(slog.NewTextHandler(&l.log, &slog.HandlerOptions{Level: slog.LevelWarn}))}
	if set != nil {
		set(&c)
	}
	var err error
	l.scanner, err = scan.New(c)
	must(l.t, err)
}

func (l *library) path(p string) string { return filepath.Join(l.root, filepath.FromSlash(p)) }

func (l *library) write(p string, data []byte) {
	l.t.Helper()
	must(l.t, os.MkdirAll(filepath.Dir(l.path(p)), 0o755))
	must(l.t, os.WriteFile(l.path(p), data, 0o644))
	l.tick++
	at := epoch.Add(-time.Hour * 24 * 365).Add(time.Duration(l.tick) * time.Second)
	must(l.t, os.Chtimes(l.path(p), at, at))
}

func (l *library) scan(full bool) tutti.ScanStatus {
	l.t.Helper()
	st, err := l.scanner.ScanOnce(l.t.Context(), full, nil)
	must(l.t, err)
	return st
}
