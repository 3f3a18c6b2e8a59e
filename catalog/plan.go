package catalog

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"tutti"
)

// form is a shape in which sound can be had.
type form struct {
	contentType      string
	lossless         bool
	rate             int // kbit/s where nobody names one
	minRate, maxRate int
}

// forms are the formats that a listener can ask for by name. Rates are transparent for nearly everybody; limits are the
// codecs' own (MPEG-1 layer III: 32 to 320 and half that for its lower sampling rates, ISO 11172-3 and 13818-3; Opus: 6
// to 510, RFC 6716 §2.1.1).
var forms = map[string]form{
	"mp3":  {contentType: "audio/mpeg", rate: 192, minRate: 8, maxRate: 320},
	"opus": {contentType: "audio/ogg", rate: 128, minRate: 6, maxRate: 510},
	"aac":  {contentType: "audio/aac", rate: 192, minRate: 16, maxRate: 512},
	"ts":   {contentType: "video/mp2t", rate: 160, minRate: 16, maxRate: 512},
	"flac": {contentType: "audio/flac", lossless: true},
	"wav":  {contentType: "audio/wav", lossless: true},
}

// formAliases are other names under which clients ask for a format.
var formAliases = map[string]string{"ogg": "opus", "oga": "opus", "m4a": "aac", "mp4": "aac", "wave": "wav", "mpeg": "mp3"}

// decision is in which shape a track goes out, and why.
type decision struct {
	profile tutti.Profile
	reason  string
	rate    int // kbit/s that will be sent; 0 for the original and for lossless formats
}

// is reports whether the original already is of the format.
func is(t *tutti.Track, format string) bool {
	switch format {
	case "mp3", "flac":
		return t.Codec == format && t.Suffix == format
	case "opus":
		return t.Codec == "opus"
	case "aac":
		return t.Codec == "aac"
	case "wav":
		return t.Codec == "pcm" && t.Suffix == "wav"
	}
	return false
}

// decide is the whole policy of what a listener gets:
//
//   - what was asked for exactly is given exactly;
//   - the original, wherever it fits what was asked for: it is the best there is and costs the server nothing;
//   - a section of a file (from a cue sheet) cannot be sent as it is: it is cut as FLAC where the file is lossless;
//   - else the format asked for, or the server's own, at the rate asked for, but never at more than the original has.
func decide(t *tutti.Track, w tutti.Want, own string) (decision, error) {
	const op = "catalog.Plan"
	if w.Exact != nil {
		d := decision{profile: *w.Exact, reason: "as the player asked for", rate: w.Exact.BitRate}
		if d.profile.Format == "peaks" && t.Sound != nil {
			d.profile.Format = "analysis" // has them too, and lies in the track cache since the track was listened to
		}
		if f, ok := forms[d.profile.Format]; ok && d.rate == 0 {
			d.rate = f.rate
		}
		if d.profile.Original() && (t.Start != 0 || t.End != 0 || w.From != 0 || w.To != 0) {
			return d, tutti.Errorf(tutti.KindInvalid, op, "a section of a file cannot be sent as it is; ask for a format")
		}
		if d.profile.Original() {
			d.reason = "original, bit for bit"
		}
		return d, nil
	}
	if w.MaxRate < 0 || w.Offset < 0 {
		return decision{}, tutti.Errorf(tutti.KindInvalid, op, "a bit rate or an offset cannot be negative")
	}
	name := strings.ToLower(w.Format)
	if alias, ok := formAliases[name]; ok {
		name = alias
	}
	section := t.Start != 0 || t.End != 0
	fits := w.MaxRate == 0 || (t.BitRate > 0 && t.BitRate <= w.MaxRate)
	anything := name == "" || name == "raw"
	f, known := forms[name]
	if !anything && !known {
		if is(t, name) || t.Suffix == name { // "flac please" of a format that is only ever sent as it is
			if fits && !section {
				return decision{reason: "original, bit for bit"}, nil
			}
		}
		return decision{}, tutti.Errorf(tutti.KindInvalid, op, "the format %q cannot be made; mp3, opus, aac, flac and wav can", w.Format)
	}
	// An original cannot begin in the middle: "raw" then begins at its beginning, as the player insists on it.
	offset := w.Offset
	if name == "raw" {
		offset = 0
	}
	if fits && !section && offset == 0 && (anything || is(t, name)) {
		return decision{reason: "original, bit for bit"}, nil
	}

	d := decision{profile: tutti.Profile{Format: name, Offset: offset}}
	var why string
	switch {
	case !fits:
		why = fmt.Sprintf("the original's %d kbit/s are more than the %d asked for", t.BitRate, w.MaxRate)
		if t.BitRate == 0 {
			why = fmt.Sprintf("the original's bit rate is not known to be within the %d kbit/s asked for", w.MaxRate)
		}
	case anything && section:
		why = "a section of a larger file"
	case anything || is(t, name):
		why = "an original cannot begin in the middle"
	default:
		why = "the player asked for " + name
	}
	if anything {
		d.profile.Format = own
		if fits && t.Lossless() {
			d.profile.Format = "flac"
		}
	} else if f.lossless && !fits {
		d.profile.Format = own // no lossless format keeps within a bit rate
	}
	f = forms[d.profile.Format]
	if f.lossless {
		d.reason = "converted to " + d.profile.Format + " without loss: " + why
		if !t.Lossless() {
			d.reason = "converted to " + d.profile.Format + ": " + why
		}
		return d, nil
	}
	rate := f.rate
	switch {
	case w.MaxRate != 0:
		rate = w.MaxRate
	case is(t, d.profile.Format):
		rate = t.BitRate // seeking should not cost quality
	}
	if !t.Lossless() && t.BitRate > 0 {
		rate = min(rate, t.BitRate) // more would only be padding
	}
	rate = min(max(rate, f.minRate), f.maxRate)
	d.profile.BitRate, d.rate = rate, rate
	d.reason = fmt.Sprintf("converted to %s at %d kbit/s: %s", d.profile.Format, rate, why)
	return d, nil
}

// Plan decides how the track is delivered and has the track cache make it ready. It asks the store for nothing, so the
// plan's track says nothing of what the viewer did with it.
func (c *Catalog) Plan(ctx context.Context, req tutti.PlanRequest) (tutti.Plan, error) {
	const op = "catalog.Plan"
	t, err := c.bareTrack(op, req.Viewer, req.Track)
	if err != nil {
		return tutti.Plan{}, err
	}
	d, err := decide(&t, req.Want, c.cfg.TranscodeFormat)
	if err != nil {
		return tutti.Plan{}, err
	}
	p := tutti.Plan{Track: t, Ref: t.Ref(), Reason: d.reason, Size: -1, ContentType: t.ContentType, Suffix: t.Suffix}
	p.Ref.Profile = d.profile
	length := t.Duration
	if w := req.Want; w.From != 0 || w.To != 0 {
		if w.Exact == nil || w.From < 0 || (w.To != 0 && w.To <= w.From) || w.From >= t.Duration {
			return tutti.Plan{}, tutti.Errorf(tutti.KindInvalid, op, "there is no section from %s to %s of this track", w.From, w.To)
		}
		p.Ref.Start = t.Start + w.From
		if w.To != 0 && w.To < t.Duration {
			p.Ref.End = t.Start + w.To
			length = w.To - w.From
		} else {
			length = t.Duration - w.From
		}
	}
	length -= d.profile.Offset
	if length <= 0 && t.Duration > 0 {
		return tutti.Plan{}, tutti.Errorf(tutti.KindInvalid, op, "the track ends before %s", d.profile.Offset)
	}
	if d.profile.Original() {
		p.Size = t.Size
	} else if f, ok := forms[d.profile.Format]; ok {
		p.ContentType, p.Suffix = f.contentType, d.profile.Format
		p.EstimatedSize = estimate(&t, d, length)
	}
	if c.cfg.Cache == nil {
		return p, nil
	}
	ready, err := c.prepare(ctx, p.Ref)
	if err != nil {
		return tutti.Plan{}, explain(op, &t, d.profile, err)
	}
	if ready.Size >= 0 || !d.profile.Original() {
		p.Size = ready.Size
	}
	if ready.ContentType != "" && !d.profile.Original() {
		p.ContentType = ready.ContentType
	}
	p.Owners, p.Ready = ready.Owners, ready.Ready
	return p, nil
}

// bareTrack returns a track without the viewer's annotations.
func (c *Catalog) bareTrack(op string, v tutti.Viewer, id tutti.ID) (tutti.Track, error) {
	w := c.glance(v)
	defer w.done()
	s, ok := w.trackSlot(id)
	if !ok {
		return tutti.Track{}, notFound(op, id)
	}
	var r record
	return w.trackAt(s, &r), nil
}

// estimate guesses the size in bytes of what a decision gives.
func estimate(t *tutti.Track, d decision, length time.Duration) int64 {
	switch {
	case d.rate > 0:
		return int64(float64(d.rate) * 1000 / 8 * length.Seconds())
	case d.profile.Format == "wav":
		depth := d.profile.BitDepth
		if depth == 0 {
			depth = max(t.BitDepth, 16)
		}
		rate, channels := d.profile.Rate, d.profile.Channels
		if rate == 0 {
			rate = t.SampleRate
		}
		if channels == 0 {
			channels = t.Channels
		}
		const header = 44
		return header + int64(length.Seconds()*float64(rate))*int64(channels)*int64((depth+7)/8)
	case t.Lossless() && t.Duration > 0:
		return int64(float64(t.Size) * float64(length) / float64(t.Duration))
	}
	return 0
}

// explain says what a failure to deliver means to a listener.
func explain(op string, t *tutti.Track, p tutti.Profile, err error) error {
	kind := tutti.KindOf(err)
	message := ""
	switch {
	case contextErr(err):
		return tutti.Wrap(kind, op, err)
	case kind == tutti.KindNotFound && t.Missing:
		message = "the file of this track is not there any more; the library's last scan missed it too"
	case kind == tutti.KindNotFound:
		message = "the file of this track is not where it was; a scan finds it if it was moved"
	case kind == tutti.KindUnavailable && p.Original():
		message = "the library of this track cannot be reached now: " + tutti.Message(err)
	case kind == tutti.KindUnavailable:
		message = tutti.Message(err)
		if !strings.Contains(message, "originals still play") {
			message = fmt.Sprintf("the track cannot be converted to %s now (%s); originals still play", p.Format, message)
		}
	}
	return &tutti.Error{Kind: kind, Op: op, Message: message, Err: err}
}

// ---- pictures ----

// trackCover returns the picture of a track's record: the one beside the file, which is the same for all of an album
// and so is made smaller only once, else the embedded one.
func (w *view) trackCover(slot uint32, r *record) (tutti.Ref, bool) {
	w.read(slot, r)
	library := w.libraries[w.libOf[slot]]
	if p := r.coverPath(w.dict); p != "" {
		return tutti.Ref{Library: library, Path: p}, true
	}
	if r.mask&hasCover == 0 {
		return tutti.Ref{}, false
	}
	t := w.trackAt(slot, r)
	return tutti.Ref{Library: library, Path: t.Path, Version: t.Version, Profile: tutti.Profile{Cover: true}}, true
}

func (w *view) albumCover(n uint32) (tutti.Ref, bool) {
	if !w.albums[n].covered {
		return tutti.Ref{}, false
	}
	var r record
	for _, s := range w.albums[n].tracks {
		if w.seesTrack(s) {
			if ref, ok := w.trackCover(s, &r); ok {
				return ref, true
			}
		}
	}
	return tutti.Ref{}, false
}

// artistCover is the picture of the artist's latest album that has one, or of one that they appear on.
func (w *view) artistCover(n uint32) (tutti.Ref, bool) {
	x := &w.artists[n]
	latest := none
	for _, a := range x.own {
		if w.seesAlbum(a) && w.albums[a].covered && (latest == none || w.albumsByYear.cmp(latest, a) < 0) {
			latest = a
		}
	}
	if latest != none {
		return w.albumCover(latest)
	}
	var r record
	for _, s := range x.tracks[:min(len(x.tracks), 32)] {
		if w.seesTrack(s) && !w.missing[s] {
			if ref, ok := w.trackCover(s, &r); ok {
				return ref, true
			}
		}
	}
	return tutti.Ref{}, false
}

// folderCover is the folder's own picture, else that of a track in it, else of the first folder below it that has one,
// as far as a few folders tell.
func (w *view) folderCover(n uint32) tutti.Ref {
	left := 16
	return w.coverBelow(n, &left)
}

func (w *view) coverBelow(n uint32, left *int) tutti.Ref {
	if *left--; *left < 0 {
		return tutti.Ref{}
	}
	f := &w.folders[n]
	if f.cover != "" {
		return tutti.Ref{Library: w.libraries[f.lib], Path: f.cover}
	}
	var r record
	for _, s := range f.tracks[:min(len(f.tracks), 8)] {
		if ref, ok := w.trackCover(s, &r); ok {
			return ref
		}
	}
	for _, c := range f.children {
		if w.folders[c].live == 0 {
			continue
		}
		if ref := w.coverBelow(c, left); ref != (tutti.Ref{}) || *left <= 0 {
			return ref
		}
	}
	return tutti.Ref{}
}

// mosaicOf is how many pictures stand for a playlist, and mosaicAmong among how many of its tracks they are looked for.
const (
	mosaicOf    = 4
	mosaicAmong = 200
)

// Mosaic says where the pictures of a playlist's first albums are that have one.
func (c *Catalog) Mosaic(ctx context.Context, v tutti.Viewer, playlist tutti.ID) ([]tutti.Ref, error) {
	const op = "catalog.Mosaic"
	p, err := c.Playlist(ctx, v, playlist)
	if err != nil {
		return nil, err
	}
	w := c.glance(v)
	defer w.done()
	var (
		refs   []tutti.Ref
		albums []uint32
		r      record
	)
	for _, id := range p.Tracks[:min(len(p.Tracks), mosaicAmong)] {
		s, ok := w.trackSlot(id)
		if !ok || slices.Contains(albums, w.albumOf[s]) {
			continue
		}
		ref, ok := w.trackCover(s, &r)
		if !ok {
			ref, ok = w.albumCover(w.albumOf[s])
		}
		if !ok || slices.Contains(refs, ref) {
			continue
		}
		albums = append(albums, w.albumOf[s])
		if refs = append(refs, ref); len(refs) == mosaicOf {
			break
		}
	}
	if len(refs) == 0 {
		return nil, tutti.Errorf(tutti.KindNotFound, op, "there is no picture of this")
	}
	return refs, nil
}

// Cover says where the picture of a thing is; KindNotFound where it has none.
func (c *Catalog) Cover(ctx context.Context, v tutti.Viewer, id tutti.ID) (tutti.Ref, error) {
	const op = "catalog.Cover"
	var list []tutti.ID
	if strings.HasPrefix(string(id), tutti.PrefixPlaylist) {
		p, err := c.Playlist(ctx, v, id)
		if err != nil {
			return tutti.Ref{}, err
		}
		list = p.Tracks
	}
	w := c.glance(v)
	defer w.done()
	var (
		ref tutti.Ref
		ok  bool
		r   record
	)
	if s, is := w.trackSlot(id); is {
		if ref, ok = w.trackCover(s, &r); !ok {
			ref, ok = w.albumCover(w.albumOf[s])
		}
	} else if n, is := w.albumSlotOf(id); is {
		ref, ok = w.albumCover(n)
	} else if n, is := w.artistSlotOf(id); is {
		ref, ok = w.artistCover(n)
	} else if n, is := w.folderSlotOf(id); is {
		ref = w.folderCover(n)
		ok = ref != tutti.Ref{}
	} else if list != nil {
		for _, t := range list[:min(len(list), 100)] {
			if s, is := w.trackSlot(t); is && !ok {
				ref, ok = w.trackCover(s, &r)
			}
		}
	} else {
		return tutti.Ref{}, notFound(op, id)
	}
	if !ok {
		return tutti.Ref{}, tutti.Errorf(tutti.KindNotFound, op, "there is no picture of this")
	}
	return ref, nil
}
