package fleet

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
)

// The load of the fault test.
const (
	listeners = 200
	// hotTracks are played all the time. Each is 16 MiB, a minute and a half of music, so that a stream outlives a fault.
	hotTracks, hotBytes = 16, 16 << 20
	// coldTracks have never been asked for when a fault needs some.
	coldTracks, coldBytes = 120, 1 << 20
	// diskBytes is a track cache's disk; its cache may take 512 MiB of it, half of that for originals: room for all that is
	// hot, so that it can be heard while the origin is away.
	diskBytes = 640 << 20

	maxHeal = 5 * time.Second       // after which nothing fails any more
	calm    = 2 * time.Second       // without a failure, after a fault's end, before the next one
	maxCold = 50 * time.Millisecond // for the answer that a cold track cannot be had now
	hold    = 6 * time.Second       // how long a fault lasts that has no time of its own in the issue
)

// fault is a line of the table in docs/reliability.md.
type fault struct {
	name string
	did  string // what was done, for the table
	hold time.Duration
	// begin brings the fault about, and returns what ends it; nil where it is over at once.
	begin func(ctx context.Context) (end func(ctx context.Context) error, err error)
	// during runs while it lasts; nil: time passes.
	during func(ctx context.Context, o *outcome) error

	instant  bool // it is over as soon as it has begun, and what ends it only puts things back in order
	cuts     bool // connections may be cut: their other end is what was killed
	noWrites bool // writes may be refused while it lasts
	hot      bool // what was played lately goes on being answered, without exception
	stale    bool // what was just written may not be seen while it lasts, as the store does not say what it has
}

// outcome is what one fault did.
type outcome struct {
	fault
	load   Stats
	probes ProbeStats
	writes WriteStats
	heal   time.Duration // from the fault's end to the last request that failed
	cold   []Attempt     // tracks that nobody played before, asked for while it lasted
	notes  []string      // for the table
	lost   []string
	failed []string // why it is no pass
	slow   []string // what took longer than it should
}

// late notes what a fault must not do on a machine of one's own, and what a busy one may do by itself: it is in the table
// and the log, and fails the test only where that is asked for.
func (o *outcome) late(format string, args ...any) {
	o.slow = append(o.slow, fmt.Sprintf(format, args...))
}

// strict reports whether what is late counts as failed.
func strict() bool { return strings.Contains(os.Getenv("TUTTI_FAULTS"), "STRICT") }

func (o *outcome) fail(format string, args ...any) {
	o.failed = append(o.failed, fmt.Sprintf(format, args...))
}

// stage is the fleet under load.
type stage struct {
	t       *testing.T
	f       *Fleet
	load    *Load
	prober  *Prober
	writers *Writers
	cold    []Track
	rows    []*outcome
}

// TestFaults breaks one part of a fleet after the other while 200 people listen, some click about and some star, and
// requires that they hardly notice. With TUTTI_WRITE_RELIABILITY=1 it writes the table of docs/reliability.md; with
// TUTTI_FAULTS=LONG each fault lasts four times as long and every process has its turn; TUTTI_FAULT is a regular expression of those to bring about.
func TestFaults(t *testing.T) {
	if testing.Short() {
		t.Skip("minutes long")
	}
	if !isolated(t) {
		return
	}
	s := newStage(t)
	for _, f := range s.faults() {
		if only := os.Getenv("TUTTI_FAULT"); only != "" && !regexp.MustCompile(only).MatchString(f.name) {
			continue
		}
		s.run(f)
	}
	if os.Getenv("TUTTI_WRITE_RELIABILITY") != "" {
		must(t, s.report("../../docs/reliability.md"))
	}
}

// long reports whether the long version was asked for.
func long() bool { return strings.Contains(os.Getenv("TUTTI_FAULTS"), "LONG") }

// newStage starts the fleet and its load, and waits until what is hot is hot.
func newStage(t *testing.T) *stage {
	ctx, dir := t.Context(), t.TempDir()
	if keep := os.Getenv("TUTTI_FAULTS_DIR"); keep != "" {
		dir = keep
	}
	music := filepath.Join(dir, "music")
	_, err := Music{Album: "Hot", Tracks: hotTracks, Bytes: hotBytes}.Write(music)
	must(t, err)
	_, err = Music{Album: "Cold", Tracks: coldTracks, Bytes: coldBytes}.Write(music)
	must(t, err)
	f, err := Start(ctx, Config{
		Bin: program(t), Dir: filepath.Join(dir, "fleet"), Music: music, Upload: true, Memory: true,
		Engine: Engine(os.Getenv("TUTTI_FLEET_ENGINE")), Isolated: true, Proxies: true, Disk: diskBytes,
		Args: map[string][]string{
			RoleTrackCache: {"--cache-size", "512MiB", "--cache-memory", "16MiB"},
			RoleNginx:      {"--nginx-rate", "0", "--nginx-connections", "0"},
		},
		Progress: func(step string) { t.Log(step) },
	})
	must(t, err)
	t.Cleanup(func() {
		if err := f.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	c := f.Client()
	must(t, c.Scanned(ctx, hotTracks+coldTracks))
	hot, err := c.Tracks(ctx, music, "Hot")
	must(t, err)
	cold, err := c.Tracks(ctx, music, "Cold")
	must(t, err)
	if len(hot) != hotTracks || len(cold) != coldTracks {
		t.Fatalf("%d hot and %d cold tracks", len(hot), len(cold))
	}
	s := &stage{t: t, f: f, cold: cold}
	// Hot is what was played whole: once through nginx, and once past it, as nginx has it then; the second time brings it to
	// its other owner.
	for _, by := range []*Client{c, f.ClientOf(f.Role(RoleDelivery)[0])} {
		g, gctx := errgroup.WithContext(ctx)
		g.SetLimit(4)
		for _, track := range hot {
			g.Go(func() error { return whole(gctx, by, track) })
		}
		must(t, g.Wait())
	}
	sweeping, sweep := context.WithCancel(ctx)
	swept := make(chan error, 1)
	go func() { swept <- s.sweep(sweeping) }()
	t.Cleanup(func() {
		sweep()
		if err := <-swept; err != nil {
			t.Error(err)
		}
	})
	s.load = StartLoad(ctx, LoadConfig{Client: c, Tracks: hot, Listeners: listeners, Rate: CDRate, Ramp: 4 * time.Second, Seed: 1})
	s.prober = StartProber(ctx, c, hot, 20)
	s.writers = StartWriters(ctx, c, hot, 4, 5)
	t.Cleanup(func() {
		s.load.Stop()
		s.prober.Stop()
		s.writers.Stop()
	})
	must(t, until(ctx, func() (bool, error) { return s.load.Active() >= listeners*9/10, nil }))
	t.Log("chunks kept and evicted, by track cache:", s.chunks(ctx))
	s.take(&outcome{})
	s.run(fault{name: "nothing", did: "200 listeners, a prober and four writers, for comparison", hold: hold})
	return s
}

// sweep empties nginx's cache twice a second until ctx ends. nginx keeps a slice for as long as somebody listens to the
// stream that it was part of, whatever it is told, so it would have all that is hot, and no track cache would be missed.
func (s *stage) sweep(ctx context.Context) error {
	cache := filepath.Join(s.f.Nginx().Data, "nginx", "cache")
	for wait(ctx, 500*time.Millisecond) == nil {
		err := filepath.WalkDir(cache, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && filepath.Ext(name) == "" { // the others are being written
				err = os.Remove(name)
			}
			if errors.Is(err, fs.ErrNotExist) {
				return nil // nginx was quicker
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// whole plays a track as fast as it comes, and compares it with its file.
func whole(ctx context.Context, c *Client, track Track) error {
	want, err := os.ReadFile(track.File)
	if err != nil {
		return err
	}
	got, _, err := c.Get(ctx, c.Rest("stream", url.Values{"id": {track.ID}, "format": {"raw"}}))
	if err == nil && !bytes.Equal(got, want) {
		err = fmt.Errorf("%s: %w", track.Title, errWrong)
	}
	return err
}

// chunks says what the track caches keep, for whoever reads the log.
func (s *stage) chunks(ctx context.Context) string {
	var out []string
	for _, p := range s.f.Role(RoleTrackCache) {
		b, _, err := s.f.ClientOf(p).Get(ctx, "/metrics")
		if err != nil {
			return err.Error()
		}
		for line := range strings.Lines(string(b)) {
			if strings.HasPrefix(line, `tutti_chunks_stored{`) || strings.HasPrefix(line, "tutti_chunks_evicted_total") || strings.HasPrefix(line, "tutti_chunks_fills_total{") || strings.HasPrefix(line, "tutti_chunks_seals_total{") || strings.HasPrefix(line, "tutti_chunks_trouble_total{") {
				out = append(out, strings.TrimPrefix(strings.TrimSpace(line), "tutti_chunks_"))
			}
		}
		out = append(out, "|")
	}
	return strings.Join(out, " ")
}

// run brings a fault about, waits until it is over, and judges.
func (s *stage) run(f fault) {
	ctx, t := s.t.Context(), s.t
	if long() {
		f.hold *= 4
	}
	o := &outcome{fault: f}
	s.rows = append(s.rows, o)
	begun := time.Now()
	var end func(context.Context) error
	var err error
	if f.begin != nil {
		if end, err = f.begin(ctx); err != nil {
			t.Fatalf("%s: %v", f.name, err)
		}
	}
	if f.during != nil {
		must(t, f.during(ctx, o))
	}
	must(t, wait(ctx, time.Until(begun.Add(f.hold))))
	over := begun
	if end != nil {
		if !f.instant {
			over = time.Now()
		}
		must(t, end(ctx))
	}
	must(t, s.healed(ctx, time.Now()))
	s.take(o) // all since the fault before: what fails late is in the next line, and not lost
	if !o.probes.Last.IsZero() && o.probes.Last.After(over) {
		o.heal = o.probes.Last.Sub(over)
	}
	if away, err := s.originKnownAway(ctx); err != nil || away > 0 {
		o.late("%v after the fault %d track caches still leave the origin alone (%v)", time.Since(over).Round(time.Millisecond), away, err)
	}
	if o.lost, err = s.writers.Lost(ctx, s.f.Client()); err != nil {
		o.fail("what was written could not be read afterwards: %v", err)
	}
	s.judge(o)
	t.Logf("%s: %s\nheard: %v\nprobed: %v\nwritten: %+v\ncold: %v\nchunks: %s", f.name, o.verdict(), &o.load, &o.probes, o.writes, o.cold, s.chunks(ctx))
	if len(o.failed) > 0 || strict() && len(o.slow) > 0 {
		t.Errorf("%s: %s", f.name, o.verdict())
	}
}

// healed waits until nothing has failed for a while since all is as it was, and the track caches ask the origin again, and no
// longer than that may take.
func (s *stage) healed(ctx context.Context, since time.Time) error {
	return until(ctx, func() (bool, error) {
		switch {
		case time.Since(since) >= maxHeal:
			return true, nil
		case long() || s.prober.Well(since) < calm:
			return false, nil
		}
		away, err := s.originKnownAway(ctx)
		return away == 0, err
	})
}

func (s *stage) take(o *outcome) {
	o.load, o.probes, o.writes = s.load.Take(), s.prober.Take(), s.writers.Take()
}

// judge applies what every fault has to keep.
func (s *stage) judge(o *outcome) {
	switch {
	case o.load.Bytes == 0 || len(o.probes.Pieces) == 0:
		o.fail("nothing was heard at all")
	case o.load.Wrong+o.probes.Wrong > 0:
		o.fail("%d deliveries have wrong bytes", o.load.Wrong+o.probes.Wrong)
	}
	if o.load.Cuts > 0 && !o.cuts {
		o.fail("%d streams were cut", o.load.Cuts)
	}
	if o.load.Stalls > 0 {
		o.late("the music stopped %d times, for up to %v", o.load.Stalls, o.load.Longest)
	}
	if len(o.lost) > 0 {
		o.fail("acknowledged and lost: %v", o.lost)
	}
	if n := o.probes.Failed + o.load.Refused() + o.load.Unanswered; n > 0 && o.hot {
		o.fail("%d requests for what was played lately failed", n)
	}
	if o.writes.Stale > 0 && !o.stale {
		o.late("%d times was not seen what had just been acknowledged", o.writes.Stale)
	}
	if o.heal > maxHeal {
		o.late("requests failed until %v after the fault's end", o.heal)
	}
	if o.writes.Failed > 0 && o.name == "nothing" {
		o.fail("%d writes failed: %v", o.writes.Failed, o.writes.Examples)
	}
	if o.writes.Acknowledged == 0 && !o.noWrites {
		o.fail("nothing could be written")
	}
	if err := s.unexpected(); err != nil {
		o.fail("%v", err)
	}
}

// unexpected returns who ended without being asked to.
func (s *stage) unexpected() error {
	var errs []error
	for _, p := range append(s.f.Members(), s.f.Nginx()) {
		errs = append(errs, p.Unexpected())
	}
	return errors.Join(errs...)
}

func (o *outcome) verdict() string {
	if len(o.failed)+len(o.slow) == 0 {
		return "pass"
	}
	return "FAIL: " + strings.Join(append(slices.Clone(o.failed), o.slow...), "; ")
}

// freshCold returns tracks that nobody has asked for yet.
func (s *stage) freshCold(n int) []Track {
	if len(s.cold) < n {
		s.t.Fatal("no cold tracks are left; make coldTracks more")
	}
	out := s.cold[:n]
	s.cold = s.cold[n:]
	return out
}

// faults is the list.
func (s *stage) faults() []fault {
	f := s.f
	var out []fault
	kill := func(role string, i int) fault {
		p := f.Role(role)[i]
		return fault{
			name: "kill -9 of " + p.Name, did: "killed, and started again " + hold.String() + " later", hold: hold, instant: true,
			begin: func(ctx context.Context) (func(context.Context) error, error) { return p.Start, p.Kill() },
		}
	}
	for _, role := range []string{RoleDelivery, RoleCatalog, RoleTrackCache} {
		for i := range f.Role(role) {
			// Of those that are the same one is enough; of the catalogue's, one scans.
			if i == 0 || role == RoleCatalog || long() {
				out = append(out, kill(role, i))
			}
		}
	}
	out = append(out, fault{
		name: "kill -9 of an nginx worker", did: "one worker killed; its listeners' connections end with it", cuts: true, hold: hold,
		begin: func(context.Context) (func(context.Context) error, error) {
			workers, err := s.nginxWorkers()
			if err != nil {
				return nil, err
			}
			return nil, syscall.Kill(workers[0], syscall.SIGKILL)
		},
	})
	c1 := f.Role(RoleTrackCache)[0]
	out = append(out, fault{
		name: "SIGSTOP of " + c1.Name, did: "stopped where it was, and let go on", hold: 10 * time.Second,
		begin: func(context.Context) (func(context.Context) error, error) {
			return func(context.Context) error { return c1.Continue() }, c1.Pause()
		},
	})
	trouble := func(p *Proxy, t Trouble) func(context.Context) (func(context.Context) error, error) {
		return func(context.Context) (func(context.Context) error, error) {
			return func(context.Context) error { return p.Clear() }, p.Set(t)
		}
	}
	out = append(
		out,
		fault{name: "DynamoDB stopped", did: "connections refused", hold: 30 * time.Second, noWrites: true, stale: true, begin: trouble(f.Store, Trouble{Down: true})},
		fault{name: "DynamoDB throttled", did: "half of the requests refused with ProvisionedThroughputExceededException", hold: hold, stale: true, begin: trouble(f.Store, Trouble{Throttle: 0.5})},
		fault{name: "DynamoDB slow", did: "500 ms added to every request", hold: hold, stale: true, begin: trouble(f.Store, Trouble{Delay: 500 * time.Millisecond})},
		fault{
			name: "origin stopped", did: "connections refused; tracks asked for that nobody had played", hold: hold,
			hot:   true,
			begin: trouble(f.Origin, Trouble{Down: true}), during: s.coldRefused,
		},
		fault{
			name: "origin hangs", did: "requests are taken and never answered; more such tracks", hold: 2 * hold,
			hot:   true,
			begin: trouble(f.Origin, Trouble{Hang: true}), during: s.coldRefused,
		},
		fault{
			name: "origin slow", did: "300 ms added to every request, bodies at 2 MB/s; 4 tracks nobody had played", hold: hold,
			begin: trouble(f.Origin, Trouble{Delay: 300 * time.Millisecond, Rate: 2 << 20}), during: s.coldServed,
		},
		fault{
			name: "origin truncates", did: "half of the bodies end in the middle; 4 such tracks", hold: hold,
			begin: trouble(f.Origin, Trouble{Truncate: 0.5, Smallest: 64 << 10}), during: s.coldServed,
		},
		fault{
			name: "origin corrupts", did: "one byte changed in every third body; the track caches emptied, one after the other", hold: hold,
			begin: trouble(f.Origin, Trouble{Corrupt: 0.33, Smallest: 64 << 10}), during: s.hotFilledAgain,
		},
		fault{
			name: "disk full on " + c1.Name, did: "every byte of its disk taken, and given back", hold: hold,
			begin: func(context.Context) (func(context.Context) error, error) {
				free, err := FillDisk(c1)
				return func(context.Context) error { return free() }, err
			},
			during: s.coldServed,
		},
	)
	for _, role := range []string{RoleTrackCache, RoleDelivery, RoleCatalog} {
		p := f.Role(role)[len(f.Role(role))-1]
		out = append(out, fault{
			name: "partition of " + p.Name, did: "its link taken down: nothing gets in or out, and nobody is told", hold: hold,
			begin: func(ctx context.Context) (func(context.Context) error, error) {
				return func(ctx context.Context) error { return f.Cut(ctx, p, false) }, f.Cut(ctx, p, true)
			},
		})
	}
	return append(
		out,
		fault{name: "three nginx reloads", did: "SIGHUP three times, a second apart", hold: hold, begin: func(ctx context.Context) (func(context.Context) error, error) {
			for range 3 {
				master, err := s.nginxMaster()
				if err != nil {
					return nil, err
				}
				if err := syscall.Kill(master, syscall.SIGHUP); err != nil {
					return nil, err
				}
				if err := wait(ctx, time.Second); err != nil {
					return nil, err
				}
			}
			return nil, nil
		}},
		fault{name: "rolling restart", did: "every service's process ended politely and started again, one after the other", begin: func(ctx context.Context) (func(context.Context) error, error) {
			for _, p := range f.Members() {
				if err := p.Terminate(ctx); err != nil {
					return nil, err
				}
				if err := p.Start(ctx); err != nil {
					return nil, err
				}
			}
			return func(context.Context) error { return nil }, nil
		}},
	)
}

// nginxMaster is the process id of nginx itself, below the program that follows the fleet.
func (s *stage) nginxMaster() (int, error) {
	below, err := s.f.Nginx().Children()
	if err == nil && len(below) != 1 {
		err = fmt.Errorf("nginx has %d masters", len(below))
	}
	if err != nil {
		return 0, err
	}
	return below[0], nil
}

func (s *stage) nginxWorkers() ([]int, error) {
	master, err := s.nginxMaster()
	if err != nil {
		return nil, err
	}
	workers, err := children(master)
	if err == nil && len(workers) == 0 {
		err = errors.New("nginx has no workers")
	}
	return workers, err
}

// coldRefused asks for tracks that can only come from the origin, and requires a quick and honest answer as soon as each
// track cache has found out, by those that it asked for in vain, that the origin is away.
func (s *stage) coldRefused(ctx context.Context, o *outcome) error {
	var finders []Attempt
	begun := time.Now()
	for {
		finders = append(finders, Try(ctx, s.f.Client(), s.freshCold(6))...)
		known, err := s.originKnownAway(ctx)
		if err != nil {
			return err
		}
		if known == len(s.f.Role(RoleTrackCache)) {
			break
		}
		if time.Since(begun) > 4*hold {
			o.fail("after %v only %d track caches know that the origin is away", time.Since(begun).Round(time.Second), known)
			break
		}
	}
	found := time.Since(begun)
	for range 10 {
		o.cold = append(o.cold, Try(ctx, s.f.Client(), s.freshCold(1))...)
	}
	var took []time.Duration
	for _, a := range o.cold {
		took = append(took, a.Took)
		if after, err := strconv.Atoi(a.RetryAfter); a.Status != http.StatusServiceUnavailable || err != nil || after < 1 {
			o.fail("a cold track was answered with %d, Retry-After %q (%v)", a.Status, a.RetryAfter, a.Err)
			break
		}
	}
	if typical := percentile(took, 0.5); typical > maxCold {
		o.fail("cold tracks were refused after %v", typical)
	}
	o.notes = append(o.notes, fmt.Sprintf("cold: 503 with Retry-After after %s (at most %s), as soon as it was known, which took %s and %d requests",
		ms(percentile(took, 0.5)), ms(slowestOf(o.cold)), ms(found), len(finders)))
	return nil
}

// originKnownAway is how many track caches say that the origin is away.
func (s *stage) originKnownAway(ctx context.Context) (int, error) {
	known := 0
	for _, p := range s.f.Role(RoleTrackCache) {
		b, _, err := s.f.ClientOf(p).Get(ctx, "/metrics")
		if err != nil {
			return 0, err
		}
		if strings.Contains(string(b), `tutti_chunks_origin_away{library="1"} 1`) {
			known++
		}
	}
	return known, nil
}

// coldServed asks for tracks that the origin has to deliver, and requires that it comes to that.
func (s *stage) coldServed(ctx context.Context, o *outcome) error {
	o.cold = Try(ctx, s.f.Client(), s.freshCold(4))
	for _, a := range o.cold {
		if a.Status != http.StatusPartialContent || a.Err != nil {
			o.fail("a cold track was answered with %d (%v)", a.Status, a.Err)
			break
		}
	}
	o.notes = append(o.notes, fmt.Sprintf("cold: first 64 KiB right, after %s at most", ms(slowestOf(o.cold))))
	return nil
}

// hotFilledAgain empties the disks of the track caches, one after the other, so that what is known by its digest has to
// be fetched anew, and some of it from an origin that lies.
func (s *stage) hotFilledAgain(ctx context.Context, o *outcome) error {
	for _, c := range s.f.Role(RoleTrackCache) {
		if err := c.Terminate(ctx); err != nil {
			return err
		}
		for _, tier := range []string{"chunks", "cache"} {
			if err := os.RemoveAll(filepath.Join(c.Data, tier)); err != nil {
				return err
			}
		}
		if err := c.Start(ctx); err != nil {
			return err
		}
	}
	if err := wait(ctx, hold); err != nil {
		return err
	}
	found, err := s.counted(ctx, `tutti_chunks_trouble_total{what="mismatched"}`)
	if err != nil {
		return err
	}
	if found == 0 {
		o.fail("no track cache met a changed byte: the fault was none")
	}
	o.notes = append(o.notes, fmt.Sprintf("%.0f changed pieces were found and fetched again", found))
	return nil
}

// counted adds up a counter over the track caches.
func (s *stage) counted(ctx context.Context, name string) (float64, error) {
	var sum float64
	for _, p := range s.f.Role(RoleTrackCache) {
		b, _, err := s.f.ClientOf(p).Get(ctx, "/metrics")
		if err != nil {
			return 0, err
		}
		for line := range strings.Lines(string(b)) {
			if value, ok := strings.CutPrefix(line, name+" "); ok {
				n, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
				if err != nil {
					return 0, err
				}
				sum += n
			}
		}
	}
	return sum, nil
}

func slowestOf(list []Attempt) time.Duration {
	var d time.Duration
	for _, a := range list {
		d = max(d, a.Took)
	}
	return d
}

func ms(d time.Duration) string {
	if d >= time.Second {
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return fmt.Sprintf("%.0f ms", float64(d)/float64(time.Millisecond))
}

// report writes the table.
func (s *stage) report(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	const from, to = "<!-- table: written by TestFaults -->\n", "<!-- end of the table -->\n"
	head, rest, ok := strings.Cut(string(text), from)
	_, tail, ok2 := strings.Cut(rest, to)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table", file)
	}
	var b strings.Builder
	b.WriteString(head + from + "\n")
	b.WriteString("| fault | what was done | streams running, cut, with a wrong byte | music stopped | first byte p50 / p99 of a piece | failed requests | writes acknowledged, refused, not seen at once, lost | whole again after | |\n")
	b.WriteString("|---|---|---|---|---|---|---|---|---|\n")
	for _, o := range s.rows {
		stopped := "never"
		if o.load.Stalls > 0 {
			stopped = fmt.Sprintf("%d times, up to %s", o.load.Stalls, ms(o.load.Longest))
		}
		fmt.Fprintf(&b, "| %s | %s | %d, %d, %d | %s | %s / %s | %d of %d | %d, %d, %d, %d | %s | %s |\n",
			o.name, strings.Join(slices.Concat([]string{o.did}, o.notes), "; "),
			listeners, o.load.Cuts, o.load.Wrong+o.probes.Wrong, stopped,
			ms(percentile(o.probes.Pieces, 0.5)), ms(percentile(o.probes.Pieces, 0.99)),
			o.probes.Failed+o.load.Refused()+o.load.Unanswered, o.probes.Failed+len(o.probes.Pieces)+len(o.probes.Lookups)+o.load.Starts+o.load.Refused()+o.load.Unanswered,
			o.writes.Acknowledged, o.writes.Failed, o.writes.Stale, len(o.lost), ms(o.heal), o.verdict())
	}
	b.WriteString("\n" + to + tail)
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
