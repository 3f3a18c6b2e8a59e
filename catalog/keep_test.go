package catalog_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"tutti"
	"tutti/catalog"
	"tutti/catalog/catalogtest"
	"tutti/catalog/scan"
)

var (
	he    = tutti.Viewer{User: "us-00000000000h1"}
	admin = tutti.Viewer{User: "us-00000000000a1", Admin: true}
	halfs = tutti.Viewer{User: "us-00000000000j1", Libraries: []string{"2"}}
)

func wantKind(t *testing.T, err error, kind tutti.Kind) {
	t.Helper()
	if !tutti.IsKind(err, kind) {
		t.Errorf("got %v, want %s", err, kind)
	}
}

// six puts six tracks of the albums Odd (library 1) and Even (library 2).
func six(t *testing.T, d *desk) []tutti.ID {
	t.Helper()
	var batch []scan.Change
	var ids []tutti.ID
	for n := 1; n <= 6; n++ {
		a := args{"album": "Odd", "artist": "A", "genre": "Rock"}
		if n%2 == 0 {
			a = args{"album": "Even", "artist": "B", "lib": "2", "genre": "Pop"}
		}
		e := entryOf(n, a)
		ids = append(ids, e.ID)
		batch = append(batch, scan.Change{Put: e})
	}
	if err := d.Apply(context.Background(), batch); err != nil {
		t.Fatal(err)
	}
	return ids
}

func TestPlaylists(t *testing.T) {
	ctx := context.Background()
	for _, sole := range []bool{true, false} {
		t.Run(fmt.Sprintf("sole=%t", sole), func(t *testing.T) {
			d := newDesk(t, func(c *catalog.Config) {
				c.SoleWriter = sole
				c.User = func(_ context.Context, id tutti.ID) (tutti.User, error) {
					if id == she.User {
						return tutti.User{ID: id, Name: "she"}, nil
					}
					return tutti.User{}, tutti.Errorf(tutti.KindNotFound, "user", "gone")
				}
			})
			ids := six(t, d)
			p, err := d.SavePlaylist(ctx, she, tutti.Playlist{Name: " Evening ", Tracks: []tutti.ID{ids[3], ids[0], ids[3]}})
			if err != nil {
				t.Fatal(err)
			}
			if p.Name != "Evening" || p.Owner != she.User || p.OwnerName != "she" || p.SongCount != 3 || p.Duration != 600*time.Second || p.Version != 1 || !p.Created.Equal(start) {
				t.Errorf("created %+v", p)
			}
			_, err = d.Playlist(ctx, he, p.ID)
			wantKind(t, err, tutti.KindNotFound)
			wantKind(t, d.DeletePlaylist(ctx, he, p.ID), tutti.KindNotFound)
			if _, err := d.Cover(ctx, he, p.ID); !tutti.IsKind(err, tutti.KindNotFound) {
				t.Errorf("its cover is not hidden: %v", err)
			}
			if _, err := d.Playlist(ctx, admin, p.ID); err != nil {
				t.Error(err)
			}

			p.Public, p.Tracks = true, []tutti.ID{ids[1], ids[0]}
			d.clock.Advance(time.Hour)
			q, err := d.SavePlaylist(ctx, she, p)
			if err != nil {
				t.Fatal(err)
			}
			if q.Version != 2 || !q.Changed.Equal(start.Add(time.Hour)) || !q.Created.Equal(start) {
				t.Errorf("changed %+v", q)
			}
			_, err = d.SavePlaylist(ctx, she, p) // of the old version
			wantKind(t, err, tutti.KindConflict)
			q.Owner = he.User
			_, err = d.SavePlaylist(ctx, he, q)
			wantKind(t, err, tutti.KindForbidden)

			seen, err := d.Playlist(ctx, halfs, p.ID)
			if err != nil || !slices.Equal(seen.Tracks, ids[1:2]) || seen.SongCount != 1 {
				t.Errorf("who sees half of it sees %+v, %v", seen, err)
			}
			for _, bad := range []tutti.Playlist{
				{Name: " "},
				{Name: strings.Repeat("x", 2000)},
				{ID: "al-0000000000001", Name: "x"},
				{ID: tutti.NewID(tutti.PrefixPlaylist, 9), Name: "x"},
				{Name: "x", Tracks: []tutti.ID{trackID(99)}},
			} {
				if _, err := d.SavePlaylist(ctx, she, bad); err == nil {
					t.Errorf("saved %+v", bad)
				}
			}
			_, err = d.SavePlaylist(ctx, halfs, tutti.Playlist{Name: "x", Tracks: ids[:1]})
			wantKind(t, err, tutti.KindNotFound)
			_, err = d.SavePlaylist(ctx, tutti.Viewer{}, tutti.Playlist{Name: "x"})
			wantKind(t, err, tutti.KindForbidden)

			// A track that goes leaves the list; one that is only missing stays.
			if err := d.Apply(ctx, []scan.Change{{Remove: ids[1]}, {Missing: ids[0]}}); err != nil {
				t.Fatal(err)
			}
			d.reopen(t)
			seen, err = d.Playlist(ctx, she, p.ID)
			if err != nil || !slices.Equal(seen.Tracks, ids[:1]) {
				t.Errorf("after a removal it has %v, %v", seen.Tracks, err)
			}
			if err := d.DeletePlaylist(ctx, she, p.ID); err != nil {
				t.Error(err)
			}
			list, err := d.Playlists(ctx, admin)
			if err != nil || len(list) != 0 {
				t.Errorf("after deleting there are %v, %v", list, err)
			}
		})
	}
}

func TestImportedPlaylists(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	ids := six(t, d)
	in := tutti.Playlist{Name: "Mix", File: "lists/mix.m3u", Tracks: ids[:3]}
	for range 2 {
		if err := d.ImportPlaylist(ctx, "1", in); err != nil {
			t.Fatal(err)
		}
	}
	if files := d.PlaylistFiles("1"); !slices.Equal(files, []string{"lists/mix.m3u"}) {
		t.Errorf("files %v", files)
	}
	if files := d.PlaylistFiles("2"); len(files) != 0 {
		t.Errorf("files %v", files)
	}
	d.reopen(t)
	list, err := d.Playlists(ctx, he)
	if err != nil || len(list) != 1 || list[0].Version != 1 || list[0].SongCount != 3 || list[0].Tracks != nil {
		t.Fatalf("%+v, %v", list, err)
	}
	if list, _ := d.Playlists(ctx, halfs); len(list) != 0 {
		t.Errorf("who does not see the library sees %v", list)
	}
	p := list[0]
	p.Tracks = ids[:1]
	_, err = d.SavePlaylist(ctx, admin, p)
	wantKind(t, err, tutti.KindForbidden)
	wantKind(t, d.DeletePlaylist(ctx, admin, p.ID), tutti.KindForbidden)
	in.Tracks = []tutti.ID{} // an empty list is a list
	if err := d.ImportPlaylist(ctx, "1", in); err != nil {
		t.Fatal(err)
	}
	if p, err := d.Playlist(ctx, he, p.ID); err != nil || len(p.Tracks) != 0 || p.Version != 2 {
		t.Errorf("%+v, %v", p, err)
	}
	in.Tracks = nil
	for range 2 {
		if err := d.ImportPlaylist(ctx, "1", in); err != nil {
			t.Fatal(err)
		}
	}
	_, err = d.Playlist(ctx, he, p.ID)
	wantKind(t, err, tutti.KindNotFound)
}

// TestLargePlaylist saves lists that do not fit one item of the store, and finds nothing left of those replaced.
func TestLargePlaylist(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	const n = 1000
	d.fill(t, catalogtest.Synthetic(n))
	ids := make([]tutti.ID, 0, n)
	for e := range catalogtest.Synthetic(n) {
		ids = append(ids, e.ID)
	}
	var long []tutti.ID
	rng := rand.New(rand.NewPCG(3, 4))
	for range 400_000 {
		long = append(long, ids[rng.IntN(n)])
	}
	p, err := d.SavePlaylist(ctx, she, tutti.Playlist{Name: "long", Tracks: long})
	if err != nil {
		t.Fatal(err)
	}
	parts := func() int {
		page, err := d.store.Query(ctx, "part#playlists", "", "", 100)
		if err != nil {
			t.Fatal(err)
		}
		return len(page.Items)
	}
	if parts() < 1 {
		t.Fatal("it fitted; make it longer")
	}
	d.reopen(t)
	got, err := d.Playlist(ctx, she, p.ID)
	if err != nil || !slices.Equal(got.Tracks, long) {
		t.Fatalf("%d tracks came back, %v", len(got.Tracks), err)
	}
	before := parts()
	slices.Reverse(got.Tracks)
	if got, err = d.SavePlaylist(ctx, she, got); err != nil {
		t.Fatal(err)
	}
	if after := parts(); after > before+1 {
		t.Errorf("%d parts after %d", after, before)
	}
	got.Tracks = got.Tracks[:10]
	if _, err = d.SavePlaylist(ctx, she, got); err != nil {
		t.Fatal(err)
	}
	if parts() != 0 {
		t.Errorf("%d parts of a short list", parts())
	}
}

func TestQueueAndBookmarks(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	ids := six(t, d)
	q, err := d.Queue(ctx, she)
	if err != nil || q.Current != -1 || len(q.Tracks) != 0 {
		t.Fatalf("an unsaved queue is %+v, %v", q, err)
	}
	q = tutti.Queue{Tracks: []tutti.ID{ids[0], ids[1], ids[0], ids[2]}, Current: 2, Position: 90 * time.Second, ChangedBy: "phone"}
	if err := d.SaveQueue(ctx, she, q); err != nil {
		t.Fatal(err)
	}
	got, err := d.Queue(ctx, she)
	if err != nil || !slices.Equal(got.Tracks, q.Tracks) || got.Current != 2 || got.Position != q.Position || got.ChangedBy != "phone" || !got.Changed.Equal(start) {
		t.Errorf("%+v, %v", got, err)
	}
	if other, err := d.Queue(ctx, he); err != nil || len(other.Tracks) != 0 {
		t.Errorf("another's queue is %+v, %v", other, err)
	}
	for _, bad := range []tutti.Queue{
		{Tracks: ids, Current: 6}, {Tracks: ids, Current: -1}, {Tracks: []tutti.ID{trackID(99)}}, {Tracks: ids, Position: -1},
	} {
		if err := d.SaveQueue(ctx, she, bad); err == nil {
			t.Errorf("saved %+v", bad)
		}
	}
	if err := d.Apply(ctx, []scan.Change{{Remove: ids[0]}}); err != nil {
		t.Fatal(err)
	}
	got, err = d.Queue(ctx, she)
	if err != nil || !slices.Equal(got.Tracks, []tutti.ID{ids[1], ids[2]}) || got.Current != 1 || got.Position != 0 {
		t.Errorf("after the current track went: %+v, %v", got, err)
	}
	if err := d.SaveQueue(ctx, she, tutti.Queue{}); err != nil {
		t.Error(err)
	}

	b := tutti.Bookmark{Track: ids[1], Position: time.Minute, Comment: "here"}
	if err := d.SaveBookmark(ctx, she, b); err != nil {
		t.Fatal(err)
	}
	d.clock.Advance(time.Minute)
	b.Position *= 2
	for _, id := range []tutti.ID{ids[1], ids[2]} {
		b.Track = id
		if err := d.SaveBookmark(ctx, she, b); err != nil {
			t.Fatal(err)
		}
	}
	list, err := d.Bookmarks(ctx, she)
	if err != nil || len(list) != 2 || list[0].Track != ids[1] || !list[0].Created.Equal(start) || !list[0].Changed.Equal(start.Add(time.Minute)) || list[0].Position != 2*time.Minute {
		t.Errorf("%+v, %v", list, err)
	}
	wantKind(t, d.SaveBookmark(ctx, halfs, tutti.Bookmark{Track: ids[2]}), tutti.KindNotFound)
	wantKind(t, d.SaveBookmark(ctx, she, tutti.Bookmark{Track: ids[2], Position: -1}), tutti.KindInvalid)
	if err := d.DeleteBookmark(ctx, she, ids[1]); err != nil {
		t.Error(err)
	}
	if list, _ := d.Bookmarks(ctx, she); len(list) != 1 {
		t.Errorf("after deleting: %+v", list)
	}
	_, err = d.Bookmarks(ctx, tutti.Viewer{})
	wantKind(t, err, tutti.KindForbidden)
}

func TestStations(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	_, err := d.SaveStation(ctx, she, tutti.Station{Name: "x", StreamURL: "http://radio.example/x"})
	wantKind(t, err, tutti.KindForbidden)
	for _, bad := range []tutti.Station{
		{StreamURL: "http://radio.example/x"},
		{Name: "x", StreamURL: "javascript:alert(1)"},
		{Name: "x", StreamURL: "file:///etc/passwd"},
		{Name: "x", StreamURL: "http://radio.example/x", HomeURL: "ftp://x"},
		{ID: tutti.NewID(tutti.PrefixStation, 5), Name: "x", StreamURL: "http://radio.example/x"},
	} {
		if _, err := d.SaveStation(ctx, admin, bad); err == nil {
			t.Errorf("saved %+v", bad)
		}
	}
	s, err := d.SaveStation(ctx, admin, tutti.Station{Name: "Waves", StreamURL: "https://radio.example/x", HomeURL: "https://radio.example"})
	if err != nil {
		t.Fatal(err)
	}
	s.Name = "Other waves"
	if _, err := d.SaveStation(ctx, admin, s); err != nil {
		t.Fatal(err)
	}
	list, err := d.Stations(ctx, he)
	if err != nil || !slices.Equal(list, []tutti.Station{s}) {
		t.Errorf("%+v, %v", list, err)
	}
	wantKind(t, d.DeleteStation(ctx, he, s.ID), tutti.KindForbidden)
	if err := d.DeleteStation(ctx, admin, s.ID); err != nil {
		t.Error(err)
	}
	wantKind(t, d.DeleteStation(ctx, admin, s.ID), tutti.KindNotFound)
}

func TestShares(t *testing.T) {
	ctx := context.Background()
	owner := tutti.User{ID: she.User, Name: "she", Roles: []tutti.Role{tutti.RoleShare}, MaxBitRate: 192}
	gone := false
	d := newDesk(t, func(c *catalog.Config) {
		c.User = func(context.Context, tutti.ID) (tutti.User, error) {
			if gone {
				return tutti.User{}, tutti.Errorf(tutti.KindNotFound, "user", "gone")
			}
			return owner, nil
		}
	})
	ids := six(t, d)
	if err := d.Star(ctx, she, true, ids[0]); err != nil {
		t.Fatal(err)
	}
	list, err := d.SavePlaylist(ctx, she, tutti.Playlist{Name: "private", Tracks: ids[4:5]})
	if err != nil {
		t.Fatal(err)
	}
	_, err = d.SaveShare(ctx, he, tutti.Share{Entries: []tutti.ID{list.ID}})
	wantKind(t, err, tutti.KindNotFound)
	s, err := d.SaveShare(ctx, she, tutti.Share{Description: "d", Entries: []tutti.ID{ids[0], albumID("Even"), list.ID}, Expires: start.Add(time.Hour), Visits: 9})
	if err != nil || !s.ID.Is(tutti.PrefixShare) || len(s.Secret) < 22 || s.Visits != 0 || s.OwnerName != "she" {
		t.Fatalf("%+v, %v", s, err)
	}
	order := func(list []tutti.Track) (ids []tutti.ID) {
		for _, tr := range list {
			ids = append(ids, tr.ID)
			if !tr.Starred.IsZero() {
				t.Error("a share shows its owner's stars")
			}
		}
		return ids
	}
	want := []tutti.ID{ids[0], ids[1], ids[3], ids[5], ids[4]}
	for range 2 {
		_, tracks, err := d.OpenShare(ctx, s.Secret)
		if err != nil || !slices.Equal(order(tracks), want) {
			t.Errorf("it has %v, %v", order(tracks), err)
		}
	}
	if got, tracks, err := d.PeekShare(ctx, s.Secret); err != nil || got.OwnerName != "she" || got.OwnerMaxRate != 192 || got.Visits != 2 || !got.LastVisited.Equal(start) || len(tracks) != 5 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, wrong := range []string{"", "x", string(s.ID), s.Secret + "x", strings.Repeat("y", 1000)} {
		_, _, err := d.OpenShare(ctx, wrong)
		wantKind(t, err, tutti.KindNotFound)
	}
	owner.Libraries = []string{"1"} // the owner may see less today
	if _, tracks, err := d.PeekShare(ctx, s.Secret); err != nil || !slices.Equal(order(tracks), []tutti.ID{ids[0], ids[4]}) {
		t.Errorf("%v, %v", order(tracks), err)
	}
	if mine, err := d.Shares(ctx, he); err != nil || len(mine) != 0 {
		t.Errorf("another's shares are %v, %v", mine, err)
	}
	_, err = d.SaveShare(ctx, he, tutti.Share{ID: s.ID, Entries: ids[:1]})
	wantKind(t, err, tutti.KindNotFound)
	wantKind(t, d.DeleteShare(ctx, he, s.ID), tutti.KindNotFound)
	for _, bad := range []tutti.Share{{}, {Entries: []tutti.ID{"ar-0000000000001"}}, {Entries: ids, Expires: start.Add(-1)}} {
		if _, err := d.SaveShare(ctx, she, bad); err == nil {
			t.Errorf("saved %+v", bad)
		}
	}
	changed, err := d.SaveShare(ctx, she, tutti.Share{ID: s.ID, Description: "e", Entries: ids[:1], Expires: start.Add(2 * time.Hour)})
	if err != nil || changed.Secret != s.Secret || changed.Visits != 2 || changed.Description != "e" {
		t.Errorf("%+v, %v", changed, err)
	}
	gone = true
	_, _, err = d.OpenShare(ctx, s.Secret)
	wantKind(t, err, tutti.KindNotFound)
	if all, err := d.Shares(ctx, admin); err != nil || len(all) != 0 {
		t.Errorf("a share of nobody is listed: %v, %v", all, err)
	}
	gone = false
	owner.Roles = []tutti.Role{tutti.RoleStream} // may no longer share
	_, _, err = d.PeekShare(ctx, s.Secret)
	wantKind(t, err, tutti.KindNotFound)
	owner.Roles = []tutti.Role{tutti.RoleAdmin}
	if all, err := d.Shares(ctx, admin); err != nil || len(all) != 1 || all[0].OwnerName != "she" {
		t.Errorf("shares are %v, %v", all, err)
	}
	d.clock.Advance(2 * time.Hour)
	_, _, err = d.OpenShare(ctx, s.Secret)
	wantKind(t, err, tutti.KindNotFound)
	if mine, err := d.Shares(ctx, she); err != nil || len(mine) != 0 {
		t.Errorf("ended shares are listed: %v, %v", mine, err)
	}
}

func TestNowPlaying(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	ids := six(t, d)
	report := func(v tutti.Viewer, p tutti.Playing) {
		t.Helper()
		if err := d.NowPlaying(ctx, v, p); err != nil {
			t.Fatal(err)
		}
	}
	now := func(v tutti.Viewer) string {
		list, err := d.NowPlayingAll(ctx, v)
		if err != nil {
			t.Fatal(err)
		}
		var s []string
		for _, p := range list {
			n, _ := p.Track.ID.Number()
			s = append(s, fmt.Sprintf("%s:%d:%s", p.Player, n, p.State))
		}
		return strings.Join(s, " ")
	}
	report(she, tutti.Playing{Player: "phone", Track: tutti.Track{ID: ids[0]}, State: "playing", Position: 100 * time.Second})
	d.clock.Advance(time.Second)
	report(he, tutti.Playing{Player: "desk", Track: tutti.Track{ID: ids[1]}, State: "paused"})
	if got := now(admin); got != "desk:2:paused phone:1:playing" {
		t.Error(got)
	}
	if got := now(halfs); got != "desk:2:paused" {
		t.Errorf("who sees one library sees %s", got)
	}
	d.clock.Advance(99 * time.Second) // the track is 200 s long
	if got := now(admin); got != "desk:2:paused" {
		t.Error(got)
	}
	report(he, tutti.Playing{Player: "desk", Track: tutti.Track{ID: ids[1]}, State: "stopped"})
	if got := now(admin); got != "" {
		t.Error(got)
	}
	wantKind(t, d.NowPlaying(ctx, halfs, tutti.Playing{Track: tutti.Track{ID: ids[0]}}), tutti.KindNotFound)
	wantKind(t, d.NowPlaying(ctx, he, tutti.Playing{Track: tutti.Track{ID: ids[0]}, State: "dreaming"}), tutti.KindInvalid)
	for i := range 40 {
		err := d.NowPlaying(ctx, he, tutti.Playing{Player: fmt.Sprint(i), Track: tutti.Track{ID: ids[0]}})
		if want := i >= 32; want != tutti.IsKind(err, tutti.KindExhausted) {
			t.Errorf("player %d: %v", i, err)
		}
	}
}

func TestLyrics(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	dir := d.cfg.Origin.Libraries()[0].Path
	e := entryOf(1, args{"title": "Song", "artist": "Singer", "path": "a/song.flac"})
	e.HasLyrics = true
	none := entryOf(2, args{"path": "a/none.flac"})
	if err := d.Apply(ctx, []scan.Change{{Put: e}, {Put: none}}); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o700); err != nil {
		t.Fatal(err)
	}
	_, err := d.Lyrics(ctx, she, e.ID)
	wantKind(t, err, tutti.KindNotFound) // the file is gone
	if l, err := d.Lyrics(ctx, she, none.ID); err != nil || l != nil {
		t.Errorf("%v, %v", l, err)
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "a", name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("song.flac", flacWithLyrics("inside"))
	write("song.lrc", "[00:01.00]one\n[00:02.50]two\n")
	l, err := d.Lyrics(ctx, she, e.ID)
	if err != nil || len(l) != 2 || l[0].Synced || l[0].Lines[0].Text != "inside" || !l[1].Synced || l[1].Title != "Song" || l[1].Lines[1].Start != 2500*time.Millisecond {
		t.Errorf("%+v, %v", l, err)
	}
	write("song.txt", strings.Repeat("x", 2<<20)) // nobody sings that
	if l, err := d.Lyrics(ctx, she, e.ID); err != nil || len(l) != 2 {
		t.Errorf("%d lyrics, %v", len(l), err)
	}
	_, err = d.Lyrics(ctx, halfs, e.ID)
	wantKind(t, err, tutti.KindNotFound)
}

// flacWithLyrics is the beginning of a FLAC file (RFC 9639 §8): one second of one channel at 44.1 kHz, according to its
// STREAMINFO, and a Vorbis comment.
func flacWithLyrics(text string) string {
	info := make([]byte, 34)
	copy(info, []byte{16, 0, 16, 0})
	copy(info[10:], []byte{0x0a, 0xc4, 0x40, 0xf0, 0, 0, 0xac, 0x44})
	comment := "LYRICS=" + text
	vorbis := "\x00\x00\x00\x00\x01\x00\x00\x00" + string([]byte{byte(len(comment)), 0, 0, 0}) + comment
	return "fLaC\x00\x00\x00\x22" + string(info) + "\x84\x00\x00" + string([]byte{byte(len(vorbis))}) + vorbis + "\xff\xf8"
}

// librarian says what Prepare shall say.
type librarian struct {
	tutti.TrackCache
	ready tutti.Readiness
	err   error
	asked []tutti.Ref
}

func (l *librarian) Prepare(_ context.Context, r tutti.Ref) (tutti.Readiness, error) {
	l.asked = append(l.asked, r)
	return l.ready, l.err
}

func TestPlanAsksTheCache(t *testing.T) {
	ctx := context.Background()
	cache := &librarian{ready: tutti.Readiness{Size: 7, Ready: true, Owners: []string{"n1"}, ContentType: "audio/flac"}}
	d := newDesk(t, func(c *catalog.Config) { c.Cache = cache })
	ids := six(t, d)
	p, err := d.Plan(ctx, tutti.PlanRequest{Viewer: she, Track: ids[0]})
	if err != nil || p.Size != 7 || !p.Ready || !slices.Equal(p.Owners, []string{"n1"}) || len(cache.asked) != 1 || cache.asked[0] != p.Ref || p.Ref.Version == "" {
		t.Errorf("%+v, %v", p, err)
	}
	section := func(from, to time.Duration) (tutti.Plan, error) {
		return d.Plan(ctx, tutti.PlanRequest{Viewer: she, Track: ids[0], Want: tutti.Want{Exact: &tutti.Profile{Format: "ts", BitRate: 128}, From: from, To: to}})
	}
	if p, err := section(10*time.Second, 20*time.Second); err != nil || p.Ref.Start != 10*time.Second || p.Ref.End != 20*time.Second || p.ContentType != "audio/flac" {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := section(190*time.Second, time.Hour); err != nil || p.Ref.Start != 190*time.Second || p.Ref.End != 0 || p.EstimatedSize != 160_000 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range [][2]time.Duration{{-1, 5}, {5, 5}, {200 * time.Second, 0}} {
		_, err := section(bad[0], bad[1])
		wantKind(t, err, tutti.KindInvalid)
	}
	for _, c := range []struct {
		err  error
		want tutti.Want
		says string
	}{
		{tutti.Errorf(tutti.KindNotFound, "x", "no file"), tutti.Want{}, "not where it was"},
		{tutti.Errorf(tutti.KindUnavailable, "x", "the disk is away"), tutti.Want{}, "cannot be reached now: the disk is away"},
		{tutti.Errorf(tutti.KindUnavailable, "x", "ffmpeg is not installed"), tutti.Want{Format: "mp3"}, "ffmpeg is not installed); originals still play"},
		{tutti.Errorf(tutti.KindExhausted, "x", "too many at once"), tutti.Want{Format: "mp3"}, "too many at once"},
	} {
		cache.err = c.err
		_, err := d.Plan(ctx, tutti.PlanRequest{Viewer: she, Track: ids[0], Want: c.want})
		wantKind(t, err, tutti.KindOf(c.err))
		if !strings.Contains(tutti.Message(err), c.says) {
			t.Errorf("%q does not say %q", tutti.Message(err), c.says)
		}
	}
	if err := d.Apply(ctx, []scan.Change{{Missing: ids[0]}}); err != nil {
		t.Fatal(err)
	}
	cache.err = tutti.Errorf(tutti.KindNotFound, "x", "no file")
	if _, err := d.Plan(ctx, tutti.PlanRequest{Viewer: she, Track: ids[0]}); !strings.Contains(tutti.Message(err), "last scan missed it too") {
		t.Error(err)
	}
}

// TestReadersAndScan reads everything while a scan writes, as much as possible at once. Run with -race.
func TestReadersAndScan(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	d := newDesk(t, func(c *catalog.Config) { c.Tuning.SnapshotBytes = 50_000 })
	run := make(chan error)
	go func() { run <- d.Run(ctx) }()
	var readers sync.WaitGroup
	stop := make(chan struct{})
	for i := range 3 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				d.everything(t, []string{"", "1", "2"}[i])
			}
		})
	}
	var all []scan.Entry
	for e := range catalogtest.Synthetic(600) {
		all = append(all, e)
	}
	for round := range 3 {
		for part := range slices.Chunk(all, 60) {
			var batch []scan.Change
			for i := range part {
				e := part[i]
				e.Title += strings.Repeat("!", round)
				if round == 2 && i%3 == 0 {
					batch = append(batch, scan.Change{Remove: e.ID})
					continue
				}
				batch = append(batch, scan.Change{Put: &e})
			}
			if err := d.Apply(ctx, batch); err != nil {
				t.Error(err)
			}
			if err := d.Star(ctx, she, round%2 == 0, part[1].ID, part[1].AlbumID); err != nil {
				t.Error(err)
			}
		}
	}
	close(stop)
	readers.Wait()
	cancel()
	if err := <-run; err != nil {
		t.Error(err)
	}
	before := d.everything(t)
	d.reopen(t)
	if after := d.everything(t); before != after {
		t.Error("a restart changes what there is")
	}
}

// TestPeopleComeAndGo holds fewer people in memory than there are.
func TestPeopleComeAndGo(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t, func(c *catalog.Config) { c.Tuning.Users, c.Tuning.UserSnapshotBytes = 2, 300 })
	ids := six(t, d)
	who := func(i int) tutti.Viewer { return tutti.Viewer{User: tutti.NewID(tutti.PrefixUser, uint64(i))} }
	for round := range 12 {
		for i := range 6 {
			if err := d.Played(ctx, who(i), tutti.Play{Track: ids[i], At: start.Add(time.Duration(round) * time.Hour)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range 6 {
		for j, id := range ids {
			tr, err := d.Track(ctx, who(i), id)
			if want := map[bool]int64{true: 12}[i == j]; err != nil || tr.PlayCount != want {
				t.Errorf("%d played %d %d times instead of %d (%v)", i, j, tr.PlayCount, want, err)
			}
		}
	}
	if n, err := d.store.LastSeq(ctx, "u#"+string(who(1).User)); err != nil || n != 12 {
		t.Errorf("%d deeds, %v", n, err)
	}
	if records, err := d.store.ReadLog(ctx, "u#"+string(who(1).User), 0, 100); err != nil || len(records) >= 12 {
		t.Errorf("the log was never trimmed: %d records, %v", len(records), err)
	}
}

func TestTwoNodesOfOnePerson(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t, func(c *catalog.Config) { c.SoleWriter = false })
	ids := six(t, d)
	other := &desk{store: d.store, clock: d.clock, cfg: d.cfg}
	other.reopen(t)
	for i := range 20 {
		at := d
		if i%2 == 1 {
			at = other
		}
		if err := at.Played(ctx, she, tutti.Play{Track: ids[0]}); err != nil {
			t.Fatal(err)
		}
	}
	for _, at := range []*desk{d, other} {
		if tr, err := at.Track(ctx, she, ids[0]); err != nil || tr.PlayCount != 20 {
			t.Errorf("%d plays, %v", tr.PlayCount, err)
		}
	}
}

func TestApplyRefuses(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	good := func(change func(*scan.Entry)) scan.Change {
		e := entryOf(1, args{"artist": "A"})
		change(e)
		return scan.Change{Put: e}
	}
	for i, c := range []scan.Change{
		{},
		{Missing: trackID(1), Found: trackID(1)},
		{Remove: "al-0000000000001"},
		{Folder: &scan.FolderInfo{Path: "x"}},
		good(func(e *scan.Entry) { e.ID = "tr-x" }),
		good(func(e *scan.Entry) { e.AlbumID = "" }),
		good(func(e *scan.Entry) { e.Artists = nil }),
		good(func(e *scan.Entry) { e.Artists[0].ID = "nobody" }),
		good(func(e *scan.Entry) { e.Contributors = []tutti.Contributor{{Role: "composer"}} }),
		good(func(e *scan.Entry) { e.Path = "../x" }),
		good(func(e *scan.Entry) { e.Path = "/x" }),
		good(func(e *scan.Entry) { e.Path = "a//x" }),
		good(func(e *scan.Entry) { e.Size = -1 }),
		good(func(e *scan.Entry) { e.Comment = strings.Repeat("x", 200_000) }),
	} {
		if err := d.Apply(ctx, []scan.Change{c}); !tutti.IsKind(err, tutti.KindInvalid) {
			t.Errorf("change %d: %v", i, err)
		}
	}
	if n, err := d.store.LastSeq(ctx, "catalog"); err != nil || n != 0 {
		t.Errorf("%d records were written, %v", n, err)
	}
	// What changes nothing is not written.
	for range 3 {
		if err := d.Apply(ctx, []scan.Change{good(func(*scan.Entry) {}), {Found: trackID(1)}, {Remove: trackID(9)}, {Folder: &scan.FolderInfo{Library: "1", Path: "loose"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := d.store.LastSeq(ctx, "catalog"); err != nil || n != 1 {
		t.Errorf("%d records were written, %v", n, err)
	}
	// The log and the snapshot of a newer program are refused rather than misread.
	if err := d.store.Append(ctx, "catalog", 2, []byte{9, 9, 9}); err != nil {
		t.Fatal(err)
	}
	if _, err := catalog.New(ctx, d.cfg); !tutti.IsKind(err, tutti.KindInvalid) || !bytes.Contains([]byte(tutti.Message(err)), []byte("another version")) {
		t.Error(err)
	}
}

// TestBigBatch splits what does not fit one log record.
func TestBigBatch(t *testing.T) {
	ctx := context.Background()
	d := newDesk(t)
	var batch []scan.Change
	for e := range catalogtest.Synthetic(6000) {
		batch = append(batch, scan.Change{Put: &e})
	}
	if err := d.Apply(ctx, batch); err != nil {
		t.Fatal(err)
	}
	if n, err := d.store.LastSeq(ctx, "catalog"); err != nil || n < 2 {
		t.Errorf("%d records, %v", n, err)
	}
	before := d.everything(t)
	d.reopen(t)
	if after := d.everything(t); before != after {
		t.Error("a restart changes what there is")
	}
	// Pages of the empty search and of the track list are the whole library, each track once.
	for _, query := range []func(p tutti.Page) []tutti.Track{
		func(p tutti.Page) []tutti.Track {
			r, err := d.Search(ctx, she, tutti.SearchQuery{Tracks: p})
			if err != nil {
				t.Fatal(err)
			}
			return r.Tracks
		},
		func(p tutti.Page) []tutti.Track {
			l, n, err := d.Tracks(ctx, she, tutti.TrackQuery{Page: p})
			if err != nil || n != 6000 {
				t.Fatal(n, err)
			}
			return l
		},
	} {
		seen := map[tutti.ID]bool{}
		for offset := 0; ; offset += 499 {
			page := query(tutti.Page{Offset: offset, Limit: 499})
			for _, tr := range page {
				if seen[tr.ID] {
					t.Fatalf("%s comes twice", tr.ID)
				}
				seen[tr.ID] = true
			}
			if len(page) == 0 {
				break
			}
		}
		if len(seen) != 6000 {
			t.Errorf("%d tracks on the pages", len(seen))
		}
	}
}
