// Package members is how the processes of a fleet know of one another: each writes a sign of life into the store they
// share, once a second, and reads everybody's. There is no other coordinator. Members is the tutti.Fleet that this
// leads to, and Ring says which of its track caches own a chunk, in agreement with nginx.
//
// # Rules
//
//   - A member is one item in the partition "fleet". A beat rewrites it at the version it is known to have, so an item
//     whose version stands still is of a process that is stopped, cut off or dead. Nobody's clock is compared with
//     anybody else's.
//   - An observer drops a member that has given no sign of life for 3 s by the observer's own clock. It counts from the
//     look before the one that saw the last beat, so a member that is killed is gone 3 s after that at the latest.
//   - Silence counts only while others are heard. A store that is away, or that reads but takes no writes, silences
//     everybody, and then the view stays what it was. When the store is back, or the observer itself was stopped, all
//     are given the full time again before any is dropped.
//   - An ID is one process. A start takes the item over with a higher epoch, and the process that had it finds out at
//     its next beat: Run returns KindConflict, and the process must stop. So the younger of two with one ID wins.
//
// # What it costs
//
// A member writes one item of less than 1 KB and makes one strongly consistent query a second. DynamoDB on demand bills
// that as 1 WRU (2.63 million a month) and, up to about 13 members (300 bytes each), 1 RRU: at 0.625 $ and 0.125 $ per million
// (us-east-1, since November 2024) 1.97 $ per member and month, and 0.33 $ more for every further 13 members. A look without a
// beat, as that of an nginx machine, costs the RRU.
package members

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"log/slog"
	"net"
	"regexp"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// Config is what a Members needs. Store, Clock and Logger are required.
type Config struct {
	Store store.Store
	// Self is the process. Its ID, Service and Address are required; Epoch and State are New's to set. A zero Self is an
	// observer, which sees the members and is none.
	Self   tutti.Member
	Clock  clock.Clock
	Logger *slog.Logger
	// Beat is the time between two signs of life and between two looks; 0 is 1 s, and three of them are the time after
	// which silence counts as death. It must be the same in the whole fleet.
	Beat time.Duration
}

const (
	partition = "fleet"
	prefix    = "member/"
	// silences is how many beats a member may miss.
	silences = 3
	// forgetting is after how many beats without a sign of life the store may forget the item: long after everybody
	// has dropped the member, so it matters only where all processes died at once and nobody was left to see it.
	forgetting = 60
	// maxID bounds a member's id, which is part of a key; maxItem what is read of an item.
	maxID, maxItem = 200, 4096
)

// record is a member as the store has it.
type record struct {
	Service tutti.Service     `json:"service"`
	Address string            `json:"address"`
	Epoch   uint64            `json:"epoch"`
	State   tutti.MemberState `json:"state"`
	Started time.Time         `json:"started"`
	Version string            `json:"version,omitempty"`
	Reads   string            `json:"reads,omitempty"`
	// Start is a random number that a process draws when it starts: two starts that took the same epoch differ in it.
	Start string `json:"start"`
}

// Members is the fleet as one process sees it. It implements tutti.Fleet and prometheus.Collector.
type Members struct {
	c     Config
	start string

	beating sync.Mutex // one write at a time
	self    tutti.Member
	version uint64 // of our item as we last wrote it; 0: it must be made anew
	left    bool

	watching sync.Mutex // what the looks found; looks themselves are Run's, one after the other
	roll     Roll

	view    atomic.Pointer[view]
	mu      sync.Mutex
	changed chan struct{}

	beaten atomic.Pointer[time.Time] // when our latest successful beat began

	beats, failedBeats, looks, failedLooks, dropped, changes atomic.Uint64
}

var (
	_ tutti.Fleet          = (*Members)(nil)
	_ prometheus.Collector = (*Members)(nil)
)

// view is one picture of the fleet. It is never changed.
type view struct {
	self   tutti.Member
	all    []tutti.Member // by id
	ready  map[tutti.Service][]tutti.Member
	caches []tutti.Member // the servers of ring, in its order
	ring   *Ring
}

// New makes the process a member that is starting, and has the first look. It returns KindInvalid for a Self that
// cannot be, and KindUnavailable where the store is away; a caller that has time tries again.
func New(ctx context.Context, c Config) (*Members, error) {
	const op = "members.New"
	if c.Beat <= 0 {
		c.Beat = time.Second
	}
	m := &Members{c: c, roll: Roll{Beat: c.Beat}, changed: make(chan struct{})}
	if c.Self != (tutti.Member{}) {
		if err := valid(c.Self); err != nil {
			return nil, err
		}
		var random [8]byte
		_, _ = rand.Read(random[:]) // never fails, by its documentation
		m.start = hex.EncodeToString(random[:])
		m.self = c.Self
		m.self.State = tutti.MemberStarting
		if m.self.Started.IsZero() {
			m.self.Started = c.Clock.Now()
		}
		m.self.Started = m.self.Started.UTC().Truncate(time.Millisecond) // as the others see it
		if err := m.enter(ctx); err != nil {
			return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
		}
	}
	if err := m.look(ctx); err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return m, nil
}

// hostForm is what everybody can look up, nginx and name servers among them: no underscore, say.
var hostForm = regexp.MustCompile(`^([A-Za-z0-9.-]+|[0-9A-Fa-f:.]+)$`)

func valid(self tutti.Member) error {
	const op = "members.New"
	if self.ID == "" || len(self.ID) > maxID {
		return tutti.Errorf(tutti.KindInvalid, op, "a member needs an id of at most %d bytes", maxID)
	}
	switch self.Service {
	case tutti.ServiceDelivery, tutti.ServiceCatalog, tutti.ServiceTrackCache:
	default:
		return tutti.Errorf(tutti.KindInvalid, op, "there is no service %q", self.Service)
	}
	host, port, err := net.SplitHostPort(self.Address)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 || !hostForm.MatchString(host) {
		return tutti.Errorf(tutti.KindInvalid, op, "the address %q, under which the others are to reach this process, must be HOST:PORT", self.Address)
	}
	return nil
}

// enter takes the item over for this start. The epoch is above that of the start before, and of the order of the time in
// seconds, so that it does not begin anew where the item was removed meanwhile.
func (m *Members) enter(ctx context.Context) error {
	m.beating.Lock()
	defer m.beating.Unlock()
	for range 10 {
		item, err := m.c.Store.Get(ctx, m.key())
		condition := store.IfVersion(item.Version)
		m.self.Epoch = uint64(max(1, m.c.Clock.Now().Unix()))
		switch {
		case tutti.IsKind(err, tutti.KindNotFound):
			condition = store.IfAbsent
		case err != nil:
			return err
		default:
			if before, err := parse(item.Value); err == nil {
				m.self.Epoch = max(m.self.Epoch, before.Epoch+1)
			} // else nobody can go on with it, and it is replaced
		}
		m.version, err = m.put(ctx, condition)
		if !tutti.IsKind(err, tutti.KindConflict) {
			return err
		}
	}
	return tutti.Errorf(tutti.KindConflict, "members.New", "several processes take the id %q at the same time; give each an id (a data folder) of its own", m.self.ID)
}

func (m *Members) key() store.Key { return store.Key{PK: partition, SK: prefix + m.self.ID} }

func (m *Members) put(ctx context.Context, condition store.Condition) (uint64, error) {
	value, err := json.Marshal(record{m.self.Service, m.self.Address, m.self.Epoch, m.self.State, m.self.Started, m.self.Version, m.self.Reads, m.start})
	if err != nil {
		return 0, tutti.Wrap(tutti.KindInternal, "members.beat", err)
	}
	return m.c.Store.Put(ctx, m.key(), value, m.c.Clock.Now().Add(forgetting*m.c.Beat), condition)
}

func parse(value []byte) (record, error) {
	const op = "members.parse"
	var r record
	if len(value) > maxItem {
		return r, tutti.Errorf(tutti.KindInvalid, op, "an item of %d bytes is no member", len(value))
	}
	if err := json.NewDecoder(bytes.NewReader(value)).Decode(&r); err != nil {
		return r, tutti.Wrap(tutti.KindInvalid, op, err)
	}
	return r, nil
}

// superseded is the end of a process whose ID another has taken.
func (m *Members) superseded(by uint64) error {
	return tutti.Errorf(tutti.KindConflict, "members.Run", "another process has taken the id %q (epoch %d, ours is %d); this one stops", m.self.ID, by, m.self.Epoch)
}

// beat gives a sign of life. KindConflict is final: another process has our ID.
func (m *Members) beat(ctx context.Context) error {
	m.beating.Lock()
	defer m.beating.Unlock()
	if m.left || m.self.ID == "" {
		return nil
	}
	began := m.c.Clock.Now()
	condition := store.IfAbsent
	if m.version != 0 {
		condition = store.IfVersion(m.version)
	}
	version, err := m.put(ctx, condition)
	if tutti.IsKind(err, tutti.KindConflict) {
		version, err = m.reclaim(ctx)
	}
	if err != nil {
		m.failedBeats.Add(1)
		return err
	}
	m.version = version
	m.beaten.Store(&began)
	m.beats.Add(1)
	return nil
}

// reclaim finds out why our item is not as we left it: an answer to our own write was lost; it expired while we were
// stopped; or it is another's now.
func (m *Members) reclaim(ctx context.Context) (uint64, error) {
	item, err := m.c.Store.Get(ctx, m.key())
	condition := store.IfVersion(item.Version)
	switch {
	case tutti.IsKind(err, tutti.KindNotFound):
		condition = store.IfAbsent
	case err != nil:
		return 0, err
	default:
		r, err := parse(item.Value)
		if err == nil && r.Start != m.start && r.Epoch >= m.self.Epoch {
			return 0, m.superseded(r.Epoch)
		}
	}
	version, err := m.put(ctx, condition)
	if tutti.IsKind(err, tutti.KindConflict) {
		// It changed again in between, and not by us. The next beat sees whose it is.
		m.version = 0
		return 0, tutti.Errorf(tutti.KindUnavailable, "members.beat", "the member's item changes under our hands")
	}
	return version, err
}

// setState gives a sign of life in a new state at once.
func (m *Members) setState(ctx context.Context, s tutti.MemberState) error {
	m.beating.Lock()
	m.self.State = s
	m.beating.Unlock()
	err := m.beat(ctx)
	m.show()
	return err
}

// Ready says that the process may be asked. The state counts even where the error (KindUnavailable) says that the
// others do not know of it yet: the next beat tells them.
func (m *Members) Ready(ctx context.Context) error { return m.setState(ctx, tutti.MemberReady) }

// Drain says that the process finishes what it has begun and wants nothing more. Errors are those of Ready.
func (m *Members) Drain(ctx context.Context) error { return m.setState(ctx, tutti.MemberDraining) }

// SetReads says what the process can read from now on; see tutti.Member. Errors are those of Ready: what the process can
// read counts for others when they have heard of it.
func (m *Members) SetReads(ctx context.Context, reads string) error {
	m.beating.Lock()
	same := m.self.Reads == reads
	m.self.Reads = reads
	m.beating.Unlock()
	if same {
		return nil
	}
	err := m.beat(ctx)
	m.show()
	return err
}

// Leave ends the membership; the others know within one beat. Afterwards no beat is given. KindUnavailable means that the
// others find out by silence.
func (m *Members) Leave(ctx context.Context) error {
	m.beating.Lock()
	defer m.beating.Unlock()
	if m.left || m.self.ID == "" {
		return nil
	}
	m.left = true
	err := m.c.Store.Delete(ctx, m.key(), store.IfVersion(m.version))
	if tutti.IsKind(err, tutti.KindConflict) {
		// It is gone, or another's, or ours in a version of which the answer was lost.
		var item store.Item
		item, err = m.c.Store.Get(ctx, m.key())
		if tutti.IsKind(err, tutti.KindNotFound) {
			return nil
		}
		if r, damaged := parse(item.Value); err == nil && (damaged != nil || r.Start != m.start) {
			return nil
		}
		if err == nil {
			err = m.c.Store.Delete(ctx, m.key(), store.IfVersion(item.Version))
		}
	}
	return tutti.Wrap(tutti.KindUnavailable, "members.Leave", err)
}

// Run gives signs of life and looks at the others' until ctx ends, and then returns nil. It returns KindConflict when
// another process has taken the ID: then this one must stop at once. It does not leave: whoever ends it calls Leave.
func (m *Members) Run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if m.c.Self.ID != "" {
		g.Go(func() error {
			return m.every(ctx, "sign of life", &m.failedBeats, func(ctx context.Context) error { return m.beat(ctx) })
		})
	}
	g.Go(func() error {
		return m.every(ctx, "look at the members", &m.failedLooks, m.look)
	})
	return g.Wait()
}

// every calls fn once a beat, counted from when the call before began, and logs when it begins and ceases to fail. A call
// may take two beats: a store that takes longer is away.
func (m *Members) every(ctx context.Context, what string, failures *atomic.Uint64, fn func(context.Context) error) error {
	next := m.c.Clock.Now()
	failing := false
	for {
		next = next.Add(m.c.Beat)
		now := m.c.Clock.Now()
		if next.Before(now) {
			next = now // the process was stopped, or the store is slow: no hurry to make up for it
		}
		if err := clock.Sleep(ctx, m.c.Clock, next.Sub(now)); err != nil {
			return nil
		}
		call, cancel := context.WithCancel(ctx)
		limit := m.c.Clock.AfterFunc(2*m.c.Beat, cancel)
		err := fn(call)
		limit.Stop()
		cancel()
		switch {
		case ctx.Err() != nil:
			return nil
		case tutti.IsKind(err, tutti.KindConflict):
			return err
		case err != nil && !failing:
			m.c.Logger.WarnContext(ctx, "the store does not answer; the fleet stays as it was known", "for", what, "err", err)
		case err == nil && failing:
			m.c.Logger.InfoContext(ctx, "the store answers again", "for", what, "failures", failures.Load())
		}
		failing = err != nil
	}
}

// look reads everybody's items and draws the conclusions.
func (m *Members) look(ctx context.Context) error {
	began := m.c.Clock.Now()
	found := make(map[string]Found, len(m.roll.seen))
	for after := ""; ; {
		page, err := m.c.Store.Query(ctx, partition, prefix, after, store.MaxPage)
		if err != nil {
			m.failedLooks.Add(1)
			m.watching.Lock()
			m.roll.Missed()
			m.watching.Unlock()
			return err
		}
		for _, item := range page.Items {
			id := item.SK[len(prefix):]
			found[id] = Found{item.Version, func() (tutti.Member, error) { return read(id, item.Value) }}
		}
		if after = page.Next; after == "" {
			break
		}
	}
	m.looks.Add(1)
	m.watching.Lock()
	m.conclude(began, found)
	m.watching.Unlock()
	m.show()
	return nil
}

// conclude brings the roll up to date with what a look, begun at a time, has found.
func (m *Members) conclude(began time.Time, found map[string]Found) {
	var own time.Time
	if ours := m.beaten.Load(); ours != nil {
		own = *ours
	}
	dropped, damaged := m.roll.Look(began, found, own)
	for id, err := range damaged {
		m.c.Logger.Warn("an item of the fleet makes no sense", "member", id, "err", err)
	}
	for _, s := range dropped {
		m.dropped.Add(1)
		m.c.Logger.Warn("a member is silent", "member", s.ID, "service", s.Service, "address", s.Address, "for", s.For)
	}
}

// read makes a member of its item.
func read(id string, value []byte) (tutti.Member, error) {
	r, err := parse(value)
	if err != nil {
		return tutti.Member{}, err
	}
	return tutti.Member{
		ID: id, Service: r.Service, Address: r.Address, Epoch: r.Epoch, State: r.State, Started: r.Started, Version: r.Version, Reads: r.Reads,
	}, nil
}

// show makes what is known the view, if that changes anything.
func (m *Members) show() {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.view.Load()
	v := m.draw(old)
	if old != nil && slices.Equal(old.all, v.all) && old.self == v.self {
		return
	}
	m.view.Store(v)
	if old == nil {
		return
	}
	m.changes.Add(1)
	close(m.changed)
	m.changed = make(chan struct{})
}

// draw makes a picture of what is known. The process itself is in it as it knows itself, not as the store has it.
func (m *Members) draw(old *view) *view {
	m.watching.Lock()
	all := slices.AppendSeq(make([]tutti.Member, 0, len(m.roll.seen)+1), m.roll.Members())
	m.watching.Unlock()
	m.beating.Lock()
	self := m.self
	m.beating.Unlock()
	if self.ID != "" {
		all = slices.DeleteFunc(all, func(o tutti.Member) bool { return o.ID == self.ID })
		all = append(all, self)
	}
	slices.SortFunc(all, func(a, b tutti.Member) int { return cmp.Compare(a.ID, b.ID) })
	v := &view{self: self, all: all, ready: map[tutti.Service][]tutti.Member{}}
	for _, o := range all {
		if o.State == tutti.MemberReady {
			v.ready[o.Service] = append(v.ready[o.Service], o)
		}
	}
	v.caches = Servers(v.ready[tutti.ServiceTrackCache])
	if old != nil && slices.Equal(old.ring.servers, addresses(v.caches)) {
		v.ring = old.ring
	} else {
		v.ring = NewRing(addresses(v.caches))
	}
	return v
}

// Servers returns members by address, one for each address: the order of nginx's `server` lines, and so of the ring.
func Servers(ready []tutti.Member) []tutti.Member {
	out := slices.Clone(ready)
	slices.SortStableFunc(out, func(a, b tutti.Member) int { return cmp.Compare(a.Address, b.Address) })
	return slices.CompactFunc(out, func(a, b tutti.Member) bool { return a.Address == b.Address })
}

func addresses(members []tutti.Member) []string {
	out := make([]string, len(members))
	for i, o := range members {
		out[i] = o.Address
	}
	return out
}

// Self implements tutti.Fleet.
func (m *Members) Self() tutti.Member { return m.view.Load().self }

// Members implements tutti.Fleet. The list is shared: nobody changes it.
func (m *Members) Members(s tutti.Service) []tutti.Member { return m.view.Load().ready[s] }

// All returns every member in whatever state, by ID. The list is shared: nobody changes it.
func (m *Members) All() []tutti.Member { return m.view.Load().all }

// Owners implements tutti.Fleet. It costs a binary search among 160 points a member, and one allocation.
func (m *Members) Owners(c tutti.ChunkID, n int) []tutti.Member {
	v := m.view.Load()
	var key [96]byte
	var indices [8]int32
	found := v.ring.owners(indices[:0], appendSliceKey(key[:0], c), n)
	out := make([]tutti.Member, len(found))
	for i, at := range found {
		out[i] = v.caches[at]
	}
	return out
}

// Changed returns a channel that is closed at the next change of what Members, All or Self return. To miss none, take the
// channel first and then look.
func (m *Members) Changed() <-chan struct{} {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.changed
}
