package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"tutti/audio/encode"
	"tutti/catalog"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/delivery"
	"tutti/delivery/accounts"
	"tutti/origin/folder"
	"tutti/store/sqlite"
	"tutti/trackcache"
)

// node is one process: the parts that its role needs, put together.
type node struct {
	settings *settings
	logger   *slog.Logger
	clock    clock.Clock
	registry *prometheus.Registry

	store    *sqlite.Store
	digests  *digests
	accounts *accounts.Accounts
	origin   *folder.Origin
	encoder  *encode.Encoder
	cache    *trackcache.Cache
	catalog  *catalog.Catalog
	scanner  *scan.Scanner
	tracing  *tracing
	server   *delivery.Server

	built   map[string]bool
	runners []func(context.Context) error // each runs until its context ends
	closers []func() error                // in the order in which things were opened
}

// part is one piece of the architecture: what it stands on and how it is made.
type part struct {
	needs []string
	make  func(*node, context.Context) error
}

// architecture says what there is and what stands on what. A role is a part like any other.
var architecture = map[string]part{
	"store":      {nil, (*node).makeStore},
	"accounts":   {[]string{"store"}, (*node).makeAccounts},
	"origin":     {[]string{"store"}, (*node).makeOrigin},
	"trackcache": {[]string{"store", "origin"}, (*node).makeTrackCache},
	"catalog":    {[]string{"store", "accounts", "origin", "trackcache"}, (*node).makeCatalog},
	"delivery":   {[]string{"accounts", "catalog", "trackcache"}, (*node).makeDelivery},
	"all":        {[]string{"delivery", "catalog", "trackcache"}, nil},
}

// roles are the parts that --role may name.
var roles = []string{"all", "delivery", "catalog", "trackcache"}

func newNode(s *settings, logger *slog.Logger) *node {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return &node{settings: s, logger: logger, clock: clock.System, registry: registry, built: map[string]bool{}}
}

// build makes a part and everything it stands on, once.
func (n *node) build(ctx context.Context, name string) error {
	if n.built[name] {
		return nil
	}
	n.built[name] = true
	p, ok := architecture[name]
	if !ok {
		return fmt.Errorf("there is no part %q; there are %s", name, strings.Join(slices.Sorted(maps.Keys(architecture)), ", "))
	}
	for _, need := range p.needs {
		if err := n.build(ctx, need); err != nil {
			return err
		}
	}
	if p.make == nil {
		return nil
	}
	return p.make(n, ctx)
}

// run keeps the parts going until ctx ends or one of them fails.
func (n *node) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, run := range n.runners {
		g.Go(func() error { return run(ctx) })
	}
	if err := g.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// close lets go of everything, the latest first.
func (n *node) close() error {
	var err error
	for _, c := range slices.Backward(n.closers) {
		err = errors.Join(err, c())
	}
	n.closers = nil
	return err
}

func databasePath(data string) string { return filepath.Join(data, "tutti.db") }

func keyPath(data string) string { return filepath.Join(data, "secret.key") }

func (n *node) makeStore(ctx context.Context) error {
	if err := os.MkdirAll(n.settings.Data, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	s, err := sqlite.Open(ctx, databasePath(n.settings.Data), sqlite.Options{Clock: n.clock, Logger: n.logger})
	if err != nil {
		return err
	}
	n.store = s
	n.digests = newDigests(s, n.logger)
	n.closers = append(n.closers, s.Close)
	return nil
}

func (n *node) makeAccounts(ctx context.Context) error {
	a, err := accounts.New(ctx, accounts.Config{Store: n.store, Clock: n.clock, Logger: n.logger, KeyFile: keyPath(n.settings.Data)})
	n.accounts = a
	return err
}

func (n *node) makeOrigin(ctx context.Context) error {
	ids, err := n.libraryIDs(ctx)
	if err != nil {
		return err
	}
	libraries := make([]folder.Library, len(n.settings.Music))
	for i, m := range n.settings.Music {
		libraries[i] = folder.Library{ID: strconv.Itoa(ids[i]), Name: m.Name, Path: m.Path, Include: m.Include, Exclude: m.Exclude}
	}
	o, err := folder.New(folder.Config{Libraries: libraries, FollowLinks: n.settings.FollowLinks, Logger: n.logger})
	n.origin = o
	return err
}

func (n *node) makeTrackCache(context.Context) error {
	t := n.settings.Transcode
	e, err := encode.New(encode.Config{
		Files: n.origin, FFmpeg: t.FFmpeg, Parallel: t.Parallel, Queue: t.Queue, MaxWait: t.Wait, Nice: 5,
		Clock: n.clock, Logger: n.logger,
	})
	if err != nil {
		return err
	}
	n.encoder = e
	c, err := trackcache.New(trackcache.Config{
		Origin: n.origin, Transcoder: e, Local: true,
		Dir: filepath.Join(n.settings.Data, "cache"), MaxBytes: int64(n.settings.Cache.Size), MemoryBytes: int64(n.settings.Cache.Memory),
		OnHash: n.digests.put, WantHash: n.digests.wants,
		Clock: n.clock, Logger: n.logger,
	})
	if err != nil {
		return err
	}
	n.cache = c
	n.closers = append(n.closers, c.Close)
	n.runners = append(n.runners, c.Run)
	n.registry.MustRegister(c, e)
	return nil
}

func (n *node) makeCatalog(ctx context.Context) error {
	s := n.settings
	c, err := catalog.New(ctx, catalog.Config{
		Store: n.store, Cache: n.cache, Origin: n.origin, Clock: n.clock, Logger: n.logger,
		NewScanner: n.makeScanner, User: n.accounts.UserByID, SoleWriter: true,
		IgnoredArticles: s.Scan.IgnoredArticles, TranscodeFormat: s.Transcode.Format,
	})
	if err != nil {
		return err
	}
	n.catalog = c
	n.runners = append(n.runners, c.Run, n.tidy)
	return nil
}

func (n *node) makeScanner(book scan.Book) (catalog.Scanner, error) {
	s := n.settings.Scan
	scanner, err := scan.New(scan.Config{
		Origin: n.origin, Book: book, Clock: n.clock, Logger: n.logger, FFprobe: n.settings.Transcode.FFprobe, Workers: s.Workers,
		AtStart: s.AtStart, Watch: s.Watch, Interval: s.Interval,
	})
	if err != nil {
		return nil, err
	}
	n.scanner = scanner
	return scanner, n.registry.Register(newScanMetrics(scanner.Status))
}
