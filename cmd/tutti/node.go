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
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"tutti"
	"tutti/carbon"
	"tutti/catalog"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/delivery"
	"tutti/delivery/accounts"
	"tutti/enrich"
	"tutti/origin"
	"tutti/origin/folder"
	"tutti/origin/s3"
	"tutti/peer"
	"tutti/peer/members"
	"tutti/peer/models"
	"tutti/rooms"
	"tutti/rooms/announce"
	"tutti/store"
	"tutti/store/dynamo"
	"tutti/store/sqlite"
	"tutti/trackcache"
)

// node is one process: the parts that its role needs, put together.
type node struct {
	settings *settings
	logger   *slog.Logger
	clock    clock.Clock
	time     *clock.Disciplined // the same, of a process that serves; else nil
	registry *prometheus.Registry

	store    store.Store
	digests  *digests
	accounts *accounts.Accounts
	origin   tutti.Origin // of all libraries
	buckets  *s3.Origin   // of those in buckets; nil where there are none

	keys    *peer.Keys       // of the fleet; nil without a fleet, or where only loopback is spoken to
	members *members.Members // the fleet; nil without one
	models  *models.Models   // of metadata
	peers   *peer.Client     // the other members; nil without a fleet

	cache   tutti.TrackCache // this process's own, or the fleet's
	catalog tutti.Catalog    // likewise

	ownCache   *trackcache.Cache
	chunks     *trackcache.Chunks // of music in buckets; nil where there is none
	ownCatalog *catalog.Catalog
	scanner    *scan.Scanner

	announced []announce.Service      // to the local network
	sought    string                  // the players that are looked for there, by their service type
	found     func([]announce.Player) // takes them
	rooms     *rooms.House            // nil where there are none
	grid      *carbon.Cached          // what electricity emits here
	meter     *carbon.Meter           // nil where nothing can be metered
	spent     spent
	jobs      tutti.Jobs         // takes work that may wait
	desk      *enrich.Desk       // suggestions for tags; nil where there are none
	pairings  tutti.RoomPairings // nil where no player can be paired

	metrics *delivery.Metrics
	tracing *tracing
	server  *delivery.Server

	slab    []byte // see holdSlab
	built   map[string]bool
	runners []func(context.Context) error // each runs until its context ends
	closers []func() error                // in the order in which things were opened
}

// part is one piece of the architecture: what it stands on and how it is made.
type part struct {
	needs []string // made before it, in this order
	make  func(*node, context.Context) error
}

// architecture says what there is and what stands on what. A role is a part like any other, and says of each service
// whether it is here or with other members of the fleet. Two shapes only: all in one process, or one each.
var architecture = map[string]part{
	"all":        {[]string{"trackcache here", "accounts", "catalog here", "enrich here", "rooms", "edge"}, nil},
	"delivery":   {[]string{"trackcache there", "catalog there", "enrich there", "rooms", "edge"}, nil},
	"catalog":    {[]string{"trackcache there", "catalog here", "enrich here", "wire"}, nil},
	"trackcache": {[]string{"fleet", "trackcache here", "wire"}, nil},

	"trackcache here":  {[]string{"store", "origin", "jobs", "carbon"}, (*node).makeTrackCache},
	"trackcache there": {[]string{"fleet"}, func(n *node, _ context.Context) error { n.cache = n.peers.TrackCache(); return nil }},
	"catalog here":     {[]string{"store", "origin", "jobs", "carbon", "models"}, (*node).makeCatalog},
	"catalog there":    {[]string{"fleet"}, func(n *node, _ context.Context) error { n.catalog = n.peers.Catalog(); return nil }},
	"enrich here":      {[]string{"catalog here"}, (*node).makeEnrich},
	"enrich there":     {[]string{"catalog there"}, (*node).makeEnrich},
	"edge":             {[]string{"store", "accounts", "jobs", "carbon", "models"}, (*node).makeEdge},
	"wire":             {[]string{"fleet"}, (*node).makeWire},

	"carbon":   {[]string{"store", "grid"}, (*node).makeCarbon},
	"rooms":    {[]string{"accounts", "carbon"}, (*node).makeRooms},
	"fleet":    {[]string{"store", "models"}, (*node).makeFleet},
	"accounts": {[]string{"store"}, (*node).makeAccounts},
	"origin":   {[]string{"store"}, (*node).makeOrigin},
	"jobs":     {[]string{"store", "grid"}, (*node).makeJobs},
	"grid":     {nil, (*node).makeGrid},
	"models":   {[]string{"store"}, (*node).makeModels},
	"store":    {nil, (*node).makeStore},
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

// run keeps the parts going until ctx ends or one of them fails. A member of a fleet then first lets everybody know,
// and gives signs of life for as long as it still has something to finish.
func (n *node) run(ctx context.Context) error {
	alive, die := context.WithCancel(context.WithoutCancel(ctx))
	defer die()
	work, stop := context.WithCancel(alive)
	defer stop()
	membership, alive := errgroup.WithContext(alive)
	if n.members != nil {
		membership.Go(func() error {
			defer stop() // who is no member any more must not go on
			return n.members.Run(alive)
		})
	}
	g, work := errgroup.WithContext(work)
	for _, run := range n.runners {
		g.Go(func() error { return run(work) })
	}
	g.Go(func() error {
		select {
		case <-work.Done():
		case <-ctx.Done():
			if n.members != nil {
				n.drain(work)
			}
			stop()
		}
		return nil
	})
	err := g.Wait()
	die()
	if err := errors.Join(err, membership.Wait()); !errors.Is(err, context.Canceled) {
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
	var err error
	if n.keys, err = n.settings.readKeys(); err != nil {
		return err
	}
	if n.store, err = n.openStore(ctx); err != nil {
		return err
	}
	n.digests = newDigests(n.store, n.clock, n.logger)
	n.closers = append(n.closers, n.store.Close)
	return nil
}

// openStore opens the state: this process's own database, a table, or what another process shares.
func (n *node) openStore(ctx context.Context) (store.Store, error) {
	a := n.settings.Store
	switch {
	case a.Elsewhere != "":
		tls, err := n.settings.fleetTLS()
		if err != nil {
			return nil, err
		}
		return peer.OpenStore(ctx, a.Elsewhere, peer.StoreConfig{Keys: n.keys, TLS: tls, Clock: n.clock, Logger: n.logger})
	case a.Table != "":
		s, err := dynamo.Open(ctx, n.dynamoConfig())
		if err != nil {
			return nil, err
		}
		return s, n.registry.Register(s)
	}
	return sqlite.Open(ctx, databasePath(n.settings.Data), sqlite.Options{Clock: n.clock, Logger: n.logger})
}

func (n *node) dynamoConfig() dynamo.Config {
	a := n.settings.Store
	return dynamo.Config{Table: a.Table, Region: a.Region, Endpoint: a.Endpoint, Clock: n.clock, Logger: n.logger}
}

// fleet reports whether this process is one of several that share the state.
func (s *settings) fleet() bool { return s.Role != "all" || !s.Store.sqlite() }

// secretFile is where the key lies that encrypts what accounts have to keep readable.
func (s *settings) secretFile() string {
	if s.Fleet.SecretFile != "" {
		return s.Fleet.SecretFile
	}
	return keyPath(s.Data)
}

func (n *node) makeAccounts(ctx context.Context) error {
	a, err := accounts.New(ctx, accounts.Config{
		Store: n.store, Clock: n.clock, Logger: n.logger, KeyFile: n.settings.secretFile(), Shared: n.settings.fleet(),
	})
	if err != nil {
		return err
	}
	n.accounts = a
	n.runners = append(n.runners, a.Run)
	return nil
}

func (n *node) makeOrigin(ctx context.Context) error {
	ids, err := n.libraryIDs(ctx)
	if err != nil {
		return err
	}
	var folders []folder.Library
	var buckets []s3.Library
	for i, m := range n.settings.Music {
		id := strconv.Itoa(ids[i])
		if b := m.S3; b != nil {
			buckets = append(buckets, s3.Library{
				ID: id, Name: m.Name, Bucket: b.Bucket, Prefix: b.Prefix, Endpoint: b.Endpoint, Region: b.Region,
				PathStyle: b.PathStyle, Anonymous: b.Anonymous, Include: m.Include, Exclude: m.Exclude,
			})
			continue
		}
		folders = append(folders, folder.Library{ID: id, Name: m.Name, Path: m.Path, Include: m.Include, Exclude: m.Exclude})
	}
	local, err := folder.New(folder.Config{Libraries: folders, FollowLinks: n.settings.FollowLinks, Logger: n.logger})
	if err != nil {
		return err
	}
	n.origin = local
	if len(buckets) == 0 {
		return nil
	}
	remote, err := s3.New(ctx, s3.Config{Libraries: buckets, Clock: n.clock, Logger: n.logger})
	if err != nil {
		return err
	}
	n.buckets = remote
	n.origin = origin.Join(local, remote)
	return n.registry.Register(remote)
}

// readyFor is shorter than a track cache takes to notice that its origin is away and be asked again.
const readyFor = 2 * time.Second

func (n *node) makeCatalog(ctx context.Context) error {
	s := n.settings
	name := "" // nobody else is there
	if s.fleet() {
		var err error
		if name, err = memberID(s.Data, s.Role); err != nil {
			return err
		}
	}
	user := accounts.NewDirectory(n.store, n.clock).UserByID
	if n.accounts != nil {
		user = n.accounts.UserByID
	}
	var ready time.Duration
	if n.members != nil {
		ready = readyFor // else the track cache is in this process, and costs nothing to ask
	}
	c, err := catalog.New(ctx, catalog.Config{
		Store: n.store, Cache: n.cache, Origin: n.origin, Clock: n.clock, Logger: n.logger,
		NewScanner: n.makeScanner, User: user, SoleWriter: !s.fleet(), Node: name,
		IgnoredArticles: s.Scan.IgnoredArticles, TranscodeFormat: s.Transcode.Format,
		// nginx sends a person's requests to any node, and each has to show what another one acknowledged: also where the
		// store takes half a second for an answer.
		Tuning: catalog.Tuning{Wait: 1500 * time.Millisecond},
		Ready:  ready,
		Packed: n.packed,
		Models: journalModels{n.models, n},

		Listening: n.listening(),
	})
	if err != nil {
		return err
	}
	n.catalog, n.ownCatalog = c, c
	n.registry.MustRegister(c)
	n.runners = append(n.runners, c.Run, n.tidy)
	return nil
}

// listening says which tracks are listened to, and who says when.
func (n *node) listening() catalog.Listening {
	s := n.settings.Analyse
	if !s.Enabled {
		return catalog.Listening{}
	}
	l := catalog.Listening{Jobs: n.jobs, Tracks: s.Tracks}
	if n.buckets != nil && !s.Buckets {
		dear := map[string]bool{}
		for _, b := range n.buckets.Libraries() {
			dear[b.ID] = true
		}
		l.Skips = func(library string) bool { return dear[library] }
	}
	return l
}

func (n *node) makeScanner(book scan.Book) (catalog.Scanner, error) {
	s := n.settings.Scan
	scanner, err := scan.New(scan.Config{
		Origin: n.origin, Book: book, Clock: n.clock, Logger: n.logger, FFprobe: n.settings.Transcode.FFprobe, Workers: s.Workers,
		AtStart: s.AtStart, Watch: s.Watch, Interval: s.Interval, CPU: &n.spent.scan,
	})
	if err != nil {
		return nil, err
	}
	n.scanner = scanner
	return scanner, n.registry.Register(newScanMetrics(scanner.Status))
}
