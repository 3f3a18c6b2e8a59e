package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"tutti"
	"tutti/metacodec"
	"tutti/metacodec/corpus"
	"tutti/metacodec/songs"
)

type trainCmd struct {
	Corpus []string `placeholder:"FILE,…" help:"Collections to learn from: tables with tabs (the first line names the columns), a MusicBrainz core dump's folder (mbdump), FMA's tracks.csv. Default: this server's own catalogue."`
	Out    string   `placeholder:"FILE" required:"" help:"File to write the model to. One that is there is replaced only by a better one."`
	Name   string   `help:"What to call the model. Default: the file's name."`
	Size   string   `enum:"full,small" default:"full" help:"full: up to 10 MB, 35 MB of memory; small: up to 2 MB, 8 MB of memory."`
	Seed   uint64   `default:"1" help:"Of the order in which songs are taken. With the same songs and seed the model is the same, byte for byte."`
	Test   []string `placeholder:"FILE,…" help:"Collections to judge the model by. Default: one artist in 20 is kept back for that."`
	Force  bool     `help:"Keep the model even where the one in use is better."`
	Limit  int      `default:"2000000" help:"Learn from no more songs than these."`
}

// Run trains a model, judges it by artists that it did not learn from, and keeps it if it is better than what is in use.
func (c *trainCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) error {
	all, err := c.read(ctx, s, logger, c.Corpus)
	if err != nil {
		return err
	}
	var test []*corpus.Song
	learn := all
	if len(c.Test) > 0 {
		if test, err = c.read(ctx, s, logger, c.Test); err != nil {
			return err
		}
	} else {
		learn, test = corpus.Split(all, 20)
	}
	if len(learn) == 0 || len(test) == 0 {
		return tutti.Errorf(tutti.KindInvalid, "tutti train", "%s are too few to learn from and to judge by.", plural(int64(len(all)), "song", "songs"))
	}
	inUse, err := c.inUse()
	if err != nil {
		return err
	}
	bar := newProgress(std, "training", "steps")
	var barErr error
	how := songs.Training(c.Size == "small")
	how.Name, how.Seed, how.Apart = c.Name, c.Seed, apart(inUse)
	if how.Name == "" {
		how.Name = filepath.Base(c.Out)
	}
	how.Progress = func(done float64, _ string) { barErr = errors.Join(barErr, bar.set(int64(done*1000), 1000)) }
	m, err := metacodec.Train(ctx, songs.Samples(learn), how)
	if err = errors.Join(err, barErr, bar.end()); err != nil {
		return err
	}
	was, err := corpus.Score(inUse, test)
	if err != nil {
		return err
	}
	is, err := corpus.Score(m, test)
	if err != nil {
		return err
	}
	file, err := m.File()
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "%s learned from %s of %s; %d bytes, %d in memory\n", m.ID(), plural(int64(len(learn)), "song", "songs"),
		plural(int64(corpus.Artists(learn)), "artist", "artists"), len(file), m.Memory())
	fmt.Fprintf(std.out, "bytes a song, on %s of %s that it did not meet (the model in use, %s):\n", plural(int64(len(test)), "song", "songs"),
		plural(int64(corpus.Artists(test)), "artist", "artists"), inUse.ID())
	fmt.Fprintf(std.out, "  alone %.2f (%.2f)   in albums %.2f (%.2f)   in pages of 100 %.2f (%.2f)\n", is.Alone, was.Alone, is.Albums, was.Albums, is.Pages, was.Pages)
	if is.Sum() >= was.Sum() && !c.Force {
		_, err := fmt.Fprintln(std.out, "not kept: the model in use is as good or better")
		return err
	}
	if err := replaceFile(c.Out, file); err != nil {
		return tutti.Wrap(tutti.KindUnavailable, "tutti train", err)
	}
	_, err = fmt.Fprintln(std.out, "kept:", c.Out)
	return err
}

// read reads collections, or the catalogue where none are named.
func (c *trainCmd) read(ctx context.Context, s *settings, logger *slog.Logger, files []string) (all []*corpus.Song, err error) {
	keep := func(song *corpus.Song) error {
		if len(all) < c.Limit {
			own := *song
			all = append(all, &own)
		}
		return ctx.Err()
	}
	if len(files) == 0 {
		return all, catalogued(ctx, s, logger, keep)
	}
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindNotFound, "tutti train", err)
		}
		if info.IsDir() {
			if err := corpus.ReadMusicBrainz(os.DirFS(name), c.Limit, keep); err != nil {
				return nil, tutti.Wrap(tutti.KindOf(err), name, err)
			}
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindNotFound, "tutti train", err)
		}
		read := corpus.ReadTSV
		if strings.EqualFold(filepath.Ext(name), ".csv") {
			read = corpus.ReadFMA
		}
		if err := errors.Join(read(f, keep), f.Close()); err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), name, err)
		}
	}
	return all, nil
}

// catalogued gives the songs of this server's own catalogue. Like a scan it needs the data folder to itself.
func catalogued(ctx context.Context, s *settings, logger *slog.Logger, each func(*corpus.Song) error) (err error) {
	if !s.fleet() {
		lock, err := lockData(s.Data)
		if tutti.IsKind(err, tutti.KindConflict) {
			return errors.New("a server is using this data folder: stop it for as long as this takes, or train from a copy of the folder (tutti backup, tutti restore)")
		}
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, lock.Close()) }()
	}
	n := newNode(s, logger)
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.build(ctx, "catalog here"); err != nil {
		return err
	}
	v := tutti.Viewer{Admin: true}
	const page = 1000
	for offset := 0; ; offset += page {
		tracks, total, err := n.ownCatalog.Tracks(ctx, v, tutti.TrackQuery{Page: tutti.Page{Offset: offset, Limit: page}})
		if err != nil {
			return err
		}
		for i := range tracks {
			if err := each(songOf(&tracks[i])); err != nil {
				return err
			}
		}
		if offset+page >= total || len(tracks) == 0 {
			return nil
		}
	}
}

// songOf returns what a model learns of a track.
func songOf(t *tutti.Track) *corpus.Song {
	name := func(shown string, refs []tutti.ArtistRef) string {
		if shown == "" && len(refs) > 0 {
			return refs[0].Name
		}
		return shown
	}
	s := &corpus.Song{
		Source: "catalogue", Artist: name(t.DisplayArtist, t.Artists), AlbumArtist: name(t.DisplayAlbumArtist, t.AlbumArtists), Album: t.Album,
		Title: t.Title, Track: t.Track, Disc: t.Disc, Year: t.Date.Year, Seconds: int(t.Duration.Seconds() + 0.5), Group: string(t.AlbumID),
	}
	if len(t.Genres) > 0 {
		s.Genre = t.Genres[0]
	}
	return s
}

// inUse is the model that a new one must beat: the one that it would replace, or that of the program.
func (c *trainCmd) inUse() (*metacodec.Model, error) {
	f, err := os.Open(c.Out)
	if errors.Is(err, os.ErrNotExist) {
		return metacodec.Default()
	}
	if err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, "tutti train", err)
	}
	defer f.Close()
	return metacodec.Load(f)
}

// apart lists the models that a new one's frames must not be taken for.
func apart(inUse *metacodec.Model) []metacodec.ModelID {
	ids := []metacodec.ModelID{inUse.ID()}
	if m, err := metacodec.Default(); err == nil && m.ID() != inUse.ID() {
		ids = append(ids, m.ID())
	}
	return ids
}

// replaceFile writes a file whole or not at all.
func replaceFile(name string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".tutti-model-*")
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(f.Name()))
	}
	return err
}
