package delivery

import (
	"archive/zip"
	"cmp"
	"context"
	"io"
	"log/slog"
	"math"
	"net/http"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"tutti"
	"tutti/carbon"
)

// An album is downloaded as a ZIP file of its originals. They are stored, not compressed: music does not get smaller, and
// so nothing is kept of it, neither on a disk nor in memory, and the length is known before the first byte. Ranges are
// not answered: the checksums of what was skipped would have to be known.

// ServeAlbum implements Bytes.
func (s *Streamer) ServeAlbum(w http.ResponseWriter, r *http.Request, v tutti.Viewer, album *tutti.Album, tracks []tutti.Track) error {
	const op = "delivery.ServeAlbum"
	name := album.Name
	if album.DisplayArtist != "" {
		name = album.DisplayArtist + " - " + name
	}
	a := &archive{s: s, w: w, r: r, listener: v.User, entries: entriesOf(name, tracks)}
	if len(a.entries) == 0 {
		return tutti.Errorf(tutti.KindNotFound, op, "no file of this album is there any more")
	}
	length, err := a.length()
	if err != nil {
		return tutti.Wrap(tutti.KindInternal, op, err)
	}
	var first tutti.Object
	if r.Method != http.MethodHead {
		if first, err = s.c.Cache.Open(r.Context(), a.entries[0].ref); err != nil {
			return err
		}
	}
	h := w.Header()
	h.Set("Content-Type", "application/zip")
	h.Set("Content-Disposition", Attachment(fileSystemName(name)+".zip"))
	h.Set("Cache-Control", audioCaching)
	h.Set("Accept-Ranges", "none")
	h.Set("X-Accel-Buffering", "no") // nginx would write what a slow listener has not taken yet to its disk
	if length >= 0 {
		h.Set("Content-Length", strconv.FormatInt(length, 10))
	}
	w.WriteHeader(http.StatusOK)
	if first == nil {
		return nil
	}
	if q := requestOf(r.Context()); q != nil {
		q.lift() // from here on it takes as long as it takes
	}
	a.send(first, length)
	return nil
}

// entry is one file of an archive.
type entry struct {
	name     string
	ref      tutti.Ref
	size     int64 // as scanned; -1 where that is not known
	modified time.Time
	duration time.Duration
}

// archive is one album on its way to a listener.
type archive struct {
	s        *Streamer
	w        http.ResponseWriter
	r        *http.Request
	listener tutti.ID
	entries  []entry
}

// entriesOf names the files of an album, each once, whatever tracks are cut from it. They lie in one folder, and below
// it as they do below the deepest folder that all of them are in.
func entriesOf(folder string, tracks []tutti.Track) []entry {
	type place struct{ library, path string }
	known := make(map[place]int)
	var list []entry
	var paths []string
	for i := range tracks {
		t := &tracks[i]
		if t.Missing {
			continue
		}
		cut := t.Start != 0 || t.End != 0
		at, ok := known[place{t.Library, t.Path}]
		if !ok {
			at = len(list)
			known[place{t.Library, t.Path}] = at
			list = append(list, entry{ref: tutti.Ref{Library: t.Library, Path: t.Path, Version: t.Version}, size: t.Size, modified: t.ModTime})
			paths = append(paths, t.Path)
		}
		list[at].duration += t.Duration
		if cut {
			list[at].size = -1 // a track knows its share only
		}
	}
	shared := sharedFolder(paths)
	folder = fileSystemName(folder)
	taken := make(map[string]bool)
	for i, p := range paths {
		parts := strings.Split(strings.TrimPrefix(p, shared), "/")
		for j := range parts {
			parts[j] = fileSystemName(parts[j])
		}
		name := folder + "/" + strings.Join(parts, "/")
		// Most file systems of listeners take two names for one that differ in case only.
		for n, whole := 2, name; taken[strings.ToLower(name)]; n++ {
			ending := path.Ext(whole)
			name = strings.TrimSuffix(whole, ending) + " (" + strconv.Itoa(n) + ")" + ending
		}
		taken[strings.ToLower(name)] = true
		list[i].name = name
	}
	return list
}

// sharedFolder is the deepest folder that all paths are in, "" or with a slash at its end.
func sharedFolder(paths []string) string {
	if len(paths) == 0 {
		return ""
	}
	first, last := slices.Min(paths), slices.Max(paths)
	n := 0
	for n < min(len(first), len(last)) && first[n] == last[n] {
		n++
	}
	return first[:strings.LastIndexByte(first[:n], '/')+1]
}

// fileSystemName makes s a name that every common file system takes, those of Windows among them, which know neither
// these characters nor names that end in dots or spaces.
func fileSystemName(s string) string {
	s = strings.Map(func(c rune) rune {
		if strings.ContainsRune(`<>:"|?*`, c) {
			return '_'
		}
		return c
	}, s)
	if s = strings.TrimRight(safeFileName(s), ". "); s == "" {
		return "_"
	}
	return s
}

func (e *entry) header() *zip.FileHeader {
	return &zip.FileHeader{Name: e.name, Method: zip.Store, Modified: e.modified.UTC().Truncate(time.Second)}
}

// length is how many bytes the archive will have, or -1 where that is not known: where a file's size is not, or where the
// archive needs the longer fields of ZIP64.
func (a *archive) length() (int64, error) {
	var frame counter
	z := zip.NewWriter(&frame)
	var files int64
	for i := range a.entries {
		e := &a.entries[i]
		if e.size < 0 {
			return -1, nil
		}
		files += e.size
		if _, err := z.CreateHeader(e.header()); err != nil {
			return 0, err
		}
	}
	if err := z.Close(); err != nil {
		return 0, err
	}
	total := int64(frame) + files
	if total >= math.MaxUint32 || len(a.entries) >= math.MaxUint16 {
		return -1, nil
	}
	return total, nil
}

// counter counts what is written.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// send writes the archive. Once it has begun a failure can only be told by cutting the connection, as finish does.
func (a *archive) send(first tutti.Object, length int64) {
	ctx, m := a.r.Context(), a.s.c.Metrics
	if plain := serverWriter(a.w); plain != nil {
		plain.raw = true
	}
	m.active.Inc()
	defer m.active.Dec()
	out := newBody(a.w, a.r, a.s.c.Clock, a.s.c.Stall, length, nil)
	z := zip.NewWriter(out)
	err := a.sendEntry(ctx, z, &a.entries[0], first)
	for i := 1; i < len(a.entries) && err == nil; i++ {
		var obj tutti.Object
		if obj, err = a.s.c.Cache.Open(ctx, a.entries[i].ref); err == nil {
			err = a.sendEntry(ctx, z, &a.entries[i], obj)
		}
	}
	if err == nil {
		err = z.Close()
	}
	if err == nil && out.left > 0 {
		err = io.ErrUnexpectedEOF
	}
	result := outcome(ctx, err)
	m.ends.WithLabelValues(result).Inc()
	if err == nil {
		return
	}
	level := slog.LevelDebug
	if result == "failed" {
		level = slog.LevelError
	}
	a.s.c.Logger.LogAttrs(ctx, level, "album ended early", slog.String("request", RequestID(ctx)), slog.String("result", result), slog.Any("error", err))
	panic(http.ErrAbortHandler)
}

// sendEntry writes one file, and closes it.
func (a *archive) sendEntry(ctx context.Context, z *zip.Writer, e *entry, obj tutti.Object) (err error) {
	defer func() { err = cmp.Or(err, obj.Close()) }()
	part, err := z.CreateHeader(e.header())
	if err != nil {
		return err
	}
	n, err := obj.CopyRange(ctx, part, 0, -1)
	m := a.s.c.Metrics
	m.bytes.WithLabelValues(kindOriginal).Add(float64(n))
	m.served.Add(1)
	m.servedBytes.Add(n)
	if err == nil && e.size >= 0 && n != e.size {
		err = tutti.Errorf(tutti.KindConflict, "delivery.ServeAlbum", "the file has %d bytes, and not the %d of the last scan", n, e.size)
	}
	if err == nil && a.s.c.Played != nil && n > 0 && e.duration > 0 {
		a.s.c.Played(carbon.Play{
			Listener: a.listener, Link: carbon.LinkOf(ClientAddr(a.r), strings.EqualFold(a.r.Header.Get("Save-Data"), "on")), Bytes: n, Duration: e.duration,
		})
	}
	return err
}
