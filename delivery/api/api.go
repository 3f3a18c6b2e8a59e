// Package api is tutti's native wire: JSON over /api/v1, described by openapi.json, which a test keeps equal to the
// routes below. The page uses it, and so may any program with an app key. The package turns requests into calls of the
// catalogue, the accounts and the door, and their answers into JSON; it decides nothing about music and never touches
// audio (delivery.Bytes does).
//
// Conventions of the wire: names are camelCase; durations and positions are whole milliseconds and say so ("durationMs");
// times are RFC 3339 in UTC; unknown values are left out; lists are never null, and paged lists carry the full length as
// "total". Errors are problem details (RFC 9457) with the kind of error as an extra member. A request body is JSON and
// says so in its Content-Type; unknown members and unknown query parameters are errors, because they are typing mistakes.
//
// Lists and records of music are there as frames of metacodec as well, for clients that ask for them (frames.go).
//
// Who asks is told by the session cookie that POST /session sets, or by "Authorization: Bearer <app key>".
package api

import (
	"context"
	_ "embed"
	"encoding/json"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"tutti"
	"tutti/carbon"
	"tutti/clock"
	"tutti/delivery"
	"tutti/metacodec/songs"
)

// Prefix is where the handler is to be mounted.
const Prefix = "/api/v1/"

// cookieName holds a session's secret in a browser.
const cookieName = "tutti_session"

// Limits of a request.
const (
	maxBody    = 1 << 20 // bytes of JSON: a queue of 40,000 tracks fits
	maxPage    = 500     // entries of a paged list
	pageLength = 50      // where the request does not say
)

// Config is what the API needs. Every field but Rooms, Carbon, Pairings, Pages, Suggestions, Time, Models, Derive and Version is
// required.
type Config struct {
	Catalog     tutti.Catalog
	Accounts    tutti.Accounts
	Door        tutti.Door
	Bytes       delivery.Bytes
	Waveforms   delivery.Waveforms
	Radio       Radio
	Jobs        tutti.Jobs
	Grid        Grid
	Rooms       tutti.Rooms        // nil where the process plays in no rooms
	Carbon      Carbon             // nil where nothing is metered
	Pairings    tutti.RoomPairings // nil where no player can be paired
	Pages       Pages              // nil likewise, and where no page can play
	Suggestions tutti.Suggestions  // nil where none are kept
	Clock       clock.Clock
	Time        Timekeeper // what Clock knows of itself; nil where it does not
	Logger      *slog.Logger
	Models      Models       // nil where answers are written with none
	Derive      songs.Derive // how ids follow from names, which answers that are frames leave out
	Version     string       // of the program, shown to those who are signed in
}

// Carbon knows what listening costs the planet; carbon.Meter does.
type Carbon interface {
	// Footprint says what is known, with the part of one listener.
	Footprint(ctx context.Context, who tutti.ID) (carbon.Footprint, error)
	// Manifest writes the year for the Impact Framework. It returns KindNotFound while nothing has been streamed.
	Manifest(ctx context.Context) (string, error)
}

// Radio relays internet radio; delivery/radio does.
type Radio interface {
	// Relay passes a station's sound on until the listener leaves. An error means that nothing has been written.
	Relay(w http.ResponseWriter, r *http.Request, station tutti.ID, address string) error
	// Titles calls fn with what the station says it plays, and again when that changes, until ctx ends or fn fails.
	Titles(ctx context.Context, station tutti.ID, address string, fn func(title string) error) error
}

type server struct {
	Config
	cross   *http.CrossOriginProtection
	framers *framers
}

//go:embed openapi.json
var document []byte

// New returns the handler for everything below Prefix.
func New(c Config) http.Handler {
	s := &server{Config: c, cross: http.NewCrossOriginProtection(), framers: newFramers(c.Derive)}
	mux := http.NewServeMux()
	allowed := map[string]string{}
	for _, rt := range s.routes() {
		pattern := Prefix + rt.path
		mux.Handle(rt.method+" "+pattern, s.handler(rt))
		if allowed[pattern] += ", " + rt.method; rt.method == http.MethodGet {
			allowed[pattern] += ", HEAD"
		}
	}
	// Go's mux would answer these two in plain text.
	for pattern, methods := range allowed {
		if general(allowed, pattern) {
			continue
		}
		mux.Handle(pattern, s.fallback(http.StatusMethodNotAllowed, tutti.KindInvalid, "this address does not take that method", methods[2:]))
	}
	mux.Handle(Prefix, s.fallback(http.StatusNotFound, tutti.KindNotFound, "there is no such address in this API; "+Prefix+"openapi.json lists them", ""))
	return mux
}

// general reports whether one of the patterns takes all that this one takes, and more: playlists/{id} does playlists/import.
// Its fallback then serves for both, and the mux would refuse another.
func general(patterns map[string]string, pattern string) bool {
	parts := strings.Split(pattern, "/")
	for other := range patterns {
		theirs := strings.Split(other, "/")
		if other != pattern && slices.EqualFunc(parts, theirs, func(a, b string) bool { return a == b || strings.HasPrefix(b, "{") }) {
			return true
		}
	}
	return false
}

func (s *server) fallback(status int, kind tutti.Kind, detail, allow string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if allow != "" {
			w.Header().Set("Allow", allow)
		}
		writeProblem(w, problem{Title: http.StatusText(status), Status: status, Detail: detail, Kind: kindName(kind)})
	})
}

// access says who may use a route. The zero value is anybody who is signed in.
type access struct {
	open bool
	role tutti.Role
}

var (
	anyone = access{open: true}
	member = access{}
)

func holder(r tutti.Role) access { return access{role: r} }

// call is one request on its way through a route.
type call struct {
	*server
	w      http.ResponseWriter
	r      *http.Request
	params params
	who    tutti.User    // the zero User on an open route
	viewer tutti.Viewer  // who, as the catalogue wants it
	login  tutti.Session // set where a cookie admitted them
	wrote  bool          // the handler answers by itself
}

func (c *call) id() tutti.ID { return tutti.ID(c.r.PathValue("id")) }

func (s *server) handler(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		delivery.SetRoute(r, rt.id)
		c := &call{server: s, w: w, r: r}
		reply, err := s.serve(c, rt)
		switch {
		case err != nil:
			s.fail(c, rt, err)
		case c.wrote:
		default:
			h := w.Header()
			if h.Get("Cache-Control") == "" {
				h.Set("Cache-Control", "private, no-cache")
			}
			if reply == nil {
				w.WriteHeader(http.StatusNoContent)
				return
			}
			body, err := json.Marshal(reply)
			contentType := "application/json"
			if rt.frame {
				h.Add("Vary", "Accept")
				if has, ok := wantsFrame(r.Header); ok && err == nil {
					body, contentType = s.frame(r.Context(), rt, body, has)
				}
			}
			if err != nil {
				s.fail(c, rt, tutti.Wrap(tutti.KindInternal, "api: encode "+rt.id, err))
				return
			}
			if contentType == "application/json" {
				body = append(body, '\n')
			}
			h.Set("Content-Type", contentType)
			w.WriteHeader(rt.status)
			_, _ = w.Write(body) // who has left needs no answer
		}
	})
}

// serve admits the caller, reads the query and runs the route.
func (s *server) serve(c *call, rt route) (any, error) {
	if err := s.admit(c, rt.access); err != nil {
		return nil, err
	}
	var err error
	if c.params, err = readQuery(c.r.URL.RawQuery, rt.query); err != nil {
		return nil, err
	}
	return rt.run(c)
}

// admit finds out who asks and whether the route is open to them.
//
// A browser sends the cookie whoever made it send the request, so an unsafe request that came by cookie must also come
// from our own page (Sec-Fetch-Site, or Origin in older browsers); signing in must too, or a stranger's page could sign
// somebody in as the stranger. A bearer key is only sent by who has it.
func (s *server) admit(c *call, need access) error {
	const op = "api.admit"
	ctx := c.r.Context()
	if key, bearer := bearerKey(c.r); bearer {
		if need.open {
			return nil
		}
		u, err := s.Door.Admit(ctx, tutti.Credentials{From: delivery.ClientAddr(c.r), AppKey: key})
		if err != nil {
			return err
		}
		c.who = u
	} else {
		if err := s.cross.Check(c.r); err != nil {
			return tutti.Errorf(tutti.KindForbidden, op, "this request came from another site's page, so it was refused")
		}
		if need.open {
			return nil
		}
		cookie, err := c.r.Cookie(cookieName)
		if err != nil {
			return tutti.Errorf(tutti.KindUnauthorised, op, "sign in first, or send an app key as a bearer token")
		}
		if c.login, err = s.Door.Session(ctx, cookie.Value); err != nil {
			if tutti.IsKind(err, tutti.KindUnauthorised) {
				setCookie(c, "", tutti.Session{})
			}
			return err
		}
		c.who = c.login.User
	}
	c.viewer = c.who.Viewer()
	if need.role != "" && !c.who.Has(need.role) {
		return tutti.Errorf(tutti.KindForbidden, op, "your account does not have the %q permission; an administrator can grant it", need.role)
	}
	return nil
}
