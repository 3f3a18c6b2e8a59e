package e2e

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// spinner is a player made of the client library of npm, in node or in a browser.
type spinner struct {
	t    *testing.T
	name string
	in   io.Writer // commands; nil in a browser

	mu     sync.Mutex
	opened int
	closed int
	clears int
	title  string
	volume int
	chunks []spun
	files  [][]byte // the tracks' samples
}

// spun is a chunk as a player got it.
type spun struct {
	at, due int64 // by the server's clock, and by this machine's, in microseconds
	pcm     []byte
	sought  bool
	place   place // valid after sought
}

// place is where in the files a chunk is from: the track, from 0, and the sample; -1 for none.
type place struct{ track, sample int }

// hear takes in what a player tells, a line of JSON each.
func (p *spinner) hear(r io.Reader) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Open, Close, Clear bool
			At, Due            int64
			PCM                string
			State              struct {
				Volume int
				Server struct{ Metadata struct{ Title string } }
			}
		}
		e.State.Volume = -1
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			p.t.Errorf("%s says %s: %v", p.name, lines.Bytes(), err)
			return
		}
		pcm, err := base64.StdEncoding.DecodeString(e.PCM)
		if err != nil {
			p.t.Error(err)
			return
		}
		p.mu.Lock()
		switch {
		case e.Open:
			p.opened++
		case e.Close:
			p.closed++
		case e.Clear:
			p.clears++
		case e.At != 0:
			p.chunks = append(p.chunks, spun{at: e.At, due: e.Due, pcm: pcm})
		case e.State.Volume >= 0:
			p.volume, p.title = e.State.Volume, e.State.Server.Metadata.Title
		}
		p.mu.Unlock()
	}
}

// spinNode starts a player in node.
func spinNode(t *testing.T, server, name string, files [][]byte) *spinner {
	t.Helper()
	p := &spinner{t: t, name: name, files: files}
	cmd := exec.Command(need(t, "node"), "--experimental-websocket", "clients/sendspin/node.mjs", "http://"+server, name)
	log := &safeBuffer{}
	cmd.Stderr = log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.in = in
	heard := make(chan struct{})
	go func() { p.hear(out); close(heard) }()
	t.Cleanup(func() {
		_ = in.Close() // which ends it, where it has not ended
		<-heard
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, log)
		}
	})
	return p
}

// spinPage starts a player in a browser.
func spinPage(t *testing.T, server, name string) *spinner {
	t.Helper()
	p := &spinner{t: t, name: name}
	mux := http.NewServeMux()
	mux.Handle("GET /", http.FileServer(http.Dir("clients/sendspin")))
	library := http.StripPrefix("/sendspin-js/", http.FileServer(http.Dir("clients/node_modules/@sendspin/sendspin-js/dist")))
	mux.HandleFunc("GET /sendspin-js/", func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".js") {
			r.URL.Path += ".js" // the package is published for bundlers
		}
		library.ServeHTTP(w, r)
	})
	mux.HandleFunc("POST /told", func(_ http.ResponseWriter, r *http.Request) { p.hear(r.Body) })
	pages := httptest.NewServer(mux)
	t.Cleanup(pages.Close)
	beside(t, need(t, "chromium"), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--user-data-dir="+t.TempDir(),
		pages.URL+"/page.html?"+url.Values{"server": {"http://" + server}, "name": {name}}.Encode())
	return p
}

// command sends what a controller may ask for.
func (p *spinner) command(name string) {
	p.t.Helper()
	if _, err := io.WriteString(p.in, `{"command":"`+name+"\"}\n"); err != nil {
		p.t.Fatal(err)
	}
}

// state reads what a player has told so far.
func (p *spinner) state(read func(*spinner)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	read(p)
}

// runs waits until the player has so many chunks after each other without a break, of which the first is later than after
// by the server's clock and from a place that is meant, and finds every one of their samples in the file.
func (p *spinner) runs(what string, after int64, n int, meant func(place) bool) {
	p.t.Helper()
	wait(p.t, p.name+" to get "+what, func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		for i := 0; i+n <= len(p.chunks); i++ {
			if p.chunks[i].at <= after {
				continue
			}
			at := p.find(&p.chunks[i])
			if at.track < 0 {
				p.t.Fatalf("%s plays what is in no file", p.name)
			}
			if meant(at) && whole(p.chunks[i:i+n], p.files[at.track][4*at.sample:]) {
				return true
			}
		}
		return false
	})
}

// find is where a chunk is from.
func (p *spinner) find(c *spun) place {
	if !c.sought {
		c.sought, c.place = true, place{-1, 0}
		for n, file := range p.files {
			if at := bytes.Index(file, c.pcm); at >= 0 && at%4 == 0 {
				c.place = place{n, at / 4}
				break
			}
		}
	}
	return c.place
}

// whole reports whether chunks are without a break and have a file's samples.
func whole(chunks []spun, file []byte) bool {
	for i, c := range chunks {
		if abs(c.at-chunks[0].at-int64(i)*20_000) > 1 || !bytes.HasPrefix(file, c.pcm) {
			return false
		}
		file = file[len(c.pcm):]
	}
	return true
}

func abs(d int64) int64 { return max(d, -d) }

// latest is the time of the last chunk that a player got.
func (p *spinner) latest() (at int64) {
	p.state(func(p *spinner) {
		if len(p.chunks) > 0 {
			at = p.chunks[len(p.chunks)-1].at
		}
	})
	return at
}

// together waits until two players have been told to let the same samples be heard at the same times, of at least so many
// chunks. The samples may be off by off.
func together(t *testing.T, a, b *spinner, n, off int) {
	t.Helper()
	wait(t, a.name+" and "+b.name+" to get the same", func() bool {
		by := map[int64][]byte{}
		a.state(func(p *spinner) {
			for _, c := range p.chunks {
				by[c.at] = c.pcm
			}
		})
		same := 0
		b.state(func(p *spinner) {
			for _, c := range p.chunks {
				want, ok := by[c.at]
				if !ok {
					continue
				}
				same++
				for i := 0; i < len(want); i += 2 {
					if g, w := int(sampleAt(c.pcm, i)), int(sampleAt(want, i)); max(g-w, w-g) > off {
						t.Fatalf("%s plays %d where %s plays %d", b.name, g, a.name, w)
					}
				}
			}
		})
		return same >= n
	})
}

func sampleAt(pcm []byte, i int) int16 { return int16(pcm[i]) | int16(pcm[i+1])<<8 }

// apart is how far from one another two players would let the same chunks be heard, in the middle, by their own clocks.
func apart(t *testing.T, a, b *spinner) time.Duration {
	t.Helper()
	due := map[int64]int64{}
	a.state(func(p *spinner) {
		for _, c := range p.chunks {
			if c.due != 0 {
				due[c.at] = c.due
			}
		}
	})
	var off []int64
	b.state(func(p *spinner) {
		for _, c := range p.chunks {
			if d, ok := due[c.at]; ok && c.due != 0 {
				off = append(off, abs(c.due-d))
			}
		}
	})
	if len(off) == 0 {
		t.Fatalf("%s and %s have no chunk in common", a.name, b.name)
	}
	slices.Sort(off)
	return time.Duration(off[len(off)/2]) * time.Microsecond
}

// inStep is how far apart players may be here, where what they know of the time is disturbed by everything else that runs:
// it finds errors of method. How far apart rooms are, bench/unison measures.
const inStep = 25 * time.Millisecond

// wire carries connections to a server. While it is cut, those that there are break, and new ones wait, as where a network
// is away.
type wire struct {
	l  net.Listener
	to string

	mu    sync.Mutex
	whole chan struct{} // closed while it is not cut
	conns []net.Conn
}

func newWire(t *testing.T, to string) *wire {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{l: l, to: to, whole: make(chan struct{})}
	w.mend()
	var all sync.WaitGroup
	ended := make(chan struct{})
	pipe := func(a, b net.Conn) {
		_, _ = io.Copy(a, b) // it ends with either side
		_, _ = a.Close(), b.Close()
	}
	carry := func(a net.Conn) {
		w.mu.Lock()
		whole := w.whole
		w.mu.Unlock()
		select {
		case <-whole:
		case <-ended:
			_ = a.Close()
			return
		}
		b, err := net.Dial("tcp", to)
		if err != nil {
			_ = a.Close()
			return
		}
		w.mu.Lock()
		w.conns = append(w.conns, a, b)
		w.mu.Unlock()
		all.Go(func() { pipe(a, b) })
		pipe(b, a)
	}
	all.Go(func() {
		for {
			a, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { carry(a) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		close(ended)
		w.cut()
		all.Wait()
	})
	return w
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.whole = make(chan struct{})
	for _, c := range w.conns {
		_ = c.Close()
	}
	w.conns = nil
}

func (w *wire) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	close(w.whole)
}

// TestSendspinClients lets the client library of npm play a room: two in node and one in a browser, one of them late, one
// that loses its network for two seconds. All play the very samples of the files at the same times.
func TestSendspinClients(t *testing.T) {
	if _, err := os.Stat("clients/node_modules/@sendspin/sendspin-js"); err != nil {
		t.Fatalf("the client is not installed; make e2e installs it: %v", err)
	}
	music := t.TempDir()
	rng := rand.New(rand.NewPCG(5, 6))
	var noises [][]byte
	for n, title := range []string{"White Water", "Black Ice"} {
		noise := make([]byte, 40*48000*4)
		for i := range noise {
			noise[i] = byte(rng.Uint32())
		}
		noises = append(noises, noise)
		raw := filepath.Join(t.TempDir(), "noise.raw")
		if err := os.WriteFile(raw, noise, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(need(t, "ffmpeg"), "-v", "error", "-f", "s16le", "-ar", "48000", "-ac", "2", "-i", raw, "-metadata", "track="+string(rune('1'+n)),
			"-metadata", "title="+title, "-metadata", "artist=The Falls", "-metadata", "album=Spray", filepath.Join(music, title+".flac")).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	address := freeTCP(t)
	s := start(t, "", []string{music}, "--sendspin", address, "--snapcast", "off")
	s.scanned()
	line := newWire(t, address)
	kitchen, bath := spinNode(t, line.l.Addr().String(), "kitchen", noises), spinNode(t, address, "bath", noises)
	wait(t, "both to join", func() bool { return strings.Count(s.tutti("room", "list"), "connected from 127.0.0.1") == 2 })
	s.tutti("room", "play", "spray")

	of := func(track, from, to int) func(place) bool {
		return func(p place) bool { return p.track == track && p.sample >= from*48000 && p.sample < to*48000 }
	}
	kitchen.runs("the beginning", 0, 1, func(p place) bool { return p == place{0, 0} })
	kitchen.runs("a second of the first track", 0, 50, of(0, 0, 40))
	together(t, kitchen, bath, 50, 0)
	// Who comes late, in a browser, that decodes FLAC: its way to numbers from -1 to 1 may round by one step.
	page := spinPage(t, address, "page")
	together(t, bath, page, 50, 1)
	// Who loses the network for two seconds.
	cut := time.Now()
	line.cut()
	wait(t, "the kitchen to notice", func() (closed bool) { kitchen.state(func(p *spinner) { closed = p.closed > 0 }); return closed })
	lost := kitchen.latest()
	time.Sleep(time.Until(cut.Add(2 * time.Second))) // this is the loss
	line.mend()
	kitchen.runs("sound again", lost, 25, of(0, 0, 40))
	// Commands of a client and of the shell.
	kitchen.command("next")
	bath.runs("the next track", 0, 25, of(1, 0, 20))
	for _, p := range []*spinner{kitchen, bath, page} {
		wait(t, p.name+" to show the title", func() (shown bool) { p.state(func(p *spinner) { shown = p.title == "Black Ice" }); return shown })
	}
	s.tutti("room", "seek", "20s")
	for _, p := range []*spinner{kitchen, bath} {
		p.runs("what was sought", 0, 25, of(1, 20, 40))
	}
	together(t, kitchen, bath, 100, 0)
	s.tutti("room", "volume", "60")
	for _, p := range []*spinner{kitchen, bath, page} {
		wait(t, p.name+" to be quieter", func() (quieter bool) { p.state(func(p *spinner) { quieter = p.volume == 60 }); return quieter })
	}
	for _, other := range []*spinner{bath, page} {
		d := apart(t, kitchen, other)
		t.Logf("kitchen and %s are %v apart", other.name, d)
		if d > inStep {
			t.Errorf("kitchen and %s are %v apart", other.name, d)
		}
	}
	kitchen.command("quit")
	wait(t, "the kitchen to be away", func() bool { return strings.Contains(s.tutti("room", "list"), "kitchen (sendspin, kitchen): away") })
}
