// Package subsonic is the OpenSubsonic wire: it reads the parameters of a request under /rest/, asks the catalogue,
// and writes the answer in XML, JSON or JSONP. https://opensubsonic.netlify.app/
//
// It holds no music and no state of its own but the players' running reports (see playback): what there is comes from
// the tutti.Catalog, who may from the tutti.Accounts and the tutti.Door, and audio and pictures go out through
// delivery.Bytes. What belongs here is the protocol: names, forms, codes and its rules. What any other wire would need
// too belongs in the catalogue or in delivery.
//
// A request walks: ServeHTTP (which endpoint, which form) → admit (who) → the endpoint's role → its handler, which
// reads parameters and appends its answer. Every endpoint is a row of the table in endpoints.go.
package subsonic

import (
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"tutti"
	"tutti/clock"
	"tutti/delivery"
)

const (
	apiVersion = "1.16.1" // of the Subsonic protocol that OpenSubsonic extends
	apiMajor   = 1
	serverType = "tutti"
)

// Config is what a Server is made of. Catalog, Accounts, Door, Bytes, Clock and Logger are required.
type Config struct {
	Catalog  tutti.Catalog
	Accounts tutti.Accounts
	Door     tutti.Door
	Bytes    delivery.Bytes
	Clock    clock.Clock
	Logger   *slog.Logger

	// Rooms are what jukeboxControl plays in; nil where there are none.
	Rooms tutti.Rooms

	// ServerVersion is told with every answer.
	ServerVersion string
	// ShareURL returns the absolute address of a share's public page, as seen by whoever made the request. Required
	// for the endpoints about shares; without it they say that sharing is off.
	ShareURL func(r *http.Request, secret string) string
	// IgnoredArticles are the words that artists are not sorted under. They must be those that the catalogue sorts by.
	IgnoredArticles []string
}

// Server answers everything under /rest/.
type Server struct {
	cfg       Config
	endpoints map[string]*endpoint
	playback  *playback
	articles  string
}

// New returns the handler of /rest/. It starts nothing that needs an end.
func New(cfg Config) *Server {
	s := &Server{
		cfg:       cfg,
		endpoints: make(map[string]*endpoint, len(endpoints)),
		playback:  newPlayback(cfg.Clock),
		articles:  strings.Join(cfg.IgnoredArticles, " "),
	}
	for i := range endpoints {
		s.endpoints[endpoints[i].name] = &endpoints[i]
	}
	return s
}

// call is one request on its way.
type call struct {
	params
	w      http.ResponseWriter
	r      *http.Request
	form   form
	out    *encoder
	user   tutti.User
	viewer tutti.Viewer
	byKey  bool // signed in with an API key
}

// player names the client in now-playing lists.
func (c *call) player() string { return c.get("c") }

// ServeHTTP answers one request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{w: w, r: r}
	err := c.parse(w, r)
	if err != nil {
		c.list = c.list[:0] // half of a request says nothing
	}
	var formErr error
	if c.form, formErr = formOf(&c.params); err == nil {
		err = formErr
	}
	path := strings.TrimSuffix(r.URL.Path, "/") // some apps put one there
	ep := s.endpoints[strings.TrimSuffix(path[strings.LastIndexByte(path, '/')+1:], ".view")]
	if ep == nil {
		s.refuse(c, ep, &failure{status: http.StatusNotFound, code: codeGeneric, message: "there is no such endpoint"})
		return
	}
	delivery.SetRoute(r, "subsonic/"+ep.name) // ours, not what was asked for: metrics count by it
	if err == nil {
		err = methodOf(ep, r)
	}
	if err == nil && !ep.public {
		err = s.admit(c)
	}
	if err == nil && ep.role != "" && !c.user.Has(ep.role) {
		err = failf(codeForbidden, "%s", forbidden[ep.role])
	}
	if err == nil && ep.serve == nil {
		err = &failure{status: ep.absentStatus, code: codeGeneric, message: ep.note}
	}
	if err != nil {
		s.refuse(c, ep, err)
		return
	}
	if ep.bytes {
		if err := ep.serve(s, c); err != nil {
			s.refuse(c, ep, err)
		}
		return
	}
	c.out = newEncoder(c.form, s.cfg.ServerVersion, "ok")
	defer c.out.release()
	if err := ep.serve(s, c); err != nil {
		s.refuse(c, ep, err)
		return
	}
	c.out.finish(c.form)
	c.out.send(w, c.form, http.StatusOK)
}

// forbidden says, for each role, what a user without it may not do.
var forbidden = map[tutti.Role]string{
	tutti.RoleAdmin:    "only an administrator may do this",
	tutti.RoleStream:   "this account may not listen; an administrator can allow it",
	tutti.RoleDownload: "this account may not download originals; an administrator can allow it",
	tutti.RoleShare:    "this account may not share; an administrator can allow it",
	tutti.RolePlaylist: "this account may not make playlists; an administrator can allow it",
	tutti.RoleComment:  "this account may not star, rate or bookmark; an administrator can allow it",
}

func methodOf(ep *endpoint, r *http.Request) error {
	switch r.Method {
	case http.MethodPost:
		return nil
	case http.MethodGet:
		if !ep.postOnly {
			return nil
		}
	case http.MethodHead: // is safe, and whoever is in front may repeat it: RFC 9110 §9.2
		if !ep.postOnly && !ep.writes {
			return nil
		}
	}
	allowed := "GET, HEAD or POST"
	switch {
	case ep.postOnly:
		allowed = "POST"
	case ep.writes:
		allowed = "GET or POST"
	}
	return &failure{status: http.StatusMethodNotAllowed, code: codeGeneric, message: "use " + allowed + " for this endpoint"}
}

// refuse answers with an error. The HTTP status stays 200, as Subsonic has it, but for what HTTP itself must know: that
// bytes cannot be had now and can later, which players and proxies act upon and documents are lost on.
func (s *Server) refuse(c *call, ep *endpoint, err error) {
	if c.r.Context().Err() != nil {
		return // the client has gone; nothing was written, and nothing need be
	}
	status := http.StatusOK
	var f *failure
	switch {
	case ep != nil && ep.httpErrors:
		status = httpStatus(err)
	case errors.As(err, &f) && f.status != 0:
		status = f.status
	case ep != nil && ep.bytes && delivery.RetryAfter(err) > 0:
		status = http.StatusServiceUnavailable
	}
	if status == http.StatusServiceUnavailable {
		delivery.SetRetryAfter(c.w.Header(), err)
	}
	code, message := describe(err)
	if f == nil && (tutti.IsKind(err, tutti.KindInternal) || tutti.IsKind(err, tutti.KindUnavailable)) {
		s.cfg.Logger.ErrorContext(c.r.Context(), "a request failed", "endpoint", ep.name, "user", c.user.Name, "err", err)
	}
	if status == http.StatusMethodNotAllowed {
		allow := "GET, HEAD, POST"
		if ep.postOnly {
			allow = "POST"
		}
		c.w.Header().Set("Allow", allow)
	}
	e := newEncoder(c.form, s.cfg.ServerVersion, "failed")
	defer e.release()
	e.open("error")
	e.int("code", int64(code))
	e.str("message", message)
	e.close()
	e.finish(c.form)
	e.send(c.w, c.form, status)
}
