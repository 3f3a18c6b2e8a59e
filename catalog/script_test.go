package catalog_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"tutti"
	"tutti/catalog/scan"
)

// The files in testdata are scripts: commands, then "----", then what they print, which a person has read. Run with
// TUTTI_UPDATE_GOLDEN=1 to write down what they print now.
//
//	put N path=… title=… …        the track numbered N (see entryOf for the fields)
//	missing N | found N | remove N | folder path=… cover=…
//	apply                          make the changes since the last apply, in one batch
//	restart                        load the catalogue again from the store
//	snapshot                       write a snapshot
//	days N                         let so many days go by
//	anything of queries            print what the catalogue answers
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) { runScript(t, f) })
	}
}

func runScript(t *testing.T, file string) {
	raw, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := newDesk(t)
	var out strings.Builder
	for i, block := range strings.Split(strings.TrimRight(string(raw), "\n"), "\n\n") {
		commands, _, _ := strings.Cut(block, "\n----")
		if i > 0 {
			out.WriteString("\n")
		}
		out.WriteString(commands + "\n")
		if strings.HasPrefix(commands, "#") && !strings.Contains(commands, "\n") {
			continue
		}
		out.WriteString("----\n" + d.run(t, commands))
	}
	if os.Getenv("TUTTI_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if out.String() != string(raw) {
		t.Errorf("%s: got\n%s", file, out.String())
	}
}

// fields splits a command line at spaces outside quotes.
func fields(line string) []string {
	var list []string
	var b strings.Builder
	quoted, empty := false, true
	for _, r := range line {
		switch {
		case r == '"':
			quoted, empty = !quoted, false
		case r == ' ' && !quoted:
			if b.Len() > 0 || !empty {
				list = append(list, b.String())
				b.Reset()
			}
			empty = true
		default:
			b.WriteRune(r)
		}
	}
	if b.Len() > 0 || !empty {
		list = append(list, b.String())
	}
	return list
}

type args map[string]string

func argsOf(words []string) args {
	a := args{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		a[k] = v
	}
	return a
}

func (a args) int(key string) int {
	n, err := strconv.Atoi(a[key])
	if err != nil && a[key] != "" {
		panic(err)
	}
	return n
}

func (a args) list(key string) []string {
	if a[key] == "" {
		return nil
	}
	return strings.Split(a[key], "|")
}

// tracksOf are the tracks named as of=1|2|…
func tracksOf(a args) (list []tutti.ID) {
	for _, s := range a.list("of") {
		n, _ := strconv.Atoi(s)
		list = append(list, trackID(n))
	}
	return list
}

func refsOf(names []string) []tutti.ArtistRef {
	var list []tutti.ArtistRef
	for _, n := range names {
		list = append(list, tutti.ArtistRef{ID: scan.ArtistID(n), Name: n})
	}
	return list
}

func trackID(n int) tutti.ID { return tutti.NewID(tutti.PrefixTrack, uint64(n)) }

func albumID(name string) tutti.ID {
	n, _ := scan.FolderID("album", name).Number()
	return tutti.NewID(tutti.PrefixAlbum, n)
}

func dateOf(s string) (d tutti.Date) {
	if s != "" {
		_, _ = fmt.Sscanf(s, "%d-%d-%d", &d.Year, &d.Month, &d.Day) // fewer parts are fine
	}
	return d
}

// entryOf makes an entry: lib, path, title, artist (a|b), albumartist, album, genre, track, disc, subtitle, year,
// date, orig, sort, albumsort, artistsort, comp, cover, embedded, codec, rate, seconds, mbid, edition, label, type,
// mood, explicit, composer, missing, start, end. The album is its name, but for albumid.
func entryOf(n int, a args) *scan.Entry {
	or := func(key, other string) string {
		if a[key] != "" {
			return a[key]
		}
		return other
	}
	e := &scan.Entry{}
	t := &e.Track
	t.ID = trackID(n)
	t.Library, t.Path = or("lib", "1"), or("path", fmt.Sprintf("%s/%02d.flac", or("album", "loose"), n))
	t.FolderID = scan.FolderID(t.Library, path.Dir(t.Path))
	t.Title = or("title", fmt.Sprintf("Track %d", n))
	t.Artists = refsOf(strings.Split(or("artist", "[Unknown Artist]"), "|"))
	t.DisplayArtist = strings.Join(a.list("artist"), " & ")
	t.AlbumArtists = refsOf(strings.Split(or("albumartist", t.Artists[0].Name), "|"))
	t.DisplayAlbumArtist = t.AlbumArtists[0].Name
	t.Album = or("album", "loose")
	t.AlbumID = albumID(or("albumid", t.Album))
	t.Genres, t.Moods = a.list("genre"), a.list("mood")
	t.Track, t.Disc, t.DiscSubtitle = a.int("track"), a.int("disc"), a["subtitle"]
	t.Date, t.OriginalDate = dateOf(or("date", a["year"])), dateOf(a["orig"])
	t.SortTitle, e.AlbumSort = a["sort"], a["albumsort"]
	t.Compilation, t.Explicit = a["comp"] != "", a["explicit"]
	e.CoverPath = a["cover"]
	t.HasCover = e.CoverPath != "" || a["embedded"] != ""
	t.Codec = or("codec", "flac")
	t.Suffix, t.ContentType = strings.TrimPrefix(path.Ext(t.Path), "."), "audio/"+t.Codec
	t.BitRate, t.SampleRate, t.BitDepth, t.Channels = 900, 44100, 16, 2
	if a["rate"] != "" {
		t.BitRate = a.int("rate")
	}
	t.Duration = 200 * time.Second
	if a["seconds"] != "" {
		t.Duration = time.Duration(a.int("seconds")) * time.Second
	}
	t.Start, t.End = time.Duration(a.int("start"))*time.Second, time.Duration(a.int("end"))*time.Second
	t.Size = int64(t.Duration.Seconds()) * 1000
	e.AlbumMBID, e.AlbumEdition = a["mbid"], a["edition"]
	e.RecordLabels, e.ReleaseTypes = a.list("label"), a.list("type")
	if s := a["artistsort"]; s != "" {
		e.ArtistDetails = []scan.ArtistDetail{{ID: t.Artists[0].ID, SortName: s}}
	}
	for _, c := range refsOf(a.list("composer")) {
		t.Contributors = append(t.Contributors, tutti.Contributor{Role: "composer", Artist: c})
	}
	e.Fingerprint[0], e.Fingerprint[1] = byte(n), byte(n>>8)
	t.ModTime = start.Add(-time.Duration(n) * time.Hour)
	t.Added = start.Add(time.Duration(n) * time.Minute)
	t.Version = scan.VersionOf(e.Fingerprint, t.Size, t.ModTime.UnixNano())
	t.Missing = a["missing"] != ""
	return e
}

func viewerOf(a args) tutti.Viewer {
	v := she
	if a["as"] != "" {
		v = tutti.Viewer{User: tutti.ID("us-" + fmt.Sprintf("%013s", a["as"])), Admin: a["as"] == "admin"}
	}
	if a["sees"] != "" {
		v.Libraries = a.list("sees")
	}
	return v
}

func (d *desk) run(t *testing.T, commands string) string {
	var out strings.Builder
	var batch []scan.Change
	ctx := context.Background()
	lines := bufio.NewScanner(strings.NewReader(commands))
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words := fields(line)
		n := 0
		if len(words) > 1 {
			n, _ = strconv.Atoi(words[1]) // commands without a number do not look
		}
		switch words[0] {
		case "put":
			batch = append(batch, scan.Change{Put: entryOf(n, argsOf(words[2:]))})
		case "missing":
			batch = append(batch, scan.Change{Missing: trackID(n)})
		case "found":
			batch = append(batch, scan.Change{Found: trackID(n)})
		case "remove":
			batch = append(batch, scan.Change{Remove: trackID(n)})
		case "folder":
			a := argsOf(words[1:])
			batch = append(batch, scan.Change{Folder: &scan.FolderInfo{Library: "1", Path: a["path"], CoverPath: a["cover"], Sides: uint64(a.int("sides"))}})
		case "apply":
			if err := d.Apply(ctx, batch); err != nil {
				fmt.Fprintln(&out, "error:", tutti.KindOf(err), tutti.Message(err))
			}
			batch = nil
		case "days":
			d.clock.Advance(time.Duration(n) * 24 * time.Hour)
		case "restart":
			d.reopen(t)
		case "snapshot":
			if err := d.Snapshot(ctx); err != nil {
				fmt.Fprintln(&out, "error:", tutti.KindOf(err), tutti.Message(err))
			}
		default:
			d.clock.Advance(time.Minute)
			if err := d.query(&out, words); err != nil {
				fmt.Fprintln(&out, "error:", tutti.KindOf(err), tutti.Message(err))
			}
		}
	}
	if len(batch) > 0 {
		t.Errorf("changes without apply in %q", commands)
	}
	return out.String()
}

func (d *desk) nameOf(id tutti.ID) tutti.ID {
	if strings.HasPrefix(string(id), "album:") {
		return albumID(string(id[6:]))
	}
	if strings.HasPrefix(string(id), "artist:") {
		return scan.ArtistID(string(id[7:]))
	}
	if strings.HasPrefix(string(id), "folder:") {
		return scan.FolderID("1", string(id[7:]))
	}
	if n, err := strconv.Atoi(string(id)); err == nil {
		return trackID(n)
	}
	return id
}

// query prints an answer of the catalogue.
func (d *desk) query(out *strings.Builder, words []string) error {
	ctx := context.Background()
	a := argsOf(words[1:])
	v := viewerOf(a)
	page := tutti.Page{Offset: a.int("offset"), Limit: 20}
	if a["limit"] != "" {
		page.Limit = a.int("limit")
	}
	id := func() tutti.ID { return d.nameOf(tutti.ID(words[1])) }
	switch words[0] {
	case "counts":
		c, err := d.Counts(ctx, v)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d tracks, %d albums, %d artists, %d genres, %d missing, %s, %d bytes\n", c.Tracks, c.Albums, c.Artists, c.Genres, c.Missing, c.Duration, c.Size)
	case "albums":
		list, n, err := d.Albums(ctx, v, tutti.AlbumQuery{
			Order: tutti.AlbumOrder(words[1]), Genres: a.list("genre"), Libraries: a.list("library"), Formats: a.list("format"),
			FromYear: a.int("from"), ToYear: a.int("to"), Page: page,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d of %d\n", len(list), n)
		for i := range list {
			printAlbum(out, &list[i])
		}
	case "find":
		ids, err := d.FindTracks(ctx, v, []tutti.Sought{{Paths: a.list("paths"), Title: a["title"], Duration: time.Duration(a.int("seconds")) * time.Second}})
		if err != nil {
			return err
		}
		if ids[0] == "" {
			out.WriteString("nothing\n")
			return nil
		}
		tr, err := d.Track(ctx, v, ids[0])
		if err != nil {
			return err
		}
		printTrack(out, "", &tr)
	case "home":
		list, err := d.Home(ctx, v, page.Limit)
		if err != nil {
			return err
		}
		for _, s := range list {
			var names []string
			for _, al := range s.Albums {
				names = append(names, al.Name)
			}
			switch s.Kind {
			case tutti.ShelfRandom, tutti.ShelfForgotten, tutti.ShelfGenre, tutti.ShelfDecade:
				slices.Sort(names)
			}
			fmt.Fprintf(out, "%s %s %q\n", s.Kind, s.Of, names)
		}
	case "mosaic":
		p, err := d.SavePlaylist(ctx, v, tutti.Playlist{Name: "mosaic", Tracks: tracksOf(a)})
		if err != nil {
			return err
		}
		refs, err := d.Mosaic(ctx, v, p.ID)
		if err != nil {
			return err
		}
		for _, r := range refs {
			fmt.Fprintf(out, "%s:%s %s\n", r.Library, r.Path, r.Profile)
		}
	case "album":
		al, tracks, err := d.Album(ctx, v, id())
		if err != nil {
			return err
		}
		printAlbum(out, &al)
		for i := range tracks {
			printTrack(out, "  ", &tracks[i])
		}
	case "track":
		tr, err := d.Track(ctx, v, id())
		if err != nil {
			return err
		}
		printTrack(out, "", &tr)
	case "tracks":
		list, n, err := d.Tracks(ctx, v, tutti.TrackQuery{
			Text: a["text"], Genres: a.list("genre"), Libraries: a.list("library"), Formats: a.list("format"), FromYear: a.int("from"), ToYear: a.int("to"),
			Artist: d.nameOf(tutti.ID(a["artist"])), Order: tutti.TrackOrder(a["order"]), Reverse: a["reverse"] != "", Page: page,
		})
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%d of %d\n", len(list), n)
		for i := range list {
			printTrack(out, "", &list[i])
		}
	case "artists":
		list, err := d.Artists(ctx, v, a["library"], a["role"])
		if err != nil {
			return err
		}
		for i := range list {
			printArtist(out, &list[i])
		}
	case "artist":
		ar, own, on, err := d.Artist(ctx, v, id())
		if err != nil {
			return err
		}
		printArtist(out, &ar)
		for i := range own {
			printAlbum(out, &own[i])
		}
		for i := range on {
			out.WriteString("on ")
			printAlbum(out, &on[i])
		}
	case "genres":
		list, err := d.Genres(ctx, v)
		if err != nil {
			return err
		}
		for _, g := range list {
			fmt.Fprintf(out, "%s: %d songs, %d albums, %d pictures\n", g.Name, g.SongCount, g.AlbumCount, len(g.Covers))
		}
	case "folders":
		list, err := d.RootFolders(ctx, v)
		if err != nil {
			return err
		}
		for _, f := range list {
			if err := d.printFolder(ctx, out, v, f, ""); err != nil {
				return err
			}
		}
	case "search":
		res, err := d.Search(ctx, v, tutti.SearchQuery{Text: words[1], Library: a["library"], Artists: page, Albums: page, Tracks: page})
		if err != nil {
			return err
		}
		printResult(out, &res)
	case "star", "unstar":
		var ids []tutti.ID
		for _, w := range words[1:] {
			if !strings.Contains(w, "=") {
				ids = append(ids, d.nameOf(tutti.ID(w)))
			}
		}
		return d.Star(ctx, v, words[0] == "star", ids...)
	case "rate":
		return d.Rate(ctx, v, id(), a.int("to"))
	case "play":
		return d.Played(ctx, v, tutti.Play{Track: id()})
	case "starred":
		res, folders, err := d.Starred(ctx, v, a["library"])
		if err != nil {
			return err
		}
		printResult(out, &res)
		for _, f := range folders {
			fmt.Fprintf(out, "folder %s%s\n", f.Path, mine(f.Annotation))
		}
	case "similar":
		list, err := d.Similar(ctx, v, id(), page.Limit)
		if err != nil {
			return err
		}
		for i := range list {
			printTrack(out, "", &list[i])
		}
	case "top":
		list, err := d.TopTracks(ctx, v, words[1], page.Limit)
		if err != nil {
			return err
		}
		for i := range list {
			printTrack(out, "", &list[i])
		}
	case "cover":
		ref, err := d.Cover(ctx, v, id())
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "%s:%s %s versioned=%t\n", ref.Library, ref.Path, ref.Profile, ref.Version != "")
	case "plan":
		p, err := d.Plan(ctx, tutti.PlanRequest{Viewer: v, Track: id(), Want: tutti.Want{Format: a["format"], MaxRate: a.int("max"), Offset: time.Duration(a.int("offset")) * time.Second}})
		if err != nil {
			return err
		}
		section := ""
		if p.Ref.Start != 0 || p.Ref.End != 0 {
			section = fmt.Sprintf(" %s-%s", p.Ref.Start, p.Ref.End)
		}
		fmt.Fprintf(out, "%s%s %s .%s size=%d estimate=%d: %s\n", p.Ref.Profile, section, p.ContentType, p.Suffix, p.Size, p.EstimatedSize, p.Reason)
	default:
		return fmt.Errorf("no such command: %s", words[0])
	}
	return nil
}

func mine(a tutti.Annotation) string {
	s := ""
	if !a.Starred.IsZero() {
		s += " starred@" + a.Starred.Format("15:04")
	}
	if a.Rating != 0 {
		s += fmt.Sprintf(" rated=%d", a.Rating)
	}
	if a.PlayCount != 0 {
		s += fmt.Sprintf(" played=%d@%s", a.PlayCount, a.Played.Format("15:04"))
	}
	return s
}

func names(refs []tutti.ArtistRef) string {
	var list []string
	for _, r := range refs {
		list = append(list, r.Name)
	}
	return strings.Join(list, "|")
}

func printAlbum(out *strings.Builder, a *tutti.Album) {
	fmt.Fprintf(out, "album %s by %s [%s]", a.Name, a.DisplayArtist, names(a.Artists))
	opt := func(key string, v any) {
		if s := fmt.Sprint(v); s != "" && s != "0" && s != "[]" && s != "false" && s != "map[]" {
			fmt.Fprintf(out, " %s=%s", key, s)
		}
	}
	opt("date", a.Date)
	opt("orig", a.OriginalDate)
	opt("sort", a.SortName)
	opt("edition", a.Edition)
	opt("mbid", a.MusicBrainzID)
	opt("genres", a.Genres)
	opt("moods", a.Moods)
	opt("labels", a.RecordLabels)
	opt("types", a.ReleaseTypes)
	opt("explicit", a.Explicit)
	opt("comp", a.Compilation)
	opt("discs", a.DiscTitles)
	opt("songs", a.SongCount)
	opt("time", a.Duration)
	opt("added", a.Added.Format("15:04"))
	opt("cover", a.HasCover)
	opt("missing", a.Missing)
	opt("formats", a.Formats)
	opt("lib", a.Library)
	fmt.Fprintf(out, "%s\n", mine(a.Annotation))
}

func printTrack(out *strings.Builder, indent string, t *tutti.Track) {
	n, _ := t.ID.Number()
	fmt.Fprintf(out, "%strack %d %d-%d %s by %s [%s] on %s", indent, n, t.Disc, t.Track, t.Title, t.DisplayArtist, names(t.Artists), t.Album)
	if t.Missing {
		out.WriteString(" missing")
	}
	fmt.Fprintf(out, " %s:%s%s\n", t.Library, t.Path, mine(t.Annotation))
}

func printArtist(out *strings.Builder, a *tutti.Artist) {
	fmt.Fprintf(out, "artist %s sort=%q roles=%v albums=%d tracks=%d cover=%t%s\n", a.Name, a.SortName, a.Roles, a.AlbumCount, a.TrackCount, a.HasCover, mine(a.Annotation))
}

func printResult(out *strings.Builder, r *tutti.SearchResult) {
	for i := range r.Artists {
		printArtist(out, &r.Artists[i])
	}
	for i := range r.Albums {
		printAlbum(out, &r.Albums[i])
	}
	for i := range r.Tracks {
		printTrack(out, "", &r.Tracks[i])
	}
}

func (d *desk) printFolder(ctx context.Context, out *strings.Builder, v tutti.Viewer, f tutti.Folder, indent string) error {
	fmt.Fprintf(out, "%s%s (%s) cover=%t%s\n", indent, f.Name, f.Path, f.HasCover, mine(f.Annotation))
	l, err := d.Folder(ctx, v, f.ID)
	if tutti.IsKind(err, tutti.KindNotFound) && indent == "" {
		return nil // a library without music has a root, but nothing in it
	}
	if err != nil {
		return err
	}
	if len(l.Parents) != len(indent)/2 {
		return fmt.Errorf("%s has %d parents at depth %d", f.Path, len(l.Parents), len(indent)/2)
	}
	for _, sub := range l.Folders {
		if err := d.printFolder(ctx, out, v, sub, indent+"  "); err != nil {
			return err
		}
	}
	for i := range l.Tracks {
		printTrack(out, indent+"  ", &l.Tracks[i])
	}
	return nil
}

// everything prints all that the catalogue shows to those who see the libraries.
func (d *desk) everything(t testing.TB, sees ...string) string {
	t.Helper()
	var out strings.Builder
	who := ""
	if len(sees) > 0 {
		who = "sees=" + strings.Join(sees, "|")
	}
	for _, q := range []string{
		"counts", "albums alphabeticalByName", "albums alphabeticalByArtist", "albums newest", "albums byYear from=1990 to=2010",
		"albums byYear from=2020 to=1900", "albums byGenre genre=jazz", "tracks", "tracks genre=rock", "tracks from=1999 to=2004",
		"artists", "artists role=albumartist", "artists role=composer", "genres", "folders", "tracks order=title", "tracks order=duration reverse=1", "tracks order=album genre=rock|pop text=b", "search b", "search \"the b\"", "search \"\"", "starred",
	} {
		fmt.Fprintln(&out, ">", q)
		if err := d.query(&out, append(fields(q), "limit=500", who)); err != nil {
			fmt.Fprintln(&out, "error:", tutti.KindOf(err), tutti.Message(err))
		}
	}
	return out.String()
}
