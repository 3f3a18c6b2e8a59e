package peer

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"math"
	"net/http"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"tutti"
	"tutti/peer/wire"
	"tutti/store"
)

// filled draws a value of a type with every field set to something that is not its zero value, so that a field which a
// conversion forgets shows as a difference. With full false, parts of it may be zero, nil or empty.
func filled(t *rapid.T, typ reflect.Type, full bool) reflect.Value {
	v := reflect.New(typ).Elem()
	zero := func() bool { return !full && rapid.IntRange(0, 3).Draw(t, "zero") == 0 }
	switch {
	case typ == reflect.TypeFor[time.Time]():
		if !zero() {
			v.Set(reflect.ValueOf(time.Unix(rapid.Int64Range(-1<<33, 1<<36).Draw(t, "s"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns")).UTC()))
		}
		return v
	case typ == reflect.TypeFor[store.Condition]():
		conditions := []store.Condition{store.IfAbsent, store.IfVersion(0), store.IfVersion(math.MaxUint64)}
		v.Set(reflect.ValueOf(rapid.SampledFrom(conditions).Draw(t, "condition")))
		return v
	}
	switch typ.Kind() {
	case reflect.Struct:
		for i := range typ.NumField() {
			v.Field(i).Set(filled(t, typ.Field(i).Type, full))
		}
	case reflect.String:
		if !zero() {
			v.SetString(rapid.StringN(1, 8, 40).Draw(t, "string"))
		}
	case reflect.Bool:
		v.SetBool(!zero())
	case reflect.Int, reflect.Int64:
		if !zero() {
			v.SetInt(rapid.Int64Range(1, math.MaxInt32).Draw(t, "int") * rapid.SampledFrom([]int64{1, -1}).Draw(t, "sign"))
		}
	case reflect.Uint64:
		if !zero() {
			v.SetUint(rapid.Uint64Min(1).Draw(t, "uint"))
		}
	case reflect.Uint8:
		v.SetUint(uint64(rapid.Byte().Draw(t, "byte")))
	case reflect.Float64:
		if !zero() {
			v.SetFloat(rapid.Float64Range(0.001, 1e300).Draw(t, "float"))
		}
	case reflect.Pointer:
		if !zero() {
			v.Set(reflect.New(typ.Elem()))
			v.Elem().Set(filled(t, typ.Elem(), full))
		}
	case reflect.Slice:
		if zero() {
			if rapid.Bool().Draw(t, "empty") {
				v.Set(reflect.MakeSlice(typ, 0, 0))
			}
			break
		}
		n := rapid.IntRange(1, 3).Draw(t, "len")
		v.Set(reflect.MakeSlice(typ, n, n))
		for i := range n {
			v.Index(i).Set(filled(t, typ.Elem(), full))
		}
	case reflect.Map:
		v.Set(reflect.MakeMap(typ))
		if !zero() {
			for range rapid.IntRange(1, 3).Draw(t, "len") {
				v.SetMapIndex(filled(t, typ.Key(), true), filled(t, typ.Elem(), full))
			}
		}
	default:
		t.Fatalf("a word has a %s, which this test cannot fill", typ)
	}
	return v
}

// there converts a word to its message, sends that over the wire, and converts it back.
func there[W any, M any, P interface {
	*M
	proto.Message
}](t *testing.T, to func(W) P, from func(P) W) {
	t.Helper()
	typ := reflect.TypeFor[W]()
	t.Run(typ.Name(), func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			want := filled(rt, typ, rapid.Bool().Draw(rt, "full")).Interface().(W)
			raw, err := proto.Marshal(to(want))
			if err != nil {
				rt.Fatal(err)
			}
			m := P(new(M))
			if err := proto.Unmarshal(raw, m); err != nil {
				rt.Fatal(err)
			}
			options := []cmp.Option{cmp.AllowUnexported(store.Condition{})}
			if typ != reflect.TypeFor[tutti.Viewer]() && typ != reflect.TypeFor[tutti.PlanRequest]() { // there, nil means all
				options = append(options, cmpopts.EquateEmpty())
			}
			if diff := cmp.Diff(want, from(m), options...); diff != "" {
				rt.Fatalf("%s changed on the way (-sent +received):\n%s", typ.Name(), diff)
			}
		})
	})
}

// byValue makes a conversion from a pointer one from a value.
func byValue[W, P any](to func(*W) P) func(W) P { return func(w W) P { return to(&w) } }

func TestEveryFieldTravels(t *testing.T) {
	there(t, toViewer, fromViewer)
	there(t, toLibrary, fromLibrary)
	there(t, toDate, fromDate)
	there(t, toGain, fromGain)
	there(t, toArtistRef, fromArtistRef)
	there(t, toContributor, fromContributor)
	there(t, toAnnotation, fromAnnotation)
	there(t, byValue(toTrack), fromTrack)
	there(t, byValue(toAlbum), fromAlbum)
	there(t, byValue(toArtist), fromArtist)
	there(t, toGenre, fromGenre)
	there(t, byValue(toFolder), fromFolder)
	there(t, byValue(toFolderListing), fromFolderListing)
	there(t, byValue(toLyrics), fromLyrics)
	there(t, toPage, fromPage)
	there(t, toAlbumQuery, fromAlbumQuery)
	there(t, toTrackQuery, fromTrackQuery)
	there(t, toSearchQuery, fromSearchQuery)
	there(t, toSearchResult, fromSearchResult)
	there(t, toCounts, fromCounts)
	there(t, toPlay, fromPlay)
	there(t, byValue(toPlaying), fromPlaying)
	there(t, byValue(toPlaylist), fromPlaylist)
	there(t, toBookmark, fromBookmark)
	there(t, toQueue, fromQueue)
	there(t, toStation, fromStation)
	there(t, byValue(toShare), fromShare)
	there(t, toScanStatus, fromScanStatus)
	there(t, toSought, fromSought)
	there(t, toHomeShelf, fromHomeShelf)
	there(t, toEvent, fromEvent)
	there(t, toProfile, fromProfile)
	there(t, toRef, fromRef)
	there(t, toWant, fromWant)
	there(t, toPlanRequest, fromPlanRequest)
	there(t, byValue(toPlan), fromPlan)
	there(t, toReadiness, fromReadiness)
	there(t, toKey, fromKey)
	there(t, byValue(toItem), fromItem)
	there(t, toCondition, fromCondition)
	there(t, byValue(toRecord), fromRecord)
}

func TestWhoIsAbsentSeesNothing(t *testing.T) {
	v := fromViewer(nil)
	if v.Sees("1") || v.Admin || v.User != "" {
		t.Errorf("a call without a viewer is made by %+v", v)
	}
	if v := fromViewer(&wire.Viewer{User: "us-1", Libraries: []string{"2"}, AllLibraries: true}); v.Libraries != nil {
		t.Errorf("all libraries became %v", v.Libraries)
	}
}

func TestTextThatIsNotUTF8(t *testing.T) {
	raw, err := proto.Marshal(toSearchQuery(tutti.SearchQuery{Text: "caf\xe9"}))
	if err != nil {
		t.Fatal(err)
	}
	var m wire.SearchQuery
	if err := proto.Unmarshal(raw, &m); err != nil || m.GetText() != "caf\uFFFD" {
		t.Errorf("received %q, %v", m.GetText(), err)
	}
}

// TestEveryFieldOfAnObject does for the headers of a fill what the test above does for messages.
func TestEveryFieldOfAnObject(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		want := filled(rt, reflect.TypeFor[tutti.ObjectInfo](), rapid.Bool().Draw(rt, "full")).Interface().(tutti.ObjectInfo)
		want.ContentType = "audio/" + strings.Repeat("x", len(want.ContentType))
		want.MD5 = bytes.Repeat(want.MD5, md5.Size)[:md5.Size*min(1, len(want.MD5))]
		h := http.Header{}
		setInfo(h, want)
		var wire bytes.Buffer
		if err := h.Write(&wire); err != nil {
			rt.Fatal(err)
		}
		wire.WriteString("\r\n")
		received, err := textproto.NewReader(bufio.NewReader(&wire)).ReadMIMEHeader()
		if err != nil {
			rt.Fatal(err)
		}
		got, ok := readInfo(http.Header(received), want.Size)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" || !ok {
			rt.Fatalf("changed on the way (-sent +received):\n%s", diff)
		}
	})
}
