package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"tutti/clock"
	"tutti/delivery/api"
	"tutti/delivery/subsonic"
	"tutti/deploy/nginx"
	"tutti/peer"
	"tutti/peer/members"
)

// nginxCmd keeps an nginx in step with the fleet. Its flags begin with nginx, as others of the same name are the
// server's own.
type nginxCmd struct {
	Foreground bool `name:"run" help:"Start nginx as well and end it with this command; else one that runs already is told of every change."`
	Once       bool `help:"Write and check the configuration for the members of this moment, reload a running nginx if it changed, and end."`

	Listen      []string `name:"nginx-listen" help:"Where nginx listens, as HOST:PORT or PORT; with a certificate, for https." default:"127.0.0.1:8080"`
	Redirect    []string `name:"nginx-redirect" help:"Where plain HTTP is answered with the address in https." placeholder:"HOST:PORT"`
	ServerName  []string `name:"nginx-server-name" help:"Names under which listeners come; by default any." placeholder:"NAME"`
	TLSCert     string   `name:"nginx-tls-cert" help:"Certificate chain in PEM, to serve https." type:"path" placeholder:"FILE"`
	TLSKey      string   `name:"nginx-tls-key" help:"Private key of the certificate in PEM." type:"path" placeholder:"FILE"`
	Dir         string   `name:"nginx-dir" help:"Folder of nginx's own, for its configuration, pid and temporary files; by default nginx in the data folder." type:"path" placeholder:"DIR"`
	CacheDir    string   `name:"nginx-cache-dir" help:"Folder for nginx's cache; by default in its own." type:"path" placeholder:"DIR"`
	CacheSize   byteSize `name:"nginx-cache-size" help:"Disk space for the pieces that nginx keeps." default:"10GiB"`
	Rate        int      `name:"nginx-rate" help:"Requests a second that one address may make on average; 0 is no limit." default:"100"`
	Burst       int      `name:"nginx-burst" help:"Requests above that rate that are answered at once." default:"1000"`
	Connections int      `name:"nginx-connections" help:"Requests that one address may have under way; 0 is no limit." default:"200"`
	Workers     int      `name:"nginx-workers" help:"Processes of nginx; 0 is one for each core." default:"0"`
	Proxies     []string `name:"nginx-trusted-proxies" help:"Addresses and networks of load balancers in front that are believed about who asks (X-Forwarded-For) and whether by https; by default none." placeholder:"NETWORK"`
	AccessLog   string   `name:"nginx-access-log" help:"File for a line of JSON about each request, without its query; by default none." type:"path" placeholder:"FILE"`
	ErrorLog    string   `name:"nginx-error-log" help:"File for what is critical; by default error.log in nginx's folder, and with --run all that nginx says is logged here." type:"path" placeholder:"FILE"`
	User        string   `name:"nginx-user" help:"Whom nginx's workers run as, where this command runs as root." placeholder:"NAME"`
	Brotli      bool     `name:"nginx-brotli" help:"Compress texts with Brotli, too, where nginx has the filter for it." default:"true" negatable:""`
	Program     string   `name:"nginx-program" help:"The nginx program." default:"nginx"`
}

// Run writes the configuration from the members there are and follows them until it is told to stop.
func (c nginxCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) (err error) {
	if s.Fleet.KeyFile == "" {
		return errors.New("nginx and the fleet know one another by the fleet's key: name its file with --fleet-key-file (tutti fleet key FILE makes one)")
	}
	n := newNode(s, logger)
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.build(ctx, "store"); err != nil {
		return err
	}
	fleet, err := members.New(ctx, members.Config{Store: n.store, Clock: n.clock, Logger: logger})
	if err != nil {
		return err
	}
	secrets := edgeSecrets(n.keys, n.clock)
	edge, err := nginx.NewEdge(nginx.EdgeConfig{Config: c.config(n), Fleet: fleet, Secret: func() string { return secrets()[0] }, Program: c.Program, NoBrotli: !c.Brotli, Clock: n.clock, Logger: logger, Grace: s.HTTP.ShutdownGrace})
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	ctx, done := context.WithCancel(ctx)
	defer done()
	g.Go(func() error { return fleet.Run(ctx) })
	g.Go(func() error {
		defer done()
		switch {
		case c.Once:
			return c.once(ctx, n.clock, edge, std)
		case c.Foreground:
			return edge.Run(ctx)
		}
		return edge.Follow(ctx)
	})
	return g.Wait()
}

// once writes the configuration for those who have shown signs of life for a while.
func (c nginxCmd) once(ctx context.Context, t clock.Clock, edge *nginx.Edge, std *streams) error {
	if err := clock.Sleep(ctx, t, settle); err != nil {
		return err
	}
	changed, err := edge.Write(ctx)
	if err != nil {
		return err
	}
	if !changed {
		_, err := fmt.Fprintln(std.out, edge.File(), "is as the fleet is")
		return err
	}
	if err := edge.Reload(); err != nil {
		_, err = fmt.Fprintf(std.out, "%s is written; no nginx runs with it yet (start one with: nginx -c %s)\n", edge.File(), edge.File())
		return err
	}
	_, err = fmt.Fprintln(std.out, edge.File(), "is written, and nginx reloads it")
	return err
}

// edgeSecrets returns what tells the secrets by which this fleet's nginx is known. It is asked for every request, and
// derives them only where the keys have changed.
func edgeSecrets(keys *peer.Keys, c clock.Clock) func() []string {
	type derived struct {
		edges   [][]byte
		secrets []string
	}
	var last atomic.Pointer[derived]
	return func() []string {
		edges := keys.Edge(c.Now())
		if d := last.Load(); d != nil && slices.EqualFunc(d.edges, edges, bytes.Equal) {
			return d.secrets
		}
		d := &derived{edges: edges}
		for _, edge := range edges {
			d.secrets = append(d.secrets, nginx.Secret(edge))
		}
		last.Store(d)
		return d.secrets
	}
}

func (c nginxCmd) config(n *node) nginx.Config {
	s := n.settings
	config := nginx.Config{
		Listen: c.Listen, RedirectListen: c.Redirect, ServerNames: c.ServerName, BasePath: s.HTTP.BasePath,
		TLSCert: c.TLSCert, TLSKey: c.TLSKey, Dir: c.Dir, CacheDir: c.CacheDir, CacheBytes: int64(c.CacheSize),
		Events: api.EventPaths(), Writes: subsonic.Writes(), RequestRate: c.Rate, RequestBurst: c.Burst, Connections: c.Connections, Workers: c.Workers,
		TrustedProxies: c.Proxies, AccessLog: c.AccessLog, ErrorLog: c.ErrorLog, User: c.User,
	}
	if config.Dir == "" {
		config.Dir = filepath.Join(s.Data, "nginx")
	}
	if s.Fleet.TLSCA != "" {
		config.PeerTLS = &nginx.PeerTLS{CA: s.Fleet.TLSCA, Name: peer.FleetName, Cert: s.Fleet.TLSCert, Key: s.Fleet.TLSKey}
	}
	return config
}
