package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"

	"tutti"
	"tutti/delivery"
	"tutti/delivery/api"
	"tutti/delivery/subsonic"
	"tutti/web"
)

// makeDelivery puts the HTTP edge together: the wires, the page, and the server that they are mounted on.
func (n *node) makeDelivery(ctx context.Context) error {
	var err error
	if n.tracing, err = newTracing(ctx, n.settings.Trace); err != nil {
		return err
	}
	n.closers = append(n.closers, n.tracing.close)

	metrics := delivery.NewMetrics(n.registry)
	streamer := delivery.NewStreamer(delivery.StreamerConfig{
		Catalog: n.catalog, Cache: n.cache, Clock: n.clock, Logger: n.logger, Metrics: metrics, Tracer: n.tracing.tracer,
		Digest: n.digests.get,
	})
	page, err := web.Handler(n.settings.HTTP.BasePath)
	if err != nil {
		return err
	}
	share, err := delivery.ShareMount(delivery.ShareConfig{Shelf: n.catalog, Bytes: streamer, Clock: n.clock, Logger: n.logger})
	if err != nil {
		return err
	}
	rest := subsonic.New(subsonic.Config{
		Catalog: n.catalog, Accounts: n.accounts, Door: n.accounts, Bytes: streamer, Clock: n.clock, Logger: n.logger,
		ServerVersion: version, ShareURL: delivery.ShareURL, IgnoredArticles: n.settings.Scan.IgnoredArticles,
	})
	native := api.New(api.Config{
		Catalog: n.catalog, Accounts: n.accounts, Door: n.accounts, Bytes: streamer, Clock: n.clock, Logger: n.logger, Version: version,
	})
	certificate, err := loadTLS(n.settings.HTTP)
	if err != nil {
		return err
	}
	n.server, err = delivery.NewServer(delivery.ServerConfig{
		Listen: n.settings.Listen,
		Mounts: []delivery.Mount{
			{Path: "/rest/", Name: "subsonic", Handler: rest, AnyOrigin: true, MaxBody: 8 << 20}, // play queues of 100,000 songs
			{Path: api.Prefix, Name: "api", Handler: native},
			share,
			{Path: "/", Name: "page", Handler: page, CSP: delivery.CSPPage},
		},
		TLS: certificate, BasePath: n.settings.HTTP.BasePath, PublicURL: n.settings.HTTP.PublicURL,
		Proxies: delivery.Proxies{Trusted: n.settings.HTTP.TrustedProxies}, Grace: n.settings.HTTP.ShutdownGrace,
		Clock: n.clock, Logger: n.logger, Metrics: metrics, Registry: n.registry, Tracer: n.tracing.tracer,
		Ready: n.ready, Admin: n.admitsAdmin,
	})
	if err != nil {
		return err
	}
	n.runners = append(n.runners, n.server.Run)
	return nil
}

// ready reports whether requests are answered properly: the database answers. A scan that is under way does not count;
// what is known is served meanwhile.
func (n *node) ready(ctx context.Context) error {
	_, err := n.accounts.Users(ctx)
	return err
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
