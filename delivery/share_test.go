package delivery

import (
	"context"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/clock"
)

// shelf is a real shelf with one share on it.
type shelf struct {
	lib    *library
	clock  clock.Clock
	shares map[string]tutti.Share
	visits int
	fail   error
}

func (s *shelf) PeekShare(_ context.Context, secret string) (tutti.Share, []tutti.Track, error) {
	if s.fail != nil {
		return tutti.Share{}, nil, s.fail
	}
	found, ok := s.shares[secret]
	if !ok || !found.Expires.IsZero() && !s.clock.Now().Before(found.Expires) {
		return tutti.Share{}, nil, tutti.Errorf(tutti.KindNotFound, "shelf.PeekShare", "there is no such share")
	}
	var tracks []tutti.Track
	for _, id := range found.Entries {
		tracks = append(tracks, s.lib.tracks[id].track)
	}
	return found, tracks, nil
}

func (s *shelf) OpenShare(ctx context.Context, secret string) (tutti.Share, []tutti.Track, error) {
	found, tracks, err := s.PeekShare(ctx, secret)
	if err == nil {
		s.visits++
	}
	return found, tracks, err
}

const secret = "Zm9vYmFyYmF6cXV4MTIzNA"

// newShelf has a share of two tracks of one album; a third track is in the library, but not shared.
func newShelf(t testing.TB, c clock.Clock) *shelf {
	t.Helper()
	lib := newLibrary(t)
	for i, title := range []string{"Ouverture <em>", `"Été"`, "Not shared"} {
		id := tutti.ID("tr-" + string(rune('1'+i)))
		it := lib.add(t, id, "Album/"+string(id)+".flac", noise(5000+i))
		it.track.Title, it.track.DisplayArtist, it.track.Album, it.track.AlbumID = title, "Les Amis & Co", "Printemps", "al-1"
		it.track.Library = "private"
		it.track.HasCover = true
		it.cover = "Album/cover.jpg"
	}
	if err := os.WriteFile(filepath.Join(lib.dir, "Album/cover.jpg"), noise(4000), 0o600); err != nil {
		t.Fatal(err)
	}
	return &shelf{lib: lib, clock: c, shares: map[string]tutti.Share{
		secret: {ID: "sh-1", Secret: secret, OwnerName: "ann", Entries: []tutti.ID{"tr-1", "tr-2"}, Expires: c.Now().Add(24 * time.Hour)},
	}}
}

func startShares(t testing.TB, s *shelf) *edge {
	t.Helper()
	return start(t, s.lib, func(c *ServerConfig, sc *StreamerConfig) {
		m, err := ShareMount(ShareConfig{Shelf: s, Bytes: NewStreamer(*sc), Clock: s.clock, Logger: c.Logger})
		if err != nil {
			t.Fatal(err)
		}
		c.Mounts = append(c.Mounts, m)
		c.BasePath = "/music"
	})
}

func TestSharePage(t *testing.T) {
	fake := clock.NewFake(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	s := newShelf(t, fake)
	e := startShares(t, s)
	got := e.do(t, "GET", "/share/"+secret, "Host: music.example")
	page := string(got.body)
	if got.StatusCode != 200 || got.Header.Get("Content-Type") != "text/html; charset=utf-8" || got.Header.Get("Content-Security-Policy") != CSPPage ||
		got.Header.Get("X-Robots-Tag") != "noindex, nofollow" || got.Header.Get("Referrer-Policy") != "no-referrer" {
		t.Errorf("%d %v", got.StatusCode, got.Header)
	}
	for _, want := range []string{
		"<title>Printemps – Les Amis &amp; Co</title>",
		"Shared by <bdi>ann</bdi>",
		`<meta property="og:type" content="music.album">`,
		`<meta property="og:url" content="http://music.example/music/share/` + secret + `">`,
		`<meta property="og:image" content="http://music.example/music/share/` + secret + `/cover/tr-1?size=1200">`,
		`<meta property="og:audio" content="http://music.example/music/share/` + secret + `/stream/tr-1">`,
		`content="Les Amis &amp; Co · 2 tracks · 3:00"`,
		`<span class="title" dir="auto">Ouverture &lt;em&gt;</span>`,
		`href="` + secret + `/stream/tr-2"`,
		`<time datetime="2026-05-02T00:00:00Z">2 May 2026</time>`,
		`aria-label="Next track"`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %s", want)
		}
	}
	// The policy of the page forbids scripts and styles in it, so there must be none.
	if m := regexp.MustCompile(`(?i)<style|\sstyle=|\son[a-z]+=|<script[^>]*>[^<]|javascript:`).FindString(page); m != "" {
		t.Errorf("the page has %q, which its policy forbids", m)
	}
	if strings.Contains(page, "Not shared") || strings.Contains(page, "Album/") {
		t.Error("the page shows what is not shared")
	}
	if s.visits != 1 {
		t.Errorf("%d visits", s.visits)
	}
	for _, file := range regexp.MustCompile(`"(static/[^"]+)"`).FindAllStringSubmatch(page, -1) {
		asset := e.do(t, "GET", "/share/"+file[1])
		if asset.StatusCode != 200 || len(asset.body) < 1000 || !strings.Contains(asset.Header.Get("Cache-Control"), "immutable") {
			t.Errorf("%s: %d %v", file[1], asset.StatusCode, asset.Header)
		}
		if again := e.do(t, "GET", "/share/"+file[1], "If-None-Match: "+asset.Header.Get("ETag")); again.StatusCode != 304 {
			t.Errorf("%s: %d", file[1], again.StatusCode)
		}
	}
	e.do(t, "HEAD", "/share/"+secret)
	e.do(t, "GET", "/share/"+secret+"/stream/tr-1")
	e.do(t, "GET", "/share/"+secret+"/cover/tr-1")
	if s.visits != 1 {
		t.Errorf("music and pictures count as visits: %d", s.visits)
	}
}

func TestShareTitles(t *testing.T) {
	s := newShelf(t, clock.System)
	e := startShares(t, s)
	for _, test := range []struct {
		change func(*tutti.Share)
		want   string
	}{
		{func(sh *tutti.Share) { sh.Description = "For you" }, "<title>For you – Les Amis &amp; Co</title>"},
		{func(sh *tutti.Share) { sh.Entries = sh.Entries[1:] }, "<title>&#34;Été&#34; – Les Amis &amp; Co</title>"},
		{func(sh *tutti.Share) { s.lib.tracks["tr-2"].track.AlbumID = "al-2" }, "<title>Shared music – Les Amis &amp; Co</title>"},
		{func(sh *tutti.Share) { s.lib.tracks["tr-2"].track.DisplayArtist = "Else" }, "<title>Shared music</title>"},
		{func(sh *tutti.Share) { sh.Entries = nil }, "has since gone from the library"},
	} {
		sh := s.shares[secret]
		test.change(&sh)
		before := s.shares[secret]
		s.shares[secret] = sh
		if got := string(e.do(t, "GET", "/share/"+secret).body); !strings.Contains(got, test.want) {
			t.Errorf("the page lacks %s:\n%.400s", test.want, got)
		}
		s.shares[secret] = before
	}
}

// TestShareLimits: whoever has the address gets what is shared, and nothing else.
func TestShareLimits(t *testing.T) {
	fake := clock.NewFake(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	s := newShelf(t, fake)
	e := startShares(t, s)
	for _, test := range []struct {
		path   string
		status int
		length int
	}{
		{secret + "/stream/tr-1", 200, 5000},
		{secret + "/stream/tr-2?format=mp3", 200, 5001},
		{secret + "/stream/tr-2?format=wav", 400, -1},
		{secret + "/stream/tr-3", 404, -1},
		{secret + "/stream/al-1", 404, -1},
		{secret + "/cover/tr-1?size=100", 200, 4000},
		{secret + "/cover/tr-1?size=big", 400, -1},
		{secret + "/cover/tr-3", 404, -1},
		{secret + "/elsewhere", 404, -1},
		{secret + "x/stream/tr-1", 404, -1},
		{"static/page.html", 404, -1},
		{"", 404, -1},
	} {
		got := e.do(t, "GET", "/share/"+test.path)
		if got.StatusCode != test.status || test.length >= 0 && len(got.body) != test.length {
			t.Errorf("%s: %d with %d bytes, want %d with %d", test.path, got.StatusCode, len(got.body), test.status, test.length)
		}
	}
	if got := e.do(t, "GET", "/share/"+secret+"/stream/tr-1", "Range: bytes=10-19"); got.StatusCode != 206 || len(got.body) != 10 {
		t.Errorf("%d", got.StatusCode)
	}
	if got := e.do(t, "POST", "/share/"+secret); got.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", got.StatusCode)
	}
	fake.Advance(25 * time.Hour)
	got := e.do(t, "GET", "/share/"+secret)
	if got.StatusCode != 404 || !strings.Contains(string(got.body), "This link has expired") {
		t.Errorf("after it expired: %d %s", got.StatusCode, got.body)
	}
	if got := e.do(t, "GET", "/share/"+secret+"/stream/tr-1"); got.StatusCode != 404 {
		t.Errorf("its music, after it expired: %d", got.StatusCode)
	}
	s.fail = tutti.Wrap(tutti.KindInternal, "shelf", os.ErrPermission)
	if got := e.do(t, "GET", "/share/"+secret); got.StatusCode != 500 || strings.Contains(string(got.body), "permission") {
		t.Errorf("a failure of ours: %d %s", got.StatusCode, got.body)
	}
	if !strings.Contains(e.log.String(), "permission denied") {
		t.Error("the log does not say what failed")
	}
}

// rates notes at what bit rates its tracks are asked for.
type rates struct {
	Bytes
	asked []int
}

func (b *rates) ServeTrack(w http.ResponseWriter, r *http.Request, req tutti.PlanRequest, o Options) error {
	b.asked = append(b.asked, req.Want.MaxRate)
	return b.Bytes.ServeTrack(w, r, req, o)
}

func TestSharesKeepTheirOwnersLimit(t *testing.T) {
	s := newShelf(t, clock.System)
	sh := s.shares[secret]
	sh.OwnerMaxRate = 192
	s.shares[secret] = sh
	noted := &rates{}
	e := start(t, s.lib, func(c *ServerConfig, sc *StreamerConfig) {
		noted.Bytes = NewStreamer(*sc)
		m, err := ShareMount(ShareConfig{Shelf: s, Bytes: noted, Clock: s.clock, Logger: c.Logger})
		if err != nil {
			t.Fatal(err)
		}
		c.Mounts = append(c.Mounts, m)
	})
	e.do(t, "GET", "/share/"+secret+"/stream/tr-1")
	e.do(t, "GET", "/share/"+secret+"/stream/tr-1?format=mp3")
	if !slices.Equal(noted.asked, []int{192, 192}) {
		t.Errorf("asked for at most %v kbit/s", noted.asked)
	}
}

func TestShareGuesses(t *testing.T) {
	fake := clock.NewFake(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	e := startShares(t, newShelf(t, fake))
	for i := range guessLimit {
		if got := e.do(t, "GET", "/share/wrong"); got.StatusCode != 404 {
			t.Fatalf("guess %d: %d", i, got.StatusCode)
		}
	}
	fake.Advance(guessWindow - time.Minute)
	if got := e.do(t, "GET", "/share/"+secret); got.StatusCode != 429 || got.Header.Get("Retry-After") != "60" {
		t.Errorf("after %d guesses: %d, Retry-After %s", guessLimit, got.StatusCode, got.Header.Get("Retry-After"))
	}
	fake.Advance(time.Minute)
	if got := e.do(t, "GET", "/share/"+secret); got.StatusCode != 200 {
		t.Errorf("a while later: %d", got.StatusCode)
	}
}

func TestGuessesAreBounded(t *testing.T) {
	fake := clock.NewFake(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC))
	g := guesses{clock: fake, by: make(map[netip.Prefix]guess)}
	addr := func(i int) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 4: byte(i >> 16), 5: byte(i >> 8), 6: byte(i), 15: 1})
	}
	for i := range 3 * guessPlaces {
		g.add(addr(i))
		if len(g.by) > guessPlaces {
			t.Fatalf("%d addresses are remembered", len(g.by))
		}
	}
	last := addr(3*guessPlaces - 1)
	neighbour := netip.MustParseAddr(strings.Replace(last.String(), "::1", "::2", 1))
	for range guessLimit {
		g.add(neighbour)
	}
	if err := g.check(last); !tutti.IsKind(err, tutti.KindExhausted) {
		t.Errorf("one subscriber's addresses count apart: %v", err)
	}
	fake.Advance(guessWindow)
	g.add(netip.Addr{})
	if len(g.by) != 1 {
		t.Errorf("%d addresses are still remembered", len(g.by))
	}
}
