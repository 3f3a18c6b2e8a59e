package scan_test

import (
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"testing"

	"tutti"
	"tutti/audio/audiotest"
	"tutti/catalog/scan"
)

// TestEveryFormat scans a library with a file of every format, by our own reader and by ffprobe, then tags every file
// anew and moves it at the same time: each must be the track that it was.
func TestEveryFormat(t *testing.T) {
	if testing.Short() {
		t.Skip("makes a library with ffmpeg and mutagen")
	}
	ffprobe, err := exec.LookPath("ffprobe")
	must(t, err)
	with := func(c *scan.Config) { c.FFprobe = ffprobe }
	l := newLibrary(t, with)
	files := slices.DeleteFunc(audiotest.Library(t, l.root), func(f audiotest.File) bool {
		return path.Ext(f.Path) == ".mp4" // that is video, as far as a music folder is concerned
	})
	st := l.scan(false)
	known := map[string]bool{}
	for _, e := range l.book.Entries() {
		known[e.Path] = true
	}
	for _, f := range files {
		if !known[f.Path] {
			t.Errorf("%s (%s, %s) is no track", f.Path, f.Format, f.Codec)
		}
	}
	if st.Failed != 0 || st.Added != int64(len(files)) {
		t.Fatalf("of %d files: %+v\n%s", len(files), st, l.log.String())
	}
	ids := map[string]tutti.ID{}
	for _, e := range l.book.Entries() {
		ids[e.Path] = e.ID
		if e.Duration == 0 || e.Codec == "" || e.ContentType == "application/octet-stream" || e.SampleRate == 0 || e.Title == "" || e.AlbumID == "" || e.Version == "" {
			t.Errorf("%s is incomplete: %+v", e.Path, e.Track)
		}
	}
	var native []string
	for _, f := range files {
		if f.Native && f.Tags == audiotest.Rich { // what mutagen could tag once it can tag again
			native = append(native, f.Path)
		}
	}
	var paths []string
	for _, p := range native {
		paths = append(paths, l.path(p))
	}
	audiotest.Retag(t, paths...)
	for _, p := range native {
		must(t, exec.Command("mkdir", "-p", l.path("moved/"+filepath.Dir(p))).Run())
		must(t, exec.Command("mv", l.path(p), l.path("moved/"+p)).Run())
	}
	st = l.scan(false)
	if st.Added != 0 || st.Missing != 0 || st.Failed != 0 || st.Moved != int64(len(native)) {
		t.Errorf("tagged anew and moved: %+v\n%s", st, l.log.String())
	}
	for _, p := range native {
		if e, _ := l.book.Entry(ids[p]); e.Path != "moved/"+p {
			t.Errorf("%s was %s and is at %q", p, ids[p], e.Path)
		}
	}
}
