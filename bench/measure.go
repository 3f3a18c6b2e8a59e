package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"sort"
	"strings"
	"time"
)

// took finds how long the scan itself says that it took.
var took = regexp.MustCompile(`seen in ([^:]+):`)

// scanOnce runs `tutti scan` and returns what the process used, and how long the scan within it took.
func scanOnce(ctx context.Context, o options, data, music string) (cpu, scan time.Duration, rss int64, err error) {
	cmd := exec.CommandContext(ctx, o.bin, "scan", "--data", data, "--music", music, "--log-level", "warn")
	cmd.Env = append(os.Environ(), "TUTTI_ANALYSE_ENABLED=false", "TUTTI_ADMIN_USER="+user, "TUTTI_ADMIN_PASSWORD="+password)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return 0, 0, 0, err
	}
	m := took.FindSubmatch(out)
	if m == nil {
		return 0, 0, 0, fmt.Errorf("tutti scan printed %q", out)
	}
	if scan, err = time.ParseDuration(string(m[1])); err != nil {
		return 0, 0, 0, err
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), scan, maxRSS(cmd), nil
}

func benchScan(ctx context.Context, o options, real, _ string) (section, error) {
	s := section{
		title: "Scan",
		how: fmt.Sprintf("`tutti scan` as a whole process over %d real files (flac, mp3, ogg, opus, m4a; tagged, with pictures), page cache warm; "+
			"start of the program included in CPU time, not in files a second. Median of 3.", o.files),
	}
	var first, again, wall []time.Duration
	var rss int64
	for range 3 {
		data, err := fresh(o, "scan")
		if err != nil {
			return s, err
		}
		cpu, _, peak, err := scanOnce(ctx, o, data, real)
		if err != nil {
			return s, err
		}
		first, rss = append(first, cpu), max(rss, peak)
		cpu, w, _, err := scanOnce(ctx, o, data, real)
		if err != nil {
			return s, err
		}
		again, wall = append(again, cpu), append(wall, w)
	}
	files := time.Duration(o.files)
	s.add("first scan, CPU a file", ms(percentile(first, .5)/files), "2.9 and 5.0 ms (two well-known servers)", "", "≤ 0.5 ms")
	s.add("rescan without changes, CPU in all", ms(percentile(again, .5)), "", "", "")
	s.add("rescan without changes, files a second", fmt.Sprintf("%.0f", float64(o.files)/percentile(wall, .5).Seconds()), "", "", "≥ 50,000")
	s.add("peak memory of the first scan", mib(rss), "", "", "")
	return s, nil
}

// ids are what the API is asked for.
type ids struct{ albums, songs, artists, words []string }

func (s *server) ids() (ids, error) {
	var out ids
	resp, err := http.Get(s.url + rest("getAlbumList2", "type", "random", "size", "200"))
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return out, err
	}
	var lists struct {
		R struct {
			L struct {
				Album []struct{ ID, Name, ArtistID string }
			} `json:"albumList2"`
		} `json:"subsonic-response"`
	}
	if err := json.Unmarshal(body, &lists); err != nil {
		return out, err
	}
	for _, a := range lists.R.L.Album {
		out.albums = append(out.albums, a.ID)
		out.artists = append(out.artists, a.ArtistID)
		out.words = append(out.words, strings.Fields(a.Name)[0])
	}
	resp, err = http.Get(s.url + rest("getRandomSongs", "size", "200"))
	if err != nil {
		return out, err
	}
	defer resp.Body.Close()
	if body, err = io.ReadAll(resp.Body); err != nil {
		return out, err
	}
	var songs struct {
		R struct {
			L struct {
				Song []struct{ ID string }
			} `json:"randomSongs"`
		} `json:"subsonic-response"`
	}
	if err := json.Unmarshal(body, &songs); err != nil {
		return out, err
	}
	for _, s := range songs.R.L.Song {
		out.songs = append(out.songs, s.ID)
	}
	if len(out.albums) == 0 || len(out.songs) == 0 {
		return out, errors.New("the catalogue is empty")
	}
	return out, nil
}

func benchAPI(ctx context.Context, o options, _, _ string) ([]section, error) {
	var sections []section
	for _, n := range o.synthetic {
		s, err := benchCatalogue(ctx, o, n)
		if err != nil {
			return nil, err
		}
		sections = append(sections, s)
	}
	return sections, nil
}

func benchCatalogue(ctx context.Context, o options, tracks int) (section, error) {
	s := section{
		title: fmt.Sprintf("API on a synthetic catalogue of %d tracks", tracks),
		how: "JSON over 8 kept-alive connections, each request with other ids, password in the query; CPU is the server's, from the kernel, " +
			"for one request. The reference is two well-known Go servers on 5,000 files.",
	}
	data, err := fresh(o, "synthetic")
	if err != nil {
		return s, err
	}
	music := filepath.Join(o.scratch, "empty")
	if err := os.MkdirAll(music, 0o755); err != nil {
		return s, err
	}
	began := time.Now()
	if err := fillSynthetic(ctx, data, music, tracks); err != nil {
		return s, err
	}
	filled := time.Since(began)
	began = time.Now()
	t, err := startTutti(ctx, o.bin, data, music, "--no-scan-at-start", "--no-scan-watch")
	if err != nil {
		return s, err
	}
	defer t.stop()
	ready := time.Since(began)
	known, err := t.ids()
	if err != nil {
		return s, err
	}
	pick := func(from []string, i int) string { return from[i%len(from)] }
	for _, c := range []struct {
		name, reference, bar string
		path                 func(i int) string
	}{
		{"ping", "0.3–0.7 ms", "", func(int) string { return rest("ping") }},
		{"getSong", "2 ms", "≤ 0.3 ms", func(i int) string { return rest("getSong", "id", pick(known.songs, i)) }},
		{"getAlbum", "", "", func(i int) string { return rest("getAlbum", "id", pick(known.albums, i)) }},
		{"getArtist", "", "", func(i int) string { return rest("getArtist", "id", pick(known.artists, i)) }},
		{"getAlbumList2 (50, newest)", "7–18 ms", "≤ 1 ms", func(i int) string {
			return rest("getAlbumList2", "type", "newest", "size", "50", "offset", fmt.Sprint(i%20*50))
		}},
		{"getAlbumList2 (50, by artist, deep)", "7–18 ms", "≤ 1 ms", func(i int) string {
			return rest("getAlbumList2", "type", "alphabeticalByArtist", "size", "50", "offset", fmt.Sprint(i%100*50))
		}},
		{"getAlbumList2 (50, random)", "7–18 ms", "≤ 1 ms", func(int) string { return rest("getAlbumList2", "type", "random", "size", "50") }},
		{"search3, one word", "13–19 ms", "≤ 1 ms", func(i int) string { return rest("search3", "query", pick(known.words, i)) }},
		{"search3, two letters", "13–19 ms", "≤ 1 ms", func(i int) string { return rest("search3", "query", string([]rune(pick(known.words, i))[:2])) }},
	} {
		r, err := request(t, 1500, 8, c.path)
		if err != nil {
			return s, fmt.Errorf("%s: %w", c.name, err)
		}
		s.add(c.name+", CPU a request", fmt.Sprintf("%s (p50 %s, %.0f req a CPU second)", ms(r.cpu), ms(r.p50), float64(time.Second)/float64(r.cpu)), c.reference, "", c.bar)
	}
	u, err := t.measure()
	if err != nil {
		return s, err
	}
	s.add("memory after this", mib(u.rss), "", "", "≤ 2 GiB at 2,000,000")
	s.add("writing the catalogue, in this program, as a scan does", fmt.Sprintf("%.1f s", filled.Seconds()), "", "", "≤ 40 min at 2,000,000, with reading")
	s.add("start of the program until it answers", ms(ready), "", "", "")
	return s, nil
}

// streams returns what both servers call the same files.
func streams(t *server, big string) (ours, theirs []string, err error) {
	resp, err := http.Get(t.url + rest("search3", "query", "", "songCount", "100", "albumCount", "0", "artistCount", "0"))
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	var found struct {
		R struct {
			S struct {
				Song []struct{ ID, Path string }
			} `json:"searchResult3"`
		} `json:"subsonic-response"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&found); err != nil {
		return nil, nil, err
	}
	sort.Slice(found.R.S.Song, func(i, j int) bool { return found.R.S.Song[i].Path < found.R.S.Song[j].Path })
	for _, s := range found.R.S.Song {
		name := filepath.Base(s.Path)
		if _, err := os.Stat(filepath.Join(big, name)); err != nil {
			return nil, nil, err
		}
		ours = append(ours, rest("stream", "id", s.ID))
		theirs = append(theirs, "/"+url.PathEscape(name))
	}
	if len(ours) == 0 {
		return nil, nil, errors.New("no songs to stream")
	}
	return ours, theirs, nil
}

// pair starts both servers over the big files.
func pair(ctx context.Context, o options, big string) (t, n *server, ours, theirs []string, err error) {
	data, err := fresh(o, "big")
	if err != nil {
		return nil, nil, nil, nil, err
	}
	files, err := filepath.Glob(filepath.Join(big, "*.wav"))
	if err != nil {
		return nil, nil, nil, nil, err
	}
	if t, err = startTutti(ctx, o.bin, data, big); err != nil {
		return nil, nil, nil, nil, err
	}
	if err = t.scanned(ctx, len(files)); err != nil {
		return nil, nil, nil, nil, err
	}
	scratch, err := fresh(o, "nginx")
	if err != nil {
		return nil, nil, nil, nil, err
	}
	if err = os.MkdirAll(scratch, 0o755); err != nil {
		return nil, nil, nil, nil, err
	}
	if n, err = startNginx(ctx, big, scratch); err != nil {
		return nil, nil, nil, nil, err
	}
	if ours, theirs, err = streams(t, big); err != nil {
		return nil, nil, nil, nil, err
	}
	return t, n, ours, theirs, settle(ctx, t, ours)
}

// settle delivers each original once and waits until its digest has been taken, which happens once in the life of a
// file, in the background, and would else be counted as a cost of the first gigabytes.
func settle(ctx context.Context, t *server, paths []string) error {
	for _, path := range paths {
		if _, err := download(t, 1, 1, []string{path}); err != nil {
			return err
		}
		for digest := ""; digest == ""; {
			resp, err := http.Head(t.url + path)
			if err != nil {
				return err
			}
			resp.Body.Close()
			digest = resp.Header.Get("Repr-Digest")
			if err := ctx.Err(); err != nil {
				return err
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

func benchBytes(ctx context.Context, o options, _, big string) (section, error) {
	s := section{
		title: "Originals next to nginx",
		how: "Whole files of 42 MB read by the same client, page cache warm, the two servers in turn, median of 5 rounds. " +
			"First byte: 400 requests each in turn on fresh connections. Each file was delivered once before, and its digest taken.",
	}
	t, n, ours, theirs, err := pair(ctx, o, big)
	if err != nil {
		return s, err
	}
	defer t.stop()
	defer n.stop()
	for _, connections := range []int{1, 32} {
		var costs [2][]time.Duration
		for range 6 {
			for i, side := range []struct {
				s     *server
				paths []string
			}{{t, ours}, {n, theirs}} {
				before, err := side.s.measure()
				if err != nil {
					return s, err
				}
				total, err := download(side.s, connections, max(1, 32/connections), side.paths)
				if err != nil {
					return s, err
				}
				after, err := side.s.measure()
				if err != nil {
					return s, err
				}
				costs[i] = append(costs[i], time.Duration(float64(after.since(before).cpu)/float64(total)*1e9))
			}
		}
		a, b := percentile(costs[0][1:], .5), percentile(costs[1][1:], .5) // the first round warms up
		s.add(fmt.Sprintf("CPU a GB, %d connection(s)", connections), ms(a), ms(b), ratio(a, b), "≤ 1.1 ×")
	}
	var first [2][]time.Duration
	for i := range 440 {
		for k, side := range []struct {
			s     *server
			paths []string
		}{{t, ours}, {n, theirs}} {
			d, err := firstByte(ctx, side.s, side.paths[i%len(side.paths)])
			if err != nil {
				return s, err
			}
			if i >= 40 {
				first[k] = append(first[k], d)
			}
		}
	}
	for _, p := range []struct {
		name, bar string
		p         float64
	}{{"p50", "≤ 1.5 ×", .5}, {"p99", "", .99}} {
		a, b := percentile(first[0], p.p), percentile(first[1], p.p)
		s.add("first byte, hot, "+p.name, ms(a), ms(b), ratio(a, b), p.bar)
	}
	return s, nil
}

func benchCrowd(ctx context.Context, o options, _, big string) (section, error) {
	const rate = 320_000 * 1.2 / 8 // bytes a second
	s := section{
		title: "A crowd",
		how: fmt.Sprintf("%d listeners at 384 kbit/s for %v after a ramp of 10 s, segments of 1,448 bytes; late is ever being a second of music behind, "+
			"or having no header. Stream starts: 1,000 within 2.5 s. The clients share the %s with the server.", o.listeners, o.hold, "machine"),
	}
	t, n, ours, theirs, err := pair(ctx, o, big)
	if err != nil {
		return s, err
	}
	defer t.stop()
	defer n.stop()
	var starts, crowd [2]pacedResult
	for i, side := range []struct {
		s     *server
		paths []string
	}{{t, ours}, {n, theirs}} {
		if starts[i], err = paced(ctx, side.s, 1000, rate, 2500*time.Millisecond, 5*time.Second, side.paths); err != nil {
			return s, err
		}
	}
	for i, side := range []struct {
		s     *server
		paths []string
	}{{t, ours}, {n, theirs}} {
		if crowd[i], err = paced(ctx, side.s, o.listeners, rate, 10*time.Second, o.hold, side.paths); err != nil {
			return s, err
		}
	}
	share := func(r pacedResult) string { return fmt.Sprintf("%d of %d", r.late, r.listeners) }
	a, b := percentile(starts[0].firstBytes, .99), percentile(starts[1].firstBytes, .99)
	s.add("1,000 starts in 2.5 s, first byte p99", ms(a), ms(b), ratio(a, b), "≤ 100 ms")
	s.add("memory a listener (1,000)", kb(starts[0].perMemory), kb(starts[1].perMemory), "", "≤ 40 kB")
	s.add(fmt.Sprintf("%d listeners, late", o.listeners), share(crowd[0]), share(crowd[1]), "", "< 1 %")
	s.add(fmt.Sprintf("%d listeners, memory a listener", o.listeners), kb(crowd[0].perMemory), kb(crowd[1].perMemory), "", "≤ 40 kB")
	return s, nil
}

// bareCommand is the first argument with which this program is a Go server that does nothing: what any costs.
const bareCommand = "bare"

func serveNothing(address string) error {
	return http.ListenAndServe(address, http.NotFoundHandler())
}

// startBare starts such a server.
func startBare(ctx context.Context) (*server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	address := fmt.Sprintf("127.0.0.1:%d", port)
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, bareCommand, address)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s := &server{name: "bare", cmd: cmd, pids: []int{cmd.Process.Pid}}
	return s, listens(address)
}

// idleTurn is how long one of two idle servers is watched before the other has its turn.
const idleTurn = 10 * time.Second

const (
	restless  = 2 * time.Millisecond // of CPU time in a turn: more is work that follows a scan
	restTurn  = 10 * time.Second
	restTurns = 4 // one after the other: some work begins when a library has been left alone for some seconds, some after the start
	restBy    = 30 * time.Minute
)

// atRest waits until a server has done what follows a scan, and no process works for it.
func atRest(s *server, wait func(time.Duration)) error {
	quiet := 0
	for waited := time.Duration(0); waited < restBy; waited += restTurn {
		before, err := s.measure()
		if err != nil {
			return err
		}
		wait(restTurn)
		after, err := s.measure()
		if err != nil {
			return err
		}
		var helpers []int
		for _, pid := range s.pids {
			started, err := children(pid)
			if err != nil {
				return err
			}
			helpers = append(helpers, started...)
		}
		if quiet++; len(helpers) > 0 || after.since(before).cpu >= restless {
			quiet = 0
		}
		if quiet == restTurns {
			return nil
		}
	}
	return fmt.Errorf("%s does not rest", s.name)
}

func benchIdle(ctx context.Context, o options, real, _ string) (section, error) {
	s := section{
		title: "Idle",
		how: fmt.Sprintf("All roles over %d real files, scanned and listened to, nobody listening, once it rests: watched for %v, in turns of %v with a bare Go HTTP server, which is the reference.",
			o.files, o.idle, idleTurn),
	}
	data, err := fresh(o, "idle")
	if err != nil {
		return s, err
	}
	t, err := startTutti(ctx, o.bin, data, real, "--analyse-enabled")
	if err != nil {
		return s, err
	}
	defer t.stop()
	bare, err := startBare(ctx)
	if err != nil {
		return s, err
	}
	defer bare.stop()
	if err := t.scanned(ctx, o.files); err != nil {
		return s, err
	}
	wait := func(d time.Duration) {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
	}
	if err := atRest(t, wait); err != nil {
		return s, err
	}
	var spent [2]usage
	for watched := time.Duration(0); watched < o.idle; watched += idleTurn {
		for i, server := range []*server{t, bare} {
			before, err := server.measure()
			if err != nil {
				return s, err
			}
			wait(idleTurn)
			after, err := server.measure()
			if err != nil {
				return s, err
			}
			d := after.since(before)
			spent[i].cpu += d.cpu
			spent[i].wakeups += d.wakeups
			spent[i].written += d.written
			spent[i].rss = max(spent[i].rss, after.rss)
		}
	}
	if err := ctx.Err(); err != nil {
		return s, err
	}
	seconds := (o.idle + idleTurn - 1).Truncate(idleTurn).Seconds()
	cpu := func(u usage) string { return fmt.Sprintf("%.3f ms", float64(u.cpu)/float64(time.Millisecond)/seconds) }
	wakeups := func(u usage) string { return fmt.Sprintf("%.2f", float64(u.wakeups)/seconds) }
	s.add("CPU a second", cpu(spent[0]), cpu(spent[1]), "", "≤ 0.05 ms; servers of this kind: 0.44 and 0.88")
	s.add("wake-ups a second", wakeups(spent[0]), wakeups(spent[1]), "", "≤ 1; servers of this kind: 13 and 27")
	s.add("bytes written", fmt.Sprint(spent[0].written), fmt.Sprint(spent[1].written), "", "0")
	s.add("memory", mib(spent[0].rss), mib(spent[1].rss), "", "≤ 40 MB")
	return s, nil
}
