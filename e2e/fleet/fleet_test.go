package fleet

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	_ "image/jpeg" // covers
	_ "image/png"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sync/errgroup"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// house is a fleet on loopback with a demo album and an album of noise.
type house struct {
	t     *testing.T
	f     *Fleet
	c     *Client   // of the fleet's one address
	each  []*Client // of each delivery process
	music string
	noise []Track
}

func openHouse(t *testing.T, c Config) *house {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	music := filepath.Join(dir, "music")
	c.Bin, c.Dir, c.Music = program(t), filepath.Join(dir, "fleet"), music
	c.Engine = Engine(os.Getenv("TUTTI_FLEET_ENGINE"))
	c.Progress = func(step string) { t.Log(step) }
	must(t, Demo(ctx, c.Bin, music))
	_, err := Music{Album: "Noise", Tracks: 3, Bytes: 5<<20 + 12345}.Write(music)
	must(t, err)
	f, err := Start(ctx, c)
	must(t, err)
	t.Cleanup(func() {
		if err := f.Stop(context.Background()); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			logs(t, f)
		}
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	})
	h := &house{t: t, f: f, c: f.Client(), music: music}
	for _, p := range f.Role(RoleDelivery) {
		h.each = append(h.each, f.ClientOf(p))
	}
	must(t, h.c.Scanned(ctx, 9))
	h.noise, err = h.c.Tracks(ctx, music, "Noise")
	must(t, err)
	if len(h.noise) != 3 {
		t.Fatalf("%d tracks of noise", len(h.noise))
	}
	return h
}

// logs shows what the processes had to say lately.
func logs(t *testing.T, f *Fleet) {
	files, err := filepath.Glob(filepath.Join(f.LogDir(), "*.log"))
	must(t, err)
	for _, file := range files {
		b, err := os.ReadFile(file)
		must(t, err)
		const most = 2500
		t.Logf("%s: …%s", filepath.Base(file), b[max(0, len(b)-most):])
	}
}

// TestFleet uses a fleet as its listeners do: by its one address, and now and then past nginx to see that every delivery
// process is as good as the other.
func TestFleet(t *testing.T) {
	t.Parallel()
	h := openHouse(t, Config{})
	t.Run("table", h.table)
	t.Run("bytes", h.bytes)
	t.Run("ranges", h.ranges)
	t.Run("only what is meant for listeners", h.closed)
	t.Run("read your writes", h.readYourWrites)
	t.Run("sessions", h.sessions)
	t.Run("scan through any", h.scans)
	t.Run("scan from a shell", h.scanCommand)
	t.Run("transcode", h.transcode)
	t.Run("pictures and shares", h.pictures)
	t.Run("one address asks for too much", h.flood)
	t.Run("page", h.page)
	t.Run("the scanning one dies", h.scannerDies)
}

// TestFleetTLS: the same with TLS between the services, where nobody is heard who has no certificate.
func TestFleetTLS(t *testing.T) {
	t.Parallel()
	h := openHouse(t, Config{TLS: true, Delivery: 1, Catalog: 1, TrackCache: 2})
	h.each = append(h.each, h.each[0]) // the one is the other as well
	t.Run("bytes", h.bytes)
	t.Run("ranges", h.ranges)
	t.Run("read your writes", h.readYourWrites)
	t.Run("transcode", h.transcode)
	stranger := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	t.Cleanup(stranger.CloseIdleConnections)
	for _, p := range h.f.Members() {
		if resp, err := stranger.Get("https://" + p.Address + "/healthz"); err == nil {
			resp.Body.Close()
			t.Errorf("%s spoke to who has no certificate: %s", p.Name, resp.Status)
		}
		resp, err := http.Get("http://" + p.Address + "/healthz")
		if err != nil {
			continue
		}
		resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			t.Errorf("%s speaks without TLS", p.Name)
		}
	}
}

// table: cluster.json says who runs where, and nginx's configuration is one that nginx takes.
func (h *house) table(t *testing.T) {
	b, err := os.ReadFile(h.f.path("cluster.json"))
	must(t, err)
	var entries []Entry
	must(t, json.Unmarshal(b, &entries))
	count := map[string]int{}
	for _, e := range entries {
		count[e.Role]++
		if _, err := os.Stat("/proc/" + strconv.Itoa(e.PID)); err != nil || e.PID == 0 {
			t.Errorf("%+v: %v", e, err)
		}
		if !strings.HasPrefix(e.Address, "127.0.0.1:") {
			t.Errorf("%+v listens elsewhere than on loopback", e)
		}
	}
	want := map[string]int{RoleNginx: 1, RoleDelivery: 2, RoleCatalog: 2, RoleTrackCache: 3, RoleDynamoDB: 1, RoleS3: 1}
	if h.f.engine == nil {
		delete(want, RoleDynamoDB)
	}
	if fmt.Sprint(count) != fmt.Sprint(want) {
		t.Errorf("%v, want %v", count, want)
	}
	conf := filepath.Join(h.f.Nginx().Data, "nginx", "nginx.conf")
	if b, err := exec.Command("nginx", "-t", "-c", conf).CombinedOutput(); err != nil {
		t.Errorf("nginx -t: %v\n%s", err, b)
	}
}

// bytes: every track is its file, through nginx and through each delivery process, and nginx keeps what it fetched.
func (h *house) bytes(t *testing.T) {
	for _, track := range h.noise {
		want, err := os.ReadFile(track.File)
		must(t, err)
		for _, c := range append([]*Client{h.c, h.c}, h.each...) {
			got, header, err := c.Get(t.Context(), c.Rest("stream", url.Values{"id": {track.ID}, "format": {"raw"}}))
			if err != nil || !bytes.Equal(got, want) {
				t.Errorf("%s through %s: %d bytes of %d (%v)", track.Title, c.URL, len(got), len(want), err)
				continue
			}
			if header.Get("ETag") == "" || header.Get("Accept-Ranges") != "bytes" || header.Get("X-Accel-Redirect") != "" {
				t.Errorf("%s through %s: %v", track.Title, c.URL, header)
			}
		}
	}
	kept := 0
	must(t, filepath.WalkDir(filepath.Join(h.f.Nginx().Data, "nginx", "cache"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			kept++
		}
		return err
	}))
	if want := 3 * 6; kept != want { // 5 MiB and a bit in slices of 1 MiB
		t.Errorf("nginx keeps %d slices, want %d: who moves the bytes?", kept, want)
	}
}

// ranges: what players ask for, within a slice, across slices, from the end, and what they get wrong.
func (h *house) ranges(t *testing.T) {
	track := h.noise[0]
	want, err := os.ReadFile(track.File)
	must(t, err)
	size := len(want)
	ask := func(method string, header http.Header) (*http.Response, []byte) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, h.c.URL+h.c.Rest("stream", url.Values{"id": {track.ID}, "format": {"raw"}}), nil)
		must(t, err)
		req.Header = header
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		must(t, err)
		return resp, b
	}
	const mib = 1 << 20
	for _, r := range []struct {
		header   string
		from, to int // to is exclusive
	}{
		{"bytes=0-0", 0, 1},
		{"bytes=0-", 0, size},
		{"bytes=1000-1999", 1000, 2000},
		{fmt.Sprintf("bytes=%d-%d", mib-1, mib), mib - 1, mib + 1},
		{fmt.Sprintf("bytes=%d-%d", mib-5, 3*mib+5), mib - 5, 3*mib + 6},
		{fmt.Sprintf("bytes=%d-", size-10), size - 10, size},
		{"bytes=-2000000", size - 2000000, size},
		{fmt.Sprintf("bytes=%d-%d", size-10, size+100), size - 10, size},
	} {
		resp, got := ask(http.MethodGet, http.Header{"Range": {r.header}})
		said := fmt.Sprintf("bytes %d-%d/%d", r.from, r.to-1, size)
		if resp.StatusCode != http.StatusPartialContent || resp.Header.Get("Content-Range") != said || !bytes.Equal(got, want[r.from:r.to]) {
			t.Errorf("%s: %s, %q, %d bytes", r.header, resp.Status, resp.Header.Get("Content-Range"), len(got))
		}
	}
	if resp, _ := ask(http.MethodGet, http.Header{"Range": {fmt.Sprintf("bytes=%d-", size)}}); resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("beyond the end: %s", resp.Status)
	}
	head, b := ask(http.MethodHead, http.Header{})
	if head.StatusCode != http.StatusOK || head.ContentLength != int64(size) || len(b) != 0 {
		t.Errorf("HEAD: %s, %d", head.Status, head.ContentLength)
	}
	tag := head.Header.Get("ETag")
	if resp, _ := ask(http.MethodGet, http.Header{"If-None-Match": {tag}}); resp.StatusCode != http.StatusNotModified {
		t.Errorf("If-None-Match: %s", resp.Status)
	}
	if resp, got := ask(http.MethodGet, http.Header{"Range": {"bytes=10-19"}, "If-Range": {tag}}); resp.StatusCode != http.StatusPartialContent || !bytes.Equal(got, want[10:20]) {
		t.Errorf("If-Range that holds: %s", resp.Status)
	}
	if resp, got := ask(http.MethodGet, http.Header{"Range": {"bytes=10-19"}, "If-Range": {`"another"`}}); resp.StatusCode != http.StatusOK || len(got) != size {
		t.Errorf("If-Range that does not hold: %s, %d bytes", resp.Status, len(got))
	}
	if resp, _ := ask(http.MethodGet, http.Header{"If-Match": {`"another"`}}); resp.StatusCode != http.StatusPreconditionFailed {
		t.Errorf("If-Match that does not hold: %s", resp.Status)
	}
}

// closed: what the services say to one another is not for listeners, and not for whoever reaches a service's port.
func (h *house) closed(t *testing.T) {
	status := func(method, address string, header http.Header) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		must(t, err)
		if header != nil {
			req.Header = header
		}
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		defer resp.Body.Close()
		return resp.StatusCode
	}
	for _, path := range []string{
		"/metrics", "/readyz", "/debug/pprof/", "/bytes/0123456789abcdef0123456789abcdef",
		"/tutti.v1.CatalogService/Plan", "/_tutti/slices/0123456789abcdef0123456789abcdef", "/_tutti/whole/0123456789abcdef0123456789abcdef",
		"/rest/../metrics", "/%5ftutti/slices/0123456789abcdef0123456789abcdef", "//metrics",
	} {
		if got := status(http.MethodGet, h.f.URL+path, nil); got != http.StatusNotFound && got != http.StatusBadRequest {
			t.Errorf("%s from outside: %d", path, got)
		}
	}
	for _, p := range h.f.Role(RoleTrackCache) {
		for _, path := range []string{"/bytes/0123456789abcdef0123456789abcdef", "/bytes/0123456789abcdef0123456789abcdef?pass=x.y.z"} {
			if got := status(http.MethodGet, "http://"+p.Address+path, nil); got != http.StatusUnauthorized && got != http.StatusForbidden {
				t.Errorf("%s of a track cache without a pass: %d", path, got)
			}
		}
	}
	for _, p := range h.f.Role(RoleCatalog) {
		header := http.Header{"Content-Type": {"application/json"}}
		if got := status(http.MethodPost, "http://"+p.Address+"/tutti.v1.CatalogService/Track", header); got != http.StatusUnauthorized && got != http.StatusForbidden && got != http.StatusNotFound {
			t.Errorf("a call of the catalogue without a signature: %d", got)
		}
	}
	// A header that only nginx may set does not turn a delivery process into a source of redirects.
	for _, c := range h.each {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, c.URL+c.Rest("stream", url.Values{"id": {h.noise[0].ID}}), nil)
		must(t, err)
		req.Header.Set("X-Tutti-Edge", strings.Repeat("0", 64))
		resp, err := http.DefaultClient.Do(req)
		must(t, err)
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.Header.Get("X-Accel-Redirect") != "" || n != h.noise[0].Size {
			t.Errorf("a forged header: %v, %d bytes (%v)", resp.Header, n, err)
		}
	}
}

// readYourWrites: what one delivery process acknowledged, the next request sees, whichever process it goes to.
func (h *house) readYourWrites(t *testing.T) {
	ctx := t.Context()
	id := h.noise[1].ID
	for i := range 20 {
		writer, reader := h.each[i%2], h.each[(i+1)%2]
		endpoint := []string{"star", "unstar"}[i%2]
		must(t, writer.Call(ctx, endpoint, url.Values{"id": {id}}, "", nil))
		var song Song
		must(t, reader.Call(ctx, "getSong", url.Values{"id": {id}}, "song", &song))
		if starred := song.Starred != ""; starred != (i%2 == 0) {
			t.Fatalf("after %s: starred %v", endpoint, starred)
		}
	}
	var made struct {
		ID string `json:"id"`
	}
	must(t, h.each[0].Call(ctx, "createPlaylist", url.Values{"name": {"Morning"}, "songId": {id}}, "playlist", &made))
	var list struct {
		Name  string `json:"name"`
		Entry []Song `json:"entry"`
	}
	must(t, h.each[1].Call(ctx, "getPlaylist", url.Values{"id": {made.ID}}, "playlist", &list))
	if list.Name != "Morning" || len(list.Entry) != 1 || list.Entry[0].ID != id {
		t.Errorf("the playlist is %+v", list)
	}
	must(t, h.each[1].Call(ctx, "savePlayQueue", url.Values{"id": {id, h.noise[2].ID}, "current": {id}, "position": {"1234"}}, "", nil))
	var queue struct {
		Position int64  `json:"position"`
		Entry    []Song `json:"entry"`
	}
	must(t, h.each[0].Call(ctx, "getPlayQueue", nil, "playQueue", &queue))
	if len(queue.Entry) != 2 || queue.Position != 1234 {
		t.Errorf("the queue is %+v", queue)
	}
	must(t, h.each[0].Call(ctx, "scrobble", url.Values{"id": {id}, "submission": {"true"}}, "", nil))
	var song Song
	must(t, h.each[1].Call(ctx, "getSong", url.Values{"id": {id}}, "song", &song))
	if song.PlayCount != 1 {
		t.Errorf("%d plays", song.PlayCount)
	}
}

// sessions: a browser that signed in at one process is known at the other, and no longer once it signed out there.
func (h *house) sessions(t *testing.T) {
	jar, err := cookiejar.New(nil)
	must(t, err)
	browser := &http.Client{Jar: jar}
	do := func(method, base, body string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, base+"/api/v1/session", strings.NewReader(body))
		must(t, err)
		req.Header.Set("Content-Type", "application/json")
		resp, err := browser.Do(req)
		must(t, err)
		defer resp.Body.Close()
		return resp.StatusCode
	}
	credentials, err := json.Marshal(map[string]string{"name": h.c.User, "password": h.c.Password})
	must(t, err)
	a, b := h.each[0].URL, h.each[1].URL // cookies know no ports
	if got := do(http.MethodGet, a, ""); got != http.StatusUnauthorized {
		t.Errorf("before: %d", got)
	}
	if got := do(http.MethodPost, a, string(credentials)); got != http.StatusCreated {
		t.Fatalf("signing in: %d", got)
	}
	for _, base := range []string{b, h.c.URL, a} {
		if got := do(http.MethodGet, base, ""); got != http.StatusOK {
			t.Errorf("at %s: %d", base, got)
		}
	}
	at, err := url.Parse(a)
	must(t, err)
	kept := jar.Cookies(at)
	if got := do(http.MethodDelete, b, ""); got != http.StatusNoContent {
		t.Errorf("signing out: %d", got)
	}
	jar.SetCookies(at, kept) // as a thief of the cookie would
	out := time.Now()
	must(t, until(t.Context(), func() (bool, error) { return do(http.MethodGet, a, "") == http.StatusUnauthorized, nil }))
	if took := time.Since(out); took > 3*time.Second {
		t.Errorf("the other process took a session that was signed out for %v", took)
	}
}

// scans: whichever process is asked, one scan runs, and all tell of it.
func (h *house) scans(t *testing.T) {
	for i, c := range h.each {
		_, err := Music{Album: fmt.Sprintf("Later %d", i), Tracks: 2, Bytes: 10_000}.Write(h.music)
		must(t, err)
		must(t, c.Call(t.Context(), "startScan", nil, "", nil))
		must(t, h.each[1-i].Scanned(t.Context(), 9+2*(i+1)))
		must(t, h.c.Scanned(t.Context(), 9+2*(i+1)))
	}
}

// scanCommand: the command that scans one machine asks a fleet's scanner, shows how that goes on, and says what came of it.
// What is missing it does not forget: that is refused before anything happens.
func (h *house) scanCommand(t *testing.T) {
	ctx := t.Context()
	var before struct {
		Count int `json:"count"`
	}
	must(t, h.c.Call(ctx, "getScanStatus", nil, "scanStatus", &before))
	_, err := Music{Album: "From a shell", Tracks: 2, Bytes: 10_000}.Write(h.music)
	must(t, err)
	args := []string{"scan", "--store", h.f.StoreAddress(), "--music", h.f.MusicAddress(), "--fleet-key-file", h.f.KeyFile()}
	if said, err := h.f.Command(ctx, append(args, "--purge")...); err == nil || !strings.Contains(err.Error(), "--purge") {
		t.Errorf("--purge in a fleet: %v %s", err, said)
	}
	said, err := h.f.Command(ctx, args...)
	must(t, err)
	if !strings.Contains(said, "2 added") || !strings.Contains(said, fmt.Sprintf("%d tracks in the catalogue", before.Count+2)) {
		t.Errorf("a fleet's scan says: %s", said)
	}
	for _, c := range h.each {
		must(t, c.Scanned(ctx, before.Count+2))
	}
}

// flood: an address that asks for more than nginx is configured to let through is told so, and when to come back; whoever
// listens from another one notices nothing, and the flood's address is served again as soon as it asks for less.
func (h *house) flood(t *testing.T) {
	ctx, track := t.Context(), h.noise[0]
	want, err := os.ReadFile(track.File)
	must(t, err)
	path := h.c.Rest("stream", url.Values{"id": {track.ID}, "format": {"raw"}})
	from := func(address string) *http.Client {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
		transport := &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 512}
		t.Cleanup(transport.CloseIdleConnections)
		return &http.Client{Transport: transport}
	}
	ask := func(c *http.Client) (*http.Response, []byte, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.c.URL+path, nil)
		if err != nil {
			return nil, nil, err
		}
		req.Header.Set("Range", "bytes=1000-1999")
		resp, err := c.Do(req)
		if err != nil {
			return nil, nil, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp, b, err
	}
	// nginx lets 1,000 requests of an address through at once, then 100 a second, and 200 at a time.
	const requests, asking = 4000, 256
	flooding, listening := from("127.0.0.2"), from("127.0.0.3")
	var mu sync.Mutex
	statuses := map[int]int{}
	var left atomic.Int64
	left.Store(requests)
	over := make(chan struct{})
	var g errgroup.Group
	for range asking {
		g.Go(func() error {
			for left.Add(-1) >= 0 {
				resp, b, err := ask(flooding)
				if err != nil {
					return err
				}
				mu.Lock()
				statuses[resp.StatusCode]++
				mu.Unlock()
				switch {
				case resp.StatusCode == http.StatusPartialContent && bytes.Equal(b, want[1000:2000]):
				case resp.StatusCode == http.StatusTooManyRequests && resp.Header.Get("Retry-After") != "" && bytes.Contains(b, []byte("exhausted")):
				default:
					return fmt.Errorf("%s, Retry-After %q: %.200s", resp.Status, resp.Header.Get("Retry-After"), b)
				}
			}
			return nil
		})
	}
	var calm []time.Duration
	listened := make(chan error, 1)
	go func() {
		for {
			begun := time.Now()
			resp, b, err := ask(listening)
			calm = append(calm, time.Since(begun))
			if err == nil && (resp.StatusCode != http.StatusPartialContent || !bytes.Equal(b, want[1000:2000])) {
				err = fmt.Errorf("somebody else's request: %s %.200s", resp.Status, b)
			}
			if err == nil {
				err = wait(ctx, 20*time.Millisecond)
			}
			select {
			case <-over:
			default:
				if err == nil {
					continue
				}
			}
			listened <- err
			return
		}
	}()
	begun := time.Now()
	err = g.Wait()
	took := time.Since(begun)
	close(over)
	must(t, errors.Join(err, <-listened))
	t.Logf("%d requests in %v: %v; somebody else meanwhile: %d requests, p50 %v, p99 %v", requests, took.Round(time.Millisecond), statuses, len(calm), percentile(calm, 0.5), percentile(calm, 0.99))
	if most := 1000 + int(100*took.Seconds()) + 10; statuses[http.StatusTooManyRequests] == 0 || statuses[http.StatusPartialContent] > most || statuses[http.StatusPartialContent] < 500 {
		t.Errorf("%v, where %d may pass", statuses, most)
	}
	must(t, until(ctx, func() (bool, error) {
		resp, _, err := ask(flooding)
		return err == nil && resp.StatusCode == http.StatusPartialContent, err
	}))
}

// transcode: a transcode is heard, is made once, and can be sought in afterwards.
func (h *house) transcode(t *testing.T) {
	path := h.c.Rest("stream", url.Values{"id": {h.noise[2].ID}, "format": {"mp3"}, "maxBitRate": {"96"}})
	first, _, err := h.c.Get(t.Context(), path)
	must(t, err)
	if len(first) < 100_000 {
		t.Fatalf("%d bytes", len(first))
	}
	file := filepath.Join(t.TempDir(), "t.mp3")
	must(t, os.WriteFile(file, first, 0o600))
	b, err := exec.Command("ffprobe", "-v", "error", "-show_entries", "stream=codec_name,bit_rate", "-of", "csv=p=0", file).Output()
	if err != nil || !strings.HasPrefix(string(b), "mp3,96000") {
		t.Errorf("the transcode is %q (%v)", b, err)
	}
	for range 2 {
		part, header, err := h.c.do(t.Context(), http.MethodGet, path, http.Header{"Range": {"bytes=1000-1999"}}, nil)
		if err != nil || !bytes.Equal(part, first[1000:2000]) {
			t.Errorf("a range of a made transcode: %d bytes, %v (%v)", len(part), header, err)
		}
	}
}

// pictures: covers come from the bucket, and a share is seen by who is nobody.
func (h *house) pictures(t *testing.T) {
	ctx := t.Context()
	songs, err := h.c.Songs(ctx)
	must(t, err)
	var demo Song
	for _, s := range songs {
		if s.Suffix == "flac" {
			demo = s
		}
	}
	for _, size := range []string{"", "120"} {
		params := url.Values{"id": {demo.CoverArt}}
		if size != "" {
			params.Set("size", size)
		}
		b, _, err := h.c.Get(ctx, h.c.Rest("getCoverArt", params))
		must(t, err)
		config, kind, err := image.DecodeConfig(bytes.NewReader(b))
		if err != nil || size != "" && config.Width != 120 {
			t.Errorf("the cover of size %q is %s %dx%d (%v)", size, kind, config.Width, config.Height, err)
		}
	}
	var shares struct {
		Share []struct {
			URL string `json:"url"`
		} `json:"share"`
	}
	must(t, h.c.Call(ctx, "createShare", url.Values{"id": {demo.ID}, "description": {"for you"}}, "shares", &shares))
	if len(shares.Share) != 1 {
		t.Fatalf("%+v", shares)
	}
	resp, err := http.Get(shares.Share[0].URL)
	must(t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	if resp.StatusCode != http.StatusOK || !strings.HasPrefix(shares.Share[0].URL, h.f.URL) || !bytes.Contains(b, []byte(demo.Title)) {
		t.Errorf("%s: %s, %.200s", shares.Share[0].URL, resp.Status, b)
	}
}

// page signs in on the page and plays, in Chromium, with the page's own tests.
func (h *house) page(t *testing.T) {
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Fatal("chromium is not installed; make e2e installs it")
	}
	// The page's tests know the library that they make.
	web, err := filepath.Abs("../../web")
	must(t, err)
	script := "import(process.argv[1]).then((m) => m.writeLibrary(process.argv[2]))"
	if b, err := exec.Command("node", "-e", script, filepath.Join(web, "e2e", "library.mjs"), filepath.Join(h.music, "page")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, b)
	}
	var before struct {
		Count int `json:"count"`
	}
	must(t, h.c.Call(t.Context(), "getScanStatus", nil, "scanStatus", &before))
	must(t, h.c.Call(t.Context(), "startScan", nil, "", nil))
	must(t, h.c.Scanned(t.Context(), before.Count+1))
	cmd := exec.Command("node", filepath.Join(web, "e2e", "run.mjs"), "-g", "signs in, says|plays, pauses|stars, and")
	cmd.Env = append(os.Environ(), "TUTTI_URL="+h.f.URL, "TUTTI_USER="+h.c.User, "TUTTI_PASSWORD="+h.c.Password)
	if b, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, b)
	}
}

// scannerDies kills the catalogue process that scans, in the middle of it: the other goes on.
func (h *house) scannerDies(t *testing.T) {
	ctx := t.Context()
	var status struct {
		Scanning bool `json:"scanning"`
		Count    int  `json:"count"`
	}
	must(t, h.c.Call(ctx, "getScanStatus", nil, "scanStatus", &status))
	known := status.Count
	const more = 400
	_, err := Music{Album: "Many", Tracks: more, Bytes: 20_000}.Write(h.music)
	must(t, err)
	must(t, h.c.Call(ctx, "startScan", url.Values{"fullScan": {"true"}}, "", nil))
	must(t, until(ctx, func() (bool, error) {
		err := h.c.Call(ctx, "getScanStatus", nil, "scanStatus", &status)
		return status.Scanning || status.Count > known, err
	}))
	// Who holds the lease is what both say in their logs; the last who said so has it.
	var holder *Process
	var held time.Time
	for _, p := range h.f.Role(RoleCatalog) {
		if at := lastLogged(t, p.Log, "holding the lease"); at.After(held) {
			holder, held = p, at
		}
	}
	if holder == nil {
		t.Fatal("nobody holds the scanner's lease")
	}
	if h.f.engine == nil && holder == h.f.Role(RoleCatalog)[0] {
		t.Skip("the one that scans keeps everybody's state")
	}
	must(t, holder.Kill())
	killed := time.Now()
	must(t, h.c.Scanned(ctx, known+more))
	t.Logf("all was found %v after the kill of %s", time.Since(killed).Round(time.Millisecond), holder.Name)
	must(t, holder.Start(ctx))
	must(t, h.c.Scanned(ctx, known+more))
}

// lastLogged returns when a log's last line with a message was written.
func lastLogged(t *testing.T, file, message string) time.Time {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	var at time.Time
	for line := range strings.Lines(string(b)) {
		var entry struct {
			Time time.Time `json:"time"`
			Msg  string    `json:"msg"`
		}
		var syntax *json.SyntaxError
		if err := json.Unmarshal([]byte(line), &entry); errors.As(err, &syntax) {
			continue // what is printed for people
		}
		if entry.Msg == message {
			at = entry.Time
		}
	}
	return at
}
