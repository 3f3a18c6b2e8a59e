package scan

import (
	"context"
	"errors"
	"io"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"tutti"
	"tutti/audio"
	"tutti/carbon"
)

// A pass over a library is a pipeline of three stages, each of which keeps the order of the directories (depth first,
// by name), so that the result does not depend on which worker was faster:
//
//	walk ──▶ read ──▶ commit
//
// walk lists directories, a few ahead of where it stands and at once, and compares each with the book. Where nothing
// changed that is all. read opens the files that are new or changed, on every core. commit is one goroutine: it decides
// which track and album each file is and applies batches to the book.
const (
	unitFiles   = 1000 // files of a directory that are decided on together
	maxInFlight = 4096 // files between walk and commit: bounds memory
	lookAhead   = 4    // directories being listed, for each worker
)

// pass is one walk over one library, or over a few of its directories.
type pass struct {
	s       *Scanner
	lib     tutti.Library
	full    bool // read every file again
	partial bool
	first   bool // the library has never been scanned to its end

	unread   int          // files that could not be had, since one could; touched by commit only
	unlisted atomic.Int64 // directories that could not be listed: what was in them may still be there

	cpu     *carbon.Tally // nil where it is not counted
	jobs    chan job
	ordered chan *unit
	room    *semaphore.Weighted

	playlists []tutti.FileInfo // met on the way
	walked    map[string]bool  // directories listed; only in a partial pass
	sound     bool             // the walk met a sound file
}

// node is a directory to walk.
type node struct {
	dir    string
	above  *node
	deep   bool // descend into directories that are known, too
	reread bool // read every file again
	looked chan struct{}
	look   look
}

// look is what listing a directory and comparing it with the book gave.
type look struct {
	err     error
	c       contents
	info    FolderInfo // as known
	todo    []todo
	found   []tutti.ID // tracks that were missing and are back unchanged
	gone    []tutti.ID // tracks of files that are not there any more
	known   []string   // names of the known directories
	seen    int64
	refused int64 // files that could not be read last time and have not changed since
}

// todo is a file to read.
type todo struct {
	fi    tutti.FileInfo
	known []tutti.ID // the tracks that the book has of it
	// filled by read:
	drafts []draft
	err    error
}

// unit is what commit decides on at once: files of one directory, and after the last of them the directory itself.
type unit struct {
	node  *node
	todo  []todo
	wait  sync.WaitGroup
	whole bool // the directory's unit, if it has just one, holds every file of it
	last  bool
	found []tutti.ID
	gone  []tutti.ID
}

type job struct {
	u *unit
	i int
}

// run walks from the roots. Every node of deep roots is walked to the bottom; below others only directories that the
// book does not know are.
func (p *pass) run(ctx context.Context, c *committer, roots []*node) error {
	p.jobs, p.ordered = make(chan job, 2*p.s.workers), make(chan *unit, maxInFlight)
	p.room = semaphore.NewWeighted(maxInFlight)
	if !elsewhere(p.s.origin, p.lib.ID) { // there, workers wait for the network, which must not keep their threads
		p.cpu = p.s.cfg.CPU
	}
	g, ctx := errgroup.WithContext(ctx)
	for range p.s.workers {
		g.Go(func() error {
			for j := range p.jobs {
				if ctx.Err() == nil {
					p.cpu.Do(func() { p.read(ctx, j.u, &j.u.todo[j.i]) })
				}
				j.u.wait.Done()
			}
			return nil
		})
	}
	g.Go(func() error {
		defer close(p.ordered)
		defer close(p.jobs)
		return p.walk(ctx, c, roots)
	})
	g.Go(func() error {
		for u := range p.ordered {
			u.wait.Wait()
			if err := ctx.Err(); err != nil {
				return err
			}
			var err error
			p.cpu.Do(func() { err = c.commit(ctx, p, u) })
			if err != nil {
				return err
			}
			p.room.Release(int64(len(u.todo)))
		}
		return nil
	})
	return g.Wait()
}

func (p *pass) walk(ctx context.Context, c *committer, roots []*node) error {
	stack := slices.Clone(roots)
	slices.Reverse(stack)
	ahead := lookAhead * p.s.workers
	var looking sync.WaitGroup
	defer looking.Wait()
	for len(stack) > 0 {
		for i := len(stack) - 1; i >= max(0, len(stack)-ahead); i-- {
			if n := stack[i]; n.looked == nil {
				n.looked = make(chan struct{})
				looking.Go(func() {
					defer close(n.looked)
					p.cpu.Do(func() { p.lookAt(ctx, n) })
				})
			}
		}
		n := stack[len(stack)-1]
		stack[len(stack)-1] = nil
		stack = stack[:len(stack)-1]
		<-n.looked
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := p.step(ctx, c, n, &stack); err != nil {
			return err
		}
	}
	return nil
}

// lookAt fills n.look. It runs beside others of its kind.
func (p *pass) lookAt(ctx context.Context, n *node) {
	l := &n.look
	infos, err := p.s.origin.List(ctx, p.lib.ID, n.dir)
	if err != nil {
		l.err = err
		return
	}
	inherited := ""
	if n.above != nil {
		inherited = n.above.look.c.cover
	} else if n.dir != "." {
		_, above := p.s.book.Files(p.lib.ID, path.Dir(n.dir))
		inherited = above.CoverPath
	}
	l.c = p.s.sortListing(p.lib.ID, n.dir, infos, inherited)
	var known []KnownFile
	known, l.info = p.s.book.Files(p.lib.ID, n.dir)
	known = sortKnown(known)
	if l.known = p.s.book.Dirs(p.lib.ID, n.dir); !slices.IsSorted(l.known) {
		l.known = slices.Sorted(slices.Values(l.known))
	}
	reread := p.full || n.reread || l.c.sides != l.info.Sides
	sounds := l.c.sounds
	l.seen = int64(len(sounds))
	for len(sounds) > 0 || len(known) > 0 {
		order := 0
		switch {
		case len(known) == 0:
			order = -1
		case len(sounds) == 0:
			order = 1
		default:
			order = strings.Compare(path.Base(sounds[0].Path), known[0].Name)
		}
		switch {
		case order < 0: // new
			if p.s.refuses(p.lib.ID, &sounds[0]) && !p.full {
				l.refused++
			} else {
				l.todo = append(l.todo, todo{fi: sounds[0]})
			}
			sounds = sounds[1:]
		case order > 0:
			if !known[0].Missing {
				l.gone = append(l.gone, known[0].Tracks...)
			}
			known = known[1:]
		default:
			fi, k := &sounds[0], &known[0]
			same := fi.Size == k.Size && fi.ModTime.UnixNano() == k.ModTime
			switch {
			case same && !reread && !k.Missing:
			case same && !reread && len(k.Tracks) == 1:
				l.found = append(l.found, k.Tracks[0])
			case !p.full && p.s.refuses(p.lib.ID, fi):
				l.refused++
			default: // of several tracks of a missing file, some may be older than its present cue sheet
				l.todo = append(l.todo, todo{fi: *fi, known: k.Tracks})
			}
			sounds, known = sounds[1:], known[1:]
		}
	}
}

// step passes on what n.look found and pushes the directories below.
func (p *pass) step(ctx context.Context, c *committer, n *node, stack *[]*node) error {
	l := &n.look
	u := &unit{node: n, last: true}
	switch {
	case tutti.IsKind(l.err, tutti.KindNotFound) && n.dir != ".":
		u.gone = p.tracksBelow(n.dir)
	case l.err != nil:
		if n.dir == "." {
			return l.err
		}
		if p.unlisted.Add(1) >= maxUnread && elsewhere(p.s.origin, p.lib.ID) {
			return l.err
		}
		p.s.log.Warn("a directory cannot be listed; what is known of it stays as it is", "library", p.lib.ID, "dir", n.dir, "err", l.err)
		p.s.update(func(st *tutti.ScanStatus) { st.Failed++ })
		return nil
	default:
		if p.walked != nil {
			p.walked[n.dir] = true
		}
		p.playlists = append(p.playlists, l.c.playlists...)
		p.sound = p.sound || l.seen > 0
		u.found, u.gone = l.found, l.gone
		p.push(n, stack)
		for _, name := range l.known {
			if sub := path.Join(n.dir, name); !hasDir(l.c.dirs, sub) {
				u.gone = append(u.gone, p.tracksBelow(sub)...)
			}
		}
		if l.seen > 0 && !n.reread { // what is read again has been seen
			p.s.update(func(st *tutti.ScanStatus) {
				st.Seen += l.seen
				st.Total = max(st.Total, st.Seen)
				st.Failed += l.refused
				if len(l.todo) > 0 {
					st.Phase = phaseReading
				}
			})
		}
	}
	if n.dir == "." && !p.partial {
		l.info = FolderInfo{} // written at the end of the pass: that it is there says that a pass has ended
	}
	folderChanged := l.err == nil && (l.c.cover != l.info.CoverPath || l.c.sides != l.info.Sides) && (n.dir != "." || p.partial)
	if len(l.todo) == 0 && len(u.found) == 0 && len(u.gone) == 0 && !folderChanged {
		return nil
	}
	rest := l.todo
	l.todo, l.c.sounds = nil, nil
	for first := true; ; first = false {
		k := min(len(rest), unitFiles)
		u.todo, rest = rest[:k:k], rest[k:]
		u.last = len(rest) == 0
		u.whole = first && u.last && int64(k) == l.seen
		if err := p.room.Acquire(ctx, int64(k)); err != nil {
			return err
		}
		u.wait.Add(k)
		select {
		case p.ordered <- u:
		case <-ctx.Done():
			u.wait.Add(-k)
			return ctx.Err()
		}
		for i := range u.todo {
			p.jobs <- job{u, i} // the workers drain this whatever happens
		}
		if u.last {
			return nil
		}
		u = &unit{node: n}
	}
}

// hasDir searches the sorted paths.
func hasDir(dirs []string, p string) bool {
	_, ok := slices.BinarySearch(dirs, p)
	return ok
}

// push puts the directories below n onto the stack, so that the first by name is on top.
func (p *pass) push(n *node, stack *[]*node) {
	l := &n.look
	for _, sub := range slices.Backward(l.c.dirs) {
		deep := n.deep
		if !deep {
			_, known := slices.BinarySearch(l.known, path.Base(sub))
			_, disc := discFolder(path.Base(sub))
			if known && !(disc && l.c.cover != l.info.CoverPath) { // the discs of an album share its cover
				continue
			}
			deep = !known
		}
		*stack = append(*stack, &node{dir: sub, above: n, deep: deep, reread: n.reread})
	}
}

// tracksBelow returns the tracks in and below a directory that are not missing, as the book knows them.
func (p *pass) tracksBelow(dir string) []tutti.ID {
	files, _ := p.s.book.Files(p.lib.ID, dir)
	var ids []tutti.ID
	for _, f := range files {
		if !f.Missing {
			ids = append(ids, f.Tracks...)
		}
	}
	for _, name := range p.s.book.Dirs(p.lib.ID, dir) {
		ids = append(ids, p.tracksBelow(path.Join(dir, name))...)
	}
	return ids
}

// read reads one file. It runs beside others of its kind; what it finds is for commit.
func (p *pass) read(ctx context.Context, u *unit, t *todo) {
	defer func() {
		if r := recover(); r != nil { // a defect in a parser, met by one file among millions, must not end the server
			t.err = tutti.Errorf(tutti.KindInternal, "scan: read a file", "the reader panicked: %v\n%s", r, debug.Stack())
		}
	}()
	info, fp, err := p.s.readSound(ctx, p.lib.ID, &t.fi)
	if err != nil {
		t.err = err
		return
	}
	f := u.node.look.c.folder
	t.drafts = f.drafts(&t.fi, info, fp, f.sheetFor(ctx, p.s, t.fi.Path))
}

// readSound reads a file's tags and takes its fingerprint. What the native reader does not know or cannot read is
// given to ffprobe, if there is one.
func (s *Scanner) readSound(ctx context.Context, library string, fi *tutti.FileInfo) (*audio.Info, Fingerprint, error) {
	const op = "scan: read a file"
	file, err := s.origin.OpenFile(ctx, library, fi.Path)
	if err != nil {
		return nil, Fingerprint{}, err
	}
	defer file.Close()
	r, ok := file.(io.ReaderAt)
	if !ok {
		return nil, Fingerprint{}, tutti.Errorf(tutti.KindInternal, op, "the origin's files have no random access")
	}
	info, err := audio.Read(ctx, r, fi.Size, path.Base(fi.Path))
	if tutti.IsKind(err, tutti.KindInvalid) {
		if probed, perr := s.probe(ctx, library, fi.Path); perr == nil {
			info, err = probed, nil
		} else if errors.Is(err, audio.ErrFormat) {
			err = perr
		}
	}
	if err != nil {
		return nil, Fingerprint{}, err
	}
	fp, err := audio.Fingerprint(ctx, &info, r, fi.Size)
	if err != nil {
		return nil, Fingerprint{}, err
	}
	return &info, fp, nil
}

// local is implemented by origins whose files other programs on this machine can read.
type local interface {
	LocalPath(library, path string) (file string, ok bool)
}

// errNoReader is behind the error for a file that only ffprobe could read.
var errNoReader = errors.New("there is no ffprobe")

func (s *Scanner) probe(ctx context.Context, library, p string) (audio.Info, error) {
	const op = "scan: probe a file"
	if s.ffprobe == "" {
		return audio.Info{}, &tutti.Error{
			Kind: tutti.KindUnavailable, Op: op, Err: errNoReader,
			Message: "only ffprobe can read \"" + path.Base(p) + "\", and it is not installed: install ffmpeg",
		}
	}
	at, ok := s.origin.(local)
	if !ok {
		return s.probeCopy(ctx, library, p)
	}
	file, ok := at.LocalPath(library, p)
	if !ok {
		return s.probeCopy(ctx, library, p)
	}
	return audio.Probe(ctx, s.ffprobe, file)
}

// maxCopy is how large a file may be that is copied here for ffprobe: an hour and a half of CD sound.
const maxCopy = 1 << 30

// probeCopy gives ffprobe a copy of a file that lies elsewhere. Few formats need it.
func (s *Scanner) probeCopy(ctx context.Context, library, p string) (info audio.Info, err error) {
	const op = "scan: probe a file"
	src, err := s.origin.OpenFile(ctx, library, p)
	if err != nil {
		return info, err
	}
	defer src.Close()
	dst, err := os.CreateTemp("", "tutti-probe-*"+path.Ext(p))
	if err != nil {
		return info, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	defer func() { err = errors.Join(err, os.Remove(dst.Name())) }()
	n, err := io.Copy(dst, io.LimitReader(src, maxCopy+1))
	if err = errors.Join(err, dst.Close()); err != nil {
		return info, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	if n > maxCopy {
		return info, tutti.Errorf(tutti.KindInvalid, op, "%q is too large to be copied here for ffprobe", path.Base(p))
	}
	return audio.Probe(ctx, s.ffprobe, dst.Name())
}
