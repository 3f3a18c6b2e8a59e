package catalog_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"tutti"
	"tutti/catalog/scan"
)

// drawEntry makes a track of a small world, in which things meet and part often.
func drawEntry(t *rapid.T, n int) *scan.Entry {
	pick := func(label string, list ...string) string { return rapid.SampledFrom(list).Draw(t, label) }
	artists := []string{"The Birds", "birds", "Ána", "Bo", "[Unknown Artist]", "Bo|The Birds"}
	a := args{
		"lib": pick("lib", "1", "1", "1", "2"), "artist": pick("artist", artists...), "albumartist": pick("albumartist", "", "The Birds", "Bo|Ána", "Various Artists"),
		"album": pick("album", "Red", "Blue", "The Best", "best"), "title": pick("title", "Blue", "The B Side", "Été", "東京", "!!!", "red red"),
		"genre": pick("genre", "", "Rock", "rock", "ROCK|Jazz", "Jazz|rock|Rock", "Pop"), "year": pick("year", "", "1999", "2003-04", "2003-04-05", "2020"),
		"orig": pick("orig", "", "1969"), "track": pick("track", "", "1", "2"), "disc": pick("disc", "", "1", "2"), "subtitle": pick("subtitle", "", "Encore"),
		"composer": pick("composer", "", "", "Bo", "Zed"), "mood": pick("mood", "", "calm", "wild|calm"), "label": pick("label", "", "Ace", "Bee|Ace"),
		"type": pick("type", "", "EP", "Album|Live"), "edition": pick("edition", "", "Deluxe"), "albumsort": pick("albumsort", "", "Aaa"),
		"artistsort": pick("artistsort", "", "Birds, The", "Zz"), "cover": pick("cover", "", "x/c.jpg"), "embedded": pick("embedded", "", "1"),
		"explicit": pick("explicit", "", "clean", "explicit"), "comp": pick("comp", "", "1"), "missing": pick("missing", "", "", "", "1"),
	}
	a["albumid"] = pick("albumid", "x", "y", "z")
	a["path"] = pick("dir", "a/b", "a/c/d", "e", ".") + fmt.Sprintf("/%d.flac", n)
	a["path"] = strings.TrimPrefix(a["path"], "./")
	return entryOf(n, a)
}

// TestPropertyOneModel: however the catalogue came to know its tracks, it says the same: change by change, replayed from the log, loaded from a
// snapshot with a log after it, followed by a second node, or built anew from the final entries in another order.
func TestPropertyOneModel(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		d := newDesk(t)
		other := &desk{store: d.store, clock: d.clock, cfg: d.cfg}
		other.cfg.SoleWriter = false
		other.reopen(t)
		known := map[int]*scan.Entry{}
		amended := map[string]tutti.Amendment{}
		for range rapid.IntRange(1, 8).Draw(rt, "batches") {
			var batch []scan.Change
			for range rapid.IntRange(1, 12).Draw(rt, "changes") {
				n := rapid.IntRange(1, 12).Draw(rt, "track")
				e := known[n]
				switch op := rapid.SampledFrom([]string{"put", "put", "put", "missing", "found", "remove"}).Draw(rt, "op"); {
				case op == "put":
					e = drawEntry(rt, n)
					known[n] = e
					batch = append(batch, scan.Change{Put: e})
				case e == nil:
				case op == "remove":
					delete(known, n)
					batch = append(batch, scan.Change{Remove: e.ID})
				case op == "missing":
					c := *e
					c.Missing = true
					known[n] = &c
					batch = append(batch, scan.Change{Missing: e.ID})
				case op == "found":
					c := *e
					c.Missing = false
					known[n] = &c
					batch = append(batch, scan.Change{Found: e.ID})
				}
			}
			if err := d.Apply(ctx, batch); err != nil {
				rt.Fatal(err)
			}
			var amends []tutti.Amendment
			for range rapid.IntRange(0, 3).Draw(rt, "amendments") {
				a := drawAmendment(rt)
				if amended[string(a.Field)+a.Of] = a; a.To == nil {
					delete(amended, string(a.Field)+a.Of)
				}
				amends = append(amends, a)
			}
			if err := d.Amend(ctx, amends); err != nil {
				rt.Fatal(err)
			}
			if rapid.IntRange(0, 2).Draw(rt, "look") == 0 { // what is made when somebody asks is kept up from then on
				d.everything(t, "")
			}
			if rapid.IntRange(0, 4).Draw(rt, "snapshot") == 0 {
				if err := d.Snapshot(ctx); err != nil {
					rt.Fatal(err)
				}
			}
			if rapid.Bool().Draw(rt, "refresh") {
				if err := other.Refresh(ctx); err != nil {
					rt.Fatal(err)
				}
			}
		}
		if err := other.Refresh(ctx); err != nil {
			rt.Fatal(err)
		}
		want := map[string]string{}
		for _, sees := range []string{"", "1", "2"} {
			want[sees] = d.everything(t, sees)
		}
		compare := func(how string, o *desk) {
			for sees, w := range want {
				if got := o.everything(t, sees); got != w {
					rt.Fatalf("%s, seeing %q:\n%s\ninstead of\n%s", how, sees, got, w)
				}
			}
			for n, e := range known {
				got, ok := o.Entry(e.ID)
				if !ok || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", *normal(e)) {
					rt.Fatalf("%s: track %d is\n%+v\ninstead of\n%+v", how, n, got, *e)
				}
			}
		}
		compare("change by change", d)
		compare("another node", other)
		again := &desk{store: d.store, clock: d.clock, cfg: d.cfg}
		again.reopen(t)
		compare("after a restart", again)
		anew := newDesk(t)
		var batch []scan.Change
		for _, n := range rapid.Permutation(slices.Sorted(maps.Keys(known))).Draw(rt, "order") {
			batch = append(batch, scan.Change{Put: known[n]})
		}
		amends := slices.SortedFunc(maps.Values(amended), func(a, b tutti.Amendment) int {
			return cmp.Or(cmp.Compare(a.Field, b.Field), cmp.Compare(a.Of, b.Of))
		})
		steps := []func() error{
			func() error { return anew.Apply(ctx, batch) },
			func() error { return anew.Amend(ctx, amends) },
		}
		if rapid.Bool().Draw(rt, "amend first") {
			slices.Reverse(steps)
		}
		for _, step := range steps {
			if err := step(); err != nil {
				rt.Fatal(err)
			}
		}
		compare("built anew", anew)

		// Taking everything back leaves what the tags say.
		tags := newDesk(t)
		if err := tags.Apply(ctx, batch); err != nil {
			rt.Fatal(err)
		}
		for i := range amends {
			amends[i].To = nil
		}
		if err := d.Amend(ctx, amends); err != nil {
			rt.Fatal(err)
		}
		for _, sees := range []string{"", "1", "2"} {
			want[sees] = tags.everything(t, sees)
		}
		compare("with everything taken back", d)
	})
}

// drawAmendment makes an amendment to something of drawEntry's world.
func drawAmendment(t *rapid.T) tutti.Amendment {
	pick := func(label string, list ...string) string { return rapid.SampledFrom(list).Draw(t, label) }
	values := func(label string, list ...string) []string {
		s := pick(label, list...)
		if s == "" {
			return nil
		}
		return strings.Split(s, "|")
	}
	album := string(entryOf(1, args{"albumid": pick("of album", "x", "y", "z")}).AlbumID)
	track := string(entryOf(rapid.IntRange(1, 12).Draw(t, "of track"), args{}).ID)
	switch field := tutti.TagField(pick("field", "artist", "artist", "artist", "albumArtist", "genre", "year", "title", "mood", "grouping")); field {
	case tutti.FieldArtist:
		return tutti.Amendment{Field: field, Of: pick("of", "The Birds", "birds", "Bo", "Zed", "Cy"), To: values("to", "", "Birds", "Bo", "Bo|Cy", "The Birds", "Ána|Bo|Dee")}
	case tutti.FieldAlbumArtist:
		return tutti.Amendment{Field: field, Of: album, To: values("to", "", "Bo", "Dee|Cy")}
	case tutti.FieldGenre:
		return tutti.Amendment{Field: field, Of: album, To: values("to", "", "Rock", "Folk|jazz")}
	case tutti.FieldMood:
		return tutti.Amendment{Field: field, Of: album, To: values("to", "", "calm")}
	case tutti.FieldYear:
		return tutti.Amendment{Field: field, Of: album, To: values("to", "", "1969", "2001")}
	default:
		return tutti.Amendment{Field: field, Of: track, To: values("to", "", "Red", "Blue")}
	}
}

// TestPropertyTracks: a list of tracks holds what the same list without conditions holds of them, in its order, whichever
// page is asked for and from whichever end.
func TestPropertyTracks(t *testing.T) {
	d := newDesk(t)
	rapid.Check(t, func(rt *rapid.T) {
		ctx := context.Background()
		var batch []scan.Change
		for n := 1; n <= 40; n++ {
			switch e := drawEntry(rt, n); rapid.IntRange(0, 4).Draw(rt, "what") {
			case 0:
				batch = append(batch, scan.Change{Remove: e.ID})
			case 1, 2, 3:
				e.Duration = time.Duration(rapid.IntRange(1, 5).Draw(rt, "length")) * time.Minute
				e.Suffix = rapid.SampledFrom([]string{"flac", "mp3", "opus"}).Draw(rt, "suffix")
				batch = append(batch, scan.Change{Put: e})
			}
		}
		if err := d.Apply(ctx, batch); err != nil {
			rt.Fatal(err)
		}
		v := she
		if rapid.Bool().Draw(rt, "half") {
			v.Libraries = []string{"1"}
		}
		order := rapid.SampledFrom([]tutti.TrackOrder{
			"", tutti.TracksByTitle, tutti.TracksByAlbum, tutti.TracksByYear, tutti.TracksByDuration, tutti.TracksAdded,
		}).Draw(rt, "order")
		all, total, err := d.Tracks(ctx, v, tutti.TrackQuery{Order: order, Page: tutti.Page{Limit: 500}})
		counts, countsErr := d.Counts(ctx, v)
		if err != nil || countsErr != nil || len(all) != total || total != counts.Tracks {
			rt.Fatalf("%d tracks of %d, there are %d: %v, %v", len(all), total, counts.Tracks, err, countsErr)
		}
		sorted := slices.IsSortedFunc(all, func(a, b tutti.Track) int {
			switch order {
			case tutti.TracksByDuration:
				return cmp.Compare(a.Duration, b.Duration)
			case tutti.TracksAdded:
				return b.Added.Compare(a.Added)
			}
			return 0 // the scripts show the others
		})
		if !sorted {
			rt.Fatalf("not by %s: %v", order, all)
		}
		q := tutti.TrackQuery{Order: order, Reverse: rapid.Bool().Draw(rt, "reverse"), Page: tutti.Page{Offset: rapid.IntRange(0, 12).Draw(rt, "offset"), Limit: rapid.IntRange(0, 9).Draw(rt, "limit")}}
		some := func(label string, list ...string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(list), 0, 2, rapid.ID[string]).Draw(rt, label)
		}
		q.Genres, q.Formats, q.Libraries = some("genres", "ROCK", "jazz", "Pop", "Polka"), some("formats", "flac", "mp3", "wma"), some("libraries", "1", "2")
		q.Text = rapid.SampledFrom([]string{"", "b", "blue", "bo re", "ana", "東", "zzz"}).Draw(rt, "text")
		if rapid.Bool().Draw(rt, "years") {
			q.FromYear, q.ToYear = 1970, 2010
		}
		if rapid.Bool().Draw(rt, "artist") {
			q.Artist = scan.ArtistID("Bo")
		}
		years := map[tutti.ID]int{}
		albums, _, err := d.Albums(ctx, v, tutti.AlbumQuery{Order: tutti.AlbumsByYear, FromYear: 1970, ToYear: 2010, Page: tutti.Page{Limit: 500}})
		if err != nil {
			rt.Fatal(err)
		}
		for _, a := range albums {
			years[a.ID] = 1
		}
		var want []tutti.ID
		for _, x := range all {
			fold := func(list []string, s string) bool {
				return len(list) == 0 || slices.ContainsFunc(list, func(l string) bool { return strings.EqualFold(l, s) })
			}
			genre := len(q.Genres) == 0 || slices.ContainsFunc(x.Genres, func(g string) bool { return fold(q.Genres, g) })
			artist := q.Artist == "" || slices.ContainsFunc(slices.Concat(x.Artists, x.AlbumArtists), func(a tutti.ArtistRef) bool { return a.ID == q.Artist }) ||
				slices.ContainsFunc(x.Contributors, func(c tutti.Contributor) bool { return c.Artist.ID == q.Artist })
			text := true
			for _, word := range strings.Fields(q.Text) {
				text = text && hasWord(word, x.Title, x.Album, names(x.Artists), names(x.AlbumArtists))
			}
			if genre && artist && text && fold(q.Formats, x.Suffix) && fold(q.Libraries, x.Library) && (q.FromYear == 0 || years[x.AlbumID] != 0) {
				want = append(want, x.ID)
			}
		}
		found := len(want)
		if q.Reverse {
			slices.Reverse(want)
		}
		want = want[min(q.Offset, len(want)):]
		want = want[:min(q.Limit, len(want))]
		for range 2 { // the second time from memory
			list, n, err := d.Tracks(ctx, v, q)
			if err != nil {
				rt.Fatal(err)
			}
			var got []tutti.ID
			for _, x := range list {
				got = append(got, x.ID)
			}
			if n != found || !slices.Equal(got, want) {
				rt.Fatalf("%+v: %v of %d, want %v of %d", q, got, n, want, found)
			}
		}
	})
}

// hasWord reports whether a word in one of the texts begins with the prefix. It knows no more of how texts are folded than drawEntry's need.
func hasWord(prefix string, texts ...string) bool {
	text := strings.NewReplacer("á", "a", "é", "e", "|", " ", "東京", "東京 京").Replace(strings.ToLower(strings.Join(texts, " ")))
	return slices.ContainsFunc(strings.FieldsFunc(text, func(r rune) bool { return strings.ContainsRune(" ,&", r) }), func(w string) bool { return strings.HasPrefix(w, prefix) })
}

// normal is an entry as the catalogue returns it: without empty lists.
func normal(e *scan.Entry) *scan.Entry {
	c := *e
	if len(c.Genres) == 0 {
		c.Genres = nil
	}
	return &c
}

// TestPropertyBook: the scanner finds in the book what it wrote.
func TestPropertyBook(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t)
		files := map[string][]tutti.ID{}
		prints := map[scan.Fingerprint][]tutti.ID{}
		live := map[string]int{}
		var batch []scan.Change
		for n := 1; n <= rapid.IntRange(1, 20).Draw(rt, "tracks"); n++ {
			e := drawEntry(rt, n)
			e.Fingerprint = scan.Fingerprint{1, byte(rapid.IntRange(0, 2).Draw(rt, "fp")), 0, 0, 0, 0, 0, 0, 0, byte(rapid.IntRange(0, 1).Draw(rt, "fp2"))}
			if rapid.Bool().Draw(rt, "sheet") { // of one file
				dir := strings.TrimSuffix(e.Path, fmt.Sprintf("%d.flac", n))
				e.Path = dir + "all.flac"
			}
			files[e.Library+":"+e.Path] = append(files[e.Library+":"+e.Path], e.ID)
			prints[e.Fingerprint] = append(prints[e.Fingerprint], e.ID)
			if !e.Missing {
				live[e.Library]++
			}
			batch = append(batch, scan.Change{Put: e})
		}
		if err := d.Apply(context.Background(), batch); err != nil {
			rt.Fatal(err)
		}
		got := map[string][]tutti.ID{}
		var walk func(library, dir string)
		walk = func(library, dir string) {
			known, _ := d.Files(library, dir)
			if !slices.IsSortedFunc(known, func(a, b scan.KnownFile) int { return strings.Compare(a.Name, b.Name) }) {
				rt.Fatalf("the files of %s are out of order: %v", dir, known)
			}
			for _, k := range known {
				p := strings.TrimPrefix(dir+"/"+k.Name, "./")
				got[library+":"+p] = append(got[library+":"+p], k.Tracks...)
			}
			for _, sub := range d.Dirs(library, dir) {
				walk(library, strings.TrimPrefix(dir+"/"+sub, "./"))
			}
		}
		walk("1", ".")
		walk("2", ".")
		for _, m := range []map[string][]tutti.ID{got, files} {
			for _, ids := range m {
				slices.Sort(ids)
			}
		}
		if fmt.Sprint(got) != fmt.Sprint(files) {
			rt.Fatalf("files are\n%v\ninstead of\n%v", got, files)
		}
		for fp, ids := range prints {
			slices.Sort(ids)
			if got := d.ByFingerprint(fp); !slices.Equal(got, ids) {
				rt.Fatalf("fingerprint %v: %v instead of %v", fp, got, ids)
			}
		}
		for _, l := range []string{"1", "2"} {
			if d.TrackCount(l) != live[l] {
				rt.Fatalf("library %s has %d tracks instead of %d", l, d.TrackCount(l), live[l])
			}
		}
	})
}
