package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/delivery/accounts"
	"tutti/peer"
	"tutti/peer/members"
)

type fleetCmd struct {
	Key     fleetKeyCmd     `cmd:"" help:"Make a file with a new key for the processes of a fleet to share."`
	Members fleetMembersCmd `cmd:"" help:"Say who is in the fleet and in which state."`
	Forget  fleetForgetCmd  `cmd:"" name:"forget-secret" help:"Forget which secret file is the fleet's, when it is lost: the next process to start makes a new one, and apps that sign in by token get in again after their user has signed in on the page."`
}

type fleetKeyCmd struct {
	File string `arg:"" help:"The file to make; one that is there is not touched." type:"path"`
}

// Run makes the file, readable by its owner alone.
func (c fleetKeyCmd) Run(std *streams) error {
	if err := peer.NewKeysFile(c.File); err != nil {
		return err
	}
	_, err := fmt.Fprintf(std.out, "%s: a new key; copy it to every process of the fleet and name it there with --fleet-key-file\n", c.File)
	return err
}

type fleetForgetCmd struct{}

// Run is for the day on which no node has the secret file any more.
func (fleetForgetCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) (err error) {
	n := newNode(s, logger)
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.build(ctx, "store"); err != nil {
		return err
	}
	if err := accounts.ForgetKey(ctx, n.store, n.clock); err != nil {
		return err
	}
	_, err = fmt.Fprintln(std.out, "forgotten; start one node, and copy its secret file to the others before they start")
	return err
}

type fleetMembersCmd struct{}

// settle is how long an observer looks before it believes what it sees: a member that died without a word is dropped
// after three beats of a second.
const settle = 3500 * time.Millisecond

// Run looks at the fleet for a few seconds, so that the dead are not taken for living, and prints who is there.
func (fleetMembersCmd) Run(ctx context.Context, s *settings, std *streams, logger *slog.Logger) (err error) {
	n := newNode(s, logger)
	defer func() { err = errors.Join(err, n.close()) }()
	if err := n.build(ctx, "store"); err != nil {
		return err
	}
	m, err := members.New(ctx, members.Config{Store: n.store, Clock: n.clock, Logger: logger})
	if err != nil {
		return err
	}
	looking, stop := context.WithCancel(ctx)
	defer stop()
	defer n.clock.AfterFunc(settle, stop).Stop()
	if err := m.Run(looking); err != nil {
		return err
	}
	w := tabwriter.NewWriter(std.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "SERVICE\tADDRESS\tSTATE\tSTARTED\tVERSION\tID")
	for _, member := range m.All() {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\n", member.Service, member.Address, member.State, member.Started.Format(time.DateTime), member.Version, member.ID)
	}
	return w.Flush()
}

// memberID returns the process's name in the fleet, which stays with its data folder. The host's name is part of it, so
// that a machine made from another's image is another member.
func memberID(data string, role string) (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("name the member: %w", err)
	}
	file := filepath.Join(data, "member-id")
	b, err := os.ReadFile(file)
	number := strings.TrimSpace(string(b))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read the member's id: %w", err)
	}
	if number == "" { // new, or lost when the power went
		number = strings.ToLower(rand.Text()[:10])
		if err := os.WriteFile(file+".new", []byte(number+"\n"), 0o600); err != nil {
			return "", fmt.Errorf("keep the member's id: %w", err)
		}
		if err := os.Rename(file+".new", file); err != nil {
			return "", fmt.Errorf("keep the member's id: %w", err)
		}
	}
	return role + "-" + host + "-" + number, nil
}

// readinessEvery is how often a member asks itself whether it may be asked.
const readinessEvery = 2 * time.Second

// followReadiness tells the fleet when this process cannot answer properly any more, and when it can again: one that has
// lost touch with the catalogue's log would answer with what was.
func (n *node) followReadiness(ctx context.Context) error {
	if n.ownCatalog == nil {
		return nil // the other services keep nothing that grows old
	}
	ready := true
	for clock.Sleep(ctx, n.clock, readinessEvery) == nil {
		err := n.ownCatalog.Caught(ctx)
		if (err == nil) == ready {
			continue
		}
		ready = err == nil
		tell := n.members.Ready
		if !ready {
			n.logger.WarnContext(ctx, "this process asks not to be asked", "err", err)
			tell = n.members.Drain
		}
		if err := tell(ctx); err != nil {
			n.logger.WarnContext(ctx, "the fleet could not be told; the next sign of life tells it", "err", err)
		}
	}
	return nil
}

// advertised is the address under which the other processes reach this one.
func (s *settings) advertised() (string, error) {
	address := s.Fleet.Advertise
	if address == "" {
		address = s.Listen[0]
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil || port == "0" {
		return "", fmt.Errorf("the others cannot reach this process at %q; name HOST:PORT with --fleet-advertise", address)
	}
	if strings.ContainsFunc(host, func(r rune) bool {
		return r != '.' && r != '-' && r != ':' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) {
		return "", fmt.Errorf("%q is no name that nginx and others can look up; name an address or a host name with --fleet-advertise", host)
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		return "", fmt.Errorf("listening at %s says nothing about where the others find this process; name HOST:PORT with --fleet-advertise", address)
	}
	return address, nil
}

// readKeys returns the fleet's keys, nil where there are none.
func (s *settings) readKeys() (*peer.Keys, error) {
	if s.Fleet.KeyFile == "" {
		return nil, nil
	}
	return peer.ReadKeys(s.Fleet.KeyFile)
}

// makeFleet makes this process a member of the fleet that shares its store.
func (n *node) makeFleet(ctx context.Context) error {
	address, err := n.settings.advertised()
	if err != nil {
		return err
	}
	id, err := memberID(n.settings.Data, n.settings.Role)
	if err != nil {
		return err
	}
	self := tutti.Member{ID: id, Service: tutti.Service(n.settings.Role), Address: address, Started: n.clock.Now(), Version: version, Reads: n.reads()}
	n.members, err = members.New(ctx, members.Config{Store: n.store, Self: self, Clock: n.clock, Logger: n.logger})
	if err != nil {
		return err
	}
	if n.peers, err = n.connect(n.members); err != nil {
		return err
	}
	n.registry.MustRegister(n.members, n.peers)
	n.closers = append(n.closers, func() error { n.peers.Close(); return nil }, n.leave)
	n.runners = append(n.runners, n.followReadiness)
	return nil
}

// connect returns a client of the members of a fleet, which the caller closes.
func (n *node) connect(fleet tutti.Fleet) (*peer.Client, error) {
	tls, err := n.settings.fleetTLS()
	if err != nil {
		return nil, err
	}
	return peer.NewClient(peer.ClientConfig{Fleet: fleet, Keys: n.keys, TLS: tls, Models: n.wireModels(), Clock: n.clock, Logger: n.logger}), nil
}

// leaving is how long the others may take to be told that this process is gone; they find out by its silence otherwise.
const leaving = 2 * time.Second

func (n *node) leave() error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	defer n.clock.AfterFunc(leaving, stop).Stop()
	if err := n.members.Leave(ctx); err != nil {
		n.logger.Warn("the fleet could not be told that this process has ended; it will notice", "err", err)
	}
	return nil
}

// drain tells the fleet that this process ends, and takes requests until everybody has heard of it.
func (n *node) drain(ctx context.Context) {
	if err := n.members.Drain(ctx); err != nil {
		n.logger.WarnContext(ctx, "the fleet could not be told that this process is about to end", "err", err)
	}
	_ = clock.Sleep(ctx, n.clock, n.settings.Fleet.Drain) // ctx ends with a second signal, and then nobody waits
}
