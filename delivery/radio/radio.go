// Package radio relays internet radio to listeners: what a page cannot fetch itself, because it may only speak to its own
// server, because the station has no TLS, or because its titles lie between the sound. A relay passes the sound on as it
// is and takes the titles out.
//
// Who may ask, and for which station, is the caller's: an admin chose every address. What such an address leads to is
// decided by strangers, who own the name and may redirect it; so a relay dials no address that only this machine, or
// machines near it, can reach (see Config.Private), follows few redirects, and passes on nothing but sound.
package radio

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"net/url"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"tutti"
	"tutti/audio"
	"tutti/clock"
	"tutti/delivery"
)

// Config is what a Radio needs. Clock and Logger are required.
type Config struct {
	// Private lets stations be on loopback and in private networks. Off, as is the default, only public addresses are
	// dialled: nobody at home has to fear that a station's name leads to the router's settings tomorrow.
	Private bool
	Agent   string // what stations are told is asking
	Clock   clock.Clock
	Logger  *slog.Logger
}

// Limits of a relay.
const (
	maxRelays    = 64              // at once
	maxRedirects = 5               // from one address to another
	maxLists     = 3               // from one playlist file to another
	maxListBytes = 64 << 10        // of such a file
	maxMetaInt   = 1 << 20         // bytes of sound between two titles
	maxHeader    = 64 << 10        // of a station's answer
	dialTime     = 4 * time.Second // to connect, and again to be answered: a proxy in front of us waits for 6 s
	stall        = 20 * time.Second
	longest      = 24 * time.Hour // after which whoever still listens asks again
)

// Radio relays stations.
type Radio struct {
	c      Config
	client *http.Client
	active atomic.Int64
	rooms  rooms
}

// New returns a Radio. It holds nothing that needs closing.
func New(c Config) *Radio {
	r := &Radio{c: c}
	dialer := &net.Dialer{Timeout: dialTime, ControlContext: r.mayDial}
	r.client = &http.Client{
		CheckRedirect: func(req *http.Request, via []*http.Request) error {
			if len(via) > maxRedirects {
				return tutti.Errorf(tutti.KindUnavailable, "radio: redirect", "the station sends us from one address to another")
			}
			return webAddress(req.URL)
		},
		Transport: &http.Transport{
			// No proxy: it would dial what we may not. No connection is kept: a stream is never at its end.
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &stationConn{Conn: conn}, nil
			},
			DisableKeepAlives: true, DisableCompression: true, TLSHandshakeTimeout: dialTime, ResponseHeaderTimeout: dialTime,
			MaxResponseHeaderBytes: maxHeader,
		},
	}
	return r
}

// mayDial is asked with the very address that is to be dialled, after names were resolved.
func (r *Radio) mayDial(_ context.Context, _, address string, _ syscall.RawConn) error {
	host, _, err := net.SplitHostPort(address)
	if err == nil && !refused(host, r.c.Private) {
		return nil
	}
	return tutti.Errorf(tutti.KindForbidden, "radio: dial", "the station leads to an address that is not public, so it is not asked (radio: private allows it)")
}

func webAddress(u *url.URL) error {
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return tutti.Errorf(tutti.KindInvalid, "radio: open", "the station leads to an address that is neither http nor https")
	}
	return nil
}

// stationConn is a connection to a station. A read waits for a limited time. The first line of a SHOUTcast server is not
// HTTP's: "ICY 200 OK"; it is read as "HTTP/1.0 200 OK".
type stationConn struct {
	net.Conn
	begun bool
	kept  []byte // read, and not passed on yet
}

const icyMark, httpMark = "ICY ", "HTTP/1.0 "

func (c *stationConn) Read(p []byte) (int, error) {
	if !c.begun {
		first := make([]byte, len(icyMark))
		if err := c.SetReadDeadline(clock.Deadline(stall)); err != nil {
			return 0, err
		}
		n, err := io.ReadFull(c.Conn, first)
		c.begun, c.kept = true, first[:n]
		if n == 0 {
			return 0, err
		}
		if string(c.kept) == icyMark {
			c.kept = []byte(httpMark)
		}
	}
	if len(c.kept) > 0 {
		n := copy(p, c.kept)
		c.kept = c.kept[n:]
		return n, nil
	}
	if err := c.SetReadDeadline(clock.Deadline(stall)); err != nil {
		return 0, err
	}
	return c.Conn.Read(p)
}

// stream is an open station.
type stream struct {
	contentType string
	body        io.ReadCloser
	sound       io.Reader // the body without the titles
}

// open connects to the station at address. title is called with each title, from within reads of the sound.
func (r *Radio) open(ctx context.Context, address string, title func(string)) (*stream, error) {
	const op = "radio: open"
	for range maxLists + 1 {
		u, err := url.Parse(address)
		if err != nil {
			return nil, tutti.Errorf(tutti.KindInvalid, op, "the station's address cannot be read")
		}
		if err := webAddress(u); err != nil {
			return nil, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindInvalid, op, err)
		}
		req.Header.Set("Icy-MetaData", "1")
		req.Header.Set("User-Agent", r.c.Agent)
		resp, err := r.client.Do(req)
		if err != nil {
			return nil, unreachable(op, err)
		}
		if resp.StatusCode != http.StatusOK {
			return nil, errors.Join(tutti.Errorf(tutti.KindUnavailable, op, "the station answers %d instead of music", resp.StatusCode), resp.Body.Close())
		}
		kind, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
		if err != nil {
			kind = ""
		}
		kind = strings.ToLower(kind)
		if isList(kind, resp.Request.URL.Path) {
			list, err := io.ReadAll(io.LimitReader(resp.Body, maxListBytes))
			if err := errors.Join(err, resp.Body.Close()); err != nil {
				return nil, unreachable(op, err)
			}
			if address, err = firstOf(list); err != nil {
				return nil, err
			}
			continue
		}
		s := &stream{contentType: soundType(kind), body: resp.Body, sound: resp.Body}
		if s.contentType == "" {
			return nil, errors.Join(tutti.Errorf(tutti.KindInvalid, op, "the station answers with something other than sound"), resp.Body.Close())
		}
		if v := resp.Header.Get("Icy-Metaint"); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n <= 0 || n > maxMetaInt {
				return nil, errors.Join(tutti.Errorf(tutti.KindInvalid, op, "the station says where its titles are in a way that makes no sense"), resp.Body.Close())
			}
			s.sound = &unmixed{r: resp.Body, every: n, left: n, title: title}
		}
		return s, nil
	}
	return nil, tutti.Errorf(tutti.KindInvalid, op, "the station's playlists only lead to further ones")
}

// unreachable is what a failure on the way to a station means to a listener.
func unreachable(op string, err error) error {
	var own *tutti.Error
	if errors.As(err, &own) {
		return own // of mayDial or CheckRedirect
	}
	return &tutti.Error{Kind: tutti.KindUnavailable, Op: op, Message: "the station cannot be reached now", Err: err}
}

// isList reports whether an answer is a playlist file rather than sound.
func isList(kind, p string) bool {
	switch kind {
	case "audio/x-scpls", "audio/scpls", "application/pls+xml", "audio/mpegurl", "audio/x-mpegurl", "application/x-mpegurl", "application/vnd.apple.mpegurl":
		return true
	case "", "text/plain", "text/html", "application/octet-stream":
		switch strings.ToLower(path.Ext(p)) {
		case ".pls", ".m3u", ".m3u8":
			return true
		}
	}
	return false
}

// soundType is the media type under which sound goes on, "" for what is none. Old stations say nothing or anything; what
// they send is MP3.
func soundType(kind string) string {
	switch {
	case kind == "", kind == "application/octet-stream", kind == "audio/mp3", kind == "audio/x-mpeg":
		return "audio/mpeg"
	case kind == "application/ogg":
		return "audio/ogg"
	case kind == "audio/aacp":
		return "audio/aac"
	case strings.HasPrefix(kind, "audio/"):
		return kind
	}
	return ""
}

// firstOf is the first address in a playlist file: an M3U, or a PLS, whose lines are File1=http://….
func firstOf(list []byte) (string, error) {
	const op = "radio: read a playlist"
	if strings.Contains(string(list), "#EXT-X-") {
		return "", tutti.Errorf(tutti.KindInvalid, op, "the station sends its sound in segments (HLS), which cannot be relayed; look for its MP3, AAC or Ogg address")
	}
	for line := range strings.Lines(string(list)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if ok && len(name) > 4 && strings.EqualFold(name[:4], "file") && strings.Contains(value, "://") {
			return strings.TrimSpace(value), nil
		}
	}
	if m3u, err := audio.ParseM3U(list); err == nil {
		for _, e := range m3u.Entries {
			if e.URL() && !strings.HasPrefix(e.Path, "[") {
				return e.Path, nil
			}
		}
	}
	return "", tutti.Errorf(tutti.KindInvalid, op, "the station's playlist names no address")
}

// Relay passes the station's sound on to a listener until either leaves. It returns an error only where nothing has been
// written: KindUnavailable for a station that does not answer, KindInvalid for one that answers with something else,
// KindForbidden for one whose address may not be dialled, KindExhausted where too many stations are relayed.
func (r *Radio) Relay(w http.ResponseWriter, req *http.Request, station tutti.ID, address string) error {
	delivery.HoldOpen(req.Context())
	ctx, cancel := context.WithCancel(req.Context())
	defer cancel()
	defer r.c.Clock.AfterFunc(longest, cancel).Stop()
	room := r.rooms.enter(station)
	defer r.rooms.leave(station, room)
	s, done, err := r.tune(ctx, address, room)
	if err != nil {
		return err
	}
	defer done()
	h := w.Header()
	h.Set("Content-Type", s.contentType)
	h.Set("Cache-Control", "no-store")
	h.Set("Accept-Ranges", "none")
	h.Set("X-Accel-Buffering", "no")
	if req.Method == http.MethodHead {
		return nil
	}
	room.relays(1)
	defer room.relays(-1)
	out := http.NewResponseController(w)
	b := make([]byte, 16<<10)
	for begun := false; ctx.Err() == nil; {
		n, err := s.sound.Read(b)
		if n > 0 {
			begun = true
			// A writer that knows no deadlines still serves; only a stalled listener is then noticed later.
			_ = out.SetWriteDeadline(clock.Deadline(stall))
			if _, werr := w.Write(b[:n]); werr != nil || out.Flush() != nil {
				return nil // the listener has left
			}
		}
		switch {
		case err == nil:
		case !begun:
			return unreachable("radio: relay", err)
		default:
			if ctx.Err() == nil && !errors.Is(err, io.EOF) {
				r.c.Logger.Info("a radio station broke off", "station", station, "err", err)
			}
			// The player has to see that this is no end: it asks again.
			panic(http.ErrAbortHandler)
		}
	}
	return nil
}

// tune opens the station, if there is room for one more; the caller calls done.
func (r *Radio) tune(ctx context.Context, address string, room *room) (s *stream, done func(), err error) {
	if r.active.Add(1) > maxRelays {
		r.active.Add(-1)
		return nil, nil, tutti.Errorf(tutti.KindExhausted, "radio: relay", "too many radio stations are being relayed; try again later")
	}
	if s, err = r.open(ctx, address, room.say); err != nil {
		r.active.Add(-1)
		return nil, nil, err
	}
	return s, func() {
		r.active.Add(-1)
		_ = s.body.Close() // it was only read
	}, nil
}
