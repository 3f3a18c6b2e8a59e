package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"tutti"
	"tutti/carbon"
	"tutti/clock"
)

// The phases of a scan, as tutti.ScanStatus names them.
const (
	phaseListing   = "listing"
	phaseReading   = "reading"
	phasePlaylists = "playlists"
	phaseDone      = "done"
)

const (
	defaultDebounce = 2 * time.Second
	watchRetry      = 10 * time.Minute // after which a library that could not be watched is tried again
	rootInterval    = 10 * time.Second // how often it is asked whether a library that was away is there
	rootWatched     = time.Minute      // and whether one that is watched is still the same directory, which a new mount is not
	statusInterval  = 250 * time.Millisecond
	maxQuiet        = 10      // debounces after which changes are looked at even if they have not ceased
	maxDirty        = 500     // directories that changed; more of them are walked as a whole library
	maxRefused      = 100_000 // files that could not be read that are remembered
	maxUnread       = 50      // files of an object store that cannot be had one after the other, or its directories: then it is away
	distantWorkers  = 16      // files read at once where each answer takes a round trip, which is waited for rather than computed
	maxRounds       = 3       // partial passes after a pass, for directories whose albums must be decided anew
)

// DefaultCovers are the pictures that stand for a directory, best first; "embedded" is the one inside the files.
var DefaultCovers = []string{"cover.*", "folder.*", "front.*", "album.*", embedded, "*cover*.*", "*front*.*"}

// Config is what a Scanner needs. Origin, Book and Clock are required.
type Config struct {
	Origin  tutti.Origin
	Book    Book
	Clock   clock.Clock
	Logger  *slog.Logger  // nil: slog.Default()
	FFprobe string        // program for formats that are not read natively; "" for none
	Workers int           // files read at once; 0 is one for each core, and more where files are across a network
	CPU     *carbon.Tally // counts the CPU time that scanning takes; nil: nobody does
	Covers  []string      // patterns of file names and "embedded", best first; nil is DefaultCovers

	// What Run does by itself. A scan that is asked for is done in any case.
	AtStart  bool          // scan when Run begins
	Watch    bool          // scan directories in which something changed
	Interval time.Duration // scan this often as well; 0 never
	Debounce time.Duration // how long changes must have ceased before they are looked at; 0 is 2 s
}

// Scanner scans the libraries of an origin into a book. Run owns everything that goes on by itself.
type Scanner struct {
	origin         tutti.Origin
	book           Book
	clock          clock.Clock
	log            *slog.Logger
	ffprobe        string
	workers        int
	covers         coverRule
	artistPictures names
	cfg            Config

	running sync.Mutex // held by the scan that is under way

	mu       sync.Mutex
	status   tutti.ScanStatus
	watchers map[chan struct{}]struct{}
	want     request
	busy     bool                       // what was wanted is being done
	dirty    map[string]map[string]bool // directories that changed, by library; "." is the whole library
	wake     chan struct{}              // want or dirty changed

	refusedMu sync.Mutex
	refused   map[string]stamp // files that could not be read, by library and path
	lists     map[string]stamp // playlist files as last imported; touched only by the scan under way
}

// request is what a scan that was asked for should do.
type request uint8

const (
	nothing request = iota
	changedFiles
	everyFile
)

// stamp tells whether a file is still the one that it was.
type stamp struct {
	size    int64
	modTime time.Time
}

func stampOf(fi *tutti.FileInfo) stamp { return stamp{fi.Size, fi.ModTime} }

func (s stamp) is(fi *tutti.FileInfo) bool { return s.size == fi.Size && s.modTime.Equal(fi.ModTime) }

// New returns a Scanner that does nothing yet. It returns KindInvalid for a Config that cannot work.
func New(c Config) (*Scanner, error) {
	const op = "scan.New"
	if c.Origin == nil || c.Book == nil || c.Clock == nil {
		return nil, tutti.Errorf(tutti.KindInvalid, op, "an origin, a book and a clock are needed")
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Workers <= 0 {
		c.Workers = runtime.GOMAXPROCS(0)
		if slices.ContainsFunc(c.Origin.Libraries(), func(l tutti.Library) bool { return elsewhere(c.Origin, l.ID) }) {
			c.Workers = max(c.Workers, distantWorkers)
		}
	}
	if c.Covers == nil {
		c.Covers = DefaultCovers
	}
	c.Debounce = cmp.Or(c.Debounce, defaultDebounce)
	covers, err := parseCovers(c.Covers)
	if err != nil {
		return nil, err
	}
	return &Scanner{
		origin: c.Origin, book: c.Book, clock: c.Clock, log: c.Logger, ffprobe: c.FFprobe, workers: c.Workers,
		covers: covers, artistPictures: names{"artist.*"}, cfg: c,
		watchers: map[chan struct{}]struct{}{}, dirty: map[string]map[string]bool{}, wake: make(chan struct{}, 1),
		refused: map[string]stamp{}, lists: map[string]stamp{},
	}, nil
}

// Run watches the libraries and scans them when it is time or somebody asks, until ctx ends. It returns nil then. A
// scan that fails is logged and shown in the status, and does not end Run.
func (s *Scanner) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if s.cfg.Watch {
		for _, lib := range s.origin.Libraries() {
			if elsewhere(s.origin, lib.ID) {
				continue // or it would be walked at every try, which an object store charges for
			}
			g.Go(func() error { return s.watch(ctx, lib) })
		}
	}
	g.Go(func() error { return s.loop(ctx) })
	if err := g.Wait(); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// unwatched is implemented by origins with libraries that can never be watched, as those in object stores.
type unwatched interface{ Watchable(library string) bool }

// elsewhere reports whether a library lies in an object store: across a network, and never watched.
func elsewhere(o tutti.Origin, library string) bool {
	w, ok := o.(unwatched)
	return ok && !w.Watchable(library)
}

// loop waits for a reason to scan, and scans.
func (s *Scanner) loop(ctx context.Context) error {
	if s.cfg.AtStart {
		s.ask(changedFiles)
	}
	never := make(chan time.Time)
	var quiet clock.Timer // runs while changes may still be coming
	var since time.Time   // when the first of them was noted
	stopQuiet := func() {
		if quiet != nil {
			quiet.Stop()
			quiet = nil
		}
	}
	defer stopQuiet()
	var next clock.Timer
	if s.cfg.Interval > 0 {
		next = s.clock.NewTimer(s.cfg.Interval)
		defer next.Stop()
	}
	channel := func(t clock.Timer) <-chan time.Time {
		if t == nil {
			return never
		}
		return t.C()
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-channel(next):
			s.ask(changedFiles)
		case <-channel(quiet):
			quiet = nil
			_ = s.attempt(ctx, func() error { return s.scanDirty(ctx) }) // logged
		case <-s.wake:
			want, changes := s.take()
			if want != nothing {
				stopQuiet()
				err := s.attempt(ctx, func() error { return s.scan(ctx, want == everyFile) })
				s.done()
				if next != nil {
					d := s.cfg.Interval
					if errors.Is(err, errElsewhere) { // no event will tell that it is back
						d = min(d, watchRetry)
					}
					next.Reset(d)
				}
			}
			switch now := s.clock.Now(); {
			case !changes:
			case quiet == nil:
				quiet, since = s.clock.NewTimer(s.cfg.Debounce), now
			case now.Sub(since) < maxQuiet*s.cfg.Debounce:
				quiet.Reset(s.cfg.Debounce)
			}
		}
	}
}

// attempt runs a scan for loop, whose errors have nobody else to go to.
func (s *Scanner) attempt(ctx context.Context, scan func() error) error {
	err := scan()
	if err != nil && ctx.Err() == nil {
		s.log.ErrorContext(ctx, "the scan ended early; the next one goes on where it stopped", "err", err)
	}
	return err
}

// ask notes that a scan is wanted and wakes the loop.
func (s *Scanner) ask(r request) {
	s.mu.Lock()
	s.want = max(s.want, r)
	s.mu.Unlock()
	s.signal()
}

func (s *Scanner) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// take returns and clears what is wanted. A scan of everything makes noted changes void.
func (s *Scanner) take() (want request, changes bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	want, s.want = s.want, nothing
	if want != nothing {
		s.busy = true
		clear(s.dirty)
	}
	return want, len(s.dirty) > 0
}

// done notes that what take returned has been done, and tells those who watch.
func (s *Scanner) done() {
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	s.update(func(*tutti.ScanStatus) {})
}

// Outstanding reports whether a scan is under way or asked for. Those who Watch are told when it no longer is.
func (s *Scanner) Outstanding() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.want != nothing || s.busy || s.status.Scanning
}

// watch notes the directories of a library in which something changes, until ctx ends. Where a library cannot be
// watched, because it is away or the system's limit is reached, it is tried again now and then.
func (s *Scanner) watch(ctx context.Context, lib tutti.Library) error {
	for again := false; ; again = true {
		if again {
			s.changed(lib.ID, ".") // whatever happened meanwhile was not seen
		}
		began := s.clock.Now()
		err := s.watchRoot(ctx, lib)
		if ctx.Err() != nil {
			return nil
		}
		s.log.WarnContext(ctx, "the library is not watched for changes; scheduled scans find them", "library", lib.Name, "err", err)
		wait := watchRetry // the system's limits are not raised soon
		if s.clock.Now().Sub(began) > rootInterval {
			wait = rootInterval // it could be watched before
		}
		if s.awaitRoot(ctx, lib, wait) != nil {
			return nil
		}
	}
}

// watchRoot watches a library as long as its root is the directory that it was: no event tells that a file system was
// mounted over it.
func (s *Scanner) watchRoot(ctx context.Context, lib tutti.Library) error {
	root, err := s.origin.Stat(ctx, lib.ID, ".")
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		return s.origin.Watch(ctx, lib.ID, func(dir string) { s.changed(lib.ID, dir) })
	})
	g.Go(func() error {
		for {
			if err := clock.Sleep(ctx, s.clock, rootWatched); err != nil {
				return err
			}
			now, err := s.origin.Stat(ctx, lib.ID, ".")
			switch {
			case err != nil:
				return err
			case now.Inode != root.Inode:
				return tutti.Errorf(tutti.KindUnavailable, "scan: watch", "another directory is at the place of the library %q", lib.Name)
			}
		}
	})
	return g.Wait()
}

// awaitRoot returns once wait is over and the library is there, or as soon as it is back where it was away. It returns
// an error if ctx ends before.
func (s *Scanner) awaitRoot(ctx context.Context, lib tutti.Library, wait time.Duration) error {
	away := false
	for waited := time.Duration(0); ; {
		if err := clock.Sleep(ctx, s.clock, rootInterval); err != nil {
			return err
		}
		waited += rootInterval
		_, err := s.origin.Stat(ctx, lib.ID, ".")
		if err == nil && (away || waited >= wait) {
			return nil
		}
		away = err != nil
	}
}

func (s *Scanner) changed(library, dir string) {
	s.mu.Lock()
	dirs := s.dirty[library]
	if dirs == nil {
		dirs = map[string]bool{}
		s.dirty[library] = dirs
	}
	if len(dirs) >= maxDirty {
		clear(dirs)
		dir = "."
	}
	dirs[dir] = true
	s.mu.Unlock()
	s.signal()
}

// Scan asks for a scan, or joins the one that is under way, and returns at once. full reads every file again. Run does
// the work.
func (s *Scanner) Scan(_ context.Context, full bool) (tutti.ScanStatus, error) {
	r := changedFiles
	if full {
		r = everyFile
	}
	s.mu.Lock()
	joined := s.status.Scanning && !full
	if !joined {
		s.want = max(s.want, r)
	}
	st := s.status
	s.mu.Unlock()
	if !joined {
		s.signal()
		st.Scanning = true // as good as: a client that polls must not take the scan before for this one
	}
	return st, nil
}

// ScanOnce scans in the caller's goroutine and returns what came of it. progress, which may be nil, is told of every
// change of the status, at most four times a second.
func (s *Scanner) ScanOnce(ctx context.Context, full bool, progress func(tutti.ScanStatus)) (tutti.ScanStatus, error) {
	var g errgroup.Group
	watching, done := context.WithCancel(ctx)
	if progress != nil {
		g.Go(func() error {
			err := s.Watch(watching, func(st tutti.ScanStatus) error { progress(st); return nil })
			if errors.Is(err, context.Canceled) {
				return nil
			}
			return err
		})
	}
	err := s.scan(ctx, full)
	done()
	return s.Status(), errors.Join(err, g.Wait())
}

// Status is how the present scan gets on, or how the last one went.
func (s *Scanner) Status() tutti.ScanStatus {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// Watch calls fn with the status now and after every change, at most four times a second, until ctx ends or fn returns
// an error; it returns that error.
func (s *Scanner) Watch(ctx context.Context, fn func(tutti.ScanStatus) error) error {
	ch := make(chan struct{}, 1)
	s.mu.Lock()
	s.watchers[ch] = struct{}{}
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.watchers, ch)
		s.mu.Unlock()
	}()
	for {
		if err := fn(s.Status()); err != nil {
			return err
		}
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := clock.Sleep(ctx, s.clock, statusInterval); err != nil {
			return err
		}
	}
}

func (s *Scanner) update(fn func(*tutti.ScanStatus)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fn(&s.status)
	for ch := range s.watchers {
		select {
		case ch <- struct{}{}:
		default:
		}
	}
}

func (s *Scanner) trackCount() int {
	n := 0
	for _, lib := range s.origin.Libraries() {
		n += s.book.TrackCount(lib.ID)
	}
	return n
}

// scan walks every library from its root.
func (s *Scanner) scan(ctx context.Context, full bool) error {
	return s.session(ctx, func(c *committer) error {
		var away []error
		for _, lib := range s.origin.Libraries() {
			if err := s.whole(ctx, c, lib, full); err != nil {
				if ctx.Err() != nil || !isAway(err) {
					return err
				}
				away = append(away, fmt.Errorf("library %q: %w", lib.Name, err))
			}
		}
		return errors.Join(away...)
	})
}

// scanDirty looks at the directories that were noted as changed.
func (s *Scanner) scanDirty(ctx context.Context) error {
	s.mu.Lock()
	dirty := s.dirty
	s.dirty = map[string]map[string]bool{}
	s.mu.Unlock()
	return s.session(ctx, func(c *committer) error {
		for _, lib := range s.origin.Libraries() {
			dirs := dirty[lib.ID]
			if len(dirs) == 0 {
				continue
			}
			var err error
			if dirs["."] {
				err = s.whole(ctx, c, lib, false)
			} else {
				err = s.partial(ctx, c, lib, dirs, false)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// errElsewhere is among the errors of a scan that met an object store that is away. Its tracks stay as they are.
var errElsewhere = errors.New("its tracks stay as they are, and it is tried again soon")

// isAway reports whether a whole library cannot be reached, which is no reason to leave the others.
func isAway(err error) bool {
	return tutti.IsKind(err, tutti.KindUnavailable) || tutti.IsKind(err, tutti.KindNotFound)
}

// session is what all scans have in common: one at a time, a status from beginning to end, and the decisions that wait
// for the end.
func (s *Scanner) session(ctx context.Context, walk func(*committer) error) (err error) {
	s.running.Lock()
	defer s.running.Unlock()
	before := s.trackCount()
	s.update(func(st *tutti.ScanStatus) {
		*st = tutti.ScanStatus{Scanning: true, Phase: phaseListing, Total: int64(before), Tracks: before, Started: s.clock.Now()}
	})
	defer func() {
		after := s.trackCount()
		s.update(func(st *tutti.ScanStatus) {
			st.Scanning, st.Phase, st.Finished, st.Tracks, st.Total = false, phaseDone, s.clock.Now(), after, st.Seen
			if err != nil {
				st.Error = tutti.Message(err)
			}
		})
		s.report(ctx, err)
	}()
	c := s.newCommitter()
	walked := walk(c)
	if walked != nil && !isAway(walked) {
		return walked
	}
	if err := c.finish(ctx); err != nil {
		return errors.Join(walked, err)
	}
	for round := 0; len(c.again) > 0 && round < maxRounds; round++ {
		again := c.again
		c.again = map[string]map[string]bool{}
		for _, lib := range s.origin.Libraries() {
			if dirs := again[lib.ID]; len(dirs) > 0 {
				if err := s.partial(ctx, c, lib, dirs, true); err != nil {
					return errors.Join(walked, err)
				}
			}
		}
		if err := c.finish(ctx); err != nil {
			return errors.Join(walked, err)
		}
	}
	return errors.Join(walked, s.relist(ctx, c))
}

// report logs how a scan went, where there is anything to say.
func (s *Scanner) report(ctx context.Context, err error) {
	st := s.Status()
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, "scan incomplete", "err", err)
	}
	if st.Added+st.Changed+st.Moved+st.Missing+st.Removed+st.Failed == 0 {
		return
	}
	s.log.InfoContext(
		ctx, "scanned", "files", st.Seen, "added", st.Added, "changed", st.Changed, "moved", st.Moved, "missing", st.Missing,
		"unreadable", st.Failed, "tracks", st.Tracks, "took", st.Finished.Sub(st.Started),
	)
	if before := int64(st.Tracks) + st.Missing; st.Missing > suspicious && st.Missing > before/2 {
		s.log.WarnContext(
			ctx, "more than half of the tracks are missing: is a drive not mounted? Nothing is forgotten; they come back with their files",
			"missing", st.Missing, "of", before,
		)
	}
}

// suspicious is how many tracks must be missing at once for that to look like an accident.
const suspicious = 100

// whole walks one library from its root. Where the library is away, its tracks are marked as missing and the error
// says so.
func (s *Scanner) whole(ctx context.Context, c *committer, lib tutti.Library, full bool) error {
	_, info := s.book.Files(lib.ID, ".")
	p := &pass{s: s, lib: lib, full: full, first: info.Sides == 0}
	root := &node{dir: ".", deep: true}
	if err := p.run(ctx, c, []*node{root}); err != nil {
		switch {
		case ctx.Err() != nil || !isAway(err):
		case elsewhere(s.origin, lib.ID): // the next scan may be a day off; meanwhile whoever asks for a track is told the same
			err = errors.Join(err, errElsewhere)
		default:
			c.gone = append(c.gone, p.tracksBelow(".")...)
		}
		return err
	}
	c.lists = append(c.lists, lists{lib: lib, files: p.playlists, complete: p.unlisted.Load() == 0})
	l := &root.look
	if l.c.cover == info.CoverPath && l.c.sides == info.Sides {
		return nil
	}
	// That the root's info is there says that the library was scanned to its end once.
	return c.emit(ctx, Change{Folder: &FolderInfo{Library: lib.ID, Path: ".", CoverPath: l.c.cover, Sides: l.c.sides}}, 100)
}

// partial walks some directories of a library and what is new below them.
func (s *Scanner) partial(ctx context.Context, c *committer, lib tutti.Library, dirs map[string]bool, reread bool) error {
	p := &pass{s: s, lib: lib, partial: true, walked: map[string]bool{}}
	var roots []*node
	for _, dir := range slices.Sorted(maps.Keys(dirs)) {
		roots = append(roots, &node{dir: dir, reread: reread})
	}
	if err := p.run(ctx, c, roots); err != nil {
		return err
	}
	c.lists = append(c.lists, lists{lib: lib, files: p.playlists, walked: p.walked, complete: true})
	return nil
}

// refuse notes that a file could not be read, so that it is not read again until it changes.
func (s *Scanner) refuse(library string, fi *tutti.FileInfo, err error) {
	s.log.Warn("a file cannot be read", "library", library, "path", fi.Path, "err", err)
	s.refusedMu.Lock()
	defer s.refusedMu.Unlock()
	if len(s.refused) < maxRefused {
		s.refused[library+"\x00"+strings.Clone(fi.Path)] = stampOf(fi)
	}
}

func (s *Scanner) refuses(library string, fi *tutti.FileInfo) bool {
	s.refusedMu.Lock()
	defer s.refusedMu.Unlock()
	if len(s.refused) == 0 {
		return false
	}
	was, ok := s.refused[library+"\x00"+fi.Path]
	return ok && was.is(fi)
}

func (s *Scanner) accept(library string, fi *tutti.FileInfo) {
	s.refusedMu.Lock()
	defer s.refusedMu.Unlock()
	if len(s.refused) > 0 {
		delete(s.refused, library+"\x00"+fi.Path)
	}
}

// Purge removes the tracks that are missing, with all that people did with them, and returns how many there were. It is
// never done unasked. A library that is away, or of which no track is there, is left alone: that is an unmounted drive
// rather than a decision.
func (s *Scanner) Purge(ctx context.Context) (int64, error) {
	s.running.Lock()
	defer s.running.Unlock()
	var removed int64
	var batch []Change
	// The book is changed only after it was walked: what it says of a directory may not change while that is looked at.
	flush := func() error {
		for part := range slices.Chunk(batch, batchChanges) {
			if err := s.book.Apply(ctx, part); err != nil {
				return tutti.Wrap(tutti.KindUnavailable, "scan.Purge", err)
			}
			removed += int64(len(part))
		}
		return nil
	}
	var walk func(library, dir string) error
	walk = func(library, dir string) error {
		files, _ := s.book.Files(library, dir)
		for _, f := range files {
			for _, id := range f.Tracks {
				if e, ok := s.book.Entry(id); !ok || !e.Missing {
					continue
				}
				batch = append(batch, Change{Remove: id})
			}
		}
		for _, name := range s.book.Dirs(library, dir) {
			if err := walk(library, join(dir, name)); err != nil {
				return err
			}
		}
		return nil
	}
	for _, lib := range s.origin.Libraries() {
		if _, err := s.origin.Stat(ctx, lib.ID, "."); err != nil || s.book.TrackCount(lib.ID) == 0 {
			s.log.WarnContext(ctx, "nothing is purged of a library that is away or has no track left", "library", lib.Name, "err", err)
			continue
		}
		if err := walk(lib.ID, "."); err != nil {
			return removed, err
		}
	}
	return removed, flush()
}

func join(dir, name string) string {
	if dir == "." {
		return name
	}
	return dir + "/" + name
}
