package peer

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"tutti"
	"tutti/clock"
	"tutti/peer/balance"
	"tutti/peer/wire"
)

// ClientConfig is what a Client needs. Fleet, Clock and Logger are required. A duration that is zero is its default.
type ClientConfig struct {
	Fleet tutti.Fleet
	Keys  *Keys       // nil: nothing is signed, which members answer on their own machine only
	TLS   *tls.Config // nil: plain HTTP; else as ReadTLS returns it
	// Models is where the metadata models are that messages of the catalogue are written small with; nil: they travel as
	// Protocol Buffers write them.
	Models Models

	Read  time.Duration // how long one member may take to answer a read; 5 s
	Write time.Duration // and a write; 10 s
	// Hedge is after how long another member is asked as well, where asking twice does no harm; 100 ms, which is far
	// beyond the slowest answer of a member that is well. Less than zero is never.
	Hedge time.Duration
	// Stall is how long a member may send nothing of an object before another is asked; 1 s.
	Stall time.Duration
	// Patience is how long an object may take to go on whoever is asked; 30 s.
	Patience time.Duration

	Clock  clock.Clock // must show true time: signatures and passes go by it
	Logger *slog.Logger
}

// Client calls the other members of the fleet. Its methods are safe for concurrent use.
//
// It looks at the fleet for every call. Of the catalogue's members it asks for one person always the same, as long as that
// one is well, so that not every member holds what everybody starred and played; for nobody in particular it asks the less busy
// of two drawn at random (the power of two choices: Mitzenmacher, IEEE TPDS 12(10), 2001). Of the track cache's it asks
// those that own the object. A member that fails or stays silent is avoided for a second, and longer if it does so again. Reads are asked of another member
// when the first fails or takes long; writes only when they surely did not arrive or do no harm twice. At most one
// call in twenty is asked twice because of its slowness, so that a fleet that is slow as a whole does not get twice as
// much to do. Where no member is ready, calls fail at once.
type Client struct {
	c       ClientConfig
	signer  *signer
	base    *http.Transport
	control *http.Client
	bytes   *http.Client
	scheme  string
	budget  balance.HedgeBudget
	metrics *clientMetrics

	mu      sync.RWMutex
	targets map[string]*target
}

// target is a member as this process sees it.
type target struct {
	address string
	catalog wire.CatalogClient
	cache   wire.TrackCacheClient
	health  balance.Health
}

// Health implements balance.Target.
func (t *target) Health() *balance.Health { return &t.health }

// NewClient returns a Client. Close it when done.
func NewClient(c ClientConfig) *Client {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Read, balance.Read}, {&c.Write, balance.Write}, {&c.Hedge, balance.Hedge}, {&c.Stall, balance.Stall}, {&c.Patience, balance.Patience}} {
		if *d.field == 0 {
			*d.field = d.value
		}
	}
	client := &Client{
		c: c, signer: newSigner(c.Keys, c.Clock), base: newTransport(c.TLS), scheme: "http://",
		metrics: newClientMetrics(), targets: map[string]*target{},
	}
	if c.TLS != nil {
		client.scheme = "https://"
	}
	var control http.RoundTripper = &signed{client.signer, client.base}
	if c.Models != nil {
		control = &codingTransport{coding: coding{c.Models, client.metrics.coding}, next: control, reads: map[string]reader{}}
	}
	client.control = &http.Client{Transport: control, CheckRedirect: stay}
	client.bytes = &http.Client{Transport: client.base, CheckRedirect: stay}
	return client
}

// newTransport returns a transport for members: HTTP/1.1, no proxy whatever the environment says, no compression, and
// as many connections as there are calls at once, kept for less time than servers keep them (delivery: 2 min).
func newTransport(t *tls.Config) *http.Transport {
	return &http.Transport{
		DialContext:         (&net.Dialer{Timeout: time.Second, KeepAlive: 15 * time.Second}).DialContext,
		TLSClientConfig:     t.Clone(),
		TLSHandshakeTimeout: 2 * time.Second,
		TLSNextProto:        map[string]func(string, *tls.Conn) http.RoundTripper{},
		DisableCompression:  true,
		MaxIdleConns:        4096,
		MaxIdleConnsPerHost: 512,
		IdleConnTimeout:     time.Minute,
		ReadBufferSize:      16 << 10,

		MaxResponseHeaderBytes: 64 << 10,
	}
}

// stay keeps a client from being sent elsewhere: members are asked at the addresses that the fleet gives.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }

// Close gives up idle connections. Calls that are under way go on.
func (c *Client) Close() { c.base.CloseIdleConnections() }

func connectOptions() []connect.ClientOption {
	return []connect.ClientOption{
		connect.WithReadMaxBytes(2 * maxBody), // a list of everything somebody starred may be long
		connect.WithAcceptCompression("gzip", nil, nil),
	}
}

// target returns what is known of the member's address.
func (c *Client) target(m tutti.Member) *target {
	c.mu.RLock()
	t := c.targets[m.Address]
	c.mu.RUnlock()
	if t != nil {
		return t
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.targets[m.Address]; t != nil {
		return t
	}
	c.forget()
	url := c.scheme + m.Address
	t = &target{
		address: m.Address,
		catalog: wire.NewCatalogClient(c.control, url, connectOptions()...),
		cache:   wire.NewTrackCacheClient(c.control, url, connectOptions()...),
	}
	c.targets[m.Address] = t
	return t
}

// forget drops the targets that no member has any more, before another is added. c.mu is held.
func (c *Client) forget() {
	here := map[string]bool{}
	for _, s := range []tutti.Service{tutti.ServiceDelivery, tutti.ServiceCatalog, tutti.ServiceTrackCache} {
		for _, m := range c.c.Fleet.Members(s) {
			here[m.Address] = true
		}
	}
	for address, t := range c.targets {
		if !here[address] && t.health.InFlight() == 0 {
			delete(c.targets, address)
		}
	}
}

func (c *Client) suspect(t *target) { t.health.Suspect(c.c.Clock.Now()) }

// known returns what is known of members.
func (c *Client) known(members []tutti.Member) []*target {
	out := make([]*target, len(members))
	for i, m := range members {
		out[i] = c.target(m)
	}
	return out
}

// balanced orders members for nobody in particular.
func (c *Client) balanced(members []tutti.Member) []*target {
	return balance.Balanced(c.known(members), c.c.Clock.Now(), rand.IntN)
}

// near orders members for one person.
func (c *Client) near(members []tutti.Member, person string) []*target {
	return balance.Near(c.known(balance.Rank(members, person, func(m tutti.Member) string { return m.ID })), c.c.Clock.Now())
}

// owners orders members of the track cache for an object's chunk: those that own it, then those who come next on the ring,
// as nginx asks them: what loses its owners is spread over all others, and no call looks at every member of a large fleet.
func (c *Client) owners(chunk tutti.ChunkID) []*target {
	out := c.known(c.c.Fleet.Owners(chunk, tutti.Replicas+balance.MaxAsked))
	owners := min(len(out), tutti.Replicas)
	return balance.Owners(out[:owners], out[owners:], c.c.Clock.Now())
}

func (c *Client) read() balance.Class {
	return balance.Class{Patience: c.c.Read, Hedge: max(0, c.c.Hedge), Again: true}
}

// write is for changes that must not happen twice.
func (c *Client) write() balance.Class { return balance.Class{Patience: c.c.Write} }

// writeAgain is for changes that say how things are to be, so that the second time changes nothing.
func (c *Client) writeAgain() balance.Class { return balance.Class{Patience: c.c.Write, Again: true} }

// attempt is asking one member.
type attempt[T any] struct {
	t        *target
	timer    clock.Timer
	cancel   context.CancelCauseFunc
	over     bool
	value    T
	err      error
	answered bool // the member said so, so it lives
}

// end gives up what belongs to the attempt, its value included where that is still being read.
func (a *attempt[T]) end() {
	a.timer.Stop()
	a.cancel(context.Canceled)
}

var errSilent = errors.New("no answer in time")

// ask asks one target after another until one has an answer, and returns that attempt, which the caller ends when it
// has done with the value.
func ask[T any](ctx context.Context, c *Client, method string, how balance.Class, targets []*target, do func(context.Context, *target) (T, error)) (won *attempt[T], err error) {
	defer func() {
		kind := "ok"
		if err != nil {
			kind = tutti.KindOf(err).String()
		}
		c.metrics.calls.WithLabelValues(method, kind).Inc()
	}()
	op := "peer: " + method
	if ctx.Err() != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, context.Cause(ctx))
	}
	if err := c.c.Keys.refresh(c.c.Clock.Now()); err != nil {
		c.c.Logger.Warn("the fleet's keys stay as they were", slog.Any("error", err))
	}
	race := balance.NewRace(how, len(targets), &c.budget)
	targets = targets[:race.Targets()]
	var begun []*attempt[T]
	results := make(chan *attempt[T], len(targets))
	begin := func() {
		a := &attempt[T]{t: targets[len(begun)]}
		begun = append(begun, a)
		var own context.Context
		own, a.cancel = context.WithCancelCause(ctx)
		a.timer = c.c.Clock.AfterFunc(how.Patience, func() { a.cancel(errSilent) })
		a.t.health.Begin()
		go func() {
			a.value, a.err = do(own, a.t)
			a.t.health.End()
			a.err, a.answered = incoming(own, op+" on "+a.t.address, a.err)
			results <- a
		}()
	}
	defer func() {
		for _, a := range begun {
			if a != won {
				a.end() // an answer that comes all the same is closed by the transport, because its context has ended
			}
		}
	}()
	begin()
	var slow <-chan time.Time
	if after := race.Hedge(); after > 0 {
		timer := c.c.Clock.NewTimer(after)
		defer timer.Stop()
		slow = timer.C()
	}
	for {
		select {
		case <-ctx.Done():
			return nil, tutti.Wrap(tutti.KindUnavailable, op, context.Cause(ctx))
		case <-slow:
			slow = nil
			if race.Slow(&c.budget) {
				c.metrics.hedged.WithLabelValues(method).Inc()
				begin()
			}
		case a := <-results:
			a.over = true
			if a.answered {
				a.t.health.Answered()
			}
			if a.err == nil {
				a.timer.Stop()
				for _, other := range begun {
					if other == a {
						break
					}
					if !other.over { // it was asked before, and is still silent
						c.suspect(other.t)
					}
				}
				return a, nil
			}
			if err == nil || a.answered {
				err = a.err
			}
			if !a.answered && ctx.Err() == nil {
				c.suspect(a.t)
			}
			switch race.Failed(a.answered, tutti.KindOf(a.err), notSent(a.err)) {
			case balance.Final:
				return nil, a.err
			case balance.Ask:
				c.metrics.moved.WithLabelValues(method).Inc()
				begin()
			case balance.GiveUp:
				return nil, err
			case balance.Wait:
			}
		}
	}
}

// notSent reports whether a call failed before anything of it was sent.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// nobody is the error of a call for which no member is ready.
func nobody(method string, s tutti.Service) error {
	return tutti.Errorf(tutti.KindUnavailable, "peer: "+method, "no %s of this fleet is ready; try again in a moment", s)
}
