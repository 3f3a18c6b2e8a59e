package delivery

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
)

// Shelf is what a Share page asks of service B.
type Shelf interface {
	OpenShare(ctx context.Context, secret string) (tutti.Share, []tutti.Track, error)
	PeekShare(ctx context.Context, secret string) (tutti.Share, []tutti.Track, error)
}

// ShareConfig is what the public pages need; all of it is required.
type ShareConfig struct {
	Shelf  Shelf
	Bytes  Bytes
	Clock  clock.Clock
	Logger *slog.Logger
}

// SharePath is where the pages live: the page of a share is at SharePath followed by its secret.
const SharePath = "/share/"

// ShareURL is the address of a share's page for whoever asks.
func ShareURL(r *http.Request, secret string) string {
	return BaseURL(r) + SharePath + url.PathEscape(secret)
}

// ShareMount is the public pages as a Server takes them.
func ShareMount(c ShareConfig) (Mount, error) {
	h, err := newShare(c)
	if err != nil {
		return Mount{}, err
	}
	return Mount{Path: SharePath, Name: "share", Handler: h, CSP: CSPPage, Private: true}, nil
}

// share serves pages that anybody may open who has their address: a list of tracks, a player, pictures. Whoever comes
// has no account and may ask for nothing but what is on that share.
type share struct {
	c      ShareConfig
	page   *template.Template
	static map[string]staticFile
	misses guesses
	mux    *http.ServeMux
}

//go:embed sharepage/page.html sharepage/share.css sharepage/share.js
var shareFiles embed.FS

type staticFile struct {
	body        []byte
	contentType string
	tag         string
}

func newShare(c ShareConfig) (*share, error) {
	const op = "delivery.ShareMount"
	s := &share{c: c, static: make(map[string]staticFile), mux: http.NewServeMux(), misses: guesses{clock: c.Clock, by: make(map[netip.Prefix]guess)}}
	for name, contentType := range map[string]string{"share.css": "text/css; charset=utf-8", "share.js": "text/javascript; charset=utf-8"} {
		b, err := shareFiles.ReadFile("sharepage/" + name)
		if err != nil {
			return nil, tutti.Wrap(tutti.KindInternal, op, err)
		}
		sum := sha256.Sum256(b)
		s.static[name] = staticFile{b, contentType, hex.EncodeToString(sum[:8])}
	}
	page, err := template.New("page.html").Funcs(template.FuncMap{
		"static": func(name string) string { return "static/" + name + "?v=" + s.static[name].tag },
		"clock":  clockFace,
	}).ParseFS(shareFiles, "sharepage/page.html")
	if err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, err)
	}
	s.page = page
	s.mux.HandleFunc("GET /share/static/{file}", s.serveStatic)
	s.mux.HandleFunc("GET /share/{secret}", s.servePage)
	s.mux.HandleFunc("GET /share/{secret}/stream/{track}", s.serveStream)
	s.mux.HandleFunc("GET /share/{secret}/cover/{track}", s.serveCover)
	return s, nil
}

func (s *share) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-Robots-Tag", "noindex, nofollow")
	s.mux.ServeHTTP(w, r)
}

func (s *share) serveStatic(w http.ResponseWriter, r *http.Request) {
	f, ok := s.static[r.PathValue("file")]
	if !ok {
		WriteError(w, tutti.Errorf(tutti.KindNotFound, "delivery.Share", "there is no such file"))
		return
	}
	h := w.Header()
	h.Set("ETag", `"`+f.tag+`"`)
	h.Set("Cache-Control", "public, max-age=300")
	if r.URL.Query().Get("v") == f.tag {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	if (validators{etag: `"` + f.tag + `"`}).check(r) == notModified {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	h.Set("Content-Type", f.contentType)
	h.Set("Content-Length", strconv.Itoa(len(f.body)))
	_, _ = w.Write(f.body) // a browser that has left needs no file
}

// sharedPage is what the template shows.
type sharedPage struct {
	Title, Subtitle, Owner string
	URL, Base              string // absolute, of the page and of what is below it
	Secret                 string
	Type                   string // Open Graph's
	Tracks                 []sharedTrack
	Cover                  tutti.ID // of a track with a picture; "" for none
	Total                  time.Duration
	Expires                time.Time
	Problem                string // instead of a share
}

type sharedTrack struct {
	ID            tutti.ID
	Title, Artist string
	ContentType   string
	Duration      time.Duration
	HasCover      bool
}

func (s *share) servePage(w http.ResponseWriter, r *http.Request) {
	look := s.c.Shelf.OpenShare
	if r.Method == http.MethodHead {
		look = s.c.Shelf.PeekShare // nobody sees the page
	}
	found, tracks, err := s.open(r, look)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	page := sharedPage{
		Title: found.Description, Owner: found.OwnerName, URL: ShareURL(r, found.Secret), Base: BaseURL(r) + SharePath,
		Secret: found.Secret, Type: "music.playlist", Expires: found.Expires,
	}
	for i := range tracks {
		t := &tracks[i]
		page.Tracks = append(page.Tracks, sharedTrack{t.ID, t.Title, t.DisplayArtist, t.ContentType, t.Duration, t.HasCover})
		page.Total += t.Duration
		if page.Cover == "" && t.HasCover {
			page.Cover = t.ID
		}
	}
	album := oneAlbum(tracks)
	if album != "" {
		page.Type = "music.album"
	}
	switch {
	case page.Title != "":
	case len(tracks) == 1:
		page.Title = tracks[0].Title
	case album != "":
		page.Title = album
	default:
		page.Title = "Shared music"
	}
	page.Subtitle = oneArtist(tracks)
	s.render(w, r, http.StatusOK, page)
}

// oneAlbum returns the album that all tracks are on, or "".
func oneAlbum(tracks []tutti.Track) string {
	for i := range tracks {
		if tracks[i].AlbumID != tracks[0].AlbumID {
			return ""
		}
	}
	if len(tracks) == 0 {
		return ""
	}
	return tracks[0].Album
}

// oneArtist returns who is credited for everything, or "".
func oneArtist(tracks []tutti.Track) string {
	credit := func(t *tutti.Track) string {
		if t.DisplayAlbumArtist != "" {
			return t.DisplayAlbumArtist
		}
		return t.DisplayArtist
	}
	for i := range tracks {
		if credit(&tracks[i]) != credit(&tracks[0]) {
			return ""
		}
	}
	if len(tracks) == 0 {
		return ""
	}
	return credit(&tracks[0])
}

// open finds the share of a request by its secret, unless too many wrong ones came from the same place.
func (s *share) open(r *http.Request, look func(context.Context, string) (tutti.Share, []tutti.Track, error)) (tutti.Share, []tutti.Track, error) {
	from := ClientAddr(r)
	if err := s.misses.check(from); err != nil {
		return tutti.Share{}, nil, err
	}
	found, tracks, err := look(r.Context(), r.PathValue("secret"))
	if tutti.IsKind(err, tutti.KindNotFound) {
		s.misses.add(from)
	}
	return found, tracks, err
}

// track finds the track that a request names on its share, and in whose eyes it may be had: somebody without an
// account, who sees the library that it is in and hears no more than its owner.
func (s *share) track(r *http.Request) (v tutti.Viewer, id tutti.ID, maxRate int, err error) {
	found, tracks, err := s.open(r, s.c.Shelf.PeekShare)
	if err != nil {
		return v, "", 0, err
	}
	id = tutti.ID(r.PathValue("track"))
	i := slices.IndexFunc(tracks, func(t tutti.Track) bool { return t.ID == id })
	if i < 0 {
		return v, "", 0, tutti.Errorf(tutti.KindNotFound, "delivery.Share", "this is not part of what was shared")
	}
	return tutti.Viewer{Libraries: []string{tracks[i].Library}}, id, found.OwnerMaxRate, nil
}

func (s *share) serveStream(w http.ResponseWriter, r *http.Request) {
	v, id, maxRate, err := s.track(r)
	if err == nil {
		want := tutti.Want{Format: "raw", MaxRate: maxRate} // nobody hands on more than they get
		switch format := r.URL.Query().Get("format"); format {
		case "":
		case "mp3": // what every browser plays, for those that cannot play the original
			want.Format = format
		default:
			err = tutti.Errorf(tutti.KindInvalid, "delivery.Share", "the format can be mp3, or left out for the original")
		}
		if err == nil {
			err = s.c.Bytes.ServeTrack(w, r, tutti.PlanRequest{Viewer: v, Track: id, Want: want}, Options{})
		}
	}
	s.fail(w, r, err)
}

// coverSizes are the sizes in which a page shows pictures. Others are rounded up, so that strangers cannot have the
// server make, and keep, a picture of every size.
var coverSizes = [...]int{96, 320, 640, 1200}

func (s *share) serveCover(w http.ResponseWriter, r *http.Request) {
	v, id, _, err := s.track(r)
	if err == nil {
		pixels := coverSizes[len(coverSizes)-1]
		if size := r.URL.Query().Get("size"); size != "" {
			n, convErr := strconv.Atoi(size)
			if convErr != nil || n < 1 {
				err = tutti.Errorf(tutti.KindInvalid, "delivery.Share", "the size must be a number of pixels")
			}
			for i := len(coverSizes) - 1; i >= 0 && coverSizes[i] >= n; i-- {
				pixels = coverSizes[i]
			}
		}
		if err == nil {
			err = s.c.Bytes.ServeCover(w, r, v, id, pixels)
		}
	}
	s.fail(w, r, err)
}

// fail answers a request for bytes that could not be served.
func (s *share) fail(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		return
	}
	s.log(r, err)
	WriteError(w, err)
}

func (s *share) log(r *http.Request, err error) {
	if Status(err) >= 500 && r.Context().Err() == nil {
		s.c.Logger.ErrorContext(r.Context(), "a shared page failed", slog.String("request", RequestID(r.Context())), slog.Any("error", err))
	}
}

// problem answers a request for a page that could not be served, with a page.
func (s *share) problem(w http.ResponseWriter, r *http.Request, err error) {
	s.log(r, err)
	SetRetryAfter(w.Header(), err)
	page := sharedPage{Title: "Nothing here", Problem: "This link has expired, or it never led anywhere. Ask whoever sent it for a new one."}
	if !tutti.IsKind(err, tutti.KindNotFound) {
		page.Title, page.Problem = "Not just now", tutti.Message(err)
	}
	s.render(w, r, Status(err), page)
}

func (s *share) render(w http.ResponseWriter, r *http.Request, status int, page sharedPage) {
	var b strings.Builder
	if err := s.page.Execute(&b, page); err != nil {
		s.fail(w, r, tutti.Wrap(tutti.KindInternal, "delivery.Share", err))
		return
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Cache-Control", "private, no-cache")
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	_, _ = w.Write([]byte(b.String())) // a browser that has left needs no page
}

// clockFace formats a duration as players do: 4:05, 1:02:03.
func clockFace(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	if s >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", s/3600, s/60%60, s%60)
	}
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// guesses counts wrong secrets by where they come from. The secrets have far too many bits to be guessed; the limit
// keeps those who try from costing us a look-up each time.
type guesses struct {
	clock clock.Clock
	mu    sync.Mutex
	by    map[netip.Prefix]guess
	first time.Time // no count is forgotten before
}

type guess struct {
	count int
	until time.Time // when the count is forgotten
}

const (
	guessLimit  = 20 // wrong secrets from one address in guessWindow
	guessWindow = 10 * time.Minute
	guessPlaces = 4096 // addresses remembered at most
)

// place is what counts as one address: an IPv4 address, or the /64 that one IPv6 subscriber has at least.
func place(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // no address: all such count together
	}
	return p
}

func (g *guesses) check(from netip.Addr) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := g.by[place(from)]
	if left := e.until.Sub(g.clock.Now()); e.count >= guessLimit && left > 0 {
		return retryError{tutti.Errorf(tutti.KindExhausted, "delivery.Share", "too many links that lead nowhere; try again later"), left}
	}
	return nil
}

func (g *guesses) add(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.clock.Now()
	p := place(from)
	e, known := g.by[p]
	if !now.Before(e.until) {
		e = guess{until: now.Add(guessWindow)}
	}
	e.count++
	if !known && len(g.by) >= guessPlaces {
		if !now.Before(g.first) { // else a flood of addresses would have all of them looked at each time
			g.first = now.Add(guessWindow)
			for q, old := range g.by {
				if !now.Before(old.until) {
					delete(g.by, q)
				} else if old.until.Before(g.first) {
					g.first = old.until
				}
			}
		}
		for q := range g.by { // all fresh: any one has to go
			if len(g.by) < guessPlaces {
				break
			}
			delete(g.by, q)
		}
	}
	g.by[p] = e
}

// retryError is an error that knows when to ask again.
type retryError struct {
	error
	after time.Duration
}

func (e retryError) Unwrap() error             { return e.error }
func (e retryError) RetryAfter() time.Duration { return e.after }
