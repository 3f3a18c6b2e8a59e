package subsonic_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"tutti/clock"
)

const (
	tr1 = "tr-0000000000001"
	tr2 = "tr-0000000000002"
	tr3 = "tr-0000000000003"
	tr4 = "tr-0000000000004"
	tr5 = "tr-0000000000005"
	al1 = "al-0000000000001"
	al2 = "al-0000000000002"
	ar1 = "ar-0000000000001"
	ar2 = "ar-0000000000002"
	fo4 = "fo-0000000000004"
)

// goldens are the answers that are kept in testdata/golden for a person to review, in both forms: at least one for
// every endpoint that answers with the envelope. TUTTI_UPDATE_GOLDEN=1 writes them anew.
var goldens = []struct {
	name   string
	ask    string
	as     string // "" is the operator, "key" an app key of theirs, "nobody" nobody
	body   string
	before []string
	users  bool // accounts change
	rooms  bool // with rooms
}{
	{name: "ping", ask: "ping"},
	{name: "getLicense", ask: "getLicense.view"},
	{name: "getOpenSubsonicExtensions", ask: "getOpenSubsonicExtensions", as: "nobody"},
	{name: "tokenInfo", ask: "tokenInfo", as: "key", users: true},
	{name: "error-wrong-password", ask: "ping?u=operator&p=wrong&v=1.16.1&c=test", as: "nobody", users: true},

	{name: "getMusicFolders", ask: "getMusicFolders"},
	{name: "getIndexes", ask: "getIndexes"},
	{name: "getIndexes-unchanged", ask: "getIndexes?ifModifiedSince=1999999999999"},
	{name: "getMusicDirectory-root", ask: "getMusicDirectory?id=fo-0000000000001"},
	{name: "getMusicDirectory", ask: "getMusicDirectory?id=" + fo4},
	{name: "getMusicDirectory-artist", ask: "getMusicDirectory?id=" + ar1},
	{name: "getMusicDirectory-album", ask: "getMusicDirectory?id=" + al2},
	{name: "getGenres", ask: "getGenres"},
	{name: "getArtists", ask: "getArtists"},
	{name: "getArtist", ask: "getArtist?id=" + ar2},
	{name: "getAlbum", ask: "getAlbum?id=" + al1, before: []string{"star?albumId=" + al1, "setRating?id=" + al1 + "&rating=4"}},
	{name: "getSong", ask: "getSong?id=" + tr1, before: []string{"star?id=" + tr1, "setRating?id=" + tr1 + "&rating=5", "scrobble?id=" + tr1}},
	{name: "getSong-odd-characters", ask: "getSong?id=" + tr5},
	{name: "getArtistInfo", ask: "getArtistInfo?id=" + tr1},
	{name: "getArtistInfo2", ask: "getArtistInfo2?id=" + ar1},
	{name: "getAlbumInfo", ask: "getAlbumInfo?id=" + fo4},
	{name: "getAlbumInfo2", ask: "getAlbumInfo2?id=" + al1},
	{name: "getSimilarSongs", ask: "getSimilarSongs?id=" + tr1 + "&count=1"},
	{name: "getSimilarSongs2", ask: "getSimilarSongs2?id=" + ar1 + "&count=1"},
	{name: "getSonicSimilarTracks", ask: "getSonicSimilarTracks?id=" + tr1 + "&count=2"},
	{name: "findSonicPath", ask: "findSonicPath?startSongId=" + tr1 + "&endSongId=" + tr3 + "&count=3"},
	{name: "getTopSongs", ask: "getTopSongs?count=1&artist=Anton%C3%ADn+Dvo%C5%99%C3%A1k"},
	{name: "getVideos", ask: "getVideos"},

	{name: "getAlbumList", ask: "getAlbumList?type=newest&size=2"},
	{name: "getAlbumList2", ask: "getAlbumList2?type=alphabeticalByName"},
	{name: "getAlbumList2-byYear", ask: "getAlbumList2?type=byYear&fromYear=1998&toYear=1800"},
	{name: "getAlbumList2-byGenre", ask: "getAlbumList2?type=byGenre&genre=baroque"},
	{name: "getRandomSongs", ask: "getRandomSongs?genre=Baroque"},
	{name: "getSongsByGenre", ask: "getSongsByGenre?genre=Classical&count=1&offset=1"},
	{name: "getNowPlaying", ask: "getNowPlaying", before: []string{"reportPlayback?mediaType=song&state=playing&positionMs=61000&playbackRate=1.5&mediaId=" + tr3, "wait 20s"}},
	{name: "getStarred", ask: "getStarred", before: []string{"star?" + q("id", tr2, "id", fo4, "albumId", al2, "artistId", ar1)}},
	{name: "getStarred2", ask: "getStarred2", before: []string{"star?" + q("id", tr2, "albumId", al2, "artistId", ar1)}},

	{name: "search", ask: "search?any=largo"},
	{name: "search2", ask: "search2?query=bach&songCount=1"},
	{name: "search3", ask: "search3?query=dvo%C5%99%C3%A1k*"},
	{name: "search3-everything", ask: "search3?query=%22%22&artistCount=1&albumCount=1&songCount=1&songOffset=2"},

	{name: "createPlaylist", ask: "createPlaylist?" + q("name", "Evening", "songId", tr3, "songId", tr1)},
	{name: "getPlaylists", ask: "getPlaylists", before: []string{"createPlaylist?" + q("name", "Evening", "songId", tr3), "createPlaylist?name=Empty"}},
	{name: "getPlaylist", ask: "getPlaylist?id=pl-0000000000035", before: []string{"createPlaylist?" + q("name", "Evening", "songId", tr5, "songId", tr5)}},
	{name: "updatePlaylist", ask: "updatePlaylist?playlistId=pl-0000000000035&name=Morning", before: []string{"createPlaylist?name=Evening"}},
	{name: "deletePlaylist", ask: "deletePlaylist?id=pl-0000000000035", before: []string{"createPlaylist?name=Evening"}},

	{name: "getLyrics", ask: "getLyrics?" + q("artist", "dvorak", "title", "largo")},
	{name: "getLyrics-none", ask: "getLyrics?" + q("artist", "Nobody", "title", "Nothing")},
	{name: "getLyricsBySongId", ask: "getLyricsBySongId?id=" + tr1},
	{name: "getLyricsBySongId-enhanced", ask: "getLyricsBySongId?enhanced=true&id=" + tr1},

	{name: "star", ask: "star?id=" + tr1},
	{name: "unstar", ask: "unstar?id=" + tr1},
	{name: "setRating", ask: "setRating?rating=3&id=" + tr1},
	{name: "scrobble", ask: "scrobble?" + q("id", tr1, "id", tr2, "time", "1700000000000")},
	{name: "reportPlayback", ask: "reportPlayback?mediaType=song&state=starting&positionMs=0&mediaId=" + tr1},

	{name: "createShare", ask: "createShare?" + q("id", al1, "id", tr3, "description", "Listen!", "expires", "1900000000000")},
	{name: "getShares", ask: "getShares", before: []string{"createPlaylist?" + q("name", "Evening", "songId", tr4), "createShare?id=pl-0000000000035"}},
	{name: "updateShare", ask: "updateShare?id=sh-0000000000035&description=New", before: []string{"createShare?id=" + tr1}},
	{name: "deleteShare", ask: "deleteShare?id=sh-0000000000035", before: []string{"createShare?id=" + tr1}},

	{name: "jukeboxControl", ask: "jukeboxControl?action=get", rooms: true, before: []string{"jukeboxControl?action=set&" + q("id", tr1, "id", tr3)}},
	{name: "jukeboxControl-empty", ask: "jukeboxControl?action=get", rooms: true},
	{name: "jukeboxControl-start", ask: "jukeboxControl?action=start", rooms: true, before: []string{"jukeboxControl?action=add&" + q("id", tr1, "id", tr3), "jukeboxControl?action=setGain&gain=0.4"}},
	{name: "jukeboxControl-nowhere", ask: "jukeboxControl?action=status&room=Attic", rooms: true},
	{name: "getRooms", ask: "getRooms", rooms: true, before: []string{"jukeboxControl?action=add&id=" + tr2}},
	{name: "updateRoom", ask: "updateRoom?room=home&name=Salon&gain=0.5&muted=true&repeat=all", rooms: true},

	{name: "getInternetRadioStations", ask: "getInternetRadioStations"},
	{name: "createInternetRadioStation", ask: "createInternetRadioStation?" + q("name", "Another", "streamUrl", "http://radio.example/b")},
	{name: "updateInternetRadioStation", ask: "updateInternetRadioStation?" + q("id", "rs-0000000000001", "name", "Same", "streamUrl", "http://radio.example/c")},
	{name: "deleteInternetRadioStation", ask: "deleteInternetRadioStation?id=rs-0000000000001"},

	{name: "getUser", ask: "getUser?username=listener"},
	{name: "getUsers", ask: "getUsers"},
	{name: "createUser", ask: "createUser?" + q("username", "guest", "password", "enc:6f70656e2c20736573616d65", "email", "g@example.org"), users: true},
	{name: "updateUser", ask: "updateUser?" + q("username", "listener", "downloadRole", "true", "maxBitRate", "320"), users: true},
	{name: "deleteUser", ask: "deleteUser?username=listener", users: true},
	{name: "changePassword", ask: "changePassword?" + q("username", "listener", "password", "another one"), users: true},

	{name: "createBookmark", ask: "createBookmark?position=1000&id=" + tr1},
	{name: "getBookmarks", ask: "getBookmarks", before: []string{"createBookmark?position=301500&comment=here&id=" + tr3}},
	{name: "deleteBookmark", ask: "deleteBookmark?id=" + tr3},
	{name: "savePlayQueue", ask: "savePlayQueue?" + q("id", tr1, "id", tr2, "current", tr2)},
	{name: "getPlayQueue", ask: "getPlayQueue", before: []string{"savePlayQueue?" + q("id", tr5, "id", tr3, "current", tr3, "position", "12345")}},
	{name: "getPlayQueue-none", ask: "getPlayQueue"},
	{name: "savePlayQueueByIndex", ask: "savePlayQueueByIndex?" + q("id", tr1, "id", tr1, "currentIndex", "1")},
	{name: "getPlayQueueByIndex", ask: "getPlayQueueByIndex", before: []string{"savePlayQueueByIndex?" + q("id", tr5, "id", tr5, "currentIndex", "1", "position", "7")}},

	{name: "getScanStatus", ask: "getScanStatus"},
	{name: "startScan", ask: "startScan"},

	{name: "getTranscodeDecision", ask: "POST getTranscodeDecision?mediaType=song&mediaId=" + tr1, body: sonos},
	{name: "getTranscodeDecision-direct", ask: "POST getTranscodeDecision?mediaType=song&mediaId=" + tr3, body: sonos},
}

// sonos is what a client might say that plays mp3 and smaller FLACs.
const sonos = `{"name":"Play:1","platform":"Sonos","maxAudioBitrate":512000,"maxTranscodingAudioBitrate":256000,
"directPlayProfiles":[{"containers":["mp3"],"audioCodecs":["mp3"],"protocols":["http"],"maxAudioChannels":2},
{"containers":["flac"],"audioCodecs":["flac"],"protocols":[],"maxAudioChannels":2}],
"transcodingProfiles":[{"container":"mp4","audioCodec":"aac","protocol":"hls"},{"container":"flac","audioCodec":"flac","protocol":"http"},
{"container":"mp3","audioCodec":"mp3","protocol":"http","maxAudioChannels":2}],
"codecProfiles":[{"type":"AudioCodec","name":"mp3","limitations":[{"name":"audioSamplerate","comparison":"LessThanEqual","values":["48000"],"required":true}]}]}`

func TestGolden(t *testing.T) {
	update := os.Getenv("TUTTI_UPDATE_GOLDEN") == "1"
	rules := readSchema(t)
	fake := clock.NewFake(epoch)
	shared := openAccounts(t, fake)
	covered := map[string]bool{}
	for _, g := range goldens {
		endpoint := endpointOf(g.ask)
		covered[endpoint] = true
		t.Run(g.name, func(t *testing.T) {
			for _, form := range []string{"json", "xml"} {
				var h *house
				if g.users {
					h = open(t)
				} else {
					fake = clock.NewFake(epoch)
					h = newHouse(t, fake, shared)
				}
				if g.rooms {
					h.furnish()
				}
				for _, b := range g.before {
					if b == "wait 20s" {
						h.clock.Advance(20e9)
						continue
					}
					h.must(b)
				}
				auth := as(operator)
				switch g.as {
				case "key":
					auth = "v=1.16.1&c=test&apiKey=" + h.appKey()
				case "nobody":
					auth = ""
				}
				if auth != "" {
					auth += "&"
				}
				w := h.ask(g.ask, auth+"f="+form, g.body)
				got := w.Body.Bytes()
				if form == "json" {
					rules.checkJSON(t, endpoint, got)
					var b bytes.Buffer
					if err := json.Indent(&b, got, "", "  "); err != nil {
						t.Fatalf("%v in %s", err, got)
					}
					got = append(b.Bytes(), '\n')
				} else {
					rules.checkXML(t, endpoint, got)
					got = indentXML(got)
				}
				compareGolden(t, filepath.Join("testdata", "golden", g.name+"."+form), got, update)
			}
		})
	}
	t.Run("every endpoint", func(t *testing.T) {
		for _, row := range coverage {
			if row.Supported && !row.Bytes && !covered[row.Name] {
				t.Errorf("%s has no golden file", row.Name)
			}
		}
	})
}

func endpointOf(ask string) string {
	ask = strings.TrimPrefix(ask, "POST ")
	ask, _, _ = strings.Cut(ask, "?")
	return strings.TrimSuffix(ask, ".view")
}

func compareGolden(t *testing.T, file string, got []byte, update bool) {
	t.Helper()
	if update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v; TUTTI_UPDATE_GOLDEN=1 go test writes it", err)
	}
	if d := cmp.Diff(string(want), string(got)); d != "" {
		t.Errorf("%s differs (-want +got); TUTTI_UPDATE_GOLDEN=1 go test writes it anew\n%s", file, d)
	}
}

// indentXML puts each element on a line of its own.
func indentXML(b []byte) []byte {
	var out bytes.Buffer
	depth := 0
	parts := strings.Split(strings.ReplaceAll(string(b), "?>\n<", "?><"), "><")
	for i, p := range parts {
		if i > 0 {
			p = "<" + p
		}
		if i < len(parts)-1 {
			p += ">"
		}
		closing := strings.HasPrefix(p, "</")
		if closing {
			depth--
		}
		out.WriteString(strings.Repeat("  ", max(depth, 0)) + p + "\n")
		if !closing && !strings.HasSuffix(p, "/>") && !strings.HasPrefix(p, "<?") && !strings.Contains(p, "</") {
			depth++
		}
	}
	return out.Bytes()
}
