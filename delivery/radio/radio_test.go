package radio

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"tutti"
	"tutti/clock"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const station = tutti.ID("rs-0000000000001")

func newRadio(private bool) *Radio {
	return New(Config{Private: private, Agent: "tutti/test", Clock: clock.System, Logger: slog.New(slog.DiscardHandler)})
}

// mixed puts titles between sound as a station does: one after every n bytes, "" for none.
func mixed(sound []byte, n int, titles ...string) []byte {
	var b bytes.Buffer
	for i := 0; len(sound) > 0; i++ {
		part := sound[:min(n, len(sound))]
		sound = sound[len(part):]
		b.Write(part)
		if len(part) < n {
			break
		}
		meta := ""
		if i < len(titles) && titles[i] != "" {
			meta = "StreamTitle='" + titles[i] + "';StreamUrl='';"
		}
		meta += strings.Repeat("\x00", (16-len(meta)%16)%16)
		b.WriteByte(byte(len(meta) / 16))
		b.WriteString(meta)
	}
	return b.Bytes()
}

func noise(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * i >> 3)
	}
	return b
}

func TestUnmixed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		sound := noise(rapid.IntRange(0, 500).Draw(t, "sound"))
		every := rapid.IntRange(1, 120).Draw(t, "every")
		titles := rapid.SliceOfN(rapid.SampledFrom([]string{"", "A - B", "It's a 'song'; really", "Ünïcode"}), 0, 8).Draw(t, "titles")
		var got []string
		u := &unmixed{r: iotest.OneByteReader(bytes.NewReader(mixed(sound, every, titles...))), every: every, left: every, title: func(s string) { got = append(got, s) }}
		out, err := io.ReadAll(u)
		if err != nil || !bytes.Equal(out, sound) {
			t.Fatalf("%d bytes of %d, %v", len(out), len(sound), err)
		}
		var want []string
		for _, s := range titles[:min(len(titles), len(sound)/every)] {
			if s != "" {
				want = append(want, s)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("titles %q, want %q", got, want)
		}
	})
}

func TestStreamTitle(t *testing.T) {
	for meta, want := range map[string]string{
		"StreamTitle='A - B';StreamUrl='x';\x00\x00": "A - B", "StreamTitle='It's';": "It's", "StreamTitle='open\x00\x00": "open",
		"StreamTitle='Caf\xe9';": "Café", "StreamTitle='a\r\nb';": "a  b", "StreamTitle='';": "",
	} {
		if got, ok := streamTitle([]byte(meta)); !ok || got != want {
			t.Errorf("%q is %q, want %q", meta, got, want)
		}
	}
	if _, ok := streamTitle([]byte("StreamUrl='x';")); ok {
		t.Error("a title where there is none")
	}
}

func FuzzStreamTitle(f *testing.F) {
	f.Add([]byte("StreamTitle='A - B';"), []byte("[playlist]\nFile1=http://x/"))
	f.Add([]byte("StreamTitle='"), []byte("#EXTM3U\nhttp://x/y"))
	f.Fuzz(func(t *testing.T, meta, list []byte) {
		if title, ok := streamTitle(meta); ok && strings.ContainsAny(title, "\r\n\x00") {
			t.Errorf("%q has a title of several lines: %q", meta, title)
		}
		if a, err := firstOf(list); err == nil && !strings.Contains(a, "://") {
			t.Errorf("%q leads to %q", list, a)
		}
		u := &unmixed{r: bytes.NewReader(meta), every: 3, left: 3, title: func(string) {}}
		if _, err := io.Copy(io.Discard, u); err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Error(err)
		}
	})
}

// relay is what a listener gets.
func relay(t *testing.T, r *Radio, address string) (*http.Response, []byte, error) {
	t.Helper()
	failed := make(chan error, 1)
	edge := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := r.Relay(w, req, station, address); err != nil {
			failed <- err
			w.WriteHeader(http.StatusTeapot)
		}
	}))
	defer edge.Close()
	client := edge.Client()
	defer client.CloseIdleConnections()
	resp, err := client.Get(edge.URL)
	if err != nil {
		t.Fatal(err)
	}
	body, _ := io.ReadAll(resp.Body) // a station's end is a broken connection
	_ = resp.Body.Close()
	select {
	case err = <-failed:
	default:
	}
	return resp, body, err
}

func TestRelay(t *testing.T) {
	sound := noise(50_000)
	var asked http.Header
	mux := http.NewServeMux()
	mux.HandleFunc("/live", func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header
		w.Header().Set("Content-Type", "audio/aacp")
		w.Header().Set("Icy-Metaint", "8000")
		w.Header().Set("Set-Cookie", "a=b")
		_, _ = w.Write(mixed(sound, 8000, "One", "", "Two"))
	})
	mux.HandleFunc("/ogg", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/ogg")
		_, _ = w.Write(sound)
	})
	mux.Handle("/moved", http.RedirectHandler("/live", http.StatusFound))
	mux.Handle("/round", http.RedirectHandler("/round", http.StatusFound))
	mux.Handle("/file", http.RedirectHandler("file:///etc/passwd", http.StatusFound))
	mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<h1>secret</h1>")
	})
	mux.HandleFunc("/strange", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		w.Header().Set("Icy-Metaint", "99999999")
	})
	list := func(kind, text string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", kind)
			_, _ = io.WriteString(w, strings.ReplaceAll(text, "HOST", r.Host))
		}
	}
	mux.HandleFunc("/a.pls", list("audio/x-scpls", "[playlist]\nNumberOfEntries=1\nFile1=http://HOST/live\nTitle1=x\n"))
	mux.HandleFunc("/a.m3u", list("text/plain", "#EXTM3U\n#EXTINF:-1,x\nhttp://HOST/a.pls\n"))
	mux.HandleFunc("/self.m3u", list("audio/mpegurl", "http://HOST/self.m3u\n"))
	mux.HandleFunc("/hls.m3u8", list("application/vnd.apple.mpegurl", "#EXTM3U\n#EXT-X-TARGETDURATION:10\nhttp://HOST/live\n"))
	mux.HandleFunc("/empty.m3u", list("audio/mpegurl", "#EXTM3U\n"))
	s := httptest.NewServer(mux)
	defer s.Close()
	r := newRadio(true)
	for _, path := range []string{"/live", "/moved", "/a.pls", "/a.m3u"} {
		resp, body, err := relay(t, r, s.URL+path)
		if err != nil || !bytes.Equal(body, sound) || resp.Header.Get("Content-Type") != "audio/aac" || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("%s: %v, %d bytes of %d, %v", path, err, len(body), len(sound), resp.Header)
		}
	}
	if asked.Get("Icy-Metadata") != "1" || asked.Get("User-Agent") != "tutti/test" || asked.Get("Cookie")+asked.Get("Authorization")+asked.Get("Referer") != "" {
		t.Errorf("the station was asked with %v", asked)
	}
	if resp, body, err := relay(t, r, s.URL+"/ogg"); err != nil || !bytes.Equal(body, sound) || resp.Header.Get("Content-Type") != "audio/ogg" {
		t.Errorf("without titles: %v, %d bytes, %v", err, len(body), resp.Header)
	}
	for path, want := range map[string]tutti.Kind{
		"/page": tutti.KindInvalid, "/none": tutti.KindUnavailable, "/round": tutti.KindUnavailable, "/file": tutti.KindInvalid, "/strange": tutti.KindInvalid,
		"/self.m3u": tutti.KindInvalid, "/hls.m3u8": tutti.KindInvalid, "/empty.m3u": tutti.KindInvalid,
	} {
		if _, body, err := relay(t, r, s.URL+path); !tutti.IsKind(err, want) || bytes.Contains(body, []byte("secret")) {
			t.Errorf("%s: %v, want %s; %q", path, err, want, body)
		}
	}
	if n := r.active.Load(); n != 0 {
		t.Errorf("%d relays are still counted", n)
	}
}

// TestShoutcast: the oldest servers do not quite speak HTTP.
func TestShoutcast(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() { // ends with the listener
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			var request [4096]byte
			_, _ = conn.Read(request[:])
			_, _ = io.WriteString(conn, "ICY 200 OK\r\nicy-name: x\r\ncontent-type: audio/mpeg\r\n\r\nsound")
			_ = conn.Close()
		}
	}()
	resp, body, err := relay(t, newRadio(true), "http://"+l.Addr().String())
	if err != nil || string(body) != "sound" || resp.Header.Get("Content-Type") != "audio/mpeg" {
		t.Errorf("%v, %q, %v", err, body, resp.Header)
	}
}

func TestPrivateAddresses(t *testing.T) {
	asked := false
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer s.Close()
	r := newRadio(false)
	for _, address := range []string{s.URL, strings.Replace(s.URL, "127.0.0.1", "localhost", 1), strings.Replace(s.URL, "127.0.0.1", "[::ffff:127.0.0.1]", 1)} {
		if _, _, err := relay(t, r, address); !tutti.IsKind(err, tutti.KindForbidden) {
			t.Errorf("%s: %v", address, err)
		}
	}
	if asked {
		t.Error("the private server was asked")
	}
	for address, want := range map[string][2]bool{ // refused without and with Private
		"93.184.216.34": {}, "2606:2800:220:1::1": {}, "64:ff9b::5db8:d822": {}, "2002:5db8:d822::1": {},
		"127.0.0.1": {true, false}, "::1": {true, false}, "::ffff:10.1.2.3": {true, false}, "10.0.0.1": {true, false}, "172.31.0.1": {true, false},
		"192.168.1.1": {true, false}, "100.64.0.1": {true, false}, "fd00:ec2::254": {true, false}, "64:ff9b::7f00:1": {true, false}, "2002:c0a8:101::1": {true, false},
		"169.254.169.254": {true, true}, "fe80::1": {true, true}, "fe80::1%eth0": {true, true}, "0.0.0.0": {true, true}, "0.1.2.3": {true, true}, "::": {true, true},
		"224.0.0.1": {true, true}, "ff02::1": {true, true}, "255.255.255.255": {true, true}, "64:ff9b::a9fe:a9fe": {true, true}, "64:ff9b:1::1": {true, true}, "radio.example": {true, true},
	} {
		if got := [2]bool{refused(address, false), refused(address, true)}; got != want {
			t.Errorf("%s: refused %v, want %v", address, got, want)
		}
	}
}

func TestTitles(t *testing.T) {
	feed := make(chan []byte)
	opened := make(chan struct{}, 8)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "audio/mpeg")
		w.Header().Set("Icy-Metaint", "10")
		w.WriteHeader(http.StatusOK)
		_ = http.NewResponseController(w).Flush()
		opened <- struct{}{}
		for {
			select {
			case b := <-feed:
				_, _ = w.Write(b)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				return
			}
		}
	}))
	defer s.Close()
	fake := clock.NewFake(time.Unix(0, 0))
	r := New(Config{Private: true, Clock: fake, Logger: slog.New(slog.DiscardHandler)})
	ctx, cancel := context.WithCancel(t.Context())
	titles, ended := make(chan string), make(chan error, 2)
	go func() {
		ended <- r.Titles(ctx, station, s.URL, func(s string) error { titles <- s; return nil })
	}()
	if got := <-titles; got != "" {
		t.Errorf("before anything is known: %q", got)
	}
	// Nobody relays it, so after a while it is listened to.
	fake.WaitForTimers(1)
	fake.Advance(patience)
	<-opened
	feed <- mixed(noise(10), 10, "One")
	if got := <-titles; got != "One" {
		t.Errorf("overheard %q", got)
	}
	// Somebody else who wants to know hears it at once, and nobody listens twice.
	second := make(chan string)
	other, leave := context.WithCancel(ctx)
	go func() {
		ended <- r.Titles(other, station, s.URL, func(s string) error { second <- s; return nil })
	}()
	if got := <-second; got != "One" {
		t.Errorf("the second heard %q", got)
	}
	fake.WaitForTimers(1)
	fake.Advance(patience)
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if n := r.active.Load(); n != 1 {
		t.Errorf("%d connections for two who want to know", n)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if len(r.rooms.by) != 0 || r.active.Load() != 0 {
		t.Errorf("%d rooms and %d connections are left", len(r.rooms.by), r.active.Load())
	}
}
