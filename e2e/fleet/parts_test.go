package fleet

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// program returns the path of the program under test, or skips.
func program(t *testing.T) string {
	t.Helper()
	bin := os.Getenv("TUTTI_BIN")
	if bin == "" {
		t.Skip("TUTTI_BIN names no binary; run make e2e")
	}
	return bin
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestProxyTrouble: each kind of trouble is what it says, and nothing of it is left afterwards.
func TestProxyTrouble(t *testing.T) {
	body := bytes.Repeat([]byte("0123456789"), 100_000)
	var host string
	behind := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host = r.Host + " " + r.URL.EscapedPath()
		w.Header().Set("Content-Length", "1000000")
		_, _ = w.Write(body)
	}))
	t.Cleanup(behind.Close)
	target, err := url.Parse(behind.URL)
	must(t, err)
	p, err := NewProxy("127.0.0.1:0", target, slog.New(slog.DiscardHandler))
	must(t, err)
	t.Cleanup(func() { must(t, p.Close()) })
	p.Refuse = refuseS3
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	get := func() (int, []byte, error) {
		resp, err := client.Get(p.URL() + "/a%2Fb")
		if err != nil {
			return 0, nil, err
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		return resp.StatusCode, b, err
	}
	same := func(when string) {
		t.Helper()
		if status, b, err := get(); err != nil || status != http.StatusOK || !bytes.Equal(b, body) {
			t.Errorf("%s: status %d, %d bytes, error %v", when, status, len(b), err)
		}
	}
	same("at first")
	if want := strings.TrimPrefix(p.URL(), "http://") + " /a%2Fb"; host != want {
		t.Errorf("the service saw %q, want %q: both are signed", host, want)
	}
	for _, c := range []struct {
		trouble Trouble
		want    func(status int, b []byte, took time.Duration, err error) bool
	}{
		{Trouble{Down: true}, func(_ int, _ []byte, _ time.Duration, err error) bool {
			return err != nil && strings.Contains(err.Error(), "refused")
		}},
		{Trouble{Delay: 300 * time.Millisecond}, func(_ int, b []byte, took time.Duration, err error) bool {
			return err == nil && took >= 300*time.Millisecond && bytes.Equal(b, body)
		}},
		{Trouble{Throttle: 1}, func(status int, b []byte, _ time.Duration, err error) bool {
			return err == nil && status == http.StatusServiceUnavailable && bytes.Contains(b, []byte("SlowDown"))
		}},
		{Trouble{Rate: 4_000_000}, func(_ int, b []byte, took time.Duration, err error) bool {
			return err == nil && took >= 240*time.Millisecond && bytes.Equal(b, body)
		}},
		{Trouble{Truncate: 1}, func(_ int, b []byte, _ time.Duration, err error) bool {
			return err != nil && len(b) == len(body)/2
		}},
		{Trouble{Truncate: 1, Corrupt: 1, Smallest: 1_000_001}, func(_ int, b []byte, _ time.Duration, err error) bool {
			return err == nil && bytes.Equal(b, body)
		}},
		{Trouble{Corrupt: 1}, func(_ int, b []byte, _ time.Duration, err error) bool {
			different := 0
			for i := range b {
				if b[i] != body[i] {
					different++
				}
			}
			return err == nil && len(b) == len(body) && different == 1
		}},
	} {
		must(t, p.Set(c.trouble))
		begin := time.Now()
		status, b, err := get()
		if took := time.Since(begin); !c.want(status, b, took, err) {
			t.Errorf("%+v: status %d, %d bytes in %v, error %v", c.trouble, status, len(b), took, err)
		}
		must(t, p.Clear())
		same("after trouble")
	}
	must(t, p.Set(Trouble{Hang: true}))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.URL(), nil)
	must(t, err)
	if resp, err := client.Do(req); err == nil {
		resp.Body.Close()
		t.Errorf("an answer from a service that hangs: %s", resp.Status)
	}
}

// TestProxyThrottleShare: half is about half.
func TestProxyThrottleShare(t *testing.T) {
	p := &Proxy{random: rand.New(rand.NewPCG(1, 2))}
	n := 0
	for range 10_000 {
		if p.chance(0.5) {
			n++
		}
	}
	if n < 4800 || n > 5200 {
		t.Errorf("%d of 10,000", n)
	}
}

// later reports whether a request is for what does not begin at the beginning.
func later(r *http.Request) bool {
	h := r.Header.Get("Range")
	return h != "" && h != "bytes=0-"
}

// TestLoadSeesWhatIsWrong: the crowd notices wrong bytes, cut bodies, refusals and silence, each from a server that does
// just that, and nothing with one that does all right.
func TestLoadSeesWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	const size = 400_000
	names, err := Music{Album: "A", Tracks: 1, Bytes: size}.Write(dir)
	must(t, err)
	file := filepath.Join(dir, names[0])
	content, err := os.ReadFile(file)
	must(t, err)
	const rate = 100_000 // bytes a second: the track is four seconds, of which the player holds all
	cases := map[string]struct {
		serve func(w http.ResponseWriter, r *http.Request)
		want  func(s Stats) bool
	}{
		"all right": {
			func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, file) },
			func(s Stats) bool {
				return s.Finished > 0 && s.Wrong+s.Cuts+s.Stalls+s.Refused()+s.Unanswered == 0 && len(s.FirstByte) == s.Starts && s.Starts >= s.Finished
			},
		},
		"one byte": {
			func(w http.ResponseWriter, r *http.Request) {
				b := bytes.Clone(content)
				b[len(b)-1] ^= 1
				http.ServeContent(w, r, file, time.Time{}, bytes.NewReader(b))
			},
			func(s Stats) bool { return s.Wrong > 0 && s.Finished == 0 },
		},
		"cut": {
			func(w http.ResponseWriter, r *http.Request) {
				if later(r) { // what is taken up again comes whole
					http.ServeFile(w, r, file)
					return
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(content)))
				_, _ = w.Write(content[:100_000])
				panic(http.ErrAbortHandler)
			},
			func(s Stats) bool { return s.Cuts > 0 && s.Finished > 0 && s.Wrong == 0 },
		},
		"refused": {
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
			func(s Stats) bool { return s.Statuses[http.StatusServiceUnavailable] > 0 && s.Starts == 0 },
		},
		"short announcement": {
			func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(content[:10]) },
			func(s Stats) bool { return s.Wrong > 0 },
		},
		"silence": {
			func(w http.ResponseWriter, r *http.Request) {
				if later(r) {
					http.ServeFile(w, r, file)
					return
				}
				w.Header().Set("Content-Length", strconv.Itoa(len(content)))
				_, _ = w.Write(content[:60_000])
				w.(http.Flusher).Flush()
				_ = wait(r.Context(), time.Second)
				_, _ = w.Write(content[60_000:])
			},
			func(s Stats) bool { return s.Stalls > 0 && s.Longest > 200*time.Millisecond && s.Wrong+s.Cuts == 0 },
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(c.serve))
			t.Cleanup(server.Close)
			l := StartLoad(t.Context(), LoadConfig{
				Client: &Client{URL: server.URL}, Tracks: []Track{{Song: Song{ID: "1", Title: "T", Size: int64(len(content))}, File: file}},
				Listeners: 3, Rate: rate, Seed: 1,
			})
			var sum Stats
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err := until(ctx, func() (bool, error) {
				s := l.Take()
				sum.add(s)
				return c.want(sum), nil
			})
			l.Stop()
			if err != nil {
				t.Errorf("%v: saw %v", err, &sum)
			}
		})
	}
}

// TestMusicIsTheSame: the same album is the same bytes.
func TestMusicIsTheSame(t *testing.T) {
	a, b := t.TempDir(), t.TempDir()
	m := Music{Album: "A", Tracks: 2, Bytes: 100_001}
	for _, dir := range []string{a, b} {
		_, err := m.Write(dir)
		must(t, err)
	}
	x, err := os.ReadFile(filepath.Join(a, "A", "002.wav"))
	must(t, err)
	y, err := os.ReadFile(filepath.Join(b, "A", "002.wav"))
	must(t, err)
	z, err := os.ReadFile(filepath.Join(b, "A", "001.wav"))
	must(t, err)
	if !bytes.Equal(x, y) || bytes.Equal(x, z) {
		t.Error("the files should be the same, and each another's not")
	}
}

// TestAloneWithLoad plays a paced crowd and writers against one process of all roles, whose process is paused, killed
// and started again by what the fleet's tests use for theirs.
func TestAloneWithLoad(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	music := filepath.Join(dir, "music")
	_, err := Music{Album: "Alone", Tracks: 6, Bytes: 16 << 20}.Write(music)
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address := l.Addr().String()
	must(t, l.Close())
	p := &Process{Name: "alone", Role: "all", Address: address, Log: filepath.Join(dir, "alone.log"), Data: filepath.Join(dir, "data")}
	p.spec = command{
		path: program(t), args: []string{"serve", "--listen", address, "--data", p.Data, "--music", music, "--log-format", "json"},
		env: append(os.Environ(), "TUTTI_ADMIN_USER=admin", "TUTTI_ADMIN_PASSWORD=a password"),
		ready: func(ctx context.Context, p *Process) error {
			return reachable(ctx, http.DefaultClient, "http://"+p.Address+"/readyz")
		},
	}
	must(t, p.Start(ctx))
	t.Cleanup(func() { must(t, p.Terminate(context.Background())) })
	c := &Client{URL: "http://" + address, User: "admin", Password: "a password"}
	must(t, c.Scanned(ctx, 6))
	tracks, err := c.Tracks(ctx, music, "Alone")
	must(t, err)
	if len(tracks) != 6 {
		t.Fatalf("%d tracks", len(tracks))
	}
	load := StartLoad(ctx, LoadConfig{Client: c, Tracks: tracks, Listeners: 20, Rate: 2 << 20, Ramp: time.Second, Seed: 1})
	writers := StartWriters(ctx, c, tracks, 3, 20)
	var sum Stats
	wait := func(what string, cond func() bool) {
		t.Helper()
		deadline, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := until(deadline, func() (bool, error) { sum.add(load.Take()); return cond(), nil }); err != nil {
			t.Fatalf("%s: %v; %v", what, err, &sum)
		}
	}
	wait("everybody plays", func() bool { return sum.Starts >= 20 })
	if sum.Wrong+sum.Cuts+sum.Refused()+sum.Unanswered > 0 {
		t.Errorf("on a good day: %v", &sum)
	}
	must(t, p.Pause())
	err = reachable(ctx, http.DefaultClient, "http://"+address+"/healthz")
	must(t, p.Continue())
	if err == nil {
		t.Error("it answers while it is paused")
	}
	must(t, p.Kill())
	if p.PID() != 0 {
		t.Error("it lives")
	}
	wait("the kill is heard", func() bool { return sum.Cuts > 0 && sum.Unanswered > 0 })
	sum = Stats{}
	must(t, p.Start(ctx))
	wait("it plays again", func() bool { return sum.Finished >= 10 })
	load.Stop()
	writers.Stop()
	if counts := writers.Take(); counts.Acknowledged == 0 || counts.Failed == 0 {
		t.Errorf("writes: %+v", counts)
	}
	lost, err := writers.Lost(ctx, c)
	must(t, err)
	if len(lost) > 0 {
		t.Errorf("lost: %v", lost)
	}
	if sum.Wrong > 0 {
		t.Errorf("wrong bytes: %v", sum.Examples)
	}
	if err := p.Unexpected(); err != nil {
		t.Error(err)
	}
}
