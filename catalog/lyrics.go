package catalog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"path"
	"strings"

	"tutti"
	"tutti/audio"
)

// maxLyricsFile bounds a file of lyrics beside the music.
const maxLyricsFile = 1 << 20

// Lyrics reads the lyrics of a track when they are asked for: those inside the file, then those beside it (.lrc, .txt).
// There are none, and no error, where neither has any.
func (c *Catalog) Lyrics(ctx context.Context, v tutti.Viewer, track tutti.ID) ([]tutti.Lyrics, error) {
	const op = "catalog.Lyrics"
	t, err := c.Track(ctx, v, track)
	if err != nil || !t.HasLyrics {
		return nil, err
	}
	var all []tutti.Lyrics
	if t.Start == 0 && t.End == 0 { // what is inside a file of many tracks is of no one of them
		if all, err = c.embedded(ctx, &t); err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}
	stem := strings.TrimSuffix(t.Path, path.Ext(t.Path))
	for _, ext := range []string{".lrc", ".txt"} {
		b, err := c.readSmall(ctx, t.Library, stem+ext)
		if tutti.IsKind(err, tutti.KindNotFound) {
			continue
		}
		if err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		l, err := audio.ParseLRC(b)
		if err != nil {
			c.log.WarnContext(ctx, "lyrics could not be read", "library", t.Library, "path", stem+ext, "err", err)
			continue
		}
		if l.Artist == "" {
			l.Artist = t.DisplayArtist
		}
		if l.Title == "" {
			l.Title = t.Title
		}
		all = append(all, l)
	}
	return all, nil
}

func (c *Catalog) embedded(ctx context.Context, t *tutti.Track) (_ []tutti.Lyrics, err error) {
	f, err := c.cfg.Origin.OpenFile(ctx, t.Library, t.Path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	at, size, err := seekable(f)
	if err != nil {
		return nil, err
	}
	info, err := audio.Read(ctx, at, size, path.Base(t.Path))
	if err != nil {
		if errors.Is(err, audio.ErrFormat) {
			return nil, nil // only ffprobe reads it, and that tells no lyrics
		}
		return nil, err
	}
	return info.Lyrics(), nil
}

// seekable returns the file as what readers of tags need.
func seekable(f fs.File) (io.ReaderAt, int64, error) {
	at, ok := f.(io.ReaderAt)
	if !ok {
		return nil, 0, tutti.Errorf(tutti.KindInternal, "catalog: open file", "the origin's files cannot be read at an offset")
	}
	st, err := f.Stat()
	if err != nil {
		return nil, 0, tutti.Wrap(tutti.KindUnavailable, "catalog: open file", err)
	}
	return at, st.Size(), nil
}

func (c *Catalog) readSmall(ctx context.Context, library, p string) (_ []byte, err error) {
	f, err := c.cfg.Origin.OpenFile(ctx, library, p)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	b, err := io.ReadAll(io.LimitReader(f, maxLyricsFile+1))
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, "catalog: open file", err)
	}
	if len(b) > maxLyricsFile {
		return nil, tutti.Errorf(tutti.KindNotFound, "catalog: open file", "the lyrics beside the track are larger than %d bytes", maxLyricsFile)
	}
	return b, nil
}
