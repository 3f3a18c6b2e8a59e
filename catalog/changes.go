package catalog

import (
	"context"
	"iter"
	"slices"
	"sync"

	"tutti"
	"tutti/audio/analyse"
	"tutti/catalog/scan"
	"tutti/store"
)

// maxUnpacked bounds what a log record or snapshot part may grow to. Writers stay far below.
const maxUnpacked = 64 << 20

// The operations of a log record, which is, before it is packed or compressed: its own dictionary, and the changes.
const (
	opPut     = 'p'
	opMissing = 'm'
	opFound   = 'f'
	opRemove  = 'r'
	opFolder  = 'd'
	opHeard   = 'h'
)

// encodeChanges writes changes as log records that fit the store, as few as possible.
func (c *Catalog) encodeChanges(changes []scan.Change) ([][]byte, error) {
	d := newDict()
	var body []byte
	for i := range changes {
		ch := &changes[i]
		switch {
		case ch.Put != nil:
			body = append(body, opPut, boolByte(ch.Put.Missing))
			body = appendBytes(body, appendEntry(nil, d, ch.Put))
		case ch.Missing != "":
			body = appendTrack(body, opMissing, ch.Missing)
		case ch.Found != "":
			body = appendTrack(body, opFound, ch.Found)
		case ch.Remove != "":
			body = appendTrack(body, opRemove, ch.Remove)
		case ch.Folder != nil:
			body = append(body, opFolder)
			body = appendFolderInfo(body, ch.Folder)
		case ch.Heard != nil:
			body = appendTrack(body, opHeard, ch.Heard.Track)
			body = append(body, ch.Heard.Fingerprint[:]...)
			body = appendBytes(body, ch.Heard.Row)
		}
	}
	var head []byte
	head = appendUvarint(head, uint64(len(d.list)))
	for _, s := range d.list {
		head = appendString(head, s)
	}
	head = appendUvarint(head, uint64(len(changes)))
	packed := c.packing().record(append(head, body...), len(changes))
	if len(packed) <= store.MaxValue {
		return [][]byte{packed}, nil
	}
	if len(changes) == 1 {
		return nil, tutti.Errorf(tutti.KindInvalid, "catalog.Apply", "one change of %d bytes is more than the store holds", len(packed))
	}
	half := len(changes) / 2
	first, err := c.encodeChanges(changes[:half])
	if err != nil {
		return nil, err
	}
	second, err := c.encodeChanges(changes[half:])
	return append(first, second...), err
}

func appendTrack(b []byte, op byte, id tutti.ID) []byte {
	n, _ := id.Number()
	return appendU64(append(b, op), n)
}

func appendFolderInfo(b []byte, f *scan.FolderInfo) []byte {
	b = appendString(b, f.Library)
	b = appendString(b, f.Path)
	b = appendString(b, f.CoverPath)
	return appendU64(b, f.Sides)
}

func (d *decoder) folderInfo() *scan.FolderInfo {
	return &scan.FolderInfo{Library: d.string(), Path: d.string(), CoverPath: d.string(), Sides: d.u64()}
}

// decodeChanges reads a log record.
func (c *Catalog) decodeChanges(ctx context.Context, value []byte) ([]scan.Change, error) {
	const op = "catalog: read log"
	raw, err := c.unpackValue(ctx, packedLog, value)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindOf(err), op, err)
	}
	changes, err := parseChanges(raw)
	if err != nil {
		return nil, tutti.Wrap(tutti.KindInternal, op, err)
	}
	return changes, nil
}

func parseChanges(raw []byte) ([]scan.Change, error) {
	d := decoder{b: raw}
	dict := dict{list: make([]string, d.count())}
	for i := range dict.list {
		dict.list[i] = d.string()
	}
	changes := make([]scan.Change, 0, d.count())
	for range cap(changes) {
		var ch scan.Change
		switch d.byte() {
		case opPut:
			missing := d.byte() != 0
			var r record
			e := new(scan.Entry)
			if err := r.decode(d.bytes()); err != nil {
				return nil, err
			}
			if err := r.entry(&dict, e, true); err != nil {
				return nil, err
			}
			if err := checkEntry(e); err != nil {
				return nil, err
			}
			e.Missing = missing
			ch.Put = e
		case opMissing:
			ch.Missing = tutti.NewID(tutti.PrefixTrack, d.u64())
		case opFound:
			ch.Found = tutti.NewID(tutti.PrefixTrack, d.u64())
		case opRemove:
			ch.Remove = tutti.NewID(tutti.PrefixTrack, d.u64())
		case opFolder:
			ch.Folder = d.folderInfo()
		case opHeard:
			h := &scan.Heard{Track: tutti.NewID(tutti.PrefixTrack, d.u64())}
			copy(h.Fingerprint[:], d.take(len(h.Fingerprint)))
			h.Row = slices.Clone(d.bytes())
			ch.Heard = h
		default:
			d.fail()
		}
		if d.err != nil {
			return nil, d.err
		}
		changes = append(changes, ch)
	}
	return changes, nil
}

// logRecord is what a record of the log says: changes, or a notice.
type logRecord struct {
	changes []scan.Change
	notice  *notice
}

func (c *Catalog) decodeRecord(ctx context.Context, value []byte) (r logRecord, err error) {
	if len(value) > 0 && value[0] == noticeFormat {
		r.notice, err = decodeNotice(value)
		return r, err
	}
	r.changes, err = c.decodeChanges(ctx, value)
	return r, err
}

// replay applies a log record while loading.
func (c *Catalog) replay(ctx context.Context, m *model, r store.Record) error {
	rec, err := c.decodeRecord(ctx, r.Value)
	if err != nil {
		return err
	}
	for i := range rec.changes {
		m.change(&rec.changes[i])
	}
	if rec.notice != nil {
		m.heed(r.Seq, rec.notice)
		m.amendLoading(rec.notice.Amend)
	}
	return nil
}

// change applies one change; settle must follow.
func (m *model) change(ch *scan.Change) {
	track := func(id tutti.ID) (uint32, bool) {
		n, _ := id.Number()
		return m.byID.find(n)
	}
	switch {
	case ch.Put != nil:
		m.put(ch.Put)
	case ch.Missing != "":
		if s, ok := track(ch.Missing); ok {
			m.setMissing(s, true)
		}
	case ch.Found != "":
		if s, ok := track(ch.Found); ok {
			m.setMissing(s, false)
		}
	case ch.Remove != "":
		if s, ok := track(ch.Remove); ok {
			m.remove(s)
		}
	case ch.Folder != nil:
		m.setFolder(ch.Folder)
	case ch.Heard != nil:
		if s, ok := track(ch.Heard.Track); ok {
			m.setHeard(s, ch.Heard)
		}
	}
}

// applyLot is how many changes are made under one lock: about half a millisecond's worth, which is the longest that a
// request waits for a scan.
const applyLot = 48

// apply makes the changes visible, a lot at a time.
func (m *model) apply(changes []scan.Change) {
	for lot := range slices.Chunk(changes, applyLot) {
		m.mu.Lock()
		for i := range lot {
			m.change(&lot[i])
		}
		m.settle()
		m.mu.Unlock()
	}
}

// ---- snapshots ----

// The kinds of snapshot parts.
const (
	partDict    = 'd'
	partTracks  = 't'
	partFolders = 'f'
	partHeard   = 'h' // rows of what was heard, each after its track's place among the tracks
	partState   = 's' // what notices amount to; a catalogue that never had any has no such part
	partAmends  = 'a' // amendments; likewise
)

// partBytes is how much goes into a part before it is compressed. Even what does not compress then fits the store.
const partBytes = 320_000

// captured is the state of a model at one record of the log, held still while the model goes on.
type captured struct {
	seq     uint64
	dict    []string
	chunks  [][]byte
	refs    []ref
	missing []bool
	folders []scan.FolderInfo
	heard   rows
	state   state
	amends  []tutti.Amendment
}

// capture takes what a snapshot holds: tracks as their tags have them, and the amendments. Blobs and dictionary strings never change, so copies of the lists that lead to
// them are enough: about ten bytes a track.
func (m *model) capture() captured {
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := captured{
		seq:     m.seq,
		dict:    m.dict.list[:len(m.dict.list):len(m.dict.list)],
		chunks:  slices.Clone(m.arena.chunks),
		refs:    slices.Clone(m.refs),
		missing: slices.Clone(m.missing),
		heard:   m.heard.clone(),
		state:   m.state,
		amends:  m.amends.sorted(),
	}
	for slot, r := range m.tagged {
		s.refs[slot] = r
	}
	for i := range m.folders {
		if f := &m.folders[i]; f.cover != "" || f.sides != 0 {
			s.folders = append(s.folders, scan.FolderInfo{Library: m.libraries[f.lib], Path: f.path, CoverPath: f.cover, Sides: f.sides})
		}
	}
	return s
}

// parts yields the snapshot's parts, ready for the store.
func (s captured) parts(as packing) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		var buf []byte
		var sort sorts
		if as.packed {
			sort = s.sorts()
		}
		base, n := uint64(0), uint64(0) // of the dictionary's strings: before this part, and in it
		flush := func() bool {
			if len(buf) < 2 {
				return true
			}
			p := as.part(buf, base, sort)
			base, n = base+n, 0
			buf = buf[:1]
			if len(p) > store.MaxValue {
				return yield(nil, tutti.Errorf(tutti.KindInternal, "catalog: snapshot", "a part of %d bytes is more than the store holds", len(p)))
			}
			return yield(p, nil)
		}
		room := func(n int) bool { return len(buf)+n <= partBytes || flush() }

		buf = append(buf, partDict)
		for _, str := range s.dict {
			if !room(len(str) + 8) {
				return
			}
			buf = appendString(buf, str)
			n++
		}
		if !flush() {
			return
		}
		buf[0] = partTracks
		for slot, r := range s.refs {
			if r == 0 {
				continue
			}
			blob := blobAt(s.chunks, r)
			if !room(len(blob) + 8) {
				return
			}
			buf = append(buf, boolByte(s.missing[slot]))
			buf = appendBytes(buf, blob)
		}
		if !flush() {
			return
		}
		buf[0] = partFolders
		for i := range s.folders {
			f := &s.folders[i]
			if !room(len(f.Path) + len(f.CoverPath) + 64) {
				return
			}
			buf = appendFolderInfo(buf, f)
		}
		if !flush() {
			return
		}
		buf[0] = partAmends
		for i := range s.amends {
			a := appendAmendments(nil, &s.amends[i])
			if !room(len(a)) {
				return
			}
			buf = append(buf, a...)
		}
		if !flush() {
			return
		}
		buf[0] = partHeard
		place := 0
		for slot, r := range s.refs {
			if r == 0 {
				continue
			}
			if row := s.heard.at(uint32(slot)); row != nil {
				if !room(len(row) + 8) {
					return
				}
				buf = appendBytes(appendUvarint(buf, uint64(place)), row)
			}
			place++
		}
		if !flush() || s.state == (state{}) {
			return
		}
		buf = s.state.encode(append(buf[:0], partState))
		flush()
	}
}

// unpackPart unpacks a snapshot's part.
func (c *Catalog) unpackPart(ctx context.Context, value []byte) ([]byte, error) {
	raw, err := c.unpackValue(ctx, 0, value)
	return raw, tutti.Wrap(tutti.KindOf(err), "catalog: read snapshot", err)
}

// loadPart enters a snapshot's part into a model that is being loaded. It keeps raw.
func (m *model) loadPart(raw []byte) error {
	d := decoder{b: raw}
	switch d.byte() {
	case partDict:
		if !m.unindexed {
			m.unindexed = true
			m.dict.list = m.dict.list[:0] // a snapshot's begins with them too
		}
		d.err = m.dict.load(d.b)
	case partTracks:
		d.err = m.loadTracks(raw)
	case partFolders:
		for len(d.b) > 0 {
			m.setFolder(d.folderInfo())
		}
	case partAmends:
		var list []tutti.Amendment
		if list, d.err = loadAmendments(&d); d.err == nil {
			m.loading = append(m.loading, list...)
		}
	case partHeard:
		for len(d.b) > 0 {
			place := d.uvarint()
			row := d.bytes()
			if d.err != nil || place >= uint64(len(m.refs)) {
				d.fail()
				break
			}
			if _, err := analyse.ParseRow(row); err == nil { // else of another version: they are listened to again
				m.heard.set(uint32(place), row) // a snapshot's tracks have their slots in its order
			}
		}
	case partState:
		d.err = m.state.decode(d.b)
	default:
		d.fail()
	}
	return tutti.Wrap(tutti.KindInternal, "catalog: read snapshot", d.err)
}

// loadTracks enters a snapshot's records, whose dictionary numbers are the model's own. The part becomes a chunk of the
// arena as it is.
func (m *model) loadTracks(raw []byte) error {
	n, used := 0, 0
	for d := (decoder{b: raw[1:]}); len(d.b) > 0; n++ {
		d.byte()
		left := len(d.b)
		d.bytes()
		if used += left - len(d.b); d.err != nil {
			return d.err
		}
	}
	if n == 0 {
		return nil
	}
	m.unindexed = true
	base := m.arena.adopt(raw, used)
	d := decoder{b: raw[1:]}
	for range n {
		missing := d.byte() != 0
		at := base | ref(len(raw)-len(d.b))
		if err := m.scratch.decode(d.bytes()); err != nil {
			return err
		}
		if err := m.checkNumbers(&m.scratch); err != nil {
			return err
		}
		slot := m.newSlot()
		m.refs[slot], m.missing[slot] = at, missing
		m.link(slot, &m.scratch)
	}
	return nil
}

// endParts makes the indexes by which tracks and strings are looked up, which loading a snapshot does not need, all at
// once and on all cores.
func (m *model) endParts() error {
	if !m.unindexed {
		return nil
	}
	m.unindexed = false
	var (
		wg    sync.WaitGroup
		known = m.refs
		err   error
	)
	wg.Go(func() { err = m.dict.reindex() })
	wg.Go(func() {
		m.byID.reserve(len(known))
		for slot := range known {
			id := m.idOf(uint32(slot))
			if _, dup := m.byID.find(id); !dup {
				m.byID.add(id, uint32(slot))
			}
		}
	})
	m.byFP.reserve(len(known))
	for slot := range known {
		m.byFP.add(m.fpOf(uint32(slot)), uint32(slot))
	}
	wg.Wait()
	if err == nil && (m.byID.n != len(known) || m.dict.index["artist"] != roleArtist || m.dict.index["albumartist"] != roleAlbumArtist) {
		err = errTruncated
	}
	if err == nil {
		m.amendLoading(m.loading)
	}
	m.loading = nil
	return tutti.Wrap(tutti.KindInternal, "catalog: read snapshot", err)
}

// checkNumbers makes sure that what link and its like look up without asking is there.
func (m *model) checkNumbers(r *record) error {
	for _, list := range [...][]uint32{{r.album, r.folder, r.audio}, r.artists, r.genres} {
		for _, n := range list {
			if s, ok := m.dict.at(n); !ok || (len(s) < 8 && n != r.audio && !slices.Contains(r.genres, n)) {
				return errTruncated
			}
		}
	}
	return nil
}
