package subsonic_test

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"image/png"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/clock"
	"tutti/delivery"
)

func code(n int) string { return fmt.Sprintf(`"error":{"code":%d,`, n) }

const ok = `"status":"ok"`

// TestSigningIn walks through the rules of the API reference and of apiKeyAuthentication, one error code each.
func TestSigningIn(t *testing.T) {
	h := open(t)
	key := h.appKey()
	const vc = "&v=1.16.1&c=test&f=json"
	for _, c := range []struct{ name, query, want string }{
		{"token and salt", "u=operator&t=" + token("abc") + "&s=abc", ok},
		{"token in capitals", "u=operator&t=" + strings.ToUpper(token("abc")) + "&s=abc", ok},
		{"name in capitals", "u=OPERATOR&t=" + token("abc") + "&s=abc", ok},
		{"password", "u=operator&p=" + url.QueryEscape(password), ok},
		{"password in hex", "u=operator&p=enc:6f70656e2c20736573616d65", ok},
		{"app key", "apiKey=" + key, ok},
		{"wrong token", "u=operator&t=" + token("other") + "&s=abc", code(40)},
		{"wrong password", "u=operator&p=sesame", code(40)},
		{"nobody of this name", "u=somebody&p=sesame", code(40)},
		{"wrong key", "apiKey=tutti_wrong", code(44)},
		{"nothing", "", code(10)},
		{"name only", "u=operator", code(10)},
		{"token without salt", "u=operator&t=" + token("abc"), code(10)},
		{"salt without token", "u=operator&s=abc", code(10)},
		{"empty key", "apiKey=", code(10)},
		{"password that is not hex", "u=operator&p=enc:xyz", code(0)},
		{"key and name", "apiKey=" + key + "&u=operator", code(43)},
		{"key and password", "apiKey=" + key + "&p=x", code(43)},
		{"key and token", "apiKey=" + key + "&t=x&s=y", code(43)},
		{"password and token", "u=operator&p=x&t=y&s=z", code(43)},
		{"endless password", "u=operator&p=" + strings.Repeat("x", 3000), code(0)},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := h.ask("ping?"+c.query+vc, "", "")
			if w.Code != http.StatusOK {
				t.Errorf("HTTP status %d", w.Code)
			}
			if !strings.Contains(w.Body.String(), c.want) {
				t.Errorf("got %s, want %s", w.Body, c.want)
			}
		})
	}
	for _, c := range []struct{ query, want string }{
		{"c=test&f=json", code(10)},
		{"v=1.16.1&f=json", code(10)},
		{"v=0.9&c=test&f=json", code(20)},
		{"v=2.0.0&c=test&f=json", code(30)},
		{"v=1.99.0&c=test&f=json", ok},
		{"v=1.8&c=test&f=json", ok},
		{"v=new&c=test&f=json", code(0)},
	} {
		if got := h.ask("ping?u=operator&t="+token("abc")+"&s=abc&"+c.query, "", "").Body.String(); !strings.Contains(got, c.want) {
			t.Errorf("%s: got %s, want %s", c.query, got, c.want)
		}
	}
}

// TestAddresses: apps differ in how they put an endpoint's address together, and metrics know it by one name.
func TestAddresses(t *testing.T) {
	h := open(t)
	reg := prometheus.NewRegistry()
	server, err := delivery.NewServer(delivery.ServerConfig{
		Listen: []string{"127.0.0.1:0"}, Clock: clock.System, Logger: slog.New(slog.DiscardHandler), Registry: reg, Metrics: delivery.NewMetrics(reg),
		Mounts: []delivery.Mount{{Path: "/rest/", Name: "subsonic", Handler: h.server}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		server.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"?f=json&"+as(operator), nil))
		return w
	}
	good := []string{"/rest/ping", "/rest/ping.view", "/rest/ping/", "/rest/ping.view/", "//rest/ping.view"}
	for _, path := range good {
		if w := ask(path); !strings.Contains(w.Body.String(), ok) {
			t.Errorf("%s: %s", path, w.Body)
		}
	}
	unknown := []string{"/rest", "/rest/", "/rest/nothing", "/rest/nothing.view", "/rest/ping.view.view", "/rest/.view"}
	for _, path := range unknown {
		if w := ask(path); w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), code(0)) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
	scraped := httptest.NewRecorder()
	server.ServeHTTP(scraped, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	for _, want := range []string{
		fmt.Sprintf(`tutti_http_requests_total{code="200",method="GET",route="subsonic/ping"} %d`, len(good)),
		fmt.Sprintf(`tutti_http_requests_total{code="404",method="GET",route="subsonic"} %d`, len(unknown)), // names that askers choose are not kept
	} {
		if !strings.Contains(scraped.Body.String(), want) {
			t.Errorf("the metrics lack %s:\n%s", want, scraped.Body)
		}
	}
}

// TestTooManyGuesses: whoever guesses passwords is made to wait, and told so in the protocol's own form.
func TestTooManyGuesses(t *testing.T) {
	h := open(t)
	for n := range 100 {
		body := h.ask("ping?u=operator&p=guess"+strconv.Itoa(n)+"&v=1.16.1&c=test&f=json", "", "").Body.String()
		if strings.Contains(body, code(0)) {
			return
		}
		h.wants(body, code(40))
	}
	t.Error("a hundred wrong passwords were each looked at")
}

func TestForms(t *testing.T) {
	h := open(t)
	auth := as(operator)
	for _, c := range []struct{ query, contentType, prefix, suffix string }{
		{"", "text/xml; charset=utf-8", "<?xml", "</subsonic-response>"},
		{"f=xml&", "text/xml; charset=utf-8", "<?xml", "</subsonic-response>"},
		{"f=json&", "application/json; charset=utf-8", `{"subsonic-response":{"status":"ok"`, "}}"},
		{"f=jsonp&callback=my.call_back$1&", "application/javascript; charset=utf-8", `my.call_back$1({"subsonic-response":{"status":"ok"`, "}});"},
		{"f=jsonp&", "application/json; charset=utf-8", `{"subsonic-response":{"status":"failed"`, "}}}"},
		{"f=jsonp&callback=alert(1)//&", "application/json; charset=utf-8", `{"subsonic-response":{"status":"failed"`, "}}}"},
		{"f=yaml&", "text/xml; charset=utf-8", "<?xml", "</subsonic-response>"},
	} {
		w := h.ask("getLicense?"+c.query, auth, "")
		body := w.Body.String()
		if got := w.Header().Get("Content-Type"); got != c.contentType {
			t.Errorf("%s: Content-Type %s", c.query, got)
		}
		if w.Header().Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("%s: Content-Length %s of %d", c.query, w.Header().Get("Content-Length"), len(body))
		}
		if !strings.HasPrefix(body, c.prefix) || !strings.HasSuffix(body, c.suffix) {
			t.Errorf("%s: %s", c.query, body)
		}
	}
}

func TestFormPost(t *testing.T) {
	h := open(t)
	h.wants(h.ask("POST getSong", "", as(operator)+"&f=json&id="+tr1).Body.String(), ok, `"title":"Contrapunctus I"`)
	h.wants(h.ask("POST getSong.view?f=json", as(operator), "id="+tr1).Body.String(), ok)
	// More parameters than net/url would read: a play queue of 20,000 songs.
	var many strings.Builder
	for range 20_000 {
		many.WriteString("&id=" + tr1)
	}
	h.wants(h.ask("POST savePlayQueueByIndex", "", as(operator)+"&f=json&currentIndex=19999"+many.String()).Body.String(), ok)
	u := h.library.queues
	if len(u) != 1 {
		t.Fatalf("%d queues", len(u))
	}
	for _, q := range u {
		if len(q.Tracks) != 20_000 || q.Current != 19_999 {
			t.Errorf("%d tracks, current %d", len(q.Tracks), q.Current)
		}
	}
	h.wants(h.ask("POST ping?f=json", as(operator), "x="+strings.Repeat("y", 9<<20)).Body.String(), `code="0"`)
}

func TestUnknownAndUnsupported(t *testing.T) {
	h := open(t)
	w := h.ask("getEverything?f=json", as(operator), "")
	if w.Code != http.StatusNotFound {
		t.Errorf("an unknown endpoint has the status %d", w.Code)
	}
	h.wants(w.Body.String(), code(0))
	for _, row := range coverage {
		if row.Supported {
			continue
		}
		w := h.ask(row.Name+"?f=json", as(operator), "")
		want := http.StatusOK
		if slices.Contains([]string{"getPodcastEpisode"}, row.Name) {
			want = http.StatusNotFound // endpoints of extensions that are not advertised
		}
		if w.Code != want {
			t.Errorf("%s has the status %d", row.Name, w.Code)
		}
		h.wants(w.Body.String(), code(0), row.Note)
	}
	if w := h.ask("PUT ping", as(operator), ""); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD, POST" {
		t.Errorf("PUT has the status %d", w.Code)
	}
	if w := h.ask("getTranscodeDecision?mediaId="+tr1, as(operator), ""); w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "POST" {
		t.Errorf("GET getTranscodeDecision has the status %d", w.Code)
	}
}

// TestRoles asks for everything that needs a role as somebody who has only one.
func TestRoles(t *testing.T) {
	h := open(t)
	for _, row := range coverage {
		if row.Role == "" || row.Role == tutti.RoleStream {
			continue
		}
		method := ""
		h.wants(h.ask(method+row.Name+"?f=json", as(listener), "").Body.String(), code(50))
	}
	for _, request := range []string{
		"getUser?username=operator", "changePassword?username=operator&password=somethingelse", "getPlaylists?username=operator",
	} {
		h.wants(h.ask(request+"&f=json", as(listener), "").Body.String(), code(50))
	}
	h.wants(h.ask("getUser?username=Listener&f=json", as(listener), "").Body.String(), ok, `"folder":[1]`, `"maxBitRate":192`)
}

// TestLibraries: the listener sees one library of two.
func TestLibraries(t *testing.T) {
	h := open(t)
	for request, want := range map[string]string{
		"getMusicFolders":                               `"musicFolder":[{"id":1,"name":"Music"}]`,
		"getSong?id=" + tr3:                             code(70),
		"getAlbum?id=" + al2:                            code(70),
		"getAlbumList2?type=newest&musicFolderId=2":     code(70),
		"getAlbumList2?type=newest&musicFolderId=1":     al1,
		"createBookmark?position=1&id=" + tr3:           code(50),
		"stream?id=" + tr3:                              code(70),
		"getMusicDirectory?id=fo-0000000000005":         code(70),
		"savePlayQueue?" + q("id", tr3, "current", tr3): code(70),
	} {
		sep := "?"
		if strings.Contains(request, "?") {
			sep = "&"
		}
		h.wants(h.ask(request+sep+"f=json", as(listener), "").Body.String(), want)
	}
}

// TestBadParameters: what is wrong is named, with the code that the specification has for it.
func TestBadParameters(t *testing.T) {
	t.Run("fixture", func(t *testing.T) { badParameters(t, open(t)) })
	t.Run("real catalogue", func(t *testing.T) {
		h, c := realHouse(t)
		furnish(t, h, c)
		badParameters(t, h)
	})
}

func badParameters(t *testing.T, h *house) {
	for request, want := range map[string]string{
		"getSong":                                code(10),
		"getSong?id=":                            code(10),
		"getSong?id=nonsense":                    code(70),
		"getSong?id=" + strings.Repeat("x", 300): code(0),
		"getAlbumList2":                          code(10),
		"getAlbumList2?type=sideways":            code(0),
		"getAlbumList2?type=byYear":              code(10),
		"getAlbumList2?type=byYear&fromYear=1990&toYear=year": code(0),
		"getAlbumList2?type=byGenre":                          code(10),
		"getAlbumList2?type=newest&size=many":                 code(0),
		"getAlbumList2?type=newest&size=-1":                   code(0),
		"getAlbumList2?type=newest&size=99999":                ok,
		"getAlbumList2?type=newest&size=0":                    `"album":[]`,
		"getAlbumList2?type=newest&offset=1e3":                code(0),
		"getAlbumList2?type=newest&musicFolderId=9":           code(70),
		"getAlbumList2?type=newest&musicFolderId=-1":          ok,
		"search3":                                code(10),
		"search3?query=":                         ok,
		"setRating?id=" + tr1 + "&rating=6":      code(0),
		"setRating?id=" + tr1:                    code(10),
		"star":                                   code(10),
		"star?id=tr-nothing":                     code(70),
		"scrobble":                               code(10),
		"scrobble?id=tr-nothing":                 code(70),
		"scrobble?id=" + tr1 + "&time=yesterday": code(0),
		"scrobble?id=" + tr1 + "&submission=perhaps": code(0),
		"createPlaylist": code(10),
		"createPlaylist?name=x&songId=tr-nothing":                                                  code(70),
		"createPlaylist?name=" + strings.Repeat("x", 501):                                          code(0),
		"updatePlaylist?playlistId=pl-nothing":                                                     code(70),
		"savePlayQueue?current=" + tr1:                                                             code(10),
		"savePlayQueue?id=" + tr1:                                                                  code(10),
		"savePlayQueue?id=" + tr1 + "&current=" + tr2:                                              code(0),
		"savePlayQueue":                                                                            ok,
		"savePlayQueueByIndex":                                                                     ok,
		"savePlayQueueByIndex?currentIndex=0":                                                      code(10),
		"savePlayQueueByIndex?id=" + tr1:                                                           code(10),
		"savePlayQueueByIndex?currentIndex=1&id=" + tr1:                                            code(10),
		"savePlayQueueByIndex?currentIndex=-1&id=" + tr1:                                           code(10),
		"createBookmark?id=" + tr1:                                                                 code(10),
		"createBookmark?id=" + tr1 + "&position=-1":                                                code(0),
		"createShare":                                                                              code(10),
		"createShare?id=" + tr1 + "&expires=1000":                                                  code(0),
		"createShare?id=tr-nothing":                                                                code(70),
		"updateShare?id=sh-nothing":                                                                code(70),
		"createInternetRadioStation?name=x&streamUrl=javascript:alert(1)":                          code(0),
		"createInternetRadioStation?name=x":                                                        code(10),
		"updateInternetRadioStation?id=rs-nothing&name=x&streamUrl=http://x/":                      code(70),
		"createUser?username=x&password=abcdefgh":                                                  code(10),
		"createUser?username=operator&password=abcdefgh&email=a@b":                                 code(0),
		"createUser?username=x&password=short&email=a@b":                                           code(0),
		"createUser?username=x&password=abcdefgh&email=a@b&ldapAuthenticated=true":                 code(0),
		"createUser?username=x&password=abcdefgh&email=a@b&musicFolderId=7":                        code(70),
		"updateUser?username=nobody":                                                               code(70),
		"updateUser?username=operator&adminRole=false":                                             code(0), // the last admin
		"deleteUser?username=operator":                                                             code(0),
		"deleteUser?username=nobody":                                                               code(70),
		"tokenInfo":                                                                                code(44),
		"reportPlayback?mediaId=" + tr1:                                                            code(10),
		"reportPlayback?mediaType=podcast&state=playing&positionMs=1&mediaId=" + tr1:               code(70),
		"reportPlayback?mediaType=song&state=dancing&positionMs=1&mediaId=" + tr1:                  code(0),
		"reportPlayback?mediaType=song&state=playing&positionMs=1&playbackRate=NaN&mediaId=" + tr1: code(0),
		"getTopSongs":                                                code(10),
		"getTopSongs?artist=Nobody":                                  `"song":[]`,
		"getTopSongs?id=ar-nothing":                                  code(70),
		"getTopSongs?id=" + ar1:                                      `"song":[{`,
		"stream":                                                     code(10),
		"stream?id=" + tr1 + "&format=../x":                          code(0),
		"stream?id=" + tr1 + "&timeOffset=-1":                        code(0),
		"getCoverArt?id=" + al1 + "&size=big":                        code(0),
		"getCoverArt?id=al-nothing":                                  code(70),
		"getAvatar?username=nobody":                                  code(70),
		"hls.m3u8?id=" + tr1 + "&bitRate=fast":                       code(0),
		"hls.ts?id=" + tr1 + "&segment=0&params=1-hls-ts-100-0-0-0":  code(0),
		"hls.ts?id=" + tr1 + "&segment=99&params=1-hls-ts-128-0-0-0": code(70),
		"ping?%zz=1":                                                 `code="0"`,
	} {
		sep := "?"
		if strings.Contains(request, "?") {
			sep = "&"
		}
		w := h.ask(request+sep+"f=json", as(operator), "")
		if !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: got %s, want %s", request, w.Body, want)
		}
		if w.Code != http.StatusOK {
			t.Errorf("%s: HTTP status %d", request, w.Code)
		}
	}
}

func TestStream(t *testing.T) {
	h := open(t)
	me, err := h.accounts.User(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	limited, err := h.accounts.User(t.Context(), listener)
	if err != nil {
		t.Fatal(err)
	}
	_, tracks, err := h.sound.catalog.Album(t.Context(), me.Viewer(), al1)
	if err != nil {
		t.Fatal(err)
	}
	if w, want := h.ask("download?id="+al1, as(operator), ""), fmt.Sprintf("%d files of %s", len(tracks), al1); w.Code != http.StatusOK || w.Body.String() != want {
		t.Errorf("an album: %d %s, want %s", w.Code, w.Body, want)
	}
	for _, c := range []struct {
		ask, as string
		want    tutti.Want
		options delivery.Options
	}{
		{"stream?id=" + tr1, operator, tutti.Want{}, delivery.Options{}},
		{"stream?id=" + tr1 + "&format=mp3&maxBitRate=128&timeOffset=42&estimateContentLength=true", operator, tutti.Want{Format: "mp3", MaxRate: 128, Offset: 42 * time.Second}, delivery.Options{EstimateLength: true}},
		{"stream?id=" + tr1 + "&format=raw&maxBitRate=128", operator, tutti.Want{Format: "raw"}, delivery.Options{}},
		{"stream?id=" + tr1 + "&maxBitRate=320", listener, tutti.Want{MaxRate: 192}, delivery.Options{}},
		{"stream?id=" + tr1 + "&format=raw", listener, tutti.Want{Format: "raw", MaxRate: 192}, delivery.Options{}},
		{"stream.view?id=" + tr1 + "&maxBitRate=96", listener, tutti.Want{MaxRate: 96}, delivery.Options{}},
		{"download?id=" + tr1, operator, tutti.Want{Format: "raw"}, delivery.Options{Download: true}},
		{"getTranscodeStream?mediaType=song&offset=30&transcodeParams=1-http-opus-160-0-0-0&mediaId=" + tr1, operator, tutti.Want{Exact: &tutti.Profile{Format: "opus", BitRate: 160, Offset: 30 * time.Second}}, delivery.Options{}},
		{"getTranscodeStream?mediaType=song&transcodeParams=1-http-mp3-320-44100-2-0&mediaId=" + tr1, listener, tutti.Want{Exact: &tutti.Profile{Format: "mp3", BitRate: 192, Rate: 44100, Channels: 2}}, delivery.Options{}},
		{"hls.ts?segment=20&params=1-hls-ts-320-0-0-0&id=" + tr1, listener, tutti.Want{Exact: &tutti.Profile{Format: "ts", BitRate: 192}, From: 200 * time.Second, To: 200*time.Second + 600*time.Millisecond}, delivery.Options{}},
	} {
		if strings.HasPrefix(c.ask, "hls.ts?segment=20") {
			c.ask = strings.Replace(c.ask, "segment=20", "segment=19", 1) // 600 ms would be too short for a segment of its own
			c.want.From = 190 * time.Second
		}
		w := h.ask(c.ask, as(c.as), "")
		if w.Code != http.StatusOK || w.Body.String() != "sound of "+tr1 {
			t.Fatalf("%s: %d %s", c.ask, w.Code, w.Body)
		}
		viewer := me.Viewer()
		if c.as == listener {
			viewer = limited.Viewer()
		}
		if d := cmp.Diff(tutti.PlanRequest{Viewer: viewer, Track: tr1, Want: c.want}, h.sound.asked); d != "" {
			t.Errorf("%s: (-want +got)\n%s", c.ask, d)
		}
		if h.sound.options != c.options {
			t.Errorf("%s: %+v", c.ask, h.sound.options)
		}
	}
	if w := h.ask("HEAD stream?id="+tr1, as(operator), ""); w.Code != http.StatusOK || w.Body.Len() != 0 || w.Header().Get("Content-Type") != "audio/flac" {
		t.Errorf("HEAD: %d, %d bytes, %v", w.Code, w.Body.Len(), w.Header())
	}
	if w := h.ask("getCoverArt?size=300&id="+al1, as(operator), ""); w.Body.String() != "picture of "+al1 || h.sound.pixels != 300 {
		t.Errorf("getCoverArt: %s at %d pixels", w.Body, h.sound.pixels)
	}
	if h.ask("getCoverArt?size=100000&id="+al1, as(operator), ""); h.sound.pixels != 4096 {
		t.Errorf("getCoverArt of 100,000 pixels makes %d", h.sound.pixels)
	}
}

// TestTranscodeStreamErrors: the one endpoint whose errors have HTTP's status codes.
func TestTranscodeStreamErrors(t *testing.T) {
	h := open(t)
	good := "mediaType=song&transcodeParams=1-http-mp3-128-0-0-0&mediaId="
	for request, want := range map[string]int{
		good + tr1:                      http.StatusOK,
		good + "tr-nothing":             http.StatusNotFound,
		"mediaType=song&mediaId=" + tr1: http.StatusBadRequest,
		"mediaType=song&transcodeParams=x&mediaId=" + tr1:                    http.StatusBadRequest,
		"mediaType=film&transcodeParams=1-http-mp3-128-0-0-0&mediaId=" + tr1: http.StatusBadRequest,
	} {
		if w := h.ask("getTranscodeStream?"+request, as(operator), ""); w.Code != want {
			t.Errorf("%s: %d %s", request, w.Code, w.Body)
		}
	}
	if w := h.ask("getTranscodeStream?"+good+tr1, "u=operator&p=wrong&v=1.16.1&c=test", ""); w.Code != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d", w.Code)
	}
	if w := h.ask("getTranscodeStream?mediaType=song&transcodeParams=1-http-flac-0-0-0-0&mediaId="+tr1, as(listener), ""); w.Code != http.StatusForbidden {
		t.Errorf("more than the account may have: %d", w.Code)
	}
}

var segmentLine = regexp.MustCompile(`(?m)^hls\.ts\?.*$`)

// TestHLS reads a playlist as a player does and asks for every segment in it with nothing but its address.
func TestHLS(t *testing.T) {
	h := open(t)
	w := h.ask("hls.m3u8?bitRate=1000@480x360&bitRate=128&bitRate=64&id="+tr1, as(operator), "")
	master := w.Body.String()
	if got := w.Header().Get("Content-Type"); got != "application/vnd.apple.mpegurl" {
		t.Errorf("Content-Type %s", got)
	}
	want := "#EXTM3U\n#EXT-X-VERSION:3\n"
	for _, rate := range []int{320, 128, 64} {
		want += fmt.Sprintf("#EXT-X-STREAM-INF:BANDWIDTH=%d,CODECS=\"mp4a.40.2\"\nhls.m3u8?id=%s&bitRate=%d&u=operator&t=%s&s=c19b2d&v=1.16.1&c=test\n", rate*1100, tr1, rate, token("c19b2d"))
	}
	if d := cmp.Diff(want, master); d != "" {
		t.Errorf("(-want +got)\n%s", d)
	}

	lines := strings.Split(strings.TrimSpace(master), "\n")
	media := h.ask(lines[len(lines)-1], "", "").Body.String()
	for _, part := range []string{"#EXTM3U\n", "#EXT-X-TARGETDURATION:11\n", "#EXT-X-PLAYLIST-TYPE:VOD\n", "#EXTINF:10.600000,\n", "#EXT-X-ENDLIST\n"} {
		if !strings.Contains(media, part) {
			t.Errorf("the playlist lacks %q:\n%s", part, media)
		}
	}
	segments := segmentLine.FindAllString(media, -1)
	if len(segments) != 20 {
		t.Fatalf("%d segments of 200.6 s", len(segments))
	}
	var end time.Duration
	for _, s := range segments {
		if w := h.ask(s, "", ""); w.Body.String() != "sound of "+tr1 {
			t.Fatalf("%s: %s", s, w.Body)
		}
		if got := h.sound.asked.Want; got.From != end || got.Exact.String() != "ts-64" {
			t.Errorf("a segment from %s in %s, after one to %s", got.From, got.Exact, end)
		}
		end = h.sound.asked.Want.To
	}
	if end != 200*time.Second+600*time.Millisecond {
		t.Errorf("the segments end at %s", end)
	}
	// A decision for HLS leads to the same playlist, from the offset.
	body := h.ask("getTranscodeStream?offset=65&mediaType=song&transcodeParams=1-hls-ts-128-0-2-0&mediaId="+tr1, as(operator), "").Body.String()
	h.wants(body, "#EXT-X-START:TIME-OFFSET=65.000\n", "params=1-hls-ts-128-0-2-0")
	// A song shorter than a segment is one segment.
	if got := segmentLine.FindAllString(h.ask("hls?id="+tr5, as(operator), "").Body.String(), -1); len(got) != 1 {
		t.Errorf("%d segments of 1.5 s", len(got))
	}
}

func TestAvatar(t *testing.T) {
	h := open(t)
	w := h.ask("getAvatar?username=listener", as(operator), "")
	img, err := png.Decode(w.Body)
	if err != nil || img.Bounds().Dx() != 240 || img.Bounds().Dy() != 240 {
		t.Fatalf("%v %v", img, err)
	}
	other := h.ask("getAvatar?username=operator", as(operator), "")
	if w.Header().Get("ETag") == other.Header().Get("ETag") {
		t.Error("two people have the same picture")
	}
}

func TestPlaylists(t *testing.T) {
	h := open(t)
	const id = "pl-0000000000035"
	entries := func() string {
		var titles []string
		for _, m := range regexp.MustCompile(`"title":"([^"]*)"`).FindAllStringSubmatch(h.must("getPlaylist?id="+id), -1) {
			titles = append(titles, m[1])
		}
		return strings.Join(titles, ", ")
	}
	h.must("createPlaylist?" + q("name", "List", "songId", tr1, "songId", tr2, "songId", tr3, "songId", tr4))
	h.must("updatePlaylist?" + q("playlistId", id, "songIndexToRemove", "0", "songIndexToRemove", "2", "songIdToAdd", tr1, "songIdToAdd", tr1, "comment", "c", "public", "true"))
	if got := entries(); got != "Contrapunctus II, Scherzo, Contrapunctus I, Contrapunctus I" {
		t.Errorf("after an update: %s", got)
	}
	h.wants(h.must("getPlaylist?id="+id), `"comment":"c"`, `"public":true`, `"readonly":false`, `"songCount":4`, `"duration":1201`)
	h.wants(h.json("updatePlaylist?"+q("playlistId", id, "songIndexToRemove", "4")), code(0))
	h.must("updatePlaylist?" + q("playlistId", id, "comment", "", "public", "false"))
	h.wants(h.must("getPlaylist?id="+id), `"comment":""`, `"public":false`, `"name":"List"`)
	h.must("createPlaylist?" + q("playlistId", id, "songId", tr4))
	if got := entries(); got != "Scherzo" {
		t.Errorf("after replacing: %s", got)
	}
	h.must("createPlaylist?playlistId=" + id)
	if got := entries(); got != "" {
		t.Errorf("after emptying: %s", got)
	}

	// Somebody else's list can be read when it is public, and not changed; nor can one that follows a file.
	h.library.playlists = append(h.library.playlists,
		tutti.Playlist{ID: "pl-0000000000001", Owner: "us-other", OwnerName: "other", Public: true, Name: "Theirs", Tracks: []tutti.ID{tr1}},
		tutti.Playlist{ID: "pl-0000000000002", Owner: "us-other", OwnerName: "other", Name: "Private"})
	h.wants(h.must("getPlaylist?id=pl-0000000000001"), `"readonly":true`)
	h.wants(h.json("updatePlaylist?name=x&playlistId=pl-0000000000001"), code(50))
	h.wants(h.json("getPlaylist?id=pl-0000000000002"), code(70))
	h.wants(h.must("getPlaylists?username=other"), `"name":"Theirs"`)
	h.library.playlists[0].File = "list.m3u"
	h.wants(h.json("updatePlaylist?name=x&playlistId="+id), code(50))
}

// TestPlaylistConflict changes a playlist while others do: what is acknowledged is there afterwards.
func TestPlaylistConflict(t *testing.T) {
	t.Run("fixture", func(t *testing.T) { playlistConflict(t, open(t)) })
	t.Run("real catalogue", func(t *testing.T) {
		h, c := realHouse(t)
		furnish(t, h, c)
		playlistConflict(t, h)
	})
}

func playlistConflict(t *testing.T, h *house) {
	id := regexp.MustCompile(`"id":"(pl-\w+)"`).FindStringSubmatch(h.must("createPlaylist?name=Mine"))[1]
	done := make(chan string)
	const writers, each = 4, 5
	for range writers {
		go func() {
			for range each {
				done <- h.json("updatePlaylist?playlistId=" + id + "&songIdToAdd=" + tr1)
			}
		}()
	}
	added := 0
	for range writers * each {
		if body := <-done; strings.Contains(body, ok) {
			added++
		}
	}
	if got := strings.Count(h.must("getPlaylist?id="+id), `"title"`); got != added || added == 0 {
		t.Errorf("%d additions were acknowledged, and there are %d songs", added, got)
	}
}

func TestQueueWithoutMissingSongs(t *testing.T) {
	h := open(t)
	me, err := h.accounts.User(t.Context(), operator)
	if err != nil {
		t.Fatal(err)
	}
	set := func(current int, ids ...tutti.ID) {
		h.library.queues[me.ID] = tutti.Queue{Tracks: ids, Current: current, Position: time.Second, Changed: epoch}
	}
	const gone = "tr-0000000000zzz"
	set(3, gone, tr1, gone, tr2, tr1)
	h.wants(h.must("getPlayQueueByIndex"), `"currentIndex":1`, `"position":1000`)
	h.wants(h.must("getPlayQueue"), `"current":"`+tr2+`"`)
	set(1, tr1, gone, tr2)
	h.wants(h.must("getPlayQueueByIndex"), `"currentIndex":1`, `"position":0`)
	set(1, tr1, gone)
	h.wants(h.must("getPlayQueueByIndex"), `"currentIndex":0`, `"position":0`)
	set(0, gone)
	if body := h.must("getPlayQueueByIndex"); strings.Contains(body, "currentIndex") {
		t.Error(body)
	}
}

func TestUsers(t *testing.T) {
	h := open(t)
	h.must("createUser?" + q("username", "guest", "password", "enc:736573616d65736573616d65", "email", "g@example.org", "musicFolderId", "2", "shareRole", "true"))
	h.wants(h.must("getUser?username=guest"), `"username":"guest"`, `"email":"g@example.org"`, `"streamRole":true`, `"shareRole":true`, `"commentRole":true`,
		`"downloadRole":false`, `"adminRole":false`, `"playlistRole":true`, `"jukeboxRole":false`, `"folder":[2]`)
	guest := func(p string) string {
		return h.ask("ping?f=json&u=guest&v=1.16.1&c=test&p="+url.QueryEscape(p), "", "").Body.String()
	}
	h.wants(guest("sesamesesame"), ok)
	h.must("updateUser?" + q("username", "guest", "password", "another one", "streamRole", "false", "maxBitRate", "128", "musicFolderId", "1", "musicFolderId", "2"))
	h.wants(guest("another one"), ok)
	h.wants(guest("sesamesesame"), code(40))
	h.wants(h.must("getUser?username=guest"), `"streamRole":false`, `"shareRole":true`, `"maxBitRate":128`, `"folder":[1,2]`)
	h.wants(h.ask("changePassword?username=guest&password=thethirdone&f=json", "u=guest&p=another+one&v=1.16.1&c=test", "").Body.String(), ok)
	h.wants(guest("thethirdone"), ok)
	h.must("deleteUser?username=guest")
	h.wants(guest("thethirdone"), code(40))
}

// TestXMLAlwaysParses sends what XML cannot hold.
func TestXMLAlwaysParses(t *testing.T) {
	h := open(t)
	h.must("createBookmark?position=1&id=" + tr1 + "&comment=%00%01%EF%BF%BE%FF%22%3C")
	body := h.ask("getBookmarks", as(operator), "").Body.Bytes()
	var root node
	if err := xml.NewDecoder(bytes.NewReader(body)).Decode(&root); err != nil {
		t.Errorf("%v in %s", err, body)
	}
}
