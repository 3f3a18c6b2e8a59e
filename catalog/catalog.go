// Package catalog is service B: what music there is, what people did with it, and how a track is to be delivered. It
// implements tutti.Catalog for the other services and scan.Book for the scanner.
//
// The truth is in the store. The catalogue itself is a log of changes and a snapshot (journal.go), of which this
// package holds a compact read model in memory (model.go): tracks as records in an arena (record.go, arena.go), from
// which albums, artists, genres and folders are derived (derive.go) and kept in sorted lists (order.go, tracks.go) and word
// indexes (index.go, words.go). What one person did is a log and a snapshot of their own (people.go), read when they
// come. Playlists, bookmarks, queues, shares and radio stations are items (playlists.go, shelf.go, large.go), and so is
// who plays what (playing.go).
//
// Several nodes may share a store. Each follows the log; one at a time scans (duty.go); requests share their looks at the
// store (looks.go), and do not wait for one that is away (reach.go). A process alone with its store (Config.SoleWriter)
// needs none of that, and asks the store for nothing that it has read once.
//
// A request reads under a lock that a scan holds only for a few dozen changes at a time. No request waits for a scan,
// and nothing runs while nobody asks but the look at the log.
//
// What may go in here: anything that answers "what is there" and "what is mine". Bytes of audio go to trackcache, who
// may come in goes to delivery/accounts, and reading folders and tags to catalog/scan.
package catalog

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/klauspost/compress/zstd"

	"tutti"
	"tutti/catalog/scan"
	"tutti/clock"
	"tutti/store"
)

// Scanner is what the catalogue asks of catalog/scan.
type Scanner interface {
	// Run watches the libraries and scans them when it is time, until ctx ends.
	Run(ctx context.Context) error
	Scan(ctx context.Context, full bool) (tutti.ScanStatus, error)
	Status() tutti.ScanStatus
	// Outstanding reports whether a scan is under way or asked for. Watch tells of its end.
	Outstanding() bool
	Watch(ctx context.Context, fn func(tutti.ScanStatus) error) error
}

// Config is what a Catalog is made of. Store, Origin and Clock are required.
type Config struct {
	Store  store.Store
	Origin tutti.Origin
	Cache  tutti.TrackCache // nil: plans say nothing of readiness
	Clock  clock.Clock
	Logger *slog.Logger // nil: slog.Default()

	// NewScanner makes the scanner that writes into the book, which is this catalogue. nil: this process does not scan.
	NewScanner func(scan.Book) (Scanner, error)

	// User returns the account with the ID, as tutti.Accounts.UserByID does; for the names of playlists' and shares'
	// owners, and for what a share's owner may see. nil: no names, and shares show what everybody sees.
	User func(ctx context.Context, id tutti.ID) (tutti.User, error)

	// SoleWriter says that no other process writes to the store, so that what is in memory needs no checking.
	SoleWriter bool

	// Node names this process among those that share the store: whoever scans. Required where SoleWriter is false and
	// there is a scanner, which then runs on one node at a time.
	Node string

	// Ready is how long the track cache's word that an original can be sent at once is good for further plans: where the
	// cache is another process, asking it is half of what a plan costs. 0: it is asked for each plan.
	Ready time.Duration

	Listening Listening // to tracks, for what cannot be read from their tags
	// Packed reports whether every process that reads the journal reads its packed form (packed.go), which is written then;
	// it is asked for every record and every part. nil: never.
	Packed func() bool
	// Models is where the metadata models are that packed texts are written with and read; nil: texts lie in columns.
	Models Models

	IgnoredArticles []string // at the beginning of names, when sorting; nil: DefaultIgnoredArticles
	TranscodeFormat string   // for who asks for a bit rate only: "opus", "mp3", "aac"; "": "opus"

	Tuning Tuning
}

// DefaultIgnoredArticles are the articles that most players ignore.
var DefaultIgnoredArticles = []string{"The", "An", "A", "El", "La", "Los", "Las", "Le", "Les", "L'", "Der", "Die", "Das", "Os", "As", "O"}

// Tuning holds numbers that hardly anybody needs to change. Zero means the default.
type Tuning struct {
	SnapshotBytes     int64         // log growth after which the catalogue's snapshot is renewed; 4 MiB
	UserSnapshotBytes int64         // the same for one person's; 256 KiB
	Users             int           // people whose state is held in memory; 256, or 2048 where it has to be read from elsewhere
	Follow            time.Duration // how often other nodes' changes are looked for where SoleWriter is false; 500 ms
	Wait              time.Duration // how long a request waits for the store to say what a person did, before it is answered from memory; 150 ms
	ScanLease         time.Duration // how long the node that scans outlives its death in the eyes of the others; 10 s
	SearchEffort      int           // steps of some 20 ns that one search takes for each kind of thing; 3000
}

func (t Tuning) withDefaults(alone bool) Tuning {
	set := func(p *int, v int) {
		if *p <= 0 {
			*p = v
		}
	}
	if t.SnapshotBytes <= 0 {
		t.SnapshotBytes = 4 << 20
	}
	if t.UserSnapshotBytes <= 0 {
		t.UserSnapshotBytes = 256 << 10
	}
	for _, d := range [...]struct {
		p *time.Duration
		v time.Duration
	}{{&t.Follow, 500 * time.Millisecond}, {&t.Wait, 150 * time.Millisecond}, {&t.ScanLease, 10 * time.Second}} {
		if *d.p <= 0 {
			*d.p = d.v
		}
	}
	users := 2048
	if alone {
		users = 256
	}
	set(&t.Users, users)
	set(&t.SearchEffort, 3000)
	return t
}

// Catalog is the catalogue. It implements tutti.Catalog and scan.Book.
type Catalog struct {
	cfg       Config
	log       *slog.Logger
	store     store.Store
	clock     clock.Clock
	scanner   Scanner
	libraries []tutti.Library
	articles  []string // folded
	pack      *zstd.Encoder
	unpack    *zstd.Decoder

	writing turn // one change of the catalogue at a time; held while it is made durable
	journal *journal
	model   *model // replaced only under writing and swap
	swap    sync.RWMutex
	snap    chan struct{} // a snapshot is due

	reach  *reach
	guard  *guarded // what store is where SoleWriter is false
	duty   duty
	caught atomic.Int64 // Unix nanoseconds of the latest look at the log that found nothing unread
	loads  atomic.Int64
	descs  descs
	saved  savings

	people    people
	playlists playlists
	now       nowPlaying
	visits    visits
	ready     readiness
	news      news
	lists     trackLists
	listening listening
	sorting   turn // one order of tracks is made at a time
}

var (
	_ tutti.Catalog = (*Catalog)(nil)
	_ tutti.Tagged  = (*Catalog)(nil)
	_ scan.Book     = (*Catalog)(nil)
)

// New loads the catalogue from the store. It returns KindInvalid for a Config that cannot work or a store written by a
// newer tutti, and the store's own errors. The caller runs Run, and closes the Store after Run has returned.
func New(ctx context.Context, cfg Config) (*Catalog, error) {
	const op = "catalog.New"
	if cfg.Store == nil || cfg.Origin == nil || cfg.Clock == nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a store, an origin and a clock are needed")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.IgnoredArticles == nil {
		cfg.IgnoredArticles = DefaultIgnoredArticles
	}
	switch cfg.TranscodeFormat {
	case "":
		cfg.TranscodeFormat = "opus"
	case "opus", "mp3", "aac":
	default:
		return nil, tutti.Errorf(tutti.KindInvalid, op, "the transcode format %q is none of opus, mp3 and aac", cfg.TranscodeFormat)
	}
	if !cfg.SoleWriter && cfg.NewScanner != nil && cfg.Node == "" {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "a node that scans beside others needs a name")
	}
	cfg.Tuning = cfg.Tuning.withDefaults(cfg.SoleWriter)
	c := &Catalog{
		cfg: cfg, log: cfg.Logger, store: cfg.Store, clock: cfg.Clock,
		libraries: cfg.Origin.Libraries(),
		snap:      make(chan struct{}, 1),
		reach:     &reach{clock: cfg.Clock, log: cfg.Logger},
		descs:     newDescs(),
		ready:     readiness{good: cfg.Ready},
		listening: newListening(),
	}
	if !cfg.SoleWriter {
		c.guard = &guarded{cfg.Store, c.reach}
		c.store = c.guard
	}
	c.journal = &journal{store: c.store, clock: cfg.Clock, log: catalogLog, pk: "catalog"}
	if !cfg.SoleWriter {
		c.journal.shared, c.journal.spread = true, snapshotSpread
	}
	c.duty.told, c.duty.asking = make(chan struct{}), newTurn()
	c.writing = newTurn()
	if len(c.libraries) > maxLibraries {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "%d libraries are more than %d", len(c.libraries), maxLibraries)
	}
	for _, a := range cfg.IgnoredArticles {
		c.articles = append(c.articles, fold(a))
	}
	// Longer articles first, so that "Las" is not taken for "La".
	slices.SortStableFunc(c.articles, func(a, b string) int { return len(b) - len(a) })
	var err error
	if c.pack, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithWindowSize(512<<10)); err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, err)
	}
	if c.unpack, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(maxUnpacked)); err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, err)
	}
	if err := c.reload(ctx); err != nil {
		return nil, err
	}
	c.people.init(c)
	c.playlists.writing, c.playlists.reading, c.now.reading, c.sorting = newTurn(), newTurn(), newTurn(), newTurn()
	if err := c.playlists.load(ctx, c); err != nil {
		return nil, err
	}
	if cfg.NewScanner != nil {
		if c.scanner, err = cfg.NewScanner(c); err != nil {
			return nil, tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}
	return c, nil
}

// current returns the model, which a reload may replace as a whole.
func (c *Catalog) current() *model {
	c.swap.RLock()
	defer c.swap.RUnlock()
	return c.model
}

// reload builds the model from the store. The caller holds writing, or nobody else has c yet.
func (c *Catalog) reload(ctx context.Context) error {
	began := c.clock.Now()
	var m *model
	begin := func() {
		m = newModel(c.articles)
		for _, l := range c.libraries {
			m.library(l.ID)
		}
		m.beginBulk()
	}
	seq, err := c.journal.load(ctx, begin, func(p []byte) ([]byte, error) { return c.unpackPart(ctx, p) },
		func(p []byte) error { return m.loadPart(p) },
		func(r store.Record) error {
			if err := m.endParts(); err != nil {
				return err
			}
			return c.replay(ctx, m, r)
		})
	if err == nil {
		err = m.endParts()
	}
	if err != nil {
		return err
	}
	m.endBulk()
	m.seq = seq
	c.swap.Lock()
	c.model = m
	c.swap.Unlock()
	c.loads.Add(1)
	c.caughtUp()
	c.tell()
	c.news.library()
	if n := m.byID.n; n > 0 {
		c.log.InfoContext(ctx, "catalogue loaded", "tracks", n, "albums", len(m.albums), "seq", seq, "took", c.clock.Now().Sub(began))
	}
	return nil
}

// catalogLog is the log of changes, and of what the nodes tell one another.
const catalogLog = "catalog"

// snapshotSpread is over how many partitions a fleet's snapshot is spread: 16 take what a new table gives.
const snapshotSpread = 16

// sweepGrace is how old an unfinished snapshot of a fleet must be to count as interrupted.
const sweepGrace = time.Hour

// Run looks after the catalogue until ctx ends: it scans, writes snapshots, and follows what other nodes change. It
// returns nil when ctx ends and nothing goes on any more.
func (c *Catalog) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer c.people.close()
	defer wg.Wait()
	switch {
	case c.leased():
		wg.Go(func() { c.follow(ctx) })
		return c.takeTurns(ctx)
	case !c.cfg.SoleWriter:
		wg.Go(func() { c.follow(ctx) })
	case c.scanner != nil:
		wg.Go(func() { c.listen(ctx) })
		wg.Go(func() {
			if err := c.scanner.Run(ctx); err != nil && ctx.Err() == nil {
				c.log.ErrorContext(ctx, "the scanner has stopped; the library can be played but not updated", "err", err)
			}
		})
	}
	c.snapshots(ctx)
	return nil
}

// snapshots writes the catalogue's snapshot whenever it is due, until ctx ends. Where a scanner's lease says who writes,
// only that node does.
func (c *Catalog) snapshots(ctx context.Context) {
	grace := sweepGrace
	if c.cfg.SoleWriter {
		grace = 0
	}
	if err := c.journal.sweep(ctx, grace); err != nil && ctx.Err() == nil {
		c.log.WarnContext(ctx, "clearing up after an interrupted snapshot failed; the next start tries again", "err", err)
	}
	if c.journal.due(c.cfg.Tuning.SnapshotBytes) {
		c.wantSnapshot()
	}
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.snap:
			if err := c.Snapshot(ctx); err != nil && ctx.Err() == nil {
				c.log.WarnContext(ctx, "writing the catalogue's snapshot failed; the log keeps everything meanwhile", "err", err)
			}
		}
	}
}

func (c *Catalog) wantSnapshot() {
	select {
	case c.snap <- struct{}{}:
	default:
	}
}

// playlistsTurn is after how many looks at the catalogue's log there is one at that of the playlists. Requests look for
// themselves; this is for what they are told while the store is away.
const playlistsTurn = 20

// follow applies what other nodes append, within Tuning.Follow. It is what a node does when nobody asks it anything: one
// question to the store, twice a second.
func (c *Catalog) follow(ctx context.Context) {
	c.reach.tended.Store(true)
	defer c.reach.tended.Store(false)
	for n := 1; clock.Sleep(ctx, c.clock, c.cfg.Tuning.Follow) == nil; n++ {
		if c.reach.out() && c.guard.ask(ctx) != nil {
			continue
		}
		if n%playlistsTurn == 0 {
			if err := c.freshPlaylists(ctx); err != nil && ctx.Err() == nil && !tutti.IsKind(err, tutti.KindUnavailable) {
				c.log.ErrorContext(ctx, "the playlists cannot be followed", "err", err)
			}
		}
		if err := c.Refresh(ctx); err != nil && ctx.Err() == nil && !tutti.IsKind(err, tutti.KindUnavailable) {
			c.log.ErrorContext(ctx, "the catalogue's log cannot be followed; what this node says of the library is out of date", "err", err)
		}
	}
}

// Refresh applies the changes that other nodes made since the last call. With SoleWriter there are none.
func (c *Catalog) Refresh(ctx context.Context) error {
	if err := c.writing.lock(ctx); err != nil {
		return err
	}
	defer c.writing.unlock()
	return c.refreshLocked(ctx)
}

func (c *Catalog) refreshLocked(ctx context.Context) error {
	m := c.current()
	last, err := c.store.LastSeq(ctx, c.journal.log)
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), "catalog.Refresh", err)
	}
	if last == m.seq {
		c.caughtUp()
		return nil
	}
	gap, err := c.journal.follow(ctx, m.seq, last, func(r store.Record) error {
		rec, err := c.decodeRecord(ctx, r.Value)
		if err != nil {
			return err
		}
		m.apply(rec.changes)
		c.advance(m, r.Seq, rec.notice)
		if ofLibrary(rec.changes) {
			c.news.library()
		}
		return nil
	})
	if err != nil {
		return err
	}
	if gap {
		return c.reload(ctx)
	}
	c.caughtUp()
	return nil
}

// advance notes that the model has come to the log's record seq, which said n (nil: nothing but changes).
func (c *Catalog) advance(m *model, seq uint64, n *notice) {
	if n != nil && len(n.Amend) > 0 {
		m.amend(n.Amend)
		c.news.library()
	}
	m.mu.Lock()
	m.seq = seq
	if n != nil {
		m.heed(seq, n)
	}
	m.mu.Unlock()
	if n != nil {
		c.tell()
	}
}

func (c *Catalog) caughtUp() { c.caught.Store(c.clock.Now().UnixNano()) }

// behind is for how long this node does not know that it has read the whole log.
func (c *Catalog) behind() time.Duration {
	if c.cfg.SoleWriter {
		return 0
	}
	return max(0, time.Duration(c.clock.Now().UnixNano()-c.caught.Load()))
}

// maxBehind is how far a node may be behind and still be asked: three turns of a store that hangs.
const maxBehind = 10 * time.Second

// Caught returns nil where this node may be asked: it has read the log of changes to its end lately. Where the store
// is away nobody can do better, so this node stays as good as any; where it answers and this node does not get on all
// the same, the error is KindUnavailable, until it does.
func (c *Catalog) Caught(context.Context) error {
	behind := c.behind()
	if behind <= maxBehind || c.reach.out() {
		return nil
	}
	return tutti.Errorf(tutti.KindUnavailable, "catalog.Caught", "this node is %s behind the changes of the catalogue", behind.Round(time.Second))
}

// Snapshot writes a snapshot now. Run calls it when enough was logged; backups and tests may.
func (c *Catalog) Snapshot(ctx context.Context) error {
	if err := c.writing.lock(ctx); err != nil {
		return err
	}
	s := c.current().capture()
	c.writing.unlock()
	began := c.clock.Now()
	err := c.journal.save(ctx, s.seq, s.parts(c.packing()))
	if tutti.IsKind(err, tutti.KindConflict) {
		return nil // another node wrote one, or will: ours has been withdrawn
	}
	if err == nil {
		c.log.InfoContext(ctx, "catalogue snapshot written", "seq", s.seq, "took", c.clock.Now().Sub(began))
	}
	return err
}

func (c *Catalog) withCount(s tutti.ScanStatus) tutti.ScanStatus {
	m := c.current()
	m.mu.RLock()
	defer m.mu.RUnlock()
	s.Tracks = 0
	for _, n := range m.counts {
		s.Tracks += n.tracks
	}
	s.Heard = m.heard.n
	return s
}

// contextErr reports whether err says that the caller went away, rather than that something is wrong.
func contextErr(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
