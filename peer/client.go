package peer

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"hash/fnv"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"tutti"
	"tutti/clock"
	"tutti/peer/wire"
)

// ClientConfig is what a Client needs. Fleet, Clock and Logger are required. A duration that is zero is its default.
type ClientConfig struct {
	Fleet tutti.Fleet
	Keys  *Keys       // nil: nothing is signed, which members answer on their own machine only
	TLS   *tls.Config // nil: plain HTTP; else as ReadTLS returns it

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
	budget  hedgeBudget
	metrics *clientMetrics

	mu      sync.RWMutex
	targets map[string]*target
}

// target is a member as this process sees it.
type target struct {
	address  string
	catalog  wire.CatalogClient
	cache    wire.TrackCacheClient
	inFlight atomic.Int64
	avoid    atomic.Int64 // until when, in nanoseconds since 1970
	failures atomic.Int32 // in a row
}

// suspicion is how long a member that failed is avoided: twice as long after each failure without an answer in between,
// until the fleet, which takes up to 3 s, must have noticed that it is gone.
const (
	suspicion    = time.Second
	maxSuspicion = 4 * time.Second
)

// NewClient returns a Client. Close it when done.
func NewClient(c ClientConfig) *Client {
	for _, d := range []struct {
		field *time.Duration
		value time.Duration
	}{{&c.Read, 5 * time.Second}, {&c.Write, 10 * time.Second}, {&c.Hedge, 100 * time.Millisecond}, {&c.Stall, time.Second}, {&c.Patience, 30 * time.Second}} {
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
	client.control = &http.Client{Transport: &signed{client.signer, client.base}, CheckRedirect: stay}
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
		if !here[address] && t.inFlight.Load() == 0 {
			delete(c.targets, address)
		}
	}
}

func (c *Client) suspect(t *target) {
	d := min(maxSuspicion, suspicion<<min(t.failures.Add(1)-1, 8))
	t.avoid.Store(c.c.Clock.Now().Add(d).UnixNano())
}

func (c *Client) suspected(t *target) bool {
	until := t.avoid.Load()
	return until != 0 && c.c.Clock.Now().UnixNano() < until
}

// order puts those who are avoided behind the others, without changing the order otherwise.
func (c *Client) order(members []tutti.Member) []*target {
	out := make([]*target, 0, len(members))
	var late []*target
	for _, m := range members {
		if t := c.target(m); c.suspected(t) {
			late = append(late, t)
		} else {
			out = append(out, t)
		}
	}
	return append(out, late...)
}

// balanced orders members by the power of two choices: the less busy of two, the other one, and the rest.
func (c *Client) balanced(members []tutti.Member) []*target {
	out := c.order(members)
	well := len(out)
	for well > 0 && c.suspected(out[well-1]) {
		well--
	}
	if well > 1 {
		i := rand.IntN(well)
		out[0], out[i] = out[i], out[0]
		j := 1 + rand.IntN(well-1)
		out[1], out[j] = out[j], out[1]
		if out[1].inFlight.Load() < out[0].inFlight.Load() {
			out[0], out[1] = out[1], out[0]
		}
	}
	return out
}

// crowd is how many calls may be under way to one member before it is compared with the others: as many as can come at
// one moment by chance.
const crowd = 16

// near orders members for one person: by rendezvous hashing (Thaler and Ravishankar, IEEE/ACM ToN 6(1), 1998), so that
// every process asks the same one, and only those move whose member leaves. Where that one is avoided, or has more than twice
// as many calls of this process under way as the others on average, the less busy of the person's next two comes first.
func (c *Client) near(members []tutti.Member, person string) []*target {
	ranked := slices.Clone(members)
	score := make(map[string]uint64, len(members))
	for _, m := range members {
		score[m.ID] = rendezvous(person, m.ID)
	}
	slices.SortFunc(ranked, func(a, b tutti.Member) int {
		return cmp.Or(cmp.Compare(score[b.ID], score[a.ID]), cmp.Compare(a.ID, b.ID))
	})
	out := c.order(ranked)
	well := len(out)
	for well > 0 && c.suspected(out[well-1]) {
		well--
	}
	if well == 0 {
		return out
	}
	displaced := out[0].address != ranked[0].Address
	if !displaced && crowded(out[:well]) {
		displaced = true
		copy(out, out[1:well])
		out[well-1] = c.target(ranked[0])
		well--
	}
	if displaced && well > 1 && out[1].inFlight.Load() < out[0].inFlight.Load() {
		out[0], out[1] = out[1], out[0]
	}
	return out
}

// crowded reports whether the first has more than twice as much to do as the others on average.
func crowded(targets []*target) bool {
	n := targets[0].inFlight.Load()
	if n <= crowd || len(targets) == 1 {
		return false
	}
	var others int64
	for _, t := range targets[1:] {
		others += t.inFlight.Load()
	}
	return n*int64(len(targets)-1) > 2*others
}

// rendezvous is how well a member suits a person: FNV-1a, whose last bytes move its upper bits too little to compare by, and the
// finaliser of MurmurHash3 to mend that.
func rendezvous(person, member string) uint64 {
	h := fnv.New64a()
	_, _ = io.WriteString(h, person+"\x00"+member) // a hash never fails
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// owners orders the members of the track cache for an object's chunk: those that own it, then the others.
func (c *Client) owners(chunk tutti.ChunkID) []*target {
	owners := c.c.Fleet.Owners(chunk, tutti.Replicas)
	out := c.order(owners)
	well := len(out)
	for well > 0 && c.suspected(out[well-1]) {
		well--
	}
	var others []tutti.Member
	for _, m := range c.c.Fleet.Members(tutti.ServiceTrackCache) {
		if !slices.ContainsFunc(owners, func(o tutti.Member) bool { return o.Address == m.Address }) {
			others = append(others, m)
		}
	}
	if well > 0 || len(others) == 0 {
		return append(out, c.order(others)...)
	}
	return append(c.order(others), out...)
}

// hedgeBudget lets one call in twenty be asked twice because it takes long, and a few more in a row.
type hedgeBudget struct{ tokens atomic.Int64 }

const (
	hedgeShare = 20  // calls for each hedge
	hedgeBurst = 200 // in calls: ten hedges
)

func (b *hedgeBudget) earn() {
	if b.tokens.Load() < hedgeBurst {
		b.tokens.Add(1)
	}
}

func (b *hedgeBudget) spend() bool {
	if b.tokens.Add(-hedgeShare) >= 0 {
		return true
	}
	b.tokens.Add(hedgeShare)
	return false
}

// class is how members are asked.
type class struct {
	patience time.Duration // for one member
	hedge    time.Duration // after how long another one is asked as well; 0: never
	again    bool          // asking twice does no harm
	bytes    bool          // of an object: asking another member as well need not be rationed, and one that has another version may stand alone
}

func (c *Client) read() class {
	return class{patience: c.c.Read, hedge: max(0, c.c.Hedge), again: true}
}

// write is for changes that must not happen twice.
func (c *Client) write() class { return class{patience: c.c.Write} }

// writeAgain is for changes that say how things are to be, so that the second time changes nothing.
func (c *Client) writeAgain() class { return class{patience: c.c.Write, again: true} }

// maxAsked is how many members are asked for one thing.
const maxAsked = 3

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
func ask[T any](ctx context.Context, c *Client, method string, how class, targets []*target, do func(context.Context, *target) (T, error)) (won *attempt[T], err error) {
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
	targets = targets[:min(maxAsked, len(targets))]
	var begun []*attempt[T]
	results := make(chan *attempt[T], len(targets))
	begin := func() {
		a := &attempt[T]{t: targets[len(begun)]}
		begun = append(begun, a)
		var own context.Context
		own, a.cancel = context.WithCancelCause(ctx)
		a.timer = c.c.Clock.AfterFunc(how.patience, func() { a.cancel(errSilent) })
		a.t.inFlight.Add(1)
		go func() {
			a.value, a.err = do(own, a.t)
			a.t.inFlight.Add(-1)
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
	c.budget.earn()
	var slow <-chan time.Time
	if how.hedge > 0 && len(targets) > 1 {
		timer := c.c.Clock.NewTimer(how.hedge)
		defer timer.Stop()
		slow = timer.C()
	}
	over := 0
	for {
		select {
		case <-ctx.Done():
			return nil, tutti.Wrap(tutti.KindUnavailable, op, context.Cause(ctx))
		case <-slow:
			slow = nil
			if len(begun) < len(targets) && (how.bytes || c.budget.spend()) {
				c.metrics.hedged.WithLabelValues(method).Inc()
				begin()
			}
		case a := <-results:
			a.over = true
			over++
			if a.answered {
				a.t.failures.Store(0)
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
			if kind := tutti.KindOf(a.err); a.answered && kind != tutti.KindUnavailable && (!how.bytes || kind != tutti.KindConflict) {
				return nil, a.err
			}
			if len(begun) < len(targets) && (how.again || notSent(a.err)) {
				c.metrics.moved.WithLabelValues(method).Inc()
				begin()
			} else if over == len(begun) {
				return nil, err
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
