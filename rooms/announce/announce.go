// Package announce tells the local network by multicast DNS where players find this server, and finds players that
// announce themselves (RFC 6762 and RFC 6763, over IPv4).
//
// Nothing is announced of what listens on this machine alone: whoever puts the announcements together leaves that out.
package announce

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/logging"
	"github.com/pion/mdns/v2"
	"golang.org/x/net/ipv4"

	"tutti/clock"
)

const (
	// listening is how long answers to a round of questions are taken: they may be held back for up to half a second (RFC
	// 6762, section 6.3), and questions and answers may be lost.
	listening = 3 * time.Second
	asking    = time.Second // from one question of a round to the next
	// The rounds begin close to one another and become rarer (RFC 6762, section 5.2, which allows up to an hour: a player
	// that is switched on is to play within a minute).
	firstPause = 2 * time.Second
	mostPause  = time.Minute
	// retry is after how long it is tried again where there is no network.
	retry = time.Minute
	// maxPlayers bounds how many players a round may find.
	maxPlayers = 64
	maxText    = 256 // bytes of a value that a player announces
)

// Service is something that clients connect to.
type Service struct {
	Type string     // such as _snapcast._tcp
	At   netip.Addr // where it listens; the unspecified address for every one that this machine has
	Port int
	Text map[string]string
}

// Player is a player that announces itself.
type Player struct {
	Name    string
	Address netip.AddrPort
	Text    map[string]string
}

// Config says what to tell and what to look for. Name, Clock and Logger are required.
type Config struct {
	Name     string // of this server, for people: at most 63 bytes are told
	Host     string // of this machine, as others call it on the local network, without a domain
	Services []Service

	// Find is a type of service to look for, "" for none. Found is told after each round who was there, and must not wait.
	Find  string
	Found func([]Player)

	// Loopback includes this machine's own network, where nobody else is.
	Loopback bool

	Clock  clock.Clock
	Logger *slog.Logger
}

// Run announces and looks until ctx ends. While there is no network it waits for one.
func Run(ctx context.Context, c Config) error {
	told := false
	for {
		err := run(ctx, c)
		if ctx.Err() != nil {
			return nil
		}
		if !told {
			told = true
			c.Logger.Warn("players on the local network cannot find this server by themselves; it is tried again", "every", retry, "err", err)
		}
		if clock.Sleep(ctx, c.Clock, retry) != nil {
			return nil
		}
	}
}

// run is one attempt, which ends with an error or with ctx.
func run(ctx context.Context, c Config) (err error) {
	group, err := net.ResolveUDPAddr("udp4", mdns.DefaultAddressIPv4)
	if err != nil {
		return err
	}
	socket, err := net.ListenUDP("udp4", group) // shared with others on this machine that speak it
	if err != nil {
		return fmt.Errorf("listen for multicast DNS: %w", err)
	}
	options, err := c.options()
	if err != nil {
		return errors.Join(err, socket.Close())
	}
	conn, err := mdns.NewServer(ipv4.NewPacketConn(socket), nil, options...)
	if err != nil {
		return errors.Join(fmt.Errorf("speak multicast DNS: %w", err), socket.Close())
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	c.Logger.Info("players on the local network can find this server", "name", c.Name)
	if c.Find == "" {
		<-ctx.Done()
		return nil
	}
	return c.look(ctx, conn)
}

// options are those of the announcing.
func (c *Config) options() ([]mdns.ServerOption, error) {
	log := &logging.DefaultLoggerFactory{Writer: slog.NewLogLogger(c.Logger.Handler(), slog.LevelDebug).Writer(), DefaultLogLevel: logging.LogLevelWarn}
	out := []mdns.ServerOption{
		mdns.WithLoggerFactory(log), mdns.WithIncludeLoopback(c.Loopback), mdns.WithQueryInterval(asking), mdns.WithCacheRefresh(false),
	}
	// A name of its own: the machine's own name belongs to whoever else answers for it.
	host := hostLabel(c.Host) + "-tutti.local."
	if len(c.Services) > 0 {
		out = append(out, mdns.WithLocalNames(host))
	}
	for _, s := range c.Services {
		if s.Port < 1 || s.Port > 65535 {
			return nil, fmt.Errorf("announce %s: port %d", s.Type, s.Port)
		}
		var text []mdns.TXTEntry
		for _, k := range slices.Sorted(maps.Keys(s.Text)) {
			text = append(text, mdns.NewTXTString(k, s.Text[k]))
		}
		out = append(out, mdns.WithService(mdns.ServiceInstance{Instance: label(c.Name), Service: s.Type, Host: host, Port: uint16(s.Port), Text: text}))
	}
	// Where all listen on one address, only its network is told.
	if at := c.at(); at.IsValid() {
		ifi, err := interfaceOf(at)
		if err != nil {
			return nil, err
		}
		out = append(out, mdns.WithInterfaces(ifi), mdns.WithLocalAddress(net.IP(at.AsSlice())))
	}
	return out, nil
}

// at is the one address that all services listen on; the zero address where they listen on several or every one.
func (c *Config) at() netip.Addr {
	var one netip.Addr
	for _, s := range c.Services {
		at := s.At.Unmap()
		if !at.Is4() || at.IsUnspecified() || one.IsValid() && one != at {
			return netip.Addr{}
		}
		one = at
	}
	return one
}

// interfaceOf is the interface that has an address.
func interfaceOf(at netip.Addr) (net.Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return net.Interface{}, err
	}
	for _, i := range all {
		addresses, err := i.Addrs()
		if err != nil {
			return net.Interface{}, err
		}
		for _, a := range addresses {
			if p, err := netip.ParsePrefix(a.String()); err == nil && p.Addr().Unmap() == at {
				return i, nil
			}
		}
	}
	return net.Interface{}, fmt.Errorf("no network of this machine has the address %v", at)
}

// label is a name as DNS-SD takes it: up to 63 bytes without control characters (RFC 6763, section 4.1.1).
func label(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return -1
		}
		return r
	}, strings.ToValidUTF8(name, ""))
	for len(name) > 63 {
		r := []rune(name)
		name = string(r[:len(r)-1])
	}
	return cmp.Or(name, "tutti")
}

// hostLabel is a name as hosts may have it (RFC 1123, section 2.1), with room for what is added.
func hostLabel(name string) string {
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return -1
	}, name)
	return cmp.Or(strings.Trim(name[:min(len(name), 50)], "-"), "music")
}

// look asks for players, round after round.
func (c *Config) look(ctx context.Context, conn *mdns.Conn) error {
	var mu sync.Mutex
	found := map[netip.AddrPort]Player{}
	conn.OnServiceDiscovered(func(e mdns.ServiceEvent) {
		p, ok := c.player(e)
		if !ok || e.Instance.Service != c.Find {
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if len(found) < maxPlayers {
			found[p.Address] = p
		}
	})
	for pause := firstPause; ; pause = min(2*pause, mostPause) {
		round, end := context.WithCancel(ctx)
		if err := conn.Browse(round, c.Find); err != nil {
			end()
			return fmt.Errorf("look for %s: %w", c.Find, err)
		}
		err := clock.Sleep(ctx, c.Clock, listening)
		end()
		if err != nil {
			return nil
		}
		mu.Lock()
		all := slices.SortedFunc(maps.Values(found), func(a, b Player) int { return a.Address.Compare(b.Address) })
		clear(found)
		mu.Unlock()
		c.Found(all)
		if clock.Sleep(ctx, c.Clock, pause) != nil {
			return nil
		}
	}
}

// player is one that a machine of the local network announces. What points elsewhere is left: any machine may announce
// any address, and what listens on this machine alone is nobody else's to have called.
func (c *Config) player(e mdns.ServiceEvent) (Player, bool) {
	at := e.Addr.Unmap()
	if e.Instance.Port == 0 || !at.IsPrivate() && !at.IsLinkLocalUnicast() && !(c.Loopback && at.IsLoopback()) {
		return Player{}, false
	}
	p := Player{Name: e.Instance.Instance, Address: netip.AddrPortFrom(at, e.Instance.Port), Text: map[string]string{}}
	for _, t := range e.Instance.Text {
		if len(t.Key)+len(t.Value) > maxText {
			return Player{}, false
		}
		p.Text[strings.ToLower(t.Key)] = string(t.Value)
	}
	return p, true
}
