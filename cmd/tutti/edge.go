package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/delivery"
	"tutti/delivery/api"
	"tutti/delivery/radio"
	"tutti/delivery/subsonic"
	"tutti/deploy/nginx"
	roomweb "tutti/rooms/web"
	"tutti/web"
)

// makeEdge puts service A together: the wires, the page, and the server that they are mounted on.
func (n *node) makeEdge(ctx context.Context) error {
	s := n.settings
	if err := n.makeTracing(ctx); err != nil {
		return err
	}
	var remember time.Duration
	if n.members != nil {
		remember = delivery.DefaultRemember // else the catalogue is in this process, and a plan costs nothing
		n.holdSlab()
	}
	n.metrics = delivery.NewMetrics(n.registry)
	streamer := delivery.NewStreamer(delivery.StreamerConfig{
		Catalog: n.catalog, Cache: n.cache, Clock: n.clock, Logger: n.logger, Metrics: n.metrics, Tracer: n.tracing.tracer,
		Digest: n.digests.get, Accel: n.accel(), Remember: remember,
		Played: n.played(),
	})
	page, err := web.Handler(s.HTTP.BasePath)
	if err != nil {
		return err
	}
	share, err := delivery.ShareMount(delivery.ShareConfig{Shelf: n.catalog, Bytes: streamer, Clock: n.clock, Logger: n.logger})
	if err != nil {
		return err
	}
	open := subsonic.Config{
		Catalog: n.catalog, Accounts: n.accounts, Door: n.accounts, Bytes: streamer, Clock: n.clock, Logger: n.logger,
		ServerVersion: version, ShareURL: delivery.ShareURL, IgnoredArticles: s.Scan.IgnoredArticles,
	}
	if n.rooms != nil {
		open.Rooms = n.rooms
	}
	rest := subsonic.New(open)
	config := api.Config{
		Catalog: n.catalog, Accounts: n.accounts, Door: n.accounts, Bytes: streamer, Waveforms: streamer, Clock: n.clock, Logger: n.logger,
		Radio: radio.New(radio.Config{Private: s.Radio.Private, Agent: "tutti/" + version, Clock: n.clock, Logger: n.logger}),
		Jobs:  n.jobs, Grid: n.grid, Models: n.models, Derive: derived,
		Version: version,
	}
	if n.meter != nil {
		config.Carbon = n.meter
	}
	if n.time != nil {
		config.Time = n.time
	}
	if n.desk != nil {
		config.Suggestions = n.desk
	}
	if n.rooms != nil {
		config.Rooms = n.rooms
		config.Pairings = n.pairings
		config.Pages = roomweb.New(roomweb.Config{House: n.rooms, Clock: n.clock, Logger: n.logger})
		if err := n.makeControl(ctx, config); err != nil {
			return err
		}
	}
	certificate, err := loadTLS(s.HTTP)
	if err == nil && certificate == nil {
		certificate, err = s.memberTLS() // nginx comes as a member does
	}
	if err != nil {
		return err
	}
	return n.makeServer([]delivery.Mount{
		{Path: "/rest/", Name: "subsonic", Handler: rest, AnyOrigin: true, MaxBody: 8 << 20}, // play queues of 100,000 songs
		{Path: api.Prefix, Name: "api", Handler: api.New(config)},
		share,
		{Path: "/", Name: "page", Handler: page, CSP: delivery.CSPPage},
	}, certificate)
}

func (n *node) makeTracing(ctx context.Context) error {
	var err error
	if n.tracing, err = newTracing(ctx, n.settings.Trace); err != nil {
		return err
	}
	n.closers = append(n.closers, n.tracing.close)
	return nil
}

// makeServer puts mounts on a server. What every service of the house has in common is its: health, metrics, the
// profiler for admins, limits, and an orderly end.
func (n *node) makeServer(mounts []delivery.Mount, certificate *tls.Config) error {
	s := n.settings
	var admin func(*http.Request) bool
	if n.accounts != nil {
		admin = n.admitsAdmin
	}
	var err error
	n.server, err = delivery.NewServer(delivery.ServerConfig{
		Listen: s.Listen, Mounts: mounts, TLS: certificate, BasePath: s.HTTP.BasePath, PublicURL: s.HTTP.PublicURL,
		Proxies: delivery.Proxies{Trusted: s.HTTP.TrustedProxies, Vouched: n.behindNginx()}, Grace: s.HTTP.ShutdownGrace,
		Clock: n.clock, Logger: n.logger, Metrics: n.metrics, Registry: n.registry, Tracer: n.tracing.tracer,
		Ready: n.ready, Time: n.timeState(), Admin: admin,
	})
	if err != nil {
		return err
	}
	n.runners = append(n.runners, n.server.Run)
	return nil
}

// timeState is what the clock says of itself, nil where the process has none of its own.
func (n *node) timeState() func() clock.State {
	if n.time == nil {
		return nil
	}
	return n.time.State
}

// behindNginx returns what tells whether a request came through this fleet's nginx, nil where there is no fleet or no key.
func (n *node) behindNginx() func(*http.Request) bool {
	if n.members == nil || n.keys == nil {
		return nil
	}
	secrets := edgeSecrets(n.keys, n.clock)
	return func(r *http.Request) bool { return nginx.Behind(r, secrets()...) }
}

// accel returns how listeners behind this fleet's nginx are given their bytes: by nginx itself, from the track cache.
// nil where there is no fleet or no key to seal passes with.
func (n *node) accel() func(*http.Request, tutti.Pass) (string, bool) {
	behind := n.behindNginx()
	if behind == nil {
		return nil
	}
	return func(r *http.Request, p tutti.Pass) (string, bool) {
		if !behind(r) || len(n.members.Members(tutti.ServiceTrackCache)) == 0 {
			return "", false
		}
		return nginx.Location(p.Ref.ID(), n.keys.SealPass(p), p.Size >= 0 && p.Ref.Version != ""), true
	}
}

// admitsAdmin admits to the profiler by basic authentication: an admin's name with an app key or the password.
func (n *node) admitsAdmin(r *http.Request) bool {
	name, secret, ok := r.BasicAuth()
	if !ok {
		return false
	}
	from := delivery.ClientAddr(r)
	u, err := n.accounts.Admit(r.Context(), tutti.Credentials{From: from, Name: name, Password: secret})
	if err != nil {
		u, err = n.accounts.Admit(r.Context(), tutti.Credentials{From: from, AppKey: secret})
	}
	return err == nil && u.Name == name && u.Has(tutti.RoleAdmin)
}

func loadTLS(s httpSettings) (*tls.Config, error) {
	if s.TLSCert == "" && s.TLSKey == "" {
		return nil, nil
	}
	if s.TLSCert == "" || s.TLSKey == "" {
		return nil, errors.New("https needs both http: tls-cert and http: tls-key")
	}
	pair, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("load the certificate: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
