package main

import (
	"context"
	"crypto/tls"

	"tutti"
	"tutti/delivery"
	"tutti/peer"
)

// fleetTLS returns with which TLS members are asked, nil for none.
func (s *settings) fleetTLS() (*tls.Config, error) {
	if s.Fleet.TLSCA == "" {
		return nil, nil
	}
	_, client, err := peer.ReadTLS(s.Fleet.TLSCA, s.Fleet.TLSCert, s.Fleet.TLSKey)
	return client, err
}

// memberTLS returns with which TLS a member answers, nil for none.
func (s *settings) memberTLS() (*tls.Config, error) {
	if s.Fleet.TLSCA == "" {
		return nil, nil
	}
	server, _, err := peer.ReadTLS(s.Fleet.TLSCA, s.Fleet.TLSCert, s.Fleet.TLSKey)
	return server, err
}

// wireMounts are where the other members of a fleet ask this process.
func (n *node) wireMounts(e *peer.Endpoint) []delivery.Mount {
	var mounts []delivery.Mount
	for _, path := range peer.Paths() {
		mounts = append(mounts, delivery.Mount{Path: path, Name: "peer", Handler: e, MaxBody: peer.MaxBody, Deadline: -1})
	}
	return mounts
}

// makeWire serves this process's service to the other members, and its state where it shares it.
func (n *node) makeWire(ctx context.Context) error {
	s := n.settings
	if err := peer.Secured(s.Listen, n.keys); err != nil {
		return err
	}
	config := peer.HandlerConfig{Keys: n.keys, Address: n.members.Self().Address, Models: n.wireModels(), Clock: n.clock, Logger: n.logger}
	if n.ownCatalog != nil {
		config.Catalog = n.ownCatalog
	}
	if n.ownCache != nil {
		config.TrackCache = n.ownCache
		config.Ranges = n.ownCache.Neighbour()
	}
	if s.Fleet.ShareStore && s.Store.sqlite() {
		config.Store = n.store
	}
	endpoint := peer.Handler(config)
	n.registry.MustRegister(endpoint)
	certificate, err := s.memberTLS()
	if err != nil {
		return err
	}
	if err := n.makeTracing(ctx); err != nil {
		return err
	}
	n.metrics = delivery.NewMetrics(n.registry)
	return n.makeServer(n.wireMounts(endpoint), certificate)
}

// asks says which services each service cannot do without.
var asks = map[tutti.Service][]tutti.Service{
	tutti.ServiceDelivery: {tutti.ServiceCatalog, tutti.ServiceTrackCache},
}

// ready reports whether requests are answered properly. A scan that is under way does not count, nor does a store that
// is away for the moment: what is known is served meanwhile.
func (n *node) ready(ctx context.Context) error {
	if n.ownCatalog != nil {
		if err := n.ownCatalog.Caught(ctx); err != nil {
			return err
		}
	}
	if n.members == nil {
		_, err := n.accounts.Users(ctx)
		return err
	}
	for _, service := range asks[tutti.Service(n.settings.Role)] {
		if len(n.members.Members(service)) == 0 {
			return tutti.Errorf(tutti.KindUnavailable, "ready", "no %s is ready yet", service)
		}
	}
	return nil
}
