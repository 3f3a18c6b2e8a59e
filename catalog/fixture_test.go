package catalog_test

import (
	"context"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"tutti"
	"tutti/catalog"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/store"
	"tutti/store/sqlite"
)

// shelfware is an origin over a folder for each library, as far as the catalogue needs one.
type shelfware struct {
	libraries []tutti.Library
}

func (o shelfware) Libraries() []tutti.Library { return o.libraries }

func (o shelfware) OpenFile(_ context.Context, library, p string) (fs.File, error) {
	for _, l := range o.libraries {
		if l.ID == library {
			f, err := os.Open(filepath.Join(l.Path, filepath.FromSlash(p)))
			if os.IsNotExist(err) {
				return nil, tutti.Wrap(tutti.KindNotFound, "open", err)
			}
			return f, tutti.Wrap(tutti.KindUnavailable, "open", err)
		}
	}
	return nil, tutti.Errorf(tutti.KindNotFound, "open", "there is no library %q", library)
}

func (o shelfware) Open(context.Context, tutti.Ref) (tutti.Object, error) {
	return nil, tutti.Errorf(tutti.KindUnavailable, "open", "the catalogue never opens objects")
}

func (o shelfware) Stat(context.Context, string, string) (tutti.FileInfo, error) {
	return tutti.FileInfo{}, tutti.Errorf(tutti.KindUnavailable, "stat", "the catalogue never asks")
}

func (o shelfware) List(context.Context, string, string) ([]tutti.FileInfo, error) {
	return nil, tutti.Errorf(tutti.KindUnavailable, "list", "the catalogue never asks")
}

func (o shelfware) Watch(context.Context, string, func(string)) error {
	return tutti.Errorf(tutti.KindUnavailable, "watch", "the catalogue never asks")
}

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// desk is a catalogue for a test, with what it is made of.
type desk struct {
	*catalog.Catalog
	store store.Store
	clock *clock.Fake
	cfg   catalog.Config
}

func openStore(t testing.TB, c clock.Clock) store.Store {
	t.Helper()
	s, err := sqlite.Open(context.Background(), filepath.Join(t.TempDir(), "tutti.db"), sqlite.Options{Clock: c, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// newDesk opens a catalogue with two libraries, "1" and "2", on a new store.
func newDesk(t testing.TB, change ...func(*catalog.Config)) *desk {
	t.Helper()
	fake := clock.NewFake(start)
	cfg := catalog.Config{
		Store: openStore(t, fake), Clock: fake, Logger: slog.New(slog.DiscardHandler), SoleWriter: true,
		Packed: func() bool { return true },
		Origin: shelfware{[]tutti.Library{{ID: "1", Name: "Music", Path: t.TempDir()}, {ID: "2", Name: "Spoken", Path: t.TempDir()}}},
	}
	for _, fn := range change {
		fn(&cfg)
	}
	d := &desk{store: cfg.Store, clock: fake, cfg: cfg}
	d.reopen(t)
	return d
}

// reopen loads the catalogue again from its store, as after a restart.
func (d *desk) reopen(t testing.TB) {
	t.Helper()
	c, err := catalog.New(context.Background(), d.cfg)
	if err != nil {
		t.Fatal(err)
	}
	d.Catalog = c
}

// fill applies entries in batches, as a scan does.
func (d *desk) fill(t testing.TB, entries iter.Seq[scan.Entry]) {
	t.Helper()
	var batch []scan.Change
	flush := func() {
		if err := d.Apply(context.Background(), batch); err != nil {
			t.Fatal(err)
		}
		batch = nil
	}
	for e := range entries {
		if batch = append(batch, scan.Change{Put: &e}); len(batch) == 400 {
			flush()
		}
	}
	flush()
}

// everybody sees all libraries; she is a user.
var she = tutti.Viewer{User: "us-00000000000s1"}
