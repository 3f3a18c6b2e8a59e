package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/deploy/capacity"
	"tutti/e2e/fleet"
)

// cluster is a running fleet as these measurements see it.
type cluster struct {
	*fleet.Fleet
	server
	tracks []string           // paths of the streams, by name of the file
	idle   map[string]float64 // of a core, by role, when nobody listens; see settle
}

// settle waits until what follows a play in the background is done (seals, second copies), and measures what the
// processes use when nobody listens.
func (k *cluster) settle(ctx context.Context) error {
	const watch = 4 * time.Second
	last := math.Inf(1)
	for range 20 {
		before, err := k.usageOf()
		if err != nil {
			return err
		}
		began := time.Now()
		if err := clock.Sleep(ctx, clock.System, watch); err != nil {
			return err
		}
		after, err := k.usageOf()
		if err != nil {
			return err
		}
		wall := time.Since(began).Seconds()
		k.idle = map[string]float64{}
		for role := range after {
			k.idle[role] = after[role].since(before[role]).cpu.Seconds() / wall
		}
		all := k.idleAll()
		if all > 0.85*last {
			return nil
		}
		last = all
	}
	return errors.New("the fleet does not come to rest")
}

func (k *cluster) idleAll() (sum float64) {
	for _, share := range k.idle {
		sum += share
	}
	return sum
}

// spend measures what each role uses for something, less what it uses when nobody listens.
func (k *cluster) spend(do func() (int64, error)) (map[string]time.Duration, int64, error) {
	before, err := k.usageOf()
	if err != nil {
		return nil, 0, err
	}
	began := time.Now()
	n, err := do()
	if err != nil {
		return nil, 0, err
	}
	wall := time.Since(began)
	after, err := k.usageOf()
	if err != nil {
		return nil, 0, err
	}
	out := map[string]time.Duration{}
	for role := range after {
		out[role] = max(0, after[role].since(before[role]).cpu-time.Duration(k.idle[role]*float64(wall)))
	}
	return out, n, nil
}

// startFleet brings a fleet up over a folder of music and waits until it knows all of it.
func startFleet(ctx context.Context, o options, name, music string, change func(*fleet.Config)) (*cluster, error) {
	dir, err := fresh(o, name)
	if err != nil {
		return nil, err
	}
	c := fleet.Config{
		Bin: o.bin, Dir: dir, Music: music, User: user, Password: password, Memory: true,
		Args: map[string][]string{"": {"--log-level", "warn"}, fleet.RoleNginx: {"--nginx-rate", "0", "--nginx-connections", "0"}},
	}
	if change != nil {
		change(&c)
	}
	f, err := fleet.Start(ctx, c)
	if err != nil {
		return nil, err
	}
	k := &cluster{Fleet: f, server: server{name: "fleet", url: f.URL}}
	k.live = func() ([]int, error) {
		return k.pidsOf(fleet.RoleNginx, fleet.RoleDelivery, fleet.RoleCatalog, fleet.RoleTrackCache)
	}
	if err := k.know(ctx, music); err != nil {
		return nil, errors.Join(err, k.end())
	}
	return k, nil
}

// know waits for the scan and learns the tracks' addresses.
func (k *cluster) know(ctx context.Context, music string) error {
	files, err := filepath.Glob(filepath.Join(music, "*.wav"))
	if err != nil {
		return err
	}
	if err := k.Client().Scanned(ctx, len(files)); err != nil {
		return err
	}
	songs, err := k.Client().Songs(ctx)
	if err != nil {
		return err
	}
	slices.SortFunc(songs, func(a, b fleet.Song) int { return strings.Compare(filepath.Base(a.Path), filepath.Base(b.Path)) })
	for _, s := range songs {
		k.tracks = append(k.tracks, rest("stream", "id", s.ID))
	}
	return nil
}

func (k *cluster) end() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return k.Stop(ctx)
}

// pidsOf are the processes of roles, with all that they have started.
func (k *cluster) pidsOf(roles ...string) ([]int, error) {
	var out []int
	var add func(pid int) error
	add = func(pid int) error {
		out = append(out, pid)
		below, err := children(pid)
		if err != nil {
			return err
		}
		for _, b := range below {
			_ = add(b) // it may have ended since
		}
		return nil
	}
	for _, role := range roles {
		processes := k.Role(role)
		if role == fleet.RoleNginx {
			processes = []*fleet.Process{k.Nginx()}
		}
		for _, p := range processes {
			if err := add(p.PID()); err != nil {
				return nil, err
			}
		}
	}
	return out, nil
}

// usageOf measures each role.
func (k *cluster) usageOf() (map[string]usage, error) {
	out := map[string]usage{}
	for _, role := range []string{fleet.RoleNginx, fleet.RoleDelivery, fleet.RoleCatalog, fleet.RoleTrackCache} {
		pids, err := k.pidsOf(role)
		if err != nil {
			return nil, err
		}
		if out[role], err = measure(pids...); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// rivals are the fleet and what it is compared with, over the same files.
type rivals struct {
	fleet  *cluster
	static *server
	broker *server
	floors [2]*server // see floor.go
	names  []string   // what nginx calls the tracks
	base   []string   // what the broker calls them
}

func startRivals(ctx context.Context, o options, big string) (r rivals, err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, r.end())
		}
	}()
	if r.fleet, err = startFleet(ctx, o, "fleet", big, nil); err != nil {
		return r, err
	}
	scratch, err := fresh(o, "static")
	if err != nil {
		return r, err
	}
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return r, err
	}
	if r.static, err = startNginx(ctx, big, scratch); err != nil {
		return r, err
	}
	if r.broker, err = startNATS(ctx, big, scratch); err != nil {
		return r, err
	}
	for i := range r.floors {
		scratch, err := fresh(o, fmt.Sprintf("floor-%d", i+1))
		if err != nil {
			return r, err
		}
		if err := os.MkdirAll(scratch, 0o755); err != nil {
			return r, err
		}
		if r.floors[i], err = startFloor(ctx, big, scratch, i+1); err != nil {
			return r, err
		}
	}
	r.base = baseNames(len(r.fleet.tracks))
	for _, n := range r.base {
		r.names = append(r.names, "/"+strings.ReplaceAll(n, " ", "%20"))
	}
	// Hot: everything has been played, by two.
	for range 2 {
		if _, err := download(&r.fleet.server, 2, len(r.fleet.tracks), r.fleet.tracks); err != nil {
			return r, err
		}
	}
	return r, nil
}

func (r rivals) end() (err error) {
	for _, f := range r.floors {
		if f != nil {
			err = errors.Join(err, f.stop())
		}
	}
	if r.broker != nil {
		err = errors.Join(err, r.broker.stop())
	}
	if r.static != nil {
		err = errors.Join(err, r.static.stop())
	}
	if r.fleet != nil {
		err = errors.Join(err, r.fleet.end())
	}
	return err
}

// side is one of those that take turns.
type side struct {
	s     *server
	paths []string
	idle  float64 // of a core, when nobody listens
}

func (r rivals) sides() []side {
	return []side{{s: &r.fleet.server, paths: r.fleet.tracks}, {s: r.static, paths: r.names}, {s: r.broker, paths: r.base}}
}

// cost is what moving bytes took.
type cost struct {
	cpu  []time.Duration // a GB
	rate []float64       // MB a second
}

func (c *cost) add(bytes int64, cpu, wall time.Duration) {
	c.cpu = append(c.cpu, time.Duration(float64(cpu)/float64(bytes)*1e9))
	c.rate = append(c.rate, float64(bytes)/1e6/wall.Seconds())
}

func (c *cost) median() (cpu time.Duration, rate float64) {
	return percentile(c.cpu, .5), slices.Sorted(slices.Values(c.rate))[len(c.rate)/2]
}

// turns lets sides take turns at moving bytes, rounds times after one that does not count. What a side uses when nobody
// listens (heartbeats, the following of the catalogue) is taken off: it is no cost of a byte.
func turns(sides []side, rounds int, move func(side) (int64, error)) ([]cost, error) {
	costs := make([]cost, len(sides))
	for round := range rounds + 1 {
		for i, s := range sides {
			before, err := s.s.measure()
			if err != nil {
				return nil, err
			}
			began := time.Now()
			bytes, err := move(s)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", s.s.name, err)
			}
			wall := time.Since(began)
			after, err := s.s.measure()
			if err != nil {
				return nil, err
			}
			if round > 0 {
				costs[i].add(bytes, max(0, after.since(before).cpu-time.Duration(s.idle*float64(wall))), wall)
			}
		}
	}
	return costs, nil
}

func benchFleet(ctx context.Context, o options, _, big string) (sections []section, err error) {
	r, err := startRivals(ctx, o, big)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, r.end()) }()
	s := section{
		title: "The fleet next to nginx and a broker",
		how: "nginx, 2 delivery, 2 catalogue and 3 track cache processes, DynamoDB Local and an S3 server, next to nginx that serves the same files of 42 MB from its disk, " +
			"and NATS with 2 publishers; each with its clients on the same machine, in turns, median of 5 rounds, hot. CPU is of all processes of the three services and nginx; of nginx; of broker and publishers. " +
			"What the fleet uses when nobody listens (heartbeats, the following of the catalogue) is taken off and stands in a row of its own. Every request to the fleet is authorised. The reference is nginx static; the broker stands behind it. " +
			"The floor is what any fleet of nginx and Go processes costs, whatever they do: Go processes that answer every request with X-Accel-Redirect and nothing else, the same files from nginx's disk.",
	}
	if err := r.fleet.settle(ctx); err != nil {
		return nil, err
	}
	sides := r.sides()
	sides[0].idle = r.fleet.idleAll()
	row := func(what string, costs []cost, bar string) {
		cpu, rate := costs[0].median()
		static, staticRate := costs[1].median()
		text := fmt.Sprintf("%s (%.0f MB/s)", ms(static), staticRate)
		if len(costs) > 2 {
			broker, brokerRate := costs[2].median()
			text += fmt.Sprintf("; broker %s (%.0f MB/s)", ms(broker), brokerRate)
		}
		s.add(what, fmt.Sprintf("%s (%.0f MB/s)", ms(cpu), rate), text, ratio(cpu, static), bar)
	}
	for _, connections := range []int{1, 32} {
		costs, err := turns(sides, 5, func(s side) (int64, error) { return download(s.s, connections, max(1, 32/connections), s.paths) })
		if err != nil {
			return nil, err
		}
		row(fmt.Sprintf("whole tracks, CPU a GB, %d connection(s)", connections), costs, "≤ 1.3 ×")
	}
	fi, err := os.Stat(filepath.Join(big, r.base[0]))
	if err != nil {
		return nil, err
	}
	var moved int64
	parts := map[string]time.Duration{}
	costs, err := turns(sides[:2], 5, func(s side) (int64, error) {
		if s.s != &r.fleet.server {
			return pieces(s.s, 16, 800, tutti.ChunkSize, fi.Size(), s.paths)
		}
		spent, n, err := r.fleet.spend(func() (int64, error) { return pieces(s.s, 16, 800, tutti.ChunkSize, fi.Size(), s.paths) })
		moved += n
		for role, cpu := range spent {
			parts[role] += cpu
		}
		return n, err
	})
	if err != nil {
		return nil, err
	}
	row("pieces of 1 MiB, each authorised, CPU a GB, 16 connections", costs, "≤ 2 ×")
	var by []string
	for _, role := range []string{fleet.RoleNginx, fleet.RoleDelivery, fleet.RoleCatalog, fleet.RoleTrackCache} {
		by = append(by, fmt.Sprintf("%s %s", role, ms(time.Duration(float64(parts[role])/float64(moved)*1e9))))
	}
	s.add("of that, by service", strings.Join(by, ", "), "", "", "")
	s.add("CPU a second when nobody listens, eight processes", ms(time.Duration(sides[0].idle*1e9)), "", "", "")

	if err := r.starts(ctx, &s); err != nil {
		return nil, err
	}
	if err := r.prices(ctx, o, &s, big); err != nil {
		return nil, err
	}
	spike, err := r.spike(ctx)
	if err != nil {
		return nil, err
	}
	return []section{s, spike}, nil
}

// starts measures first bytes, of all in turns, and what a start costs in processor time.
func (r rivals) starts(ctx context.Context, s *section) error {
	const warm, counted = 40, 400
	// Each start with a plan of its own: delivery remembers a plan for some seconds, for the ranges of one player.
	anew := func(i int) string {
		return r.fleet.tracks[i%len(r.fleet.tracks)] + fmt.Sprintf("&maxBitRate=%d", 20_000+i)
	}
	cycle := func(paths []string) func(int) string {
		return func(i int) string { return paths[i%len(paths)] }
	}
	sides := []struct {
		s    *server
		path func(i int) string
	}{
		{&r.fleet.server, cycle(r.fleet.tracks)},
		{&r.fleet.server, anew},
		{r.static, cycle(r.names)},
		{r.floors[0], cycle(r.names)},
		{r.floors[1], cycle(r.names)},
		{r.broker, cycle(r.base)},
	}
	first := make([][]time.Duration, len(sides))
	for i := range warm + counted {
		for turn := range sides {
			k := (i + turn) % len(sides) // whoever comes after the broker finds colder caches
			d, err := firstByte(ctx, sides[k].s, sides[k].path(i))
			if err != nil {
				return fmt.Errorf("%s: %w", sides[k].s.name, err)
			}
			if i >= warm {
				first[k] = append(first[k], d)
			}
		}
	}
	for _, p := range []struct {
		name, bar string
		p         float64
	}{{"p50", "≤ 2 ×", .5}, {"p99", "≤ 50 ms", .99}} {
		at := func(k int) time.Duration { return percentile(first[k], p.p) }
		for k, what := range []string{"a connection each", "each start planned anew"} {
			s.add("first byte, hot, "+what+", "+p.name, ms(at(k)), fmt.Sprintf("%s; broker %s", ms(at(2)), ms(at(5))), ratio(at(k), at(2)), p.bar)
			s.add("the floor: nginx asks the smallest Go process"+[]string{"", ", which asks another"}[k]+", "+p.name, ms(at(3+k)), ms(at(2)), ratio(at(3+k), at(2))+"; ours is "+ratio(at(k), at(3+k))+" of it", "")
		}
	}
	// A kilobyte each, over 16 kept connections.
	const n, length = 2000, 40 << 20
	var cost [3]time.Duration
	for i, side := range []*server{r.static, r.floors[0], r.floors[1]} {
		before, err := side.measure()
		if err != nil {
			return err
		}
		if _, err := pieces(side, 16, n, 1024, length, r.names); err != nil {
			return fmt.Errorf("%s: %w", side.name, err)
		}
		after, err := side.measure()
		if err != nil {
			return err
		}
		cost[i] = after.since(before).cpu / n
	}
	s.add("a start of a kilobyte, CPU, kept connections: static, and the two floors", "", strings.Join([]string{micro(cost[0]), micro(cost[1]), micro(cost[2])}, ", "), "", "")
	return nil
}

func micro(d time.Duration) string { return fmt.Sprintf("%.3f ms", d.Seconds()*1e3) }

// prices measures what capacity plans reckon with: CPU a GB and a start, of each role.
func (r rivals) prices(ctx context.Context, o options, s *section, big string) error {
	const source = "go run ./bench -only fleet"
	k := r.fleet
	// Whole tracks out of nginx's cache: what a GB costs nginx.
	gb, bytes, err := k.spend(func() (int64, error) { return download(&k.server, 16, 4, k.tracks) })
	if err != nil {
		return err
	}
	perGB := func(d time.Duration) float64 { return d.Seconds() / float64(bytes) * 1e9 }
	nginx := perGB(gb[fleet.RoleNginx])
	o.ledger.set(capacity.NginxPerGB, nginx, source+": whole tracks, from nginx's cache")
	// Starts: a kilobyte of a track each, planned anew.
	const starts = 2000
	paths := make([]string, starts)
	for i := range paths {
		paths[i] = k.tracks[i%len(k.tracks)] + fmt.Sprintf("&maxBitRate=%d", 30_000+i)
	}
	units, err := k.units()
	if err != nil {
		return err
	}
	began := time.Now()
	one, _, err := k.spend(func() (int64, error) { return pieces(&k.server, 16, starts, 1024, 40<<20, paths) })
	if err != nil {
		return err
	}
	spent, err := k.units()
	if err != nil {
		return err
	}
	for role, name := range map[string]string{
		fleet.RoleNginx: capacity.NginxPerStart, fleet.RoleDelivery: capacity.DeliveryPerStart, fleet.RoleCatalog: capacity.CatalogPerStart, fleet.RoleTrackCache: capacity.CachePerStart,
	} {
		o.ledger.set(name, one[role].Seconds()/starts, source+": 2,000 starts of a kilobyte, each planned anew")
	}
	// Units of the database: what the same time costs when nothing happens is taken off.
	wall := time.Since(began)
	idle, err := k.units()
	if err != nil {
		return err
	}
	if err := clock.Sleep(ctx, clock.System, 5*time.Second); err != nil {
		return err
	}
	later, err := k.units()
	if err != nil {
		return err
	}
	per := func(what string, n float64, before, after map[string]float64, wall time.Duration) float64 {
		rate := (later[what] - idle[what]) / 5
		return max(0, (after[what]-before[what]-rate*wall.Seconds())/n)
	}
	o.ledger.set(capacity.ReadsPerStart, per("read", starts, units, spent, wall), source+": DynamoDB's own count")
	const plays = 200
	before, err := k.units()
	if err != nil {
		return err
	}
	began = time.Now()
	if _, err := request(&k.server, plays, 4, func(i int) string {
		return strings.Replace(k.tracks[i%len(k.tracks)], "/rest/stream", "/rest/scrobble", 1)
	}); err != nil {
		return err
	}
	if err := clock.Sleep(ctx, clock.System, 2*time.Second); err != nil {
		return err
	}
	after, err := k.units()
	if err != nil {
		return err
	}
	const all = plays + plays/10 // request makes a tenth more, to warm up
	wall = time.Since(began)
	reads, writes := per("read", all, before, after, wall), per("write", all, before, after, wall)
	o.ledger.set(capacity.WritesPerPlay, writes, source+": DynamoDB's own count")
	o.ledger.set(capacity.ReadsPerPlay, reads, source+": DynamoDB's own count")
	s.add("database units", fmt.Sprintf("a start %.2f read; a finished play %.2f read, %.2f written; nobody listening %.1f read and %.1f written a second",
		o.ledger.values[capacity.ReadsPerStart].Value, reads, writes, (later["read"]-idle["read"])/5, (later["write"]-idle["write"])/5), "", "", "")
	// What the track caches take for a GB: nginx's cache emptied, everything on their disks, second copies made.
	var c map[string]time.Duration
	for range 2 {
		if err := k.emptyEdge(ctx); err != nil {
			return err
		}
		if err := k.settle(ctx); err != nil {
			return err
		}
		if c, bytes, err = k.spend(func() (int64, error) { return download(&k.server, 2, len(k.tracks), k.tracks) }); err != nil {
			return err
		}
	}
	o.ledger.set(capacity.CachePerGB, c[fleet.RoleTrackCache].Seconds()/float64(bytes)*1e9, source+": whole tracks past nginx's cache, from the disks of the track caches")
	past := c[fleet.RoleNginx].Seconds() / float64(bytes) * 1e9
	o.ledger.set(capacity.NginxFetchPerGB, max(0, past-nginx), fmt.Sprintf("%s: whole tracks past nginx's cache, %.2f s, less %s", source, past, capacity.NginxPerGB))
	s.add("nginx, CPU a GB", fmt.Sprintf("%.2f s from its cache, %.2f s with the slices fetched from the track caches and kept", nginx, past), "", "", "")
	s.add("track cache, CPU a GB it sends to nginx", fmt.Sprintf("%.2f s", c[fleet.RoleTrackCache].Seconds()/float64(bytes)*1e9), "", "", "")
	s.add("a start, CPU by service", fmt.Sprintf("nginx %.3f ms, delivery %.3f ms, catalogue %.3f ms, track cache %.3f ms", one[fleet.RoleNginx].Seconds()*1e3/starts, one[fleet.RoleDelivery].Seconds()*1e3/starts,
		one[fleet.RoleCatalog].Seconds()*1e3/starts, one[fleet.RoleTrackCache].Seconds()*1e3/starts), "", "", "")
	return nil
}

// counters adds up a metric of all processes, by the first of its labels' values.
func (k *cluster) counters(metric string) (map[string]float64, error) {
	out := map[string]float64{}
	for _, p := range k.Members() {
		resp, err := http.Get("http://" + p.Address + "/metrics")
		if err != nil {
			return nil, err
		}
		lines := bufio.NewScanner(resp.Body)
		for lines.Scan() {
			labels, ok := strings.CutPrefix(lines.Text(), metric+"{")
			if !ok {
				continue
			}
			labels, value, _ := strings.Cut(labels, "} ")
			_, label, _ := strings.Cut(labels, `="`)
			label, _, _ = strings.Cut(label, `"`)
			v, err := strconv.ParseFloat(value, 64)
			if err != nil {
				return nil, errors.Join(err, resp.Body.Close())
			}
			out[label] += v
		}
		if err := errors.Join(lines.Err(), resp.Body.Close()); err != nil {
			return nil, err
		}
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("nobody counts %s", metric)
	}
	return out, nil
}

// units is what DynamoDB says that it has counted: "read" and "write".
func (k *cluster) units() (map[string]float64, error) {
	return k.counters("tutti_dynamodb_consumed_units_total")
}

// emptyEdge makes nginx forget the slices that it keeps: on its disk, and the open files of its workers.
func (k *cluster) emptyEdge(ctx context.Context) error {
	var removed, master int
	err := filepath.WalkDir(k.Nginx().Data, func(path string, d os.DirEntry, err error) error {
		switch {
		case err != nil || !d.Type().IsRegular():
		case d.Name() == "nginx.pid":
			var b []byte
			if b, err = os.ReadFile(path); err == nil {
				master, err = strconv.Atoi(strings.TrimSpace(string(b)))
			}
		case len(d.Name()) == 32 && strings.Trim(d.Name(), "0123456789abcdef") == "": // the MD5 of a slice's key
			removed++
			err = os.Remove(path)
		}
		return err
	})
	if err == nil && (removed == 0 || master == 0) {
		err = errors.New("nginx had nothing in its cache")
	}
	if err != nil {
		return err
	}
	old, err := children(master)
	if err != nil {
		return err
	}
	if err := syscall.Kill(master, syscall.SIGHUP); err != nil {
		return err
	}
	for {
		now, err := children(master)
		if err != nil {
			return err
		}
		// The cache manager is replaced with the workers.
		if len(now) >= len(old) && !slices.ContainsFunc(now, func(pid int) bool { return slices.Contains(old, pid) }) {
			return nil
		}
		if err := clock.Sleep(ctx, clock.System, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// spike is ten times the listeners within a second.
func (r rivals) spike(ctx context.Context) (section, error) {
	const few, rate = 50, 256_000 / 8
	s := section{
		title: "Ten times the listeners in a second",
		how: fmt.Sprintf("%d listeners at 256 kbit/s play; then %d more come within one second, and all play on for eight. Starts are those of the %d. "+
			"Late is ever being a second of music behind, or waiting a second for the first byte. The three in turns, twice; the worse p99 counts. The clients share the machine.", few, 9*few, 9*few),
	}
	var worst [3]pacedResult
	for range 2 {
		for i, side := range r.sides() {
			ctx, cancel := context.WithCancel(ctx)
			var wg sync.WaitGroup
			wg.Go(func() {
				end := time.Now().Add(14 * time.Second)
				var inner sync.WaitGroup
				for n := range few {
					inner.Go(func() { _, _ = listen(ctx, side.s, side.paths[n%len(side.paths)], rate, end) }) // they are the background
				}
				inner.Wait()
			})
			if err := clock.Sleep(ctx, clock.System, 3*time.Second); err != nil {
				cancel()
				return s, err
			}
			res, err := paced(ctx, side.s, 9*few, rate, time.Second, 8*time.Second, side.paths)
			wg.Wait()
			cancel()
			if err != nil {
				return s, err
			}
			if worst[i].listeners == 0 || percentile(res.firstBytes, .99) > percentile(worst[i].firstBytes, .99) {
				worst[i] = res
			}
		}
	}
	for _, p := range []struct {
		name, bar string
		p         float64
	}{{"p50", "", .5}, {"p99", "≤ 50 ms", .99}} {
		a, b, c := percentile(worst[0].firstBytes, p.p), percentile(worst[1].firstBytes, p.p), percentile(worst[2].firstBytes, p.p)
		s.add("first byte, "+p.name, ms(a), fmt.Sprintf("nginx static %s; broker %s", ms(b), ms(c)), fmt.Sprintf("%s; %s of the broker's", ratio(a, b), ratio(a, c)), p.bar)
	}
	s.add("late or refused", fmt.Sprintf("%d of %d %s", worst[0].late, worst[0].listeners, reasons(worst[0])),
		fmt.Sprintf("nginx static %d %s; broker %d %s", worst[1].late, reasons(worst[1]), worst[2].late, reasons(worst[2])), "", "0")
	s.add("CPU a second while all play", ms(worst[0].cpu), fmt.Sprintf("nginx static %s; broker %s", ms(worst[1].cpu), ms(worst[2].cpu)), ratio(worst[0].cpu, worst[1].cpu), "")
	s.add("memory a listener", kb(worst[0].perMemory), fmt.Sprintf("nginx static %s; broker %s", kb(worst[1].perMemory), kb(worst[2].perMemory)), "", "")
	return s, nil
}

// reasons says what was wrong, the most frequent first.
func reasons(r pacedResult) string {
	var out []string
	for reason, n := range r.refusals {
		out = append(out, fmt.Sprintf("%d × %s", n, reason))
	}
	if len(out) == 0 {
		return ""
	}
	slices.Sort(out)
	return "(" + strings.Join(out[:min(3, len(out))], ", ") + ")"
}

// coldLibrary makes small files, each of which is cold once.
func coldLibrary(ctx context.Context, root string, n int) error {
	return bigFiles(ctx, root, n, 20) // 3.5 MB each
}

// benchCold measures starts and crowds on music that no track cache has.
func benchCold(ctx context.Context, o options, _, _ string) (_ []section, err error) {
	const tracks, heads, each, fills = 80, 24, 24, 30
	const again = 22 * time.Second // with the plays between, after which a start of the same track is another
	const delay = 100 * time.Millisecond
	root := filepath.Join(o.scratch, "cold")
	if err := coldLibrary(ctx, root, tracks); err != nil {
		return nil, err
	}
	s := section{
		title: "Music that is not there yet",
		how: fmt.Sprintf("Each answer of the object store is held back by %v. Heads: tracks that were played twice before, so that the store has their beginnings; then all track caches and nginx's cache were emptied. "+
			"First byte of %d tracks with and %d without a head, in turns, each once. Crowd: 1,000 listeners ask for one cold track within a second.", delay, heads, each),
	}
	k, err := startFleet(ctx, o, "cold-fleet", root, func(c *fleet.Config) { c.Proxies, c.Upload = true, true })
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, k.end()) }()
	buf := make([]byte, 256<<10)
	for range 2 {
		for _, track := range k.tracks[:heads] {
			if _, err := drain(&k.server, track, buf); err != nil {
				return nil, err
			}
			if err := clock.Sleep(ctx, clock.System, 400*time.Millisecond); err != nil { // three heads a second is the budget
				return nil, err
			}
		}
		if err := clock.Sleep(ctx, clock.System, again); err != nil {
			return nil, err
		}
	}
	if err := clock.Sleep(ctx, clock.System, 3*time.Second); err != nil { // heads are written behind
		return nil, err
	}
	written, err := k.counters("tutti_chunks_heads_total")
	if err != nil {
		return nil, err
	}
	if err := k.emptyEdge(ctx); err != nil {
		return nil, err
	}
	for _, p := range k.Role(fleet.RoleTrackCache) {
		if err := p.Terminate(ctx); err != nil {
			return nil, err
		}
		if err := os.RemoveAll(p.Data); err != nil {
			return nil, err
		}
		if err := os.MkdirAll(p.Data, 0o700); err != nil {
			return nil, err
		}
	}
	for _, p := range k.Role(fleet.RoleTrackCache) {
		if err := p.Start(ctx); err != nil {
			return nil, err
		}
	}
	if err := clock.Sleep(ctx, clock.System, 5*time.Second); err != nil { // nginx follows the members
		return nil, err
	}
	// What a fill takes: tracks that nobody has played, with an origin that answers at once.
	if err := k.settle(ctx); err != nil {
		return nil, err
	}
	spent, filled, err := k.spend(func() (int64, error) { return download(&k.server, 1, fills, k.tracks[heads+each:heads+each+fills]) })
	if err != nil {
		return nil, err
	}
	fill := spent[fleet.RoleTrackCache].Seconds() / float64(filled) * 1e9
	// A plan counts sending by itself, for all that nginx asks for.
	send, err := o.figure(capacity.CachePerGB)
	if err != nil {
		return nil, err
	}
	o.ledger.set(capacity.FillPerGB, max(0, fill-send), fmt.Sprintf("go run ./bench -only cold: whole tracks that nobody had, %.2f s, less %s", fill, capacity.CachePerGB))
	s.add("track cache, CPU a GB it fetches, checks, keeps and sends on", fmt.Sprintf("%.2f s", fill), "", "", "")
	if err := k.Origin.Set(fleet.Trouble{Delay: delay}); err != nil {
		return nil, err
	}
	// The first of each kind opens connections and is not counted.
	var with, without []time.Duration
	for i := range heads {
		for _, kind := range []struct {
			track int
			to    *[]time.Duration
		}{{i, &with}, {heads + i, &without}} {
			d, err := firstByte(ctx, &k.server, k.tracks[kind.track])
			if err != nil {
				return nil, err
			}
			if i >= 2 {
				*kind.to = append(*kind.to, d)
			}
		}
	}
	read, err := k.counters("tutti_chunks_heads_total")
	if err != nil {
		return nil, err
	}
	s.add("heads", fmt.Sprintf("%.0f written, %.0f read, %.0f that the store did not send within 50 ms", written["written"], read["read"], read["failed"]), fmt.Sprintf("%d tracks", heads), "", "")
	a, b := percentile(with, .5), percentile(without, .5)
	s.add("first byte, cold, p50", ms(a)+" with a head", ms(b)+" without", fmt.Sprintf("%.3f ×", float64(a)/float64(b)), "≤ 0.1 ×")
	a, b = percentile(with, .9), percentile(without, .9)
	s.add("first byte, cold, p90", ms(a)+" with a head", ms(b)+" without", fmt.Sprintf("%.3f ×", float64(a)/float64(b)), "")

	var reads atomic.Int64
	var lists atomic.Int64
	k.Origin.Watch(func(r *http.Request) {
		if r.Method == http.MethodGet && r.Header.Get("Range") != "" {
			reads.Add(1)
		} else {
			lists.Add(1)
		}
	})
	last := tracks - 1
	fi, err := os.Stat(filepath.Join(root, baseNames(tracks)[last]))
	if err != nil {
		return nil, err
	}
	res, err := paced(ctx, &k.server, 1000, 64_000, time.Second, 8*time.Second, k.tracks[last:])
	if err != nil {
		return nil, err
	}
	chunks := (fi.Size() + tutti.ChunkSize - 1) / tutti.ChunkSize
	s.add("crowd of 1,000: reads of the object store", fmt.Sprint(reads.Load()), fmt.Sprintf("%d chunks, %d owners", chunks, tutti.Replicas), "", "one a chunk and owner")
	s.add("crowd of 1,000: first byte", fmt.Sprintf("p50 %s, p99 %s", ms(percentile(res.firstBytes, .5)), ms(percentile(res.firstBytes, .99))), "", "", "")
	s.add("crowd of 1,000: late or refused", fmt.Sprintf("%d %s", res.late, reasons(res)), "", "", "0")
	return []section{s}, nil
}

// benchGrow measures how starts and CPU grow with the fleet and with the listeners.
func benchGrow(ctx context.Context, o options, _, _ string) ([]section, error) {
	const rate, tracks = 128_000 / 8, 80
	root := filepath.Join(o.scratch, "cold")
	if err := coldLibrary(ctx, root, tracks); err != nil {
		return nil, err
	}
	fi, err := os.Stat(filepath.Join(root, baseNames(tracks)[0]))
	if err != nil {
		return nil, err
	}
	s := section{
		title: "Fleets of several sizes",
		how: "1, 2 and 4 delivery and track cache processes; tracks of 3.5 MB, hot; listeners at 128 kbit/s come evenly over 5 s and play on for 8 s. CPU is that of nginx and the services together, a second, while all play. " +
			"All of it on the same two cores as the clients, so more processes cannot be faster here; what is shown is that they are hardly dearer.",
	}
	for _, n := range []int{1, 2, 4} {
		err := func() (err error) {
			k, err := startFleet(ctx, o, "grow", root, func(c *fleet.Config) { c.Delivery, c.TrackCache = n, n })
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, k.end()) }()
			if _, err := download(&k.server, 1, len(k.tracks), k.tracks); err != nil {
				return err
			}
			if err := k.settle(ctx); err != nil {
				return err
			}
			for _, listeners := range []int{100, 1000, 5000} {
				before, err := k.usageOf()
				if err != nil {
					return err
				}
				r, err := paced(ctx, &k.server, listeners, rate, 5*time.Second, 8*time.Second, k.tracks)
				if err != nil {
					return err
				}
				after, err := k.usageOf()
				if err != nil {
					return err
				}
				s.add(fmt.Sprintf("%d delivery, %d track cache, %d listeners", n, n, listeners),
					fmt.Sprintf("first byte p50 %s, p99 %s; CPU %s a second (delivery %s in all); late %d %s", ms(percentile(r.firstBytes, .5)), ms(percentile(r.firstBytes, .99)), ms(r.cpu),
						ms(after[fleet.RoleDelivery].since(before[fleet.RoleDelivery]).cpu), r.late, reasons(r)), "", "", "")
				if n == 2 && listeners == 5000 {
					slices := float64(fi.Size()+tutti.ChunkSize-1) / tutti.ChunkSize
					o.ledger.set(capacity.NginxMemory, float64(after[fleet.RoleNginx].since(before[fleet.RoleNginx]).rss)/float64(listeners)/slices, "go run ./bench -only grow: 5,000 listeners to tracks of four slices")
				}
			}
			return nil
		}()
		if err != nil {
			return nil, err
		}
	}
	return []section{s}, nil
}
