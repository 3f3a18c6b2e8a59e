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
type journal struct {
	store store.Store
	clock clock.Clock
	log   string // the log's name
	pk    string // partition of the snapshot's items

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
}

func (m manifest) encode() []byte {
	b := appendUvarint([]byte{journalFormat}, m.seq)
	b = appendString(b, m.generation)
	b = appendUvarint(b, uint64(m.parts))
	return appendUvarint(b, uint64(m.bytes))
}

func (d *decoder) manifest(op string) (manifest, error) {
	if f := d.byte(); d.err == nil && f != journalFormat {
		return manifest{}, tutti.Errorf(tutti.KindInvalid, op, "the catalogue was written by another version of tutti (format %d); use that version, or restore a backup", f)
	}
	m := manifest{seq: d.uvarint(), generation: d.string(), parts: int(d.uvarint()), bytes: int64(d.uvarint())}
	return m, d.err
}

func partKey(pk, generation string, n int) store.Key {
	return store.Key{PK: pk, SK: fmt.Sprintf("%s%s#%06d", partPrefix, generation, n)}
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
		seq, gap, err := j.follow(ctx, m.seq, record)
		if err != nil {
			return 0, err
		}
		if !gap {
			return seq, nil
		}
	}
	return 0, tutti.Errorf(tutti.KindUnavailable, op, "the catalogue's snapshot is being replaced faster than it can be read")
}

// partsAhead is how many parts of a snapshot are read before they are needed.
const partsAhead = 4

func (j *journal) loadParts(ctx context.Context, m manifest, version uint64, unpack func([]byte) ([]byte, error), part func([]byte) error) (replaced bool, err error) {
	const op = "catalog: load"
	type read struct {
		value    []byte
		replaced bool
		err      error
	}
	parts := make(chan read, partsAhead)
	var reading sync.WaitGroup
	defer reading.Wait()
	reader, stop := context.WithCancel(ctx)
	defer stop()
	reading.Go(func() {
		defer close(parts)
		for n := range m.parts {
			var r read
			r.value, r.replaced, r.err = j.readPart(reader, m, version, n)
			if unpack != nil && r.err == nil && !r.replaced {
				r.value, r.err = unpack(r.value)
			}
			select {
			case parts <- r:
			case <-reader.Done():
				return
			}
			if r.err != nil || r.replaced {
				return
			}
		}
	})
	for r := range parts {
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
	item, err := j.store.Get(ctx, partKey(j.pk, m.generation, n))
	if tutti.IsKind(err, tutti.KindNotFound) {
		now, err := j.store.Get(ctx, store.Key{PK: j.pk, SK: manifestKey})
		if err == nil && now.Version == version {
			return nil, false, tutti.Errorf(tutti.KindInternal, "catalog: load", "part %d of the catalogue's snapshot is gone; restore a backup", n)
		}
		return nil, true, nil
	}
	return item.Value, false, err
}

// follow calls record for each log record after seq. gap is true where records that have not been read were trimmed.
func (j *journal) follow(ctx context.Context, since uint64, record func(store.Record) error) (seq uint64, gap bool, err error) {
	const op = "catalog: follow"
	for {
		records, err := j.store.ReadLog(ctx, j.log, since, store.MaxPage)
		if err != nil {
			return since, false, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			if r.Seq != since+1 {
				return since, true, nil
			}
			if err := record(r); err != nil {
				return since, false, tutti.Wrap(tutti.KindOf(err), op, err)
			}
			since = r.Seq
			j.note(len(r.Value))
		}
	}
	// A log that was trimmed to its end has no records to show it.
	last, err := j.store.LastSeq(ctx, j.log)
	if err != nil {
		return since, false, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	if last > since {
		records, err := j.store.ReadLog(ctx, j.log, since, 1)
		if err != nil {
			return since, false, tutti.Wrap(tutti.KindOf(err), op, err)
		}
		if len(records) == 0 || records[0].Seq != since+1 {
			return since, true, nil
		}
		return j.follow(ctx, since, record)
	}
	return since, false, nil
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
// returns KindConflict where another node was faster, which is no harm.
func (j *journal) save(ctx context.Context, seq uint64, parts iter.Seq2[[]byte, error]) (err error) {
	const op = "catalog: snapshot"
	defer func() {
		if err != nil {
			err = tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}()
	j.mu.Lock()
	former, version, covered := j.manifest, j.version, j.logged
	j.mu.Unlock()
	var random [8]byte
	if _, err := rand.Read(random[:]); err != nil {
		return err
	}
	next := manifest{seq: seq, generation: hex.EncodeToString(random[:])}
	intent := store.Key{PK: j.pk, SK: intentPrefix + next.generation}
	i := appendVarint(nil, j.clock.Now().Unix())
	if _, err := j.store.Put(ctx, intent, appendString(i, former.generation), time.Time{}, store.IfAbsent); err != nil {
		return err
	}
	for p, err := range parts {
		if err == nil {
			_, err = j.store.Put(ctx, partKey(j.pk, next.generation, next.parts), p, time.Time{}, store.Always)
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
		if tutti.IsKind(err, tutti.KindConflict) {
			j.learn(ctx)
		}
		return err
	}
	j.mu.Lock()
	j.manifest, j.version = next, version
	j.logged = max(0, j.logged-covered)
	j.mu.Unlock()
	if err := j.store.TrimLog(ctx, j.log, seq); err != nil {
		return err
	}
	for n := range former.parts {
		if err := j.store.Delete(ctx, partKey(j.pk, former.generation, n), store.Always); err != nil {
			return err
		}
	}
	return j.store.Delete(ctx, intent, store.Always)
}

// learn finds out which snapshot counts after all: another node's, or one of ours whose acknowledgement was lost.
func (j *journal) learn(ctx context.Context) {
	item, err := j.store.Get(ctx, store.Key{PK: j.pk, SK: manifestKey})
	if err != nil {
		return // the next attempt conflicts again, and asks again
	}
	d := decoder{b: item.Value}
	m, err := d.manifest("catalog: snapshot")
	if err != nil {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.manifest, j.version = m, item.Version
}

// sweep removes what interrupted snapshots left behind. Intents younger than grace are left alone: another node may be
// at work. It must be called after load,
// by whoever calls save.
func (j *journal) sweep(ctx context.Context, grace time.Duration) error {
	const op = "catalog: sweep"
	page, err := j.store.Query(ctx, j.pk, intentPrefix, "", store.MaxPage)
	if err != nil {
		return tutti.Wrap(tutti.KindOf(err), op, err)
	}
	j.mu.Lock()
	current := j.manifest
	j.mu.Unlock()
	if len(page.Items) > 0 {
		if err := j.store.TrimLog(ctx, j.log, current.seq); err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}
	for _, item := range page.Items {
		d := decoder{b: item.Value}
		began := time.Unix(d.varint(), 0)
		former := d.string()
		if d.err != nil {
			return tutti.Wrap(tutti.KindInternal, op, d.err)
		}
		if j.clock.Now().Sub(began) < grace {
			continue
		}
		// It was never finished, or it was but for the clearing up of its predecessor, or it has been replaced since.
		for _, generation := range [...]string{item.SK[len(intentPrefix):], former} {
			if generation == "" || generation == current.generation {
				continue
			}
			if err := j.sweepParts(ctx, generation); err != nil {
				return tutti.Wrap(tutti.KindOf(err), op, err)
			}
		}
		if err := j.store.Delete(ctx, item.Key, store.Always); err != nil {
			return tutti.Wrap(tutti.KindOf(err), op, err)
		}
	}
	return nil
}

// sweepParts deletes the parts of a snapshot that was never finished, a few at a time.
func (j *journal) sweepParts(ctx context.Context, generation string) error {
	for {
		page, err := j.store.Query(ctx, j.pk, partPrefix+generation+"#", "", 16)
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
