package catalog

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"iter"
	"sync"
	"time"

	"tutti"
	"tutti/clock"
	"tutti/store"
)

// journal keeps a read model in the store as a log of changes and, so that neither the log nor a start grows without
// bound, a snapshot of what the log up to some record amounts to. The catalogue has one journal, each person another.
//
// A snapshot is a number of parts, items of at most store.MaxValue bytes, named by a generation that nobody else uses.
// It counts from the moment that the manifest item names its generation, which is one conditional write. Only then is
// the log trimmed and are the former parts deleted. What a crash can leave behind is therefore never missing, only
// superfluous: parts that no manifest names. An intent item, written first and deleted last, says where to sweep.
//
// Whoever sweeps cannot know that a writer is dead: clocks differ, and a process that was stopped goes on. So before
// anything is deleted the manifest is written again as it was. A writer knows the manifest's version before it writes its
// intent, and publishes on the condition that it is still the same; so whoever's intent the sweep has seen is refused
// from then on (KindConflict), and can take its time.
type journal struct {
	store store.Store
	clock clock.Clock
	log   string // the log's name
	pk    string // partition of the snapshot's items

	// shared says that other nodes follow the log. It is then trimmed one snapshot late: trimmed to the newest one, it
	// would make every node that is a second behind load everything anew.
	shared bool
	// spread is over how many partitions the parts of a snapshot are spread; 0 is the journal's own. A large snapshot
	// in one partition of DynamoDB could be written at 3 parts a second and read at 35 (1,000 WCU and 3,000 RCU a
	// partition), by all nodes together.
	spread int

	mu       sync.Mutex
	manifest manifest
	version  uint64 // of the manifest item; 0: there is none
	logged   int64  // bytes appended or read since the snapshot
}

const (
	manifestKey  = "snapshot"
	partPrefix   = "snapshot-part#"
	intentPrefix = "snapshot-intent#"

	journalFormat = 1
)

// manifest describes a snapshot.
type manifest struct {
	seq        uint64 // of the last log record in it
	generation string // 16 hexadecimal digits
	parts      int
	bytes      int64
	spread     int   // partitions that the parts are spread over; 0: the journal's own
	written    int64 // Unix seconds; 0: not known
}

func (m manifest) encode() []byte {
	b := appendUvarint([]byte{journalFormat}, m.seq)
	b = appendString(b, m.generation)
	b = appendUvarint(b, uint64(m.parts))
	b = appendUvarint(b, uint64(m.bytes))
	b = appendUvarint(b, uint64(m.spread))
	return appendVarint(b, m.written)
}

func (d *decoder) manifest(op string) (manifest, error) {
	if f := d.byte(); d.err == nil && f != journalFormat {
		return manifest{}, tutti.Errorf(tutti.KindInvalid, op, "the catalogue was written by another version of tutti (format %d); use that version, or restore a backup", f)
	}
	m := manifest{seq: d.uvarint(), generation: d.string(), parts: int(d.uvarint()), bytes: int64(d.uvarint())}
	if len(d.b) > 0 { // as of the fleet's first version
		m.spread, m.written = int(d.uvarint()), d.varint()
	}
	if m.spread < 0 || m.spread > maxSpread {
		d.fail()
	}
	return m, d.err
}

const maxSpread = 1024

// partPK is the partition of a snapshot's n-th part.
func partPK(pk, generation string, spread, n int) string {
	if spread == 0 {
		return pk
	}
	return fmt.Sprintf("%s#%s#%02d", pk, generation, n%spread)
}

func partKey(pk, generation string, spread, n int) store.Key {
	return store.Key{PK: partPK(pk, generation, spread, n), SK: fmt.Sprintf("%s%s#%06d", partPrefix, generation, n)}
}

// load calls begin, then part for each part of the snapshot in order, then record for each log record after it, and
// returns the last record's number. It starts over (calling begin again) where another node replaces the snapshot
// under its hands. Parts are read and passed through unpack (nil: left as they are) ahead of part, on a goroutine that
// ends before load returns.
func (j *journal) load(ctx context.Context, begin func(), unpack func([]byte) ([]byte, error), part func([]byte) error, record func(store.Record) error) (seq uint64, err error) {
	const op = "catalog: load"
	const tries = 5
	for range tries {
		begin()
		var (
			m       manifest
			version uint64
		)
		item, err := j.store.Get(ctx, store.Key{PK: j.pk, SK: manifestKey})
		switch {
		case tutti.IsKind(err, tutti.KindNotFound):
		case err != nil:
			return 0, tutti.Wrap(tutti.KindOf(err), op, err)
		default:
			d := decoder{b: item.Value}
			if m, err = d.manifest(op); err != nil {
				return 0, tutti.Wrap(tutti.KindOf(err), op, err)
			}
			version = item.Version
		}
		j.mu.Lock()
		j.manifest, j.version, j.logged = m, version, 0
		j.mu.Unlock()
		replaced, err := j.loadParts(ctx, m, version, unpack, part)
		if err != nil {
			return 0, err
		}
		if replaced {
			continue
		}
		last, err := j.store.LastSeq(ctx, j.log)
		if err != nil {
			return 0, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		gap, err := j.follow(ctx, m.seq, last, record)
		if err != nil {
			return 0, err
		}
		if !gap {
			return max(m.seq, last), nil
		}
	}
	return 0, tutti.Errorf(tutti.KindUnavailable, op, "the catalogue's snapshot is being replaced faster than it can be read")
}

// partsAhead is how many parts of a snapshot are read before they are needed, and at once.
const partsAhead = 6

func (j *journal) loadParts(ctx context.Context, m manifest, version uint64, unpack func([]byte) ([]byte, error), part func([]byte) error) (replaced bool, err error) {
	const op = "catalog: load"
	type read struct {
		value    []byte
		replaced bool
		err      error
	}
	queue := make(chan chan read, partsAhead) // of the answers, in the order of the parts
	var reading sync.WaitGroup
	defer reading.Wait()
	reader, stop := context.WithCancel(ctx)
	defer stop()
	reading.Go(func() {
		defer close(queue)
		for n := range m.parts {
			answer := make(chan read, 1)
			select {
			case queue <- answer:
			case <-reader.Done():
				return
			}
			reading.Go(func() {
				var r read
				r.value, r.replaced, r.err = j.readPart(reader, m, version, n)
				if unpack != nil && r.err == nil && !r.replaced {
					r.value, r.err = unpack(r.value)
				}
				answer <- r
			})
		}
	})
	for answer := range queue {
		r := <-answer
		if r.err == nil && !r.replaced {
			r.err = part(r.value)
		}
		if r.err != nil {
			return false, tutti.Wrap(tutti.KindOf(r.err), op, r.err)
		}
		if r.replaced {
			return true, nil
		}
	}
	return false, ctx.Err()
}

func (j *journal) readPart(ctx context.Context, m manifest, version uint64, n int) (value []byte, replaced bool, err error) {
	item, err := j.store.Get(ctx, partKey(j.pk, m.generation, m.spread, n))
	if tutti.IsKind(err, tutti.KindNotFound) {
		now, err := j.store.Get(ctx, store.Key{PK: j.pk, SK: manifestKey})
		if err == nil && now.Version == version {
			return nil, false, tutti.Errorf(tutti.KindInternal, "catalog: load", "part %d of the catalogue's snapshot is gone; restore a backup", n)
		}
		return nil, true, nil
	}
	return item.Value, false, err
}

// readAhead is how many records are read at a time: some megabytes of a scan's.
const readAhead = 64

// follow calls record for each log record after since up to last, which is as far as the log was seen to go. gap is true
// where records that have not been read were trimmed.
func (j *journal) follow(ctx context.Context, since, last uint64, record func(store.Record) error) (gap bool, err error) {
	const op = "catalog: follow"
	for since < last {
		records, err := j.store.ReadLog(ctx, j.log, since, readAhead)
		if err != nil {
			return false, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		if len(records) == 0 {
			return true, nil // trimmed to its end
		}
		for _, r := range records {
			if r.Seq != since+1 {
				return true, nil
			}
			if r.Seq > last {
				return false, nil
			}
			if err := record(r); err != nil {
				return false, tutti.Wrap(tutti.KindOf(err), op, err)
			}
			since = r.Seq
			j.note(len(r.Value))
		}
	}
	return false, nil
}

// append writes the record after seq. It returns KindConflict where somebody else did.
func (j *journal) append(ctx context.Context, seq uint64, value []byte) error {
	if err := j.store.Append(ctx, j.log, seq+1, value); err != nil {
		return tutti.Wrap(tutti.KindOf(err), "catalog: write", err)
	}
	j.note(len(value))
	return nil
}

func (j *journal) note(bytes int) {
	j.mu.Lock()
	j.logged += int64(bytes)
	j.mu.Unlock()
}

// due reports whether enough was logged since the snapshot that another pays: at least the given bytes, and half of
// the snapshot itself, so that writing snapshots costs no more than a few times what was logged.
func (j *journal) due(least int64) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.logged >= max(least, j.manifest.bytes/2)
}

// save writes a snapshot of the state after the record seq and trims the log. The parts must fit store.MaxValue. It
// returns KindConflict where another node was faster, or took this one for dead, which is no harm.
func (j *journal) save(ctx context.Context, seq uint64, parts iter.Seq2[[]byte, error]) (err error) {
	const op = "catalog: snapshot"
	defer func() {
		if err != nil {
			err = tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}()
	if j.shared { // rather than to write everything and then to find that another node did
		if err := j.learn(ctx); err != nil {
			return err
		}
	}
	j.mu.Lock()
	former, version, covered := j.manifest, j.version, j.logged
	j.mu.Unlock()
	if version != 0 && former.seq > seq {
		// The log behind it may be gone already: an older snapshot would lose what was in it.
		return tutti.Errorf(tutti.KindConflict, op, "another node has written a newer snapshot")
	}
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	next := manifest{seq: seq, generation: hex.EncodeToString(random[:]), spread: j.spread, written: j.clock.Now().Unix()}
	intent := store.Key{PK: j.pk, SK: intentPrefix + next.generation}
	i := appendString(appendVarint(nil, next.written), former.generation)
	i = appendUvarint(appendUvarint(i, uint64(next.spread)), uint64(former.spread))
	if _, err := j.store.Put(ctx, intent, i, time.Time{}, store.IfAbsent); err != nil {
		return err
	}
	for p, err := range parts {
		if err == nil {
			_, err = j.store.Put(ctx, partKey(j.pk, next.generation, next.spread, next.parts), p, time.Time{}, store.Always)
		}
		if err != nil {
			return err // the sweep of the next start removes what was written
		}
		next.parts++
		next.bytes += int64(len(p))
	}
	cond := store.IfAbsent
	if version != 0 {
		cond = store.IfVersion(version)
	}
	version, err = j.store.Put(ctx, store.Key{PK: j.pk, SK: manifestKey}, next.encode(), time.Time{}, cond)
	if err != nil {
		if !tutti.IsKind(err, tutti.KindConflict) {
			return err // it may have happened: the sweep finds out
		}
		return j.withdraw(ctx, next, intent, err)
	}
	j.mu.Lock()
	j.manifest, j.version = next, version
	j.logged = max(0, j.logged-covered)
	j.mu.Unlock()
	trim := seq
	if j.shared {
		trim = former.seq
	}
	if trim > 0 {
		if err := j.store.TrimLog(ctx, j.log, trim); err != nil {
			return err
		}
	}
	for n := range former.parts {
		if err := j.store.Delete(ctx, partKey(j.pk, former.generation, former.spread, n), store.Always); err != nil {
			return err
		}
	}
	return j.store.Delete(ctx, intent, store.Always)
}

// withdraw removes a snapshot that was refused, with the intent, and returns why it was. Whoever made it so may have swept
// before the last of the parts was written.
func (j *journal) withdraw(ctx context.Context, refused manifest, intent store.Key, why error) error {
	if err := j.learn(ctx); err != nil {
		return err
	}
	for n := range refused.parts {
		if err := j.store.Delete(ctx, partKey(j.pk, refused.generation, refused.spread, n), store.Always); err != nil {
			return err
		}
	}
	if err := j.store.Delete(ctx, intent, store.Always); err != nil {
		return err
	}
	return why
}

// learn finds out which snapshot counts: another node's, or one of ours whose acknowledgement was lost.
func (j *journal) learn(ctx context.Context) error {
	const op = "catalog: snapshot"
	item, err := j.store.Get(ctx, store.Key{PK: j.pk, SK: manifestKey})
	if tutti.IsKind(err, tutti.KindNotFound) {
		return nil
	}
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	d := decoder{b: item.Value}
	m, err := d.manifest(op)
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.manifest.generation != m.generation {
		j.logged = 0 // what is in it need not be written again; what came after it hardly counts
	}
	j.manifest, j.version = m, item.Version
	return nil
}

// sweep removes what interrupted snapshots left behind. Intents younger than grace are left alone: another node may be
// at work, whose work would be for nothing. It must be called after load, by whoever calls save.
func (j *journal) sweep(ctx context.Context, grace time.Duration) error {
	const op = "catalog: sweep"
	if j.shared { // what was current when this node loaded may be gone, and what is current now must stay
		if err := j.learn(ctx); err != nil {
			return err
		}
	}
	page, err := j.store.Query(ctx, j.pk, intentPrefix, "", store.MaxPage)
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	j.mu.Lock()
	current := j.manifest
	j.mu.Unlock()
	if len(page.Items) > 0 && !j.shared { // a shared log is trimmed by the next snapshot
		if err := j.store.TrimLog(ctx, j.log, current.seq); err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}
	var (
		intents []store.Key
		parts   []manifest
	)
	for _, item := range page.Items {
		began, left, err := decodeIntent(item)
		if err != nil {
			return tutti.Wrap(tutti.KindInternal, op, err)
		}
		if j.clock.Now().Sub(began) < grace {
			continue
		}
		// It was never finished, or it was but for the clearing up of its predecessor, or it has been replaced since.
		intents = append(intents, item.Key)
		for _, m := range left {
			if m.generation != "" && m.generation != current.generation {
				parts = append(parts, m)
			}
		}
	}
	if len(intents) == 0 {
		return nil
	}
	if err := j.renew(ctx); err != nil {
		if tutti.IsKind(err, tutti.KindConflict) {
			return nil // a snapshot was published since: the next sweep knows more
		}
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	for _, m := range parts {
		for shard := range max(1, m.spread) {
			if err := j.sweepParts(ctx, partPK(j.pk, m.generation, m.spread, shard), m.generation); err != nil {
				return tutti.Wrap(tutti.KindOf(err), op, err)
			}
		}
	}
	for _, k := range intents {
		if err := j.store.Delete(ctx, k, store.Always); err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}
	return nil
}

// decodeIntent returns when a snapshot was begun, and which generations it may have left behind: its own, and the one
// that it was to replace.
func decodeIntent(item store.Item) (began time.Time, left [2]manifest, err error) {
	d := decoder{b: item.Value}
	began = time.Unix(d.varint(), 0)
	left = [...]manifest{{generation: item.SK[len(intentPrefix):]}, {generation: d.string()}}
	if len(d.b) > 0 {
		for i := range left {
			if left[i].spread = int(d.uvarint()); left[i].spread < 0 || left[i].spread > maxSpread {
				d.fail()
			}
		}
	}
	return began, left, d.err
}

// renew writes the manifest again as it was, an empty one where there was none, so that nobody can publish who learnt of
// it before. It returns KindConflict where somebody has published meanwhile.
func (j *journal) renew(ctx context.Context) error {
	j.mu.Lock()
	m, version := j.manifest, j.version
	j.mu.Unlock()
	cond := store.IfAbsent
	if version != 0 {
		cond = store.IfVersion(version)
	}
	version, err := j.store.Put(ctx, store.Key{PK: j.pk, SK: manifestKey}, m.encode(), time.Time{}, cond)
	if err != nil {
		return err
	}
	j.mu.Lock()
	j.version = version
	j.mu.Unlock()
	return nil
}

// sweepParts deletes a partition's parts of a snapshot that was never finished, a few at a time.
func (j *journal) sweepParts(ctx context.Context, pk, generation string) error {
	for {
		page, err := j.store.Query(ctx, pk, partPrefix+generation+"#", "", 16)
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := j.store.Delete(ctx, item.Key, store.Always); err != nil {
				return err
			}
		}
		if len(page.Items) == 0 && page.Next == "" {
			return nil
		}
	}
}
