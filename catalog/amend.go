package catalog

import (
	"cmp"
	"context"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"tutti"
	"tutti/catalog/scan"
)

// Amendments stand between what tags say and what is shown. The model keeps them by what they are of; a track that one of
// them touches has two records, the one that everything is derived from, and the one that its tags make, which is what the
// scanner, the log and snapshots see. So an amendment holds for files that come later, and taking it back needs no file.
//
// They travel as notices: any node may make one, whoever scans. An album keeps its ID whatever its amendments say, so that
// stars and playlists survive them and their being taken back; an artist, whose ID is the name, does not.

// amendKey says what an amendment is of: the number of an artist, an album or a track.
type amendKey struct {
	field tutti.TagField
	of    uint64
}

type amendments map[amendKey]tutti.Amendment

func keyOf(a *tutti.Amendment) amendKey {
	if a.Field == tutti.FieldArtist {
		return amendKey{a.Field, number(scan.ArtistID(a.Of))}
	}
	return amendKey{a.Field, number(tutti.ID(a.Of))}
}

// sorted returns them in a fixed order.
func (as amendments) sorted() []tutti.Amendment {
	return slices.SortedFunc(maps.Values(as), func(a, b tutti.Amendment) int {
		return cmp.Or(strings.Compare(string(a.Field), string(b.Field)), strings.Compare(a.Of, b.Of))
	})
}

// maxRenames bounds how often a name is followed: "Beatles" is "The Beatles" is …
const maxRenames = 4

// credits returns the artists that refs are for. amended is false where no amendment is about any of them: then those are
// refs themselves. They may also be refs where names lead in a circle, which ends with the next amendment of one of them.
func (as amendments) credits(refs []tutti.ArtistRef) (out []tutti.ArtistRef, amended bool) {
	var follow func(ref tutti.ArtistRef, depth int)
	follow = func(ref tutti.ArtistRef, depth int) {
		a, ok := as[amendKey{tutti.FieldArtist, number(ref.ID)}]
		if !ok || depth == maxRenames {
			if !slices.ContainsFunc(out, func(r tutti.ArtistRef) bool { return r.ID == ref.ID }) {
				out = append(out, ref)
			}
			return
		}
		amended = true
		for _, name := range a.To {
			next := tutti.ArtistRef{ID: scan.ArtistID(name), Name: name}
			if next.ID == ref.ID {
				follow(next, maxRenames) // another way to write the same
				continue
			}
			follow(next, depth+1)
		}
	}
	for _, r := range refs {
		follow(r, 0)
	}
	return out, amended
}

// shown returns the track as the amendments have it; ok is false where none is about it.
func (as amendments) shown(tagged *scan.Entry) (e scan.Entry, ok bool) {
	e = *tagged
	of := func(field tutti.TagField, id tutti.ID) []string {
		a, is := as[amendKey{field, number(id)}]
		ok = ok || is
		return a.To
	}
	set := func(to *string, field tutti.TagField) {
		if v := of(field, e.ID); v != nil {
			*to = v[0]
		}
	}
	set(&e.Title, tutti.FieldTitle)
	set(&e.Work, tutti.FieldWork)
	set(&e.Movement, tutti.FieldMovement)
	if v := of(tutti.FieldGrouping, e.ID); v != nil {
		e.Groupings = v
	}
	if v := of(tutti.FieldGenre, e.AlbumID); v != nil {
		e.Genres = v
	}
	if v := of(tutti.FieldMood, e.AlbumID); v != nil {
		e.Moods = v
	}
	if v := of(tutti.FieldYear, e.AlbumID); v != nil {
		if y, err := strconv.Atoi(v[0]); err == nil && y != e.Date.Year {
			e.Date = tutti.Date{Year: y}
		}
	}
	if v := of(tutti.FieldAlbumArtist, e.AlbumID); v != nil {
		e.AlbumArtists = make([]tutti.ArtistRef, len(v))
		for i, name := range v {
			e.AlbumArtists[i] = tutti.ArtistRef{ID: scan.ArtistID(name), Name: name}
		}
		e.DisplayAlbumArtist = strings.Join(v, ", ")
	}

	people := func(refs []tutti.ArtistRef, display string) ([]tutti.ArtistRef, string) {
		list, amended := as.credits(refs)
		if !amended {
			return refs, display
		}
		ok = true
		if len(refs) == 1 && len(list) == 1 && display == refs[0].Name {
			display = list[0].Name
		}
		return list, display
	}
	e.Artists, e.DisplayArtist = people(e.Artists, e.DisplayArtist)
	e.AlbumArtists, e.DisplayAlbumArtist = people(e.AlbumArtists, e.DisplayAlbumArtist)
	var parts []tutti.Contributor
	another := false
	for _, c := range tagged.Contributors {
		list, amended := as.credits([]tutti.ArtistRef{c.Artist})
		another = another || amended
		for _, a := range list {
			parts = append(parts, tutti.Contributor{Role: c.Role, SubRole: c.SubRole, Artist: a})
		}
	}
	if another {
		e.Contributors, ok = parts, true
	}
	return e, ok
}

// taggedBytes is the record that a track's tags make.
func (m *model) taggedBytes(slot uint32) []byte {
	if r, ok := m.tagged[slot]; ok {
		return m.arena.get(r)
	}
	return m.bytes(slot)
}

// setTagged keeps the record that a track's tags make where that is not the one which is shown; nil where it is.
func (m *model) setTagged(slot uint32, b []byte) {
	if r, ok := m.tagged[slot]; ok {
		m.arena.release(r)
		delete(m.tagged, slot)
	}
	if b == nil {
		return
	}
	if m.tagged == nil {
		m.tagged = make(map[uint32]ref)
	}
	m.tagged[slot] = m.arena.add(b)
}

// enter notes amendments and returns the tracks that are to be put anew.
func (m *model) enter(list []tutti.Amendment) []uint32 {
	touched := make(map[uint32]struct{})
	add := func(slots []uint32) {
		for _, s := range slots {
			touched[s] = struct{}{}
		}
	}
	people := false
	for i := range list {
		a := &list[i]
		k := keyOf(a)
		if a.To == nil {
			delete(m.amends, k)
		} else {
			if m.amends == nil {
				m.amends = make(amendments)
			}
			m.amends[k] = *a
		}
		switch a.Field {
		case tutti.FieldArtist:
			people = true
			if x, ok := m.artistByID[k.of]; ok {
				add(m.artists[x].tracks)
			}
		case tutti.FieldTitle, tutti.FieldWork, tutti.FieldMovement, tutti.FieldGrouping:
			if s, ok := m.byID.find(k.of); ok {
				touched[s] = struct{}{}
			}
		default:
			if x, ok := m.albumByID[k.of]; ok {
				add(m.albums[x].tracks)
			}
		}
	}
	if people { // names lead to one another, so any track that is amended already may be shown otherwise now
		for s := range m.tagged {
			touched[s] = struct{}{}
		}
	}
	return slices.Sorted(maps.Keys(touched))
}

// putAgain puts a known track anew, as its tags have it. settle must follow.
func (m *model) putAgain(slot uint32) {
	var (
		e scan.Entry
		r record
	)
	if err := r.decode(m.taggedBytes(slot)); err != nil {
		panic("catalog: the record of a known track does not decode")
	}
	if err := r.entry(m.dict, &e, true); err != nil {
		panic("catalog: the record of a known track does not decode")
	}
	e.Missing = m.missing[slot]
	m.put(&e)
}

// amend applies amendments, a lot of tracks under one lock. The caller holds writing.
func (m *model) amend(list []tutti.Amendment) {
	m.mu.Lock()
	slots := m.enter(list)
	m.mu.Unlock()
	for lot := range slices.Chunk(slots, applyLot) {
		m.mu.Lock()
		for _, s := range lot {
			m.putAgain(s)
		}
		m.settle()
		m.mu.Unlock()
	}
}

// amendLoading applies amendments to a model that is being loaded.
func (m *model) amendLoading(list []tutti.Amendment) {
	for _, s := range m.enter(list) {
		m.putAgain(s)
	}
}

// amendBytes is how much of amendments goes into one record of the log. With the largest on top it fits the store.
const amendBytes = 200_000

// Amend implements tutti.Amender.
func (c *Catalog) Amend(ctx context.Context, list []tutti.Amendment) error {
	for i := range list {
		if err := list[i].Check(); err != nil {
			return err
		}
	}
	if err := c.writing.lock(ctx); err != nil {
		return err
	}
	defer c.writing.unlock()
	for len(list) > 0 {
		n := 0
		for size := 0; n < len(list) && size < amendBytes; n++ {
			size += len(appendAmendments(nil, &list[n]))
		}
		if err := c.announce(ctx, &notice{Amend: list[:n]}, func(*state) (bool, error) { return false, nil }); err != nil {
			return err
		}
		list = list[n:]
	}
	if c.journal.due(c.cfg.Tuning.SnapshotBytes) {
		c.wantSnapshot()
	}
	return nil
}

// Amendments implements tutti.Tagged.
func (c *Catalog) Amendments(context.Context) ([]tutti.Amendment, error) {
	m := c.current()
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.amends.sorted(), nil
}

// taggedLot is how many tracks are read under one lock.
const taggedLot = 64

// EachTagged implements tutti.Tagged.
func (c *Catalog) EachTagged(ctx context.Context, fn func(*tutti.Track) error) error {
	m := c.current()
	var (
		lot = make([]tutti.Track, 0, taggedLot)
		e   scan.Entry
		r   record
	)
	album, from := 0, 0 // of the album's tracks
	read := func() (more bool, err error) {
		m.mu.RLock()
		defer m.mu.RUnlock()
		if album >= len(m.albums) {
			return false, nil
		}
		tracks := m.albums[album].tracks
		to := min(len(tracks), from+taggedLot)
		next := tracks[min(from, to):to]
		if from = to; to == len(tracks) {
			album, from = album+1, 0
		}
		for _, s := range next {
			if m.missing[s] {
				continue
			}
			if err := r.decode(m.taggedBytes(s)); err != nil {
				return false, tutti.Wrap(tutti.KindInternal, "catalog.EachTagged", err)
			}
			e = scan.Entry{}
			if err := r.entry(m.dict, &e, false); err != nil {
				return false, tutti.Wrap(tutti.KindInternal, "catalog.EachTagged", err)
			}
			lot = append(lot, e.Track)
		}
		return true, nil
	}
	for {
		lot = lot[:0]
		more, err := read()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || !more {
			return err
		}
		for i := range lot {
			if err := fn(&lot[i]); err != nil {
				return err
			}
		}
	}
}

// appendAmendments writes what loadAmendments reads: a part of a snapshot.
func appendAmendments(b []byte, a *tutti.Amendment) []byte {
	j, err := json.Marshal(a)
	if err != nil {
		panic(err) // texts
	}
	return appendBytes(b, j)
}

func loadAmendments(d *decoder) (list []tutti.Amendment, err error) {
	for len(d.b) > 0 {
		var a tutti.Amendment
		b := d.bytes()
		if d.err != nil {
			return nil, d.err
		}
		if err := json.Unmarshal(b, &a); err != nil {
			return nil, err
		}
		if err := a.Check(); err != nil {
			return nil, err
		}
		list = append(list, a)
	}
	return list, nil
}
