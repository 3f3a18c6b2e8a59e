package s3_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/clock"
	"tutti/origin/origintest"
	"tutti/origin/s3"
)

func TestContract(t *testing.T) {
	for _, prefix := range []string{"", "music/all"} {
		t.Run("prefix="+prefix, func(t *testing.T) {
			origintest.Run(t, func(t *testing.T) origintest.Fixture {
				b := bucket(t)
				pre := ""
				if prefix != "" {
					pre = prefix + "/"
					put(t, b, "outside.mp3", []byte("x"))
					put(t, b, "music/outside.mp3", []byte("x"))
				}
				under := func(p string) []string {
					t.Helper()
					var ks []string
					for _, k := range keys(t, b, pre+p) {
						if k == pre+p || strings.HasPrefix(k, pre+p+"/") {
							ks = append(ks, k)
						}
					}
					return ks
				}
				return origintest.Fixture{
					Origin:  open(t, s3.Config{Libraries: []s3.Library{{ID: "1", Name: "Music", Bucket: b, Prefix: prefix}}}),
					Library: "1",
					Write:   func(t *testing.T, p string, data []byte) { put(t, b, pre+p, data) },
					Remove: func(t *testing.T, p string) {
						for _, k := range under(p) {
							remove(t, b, k)
						}
					},
					Rename: func(t *testing.T, from, to string) {
						for _, k := range under(from) {
							source, dest := url.PathEscape(b+"/"+k), pre+to+strings.TrimPrefix(k, pre+from)
							_, err := server.Client().CopyObject(t.Context(), &awss3.CopyObjectInput{Bucket: &b, Key: &dest, CopySource: &source})
							must(t, err)
							remove(t, b, k)
						}
					},
					Away: func(t *testing.T) {
						for _, k := range keys(t, b, "") {
							remove(t, b, k)
						}
						_, err := server.Client().DeleteBucket(t.Context(), &awss3.DeleteBucketInput{Bucket: &b})
						must(t, err)
					},
				}
			})
		})
	}
}

func tree(t testing.TB, o *s3.Origin, dir string) []string {
	t.Helper()
	infos, err := o.List(t.Context(), "1", dir)
	must(t, err)
	var out []string
	for _, fi := range infos {
		if fi.Dir {
			out = append(out, tree(t, o, fi.Path)...)
		} else {
			out = append(out, fi.Path)
		}
	}
	return out
}

func TestRules(t *testing.T) {
	b := bucket(t)
	for _, p := range []string{
		"a/1.flac", "a/.hidden.flac", ".git/x.flac", "@eaDir/x.flac", "#1 Hits/1.flac", "closed/1.flac", "closed/.nomedia", "closed/deeper/1.flac",
		"a/notes.txt", "b/live/1.mp3", "b/studio/1.mp3",
	} {
		put(t, b, p, []byte("x"))
	}
	for _, c := range []struct {
		include, exclude []string
		want             string
	}{
		{nil, nil, "#1 Hits/1.flac a/1.flac a/notes.txt b/live/1.mp3 b/studio/1.mp3"},
		{[]string{"*.flac"}, nil, "#1 Hits/1.flac a/1.flac"},
		{nil, []string{"live", "*.txt"}, "#1 Hits/1.flac a/1.flac b/studio/1.mp3"},
	} {
		o := open(t, s3.Config{Libraries: []s3.Library{{ID: "1", Bucket: b, Include: c.include, Exclude: c.exclude}}})
		listed := tree(t, o, ".")
		if got := strings.Join(listed, " "); got != c.want {
			t.Errorf("include %q, exclude %q\n got %s\nwant %s", c.include, c.exclude, got, c.want)
		}
		for _, p := range []string{"a/1.flac", "a/notes.txt", ".git/x.flac", "a/.hidden.flac", "b/live/1.mp3", "@eaDir/x.flac"} {
			f, err := o.OpenFile(t.Context(), "1", p)
			if err == nil {
				f.Close()
			}
			_, serr := o.Stat(t.Context(), "1", p)
			if is := slices.Contains(listed, p); is != (err == nil) || is != (serr == nil) {
				t.Errorf("include %q, exclude %q: %s is listed: %v, but opening says %v and Stat %v", c.include, c.exclude, p, is, err, serr)
			}
		}
	}
}

// TestManyKeys: a directory of more entries than one answer holds.
func TestManyKeys(t *testing.T) {
	b := bucket(t)
	dir := filepath.Join(server.Dir, "buckets", b, "all") // the store's own disk: uploading takes longer
	must(t, os.MkdirAll(dir, 0o755))
	for i := range 1205 {
		must(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("%04d.mp3", i)), nil, 0o644))
	}
	p := newProxy(t)
	infos, err := p.origin(t, b).List(t.Context(), "1", "all")
	must(t, err)
	if len(infos) != 1205 || infos[1204].Path != "all/1204.mp3" || len(p.requests()) != 2 {
		t.Errorf("%d of 1205 entries in %d requests", len(infos), len(p.requests()))
	}
}

func TestConfig(t *testing.T) {
	ok := s3.Library{ID: "1", Bucket: "b"}
	for what, libs := range map[string][]s3.Library{
		"no id":        {{Bucket: "b"}},
		"no bucket":    {{ID: "1"}},
		"a path":       {{ID: "1", Bucket: "b/c"}},
		"twice":        {ok, ok},
		"outside":      {{ID: "1", Bucket: "b", Prefix: "a/../../c"}},
		"no URL":       {{ID: "1", Bucket: "b", Endpoint: "localhost:9000"}},
		"a password":   {{ID: "1", Bucket: "b", Endpoint: "http://user:secret@localhost:9000"}},
		"no pattern":   {{ID: "1", Bucket: "b", Include: []string{"[a-"}}},
		"empty prefix": {{ID: "1", Bucket: "b", Prefix: "a//b"}},
	} {
		_, err := s3.New(t.Context(), s3.Config{Libraries: libs, Clock: clock.System})
		wantKind(t, what, err, tutti.KindInvalid)
	}
	o, err := s3.New(t.Context(), s3.Config{Clock: clock.System, Libraries: []s3.Library{
		{ID: "1", Bucket: "b", Prefix: "/music/all/"}, {ID: "2", Bucket: "b", Name: "Named"}, {ID: "3", Bucket: "other"},
	}})
	must(t, err)
	want := []tutti.Library{{ID: "1", Name: "all", Path: "s3://b/music/all"}, {ID: "2", Name: "Named", Path: "s3://b"}, {ID: "3", Name: "other", Path: "s3://other"}}
	if got := o.Libraries(); !slices.Equal(got, want) {
		t.Errorf("Libraries() = %+v", got)
	}
}

// TestOpenRange: one exchange each, and never two versions.
func TestOpenRange(t *testing.T) {
	b := bucket(t)
	want := content(3 << 20)
	put(t, b, "a/x.flac", want)
	put(t, b, "a/empty.flac", nil)
	p := newProxy(t)
	o := p.origin(t, b)
	ref := tutti.Ref{Library: "1", Path: "a/x.flac", Version: "v"}
	size := int64(len(want))
	read := func(off, n int64, tag string) ([]byte, tutti.ObjectInfo) {
		t.Helper()
		r, info, err := o.OpenRange(t.Context(), ref, off, n, tag)
		must(t, err)
		got, err := io.ReadAll(r)
		must(t, err)
		must(t, r.Close())
		return got, info
	}
	whole, info := read(0, -1, "")
	sum := md5.Sum(want)
	st, err := o.Stat(t.Context(), "1", "a/x.flac")
	must(t, err)
	if !bytes.Equal(whole, want) || info.Size != size || info.ContentType != "audio/flac" || !info.ModTime.Equal(st.ModTime) || info.Tag != `"`+hex.EncodeToString(sum[:])+`"` || !bytes.Equal(info.MD5, sum[:]) {
		t.Errorf("%d bytes, %+v; Stat says %+v", len(whole), info, st)
	}
	p.on(func(*http.Request) fault { return fault{} })
	for _, c := range []struct{ off, n, to int64 }{
		{0, 1 << 20, 1 << 20}, {2 << 20, 1 << 20, 3 << 20}, {size - 1, 1 << 20, size}, {5, 1, 6}, {1 << 20, -1, size}, {0, math.MaxInt64, size}, {7, math.MaxInt64, size},
	} {
		if got, _ := read(c.off, c.n, info.Tag); !bytes.Equal(got, want[c.off:c.to]) {
			t.Errorf("%d from %d: %d bytes, or not the right ones", c.n, c.off, len(got))
		}
	}
	if n := len(p.requests()); n != 7 {
		t.Errorf("7 ranges took %d requests", n)
	}
	for _, off := range []int64{0, 5, size} { // nothing
		if got, again := read(off, 0, info.Tag); len(got) != 0 || again.Size != size || again.Tag != info.Tag {
			t.Errorf("nothing from %d: %d bytes, %+v", off, len(got), again)
		}
	}
	if got, _ := read(size, -1, info.Tag); len(got) != 0 {
		t.Errorf("from the end: %d bytes", len(got))
	}
	for what, off := range map[string]int64{"beyond the end": size + 1, "before the beginning": -1} {
		_, _, err = o.OpenRange(t.Context(), ref, off, 1, "")
		wantKind(t, what, err, tutti.KindInvalid)
	}
	put(t, b, "a/x.flac", content(3<<20-1))
	for _, n := range []int64{0, 1 << 20} {
		_, _, err = o.OpenRange(t.Context(), ref, 1<<20, n, info.Tag)
		wantKind(t, "another version", err, tutti.KindConflict)
	}

	ref.Path = "a/empty.flac"
	if got, info := read(0, -1, ""); len(got) != 0 || info.Size != 0 || info.Tag == "" {
		t.Errorf("an empty object: %d bytes, %+v", len(got), info)
	}
	ref.Path = "a/none.flac"
	_, _, err = o.OpenRange(t.Context(), ref, 0, 1, "")
	wantKind(t, "what is not there", err, tutti.KindNotFound)
	ref.Path, ref.Profile = "a/x.flac", tutti.Profile{Format: "mp3"}
	_, _, err = o.OpenRange(t.Context(), ref, 0, 1, "")
	wantKind(t, "a transcode", err, tutti.KindInvalid)

	// Its caller retries.
	ref.Profile = tutti.Profile{}
	p.on(func(*http.Request) fault { return fault{status: 503, code: "SlowDown"} })
	_, _, err = o.OpenRange(t.Context(), ref, 0, 1, "")
	wantKind(t, "slow down", err, tutti.KindUnavailable)
	if n := len(p.requests()); n != 1 {
		t.Errorf("OpenRange asked %d times", n)
	}
	p.on(func(*http.Request) fault { return fault{cut: 1000} })
	r, _, err := o.OpenRange(t.Context(), ref, 0, 1<<20, "")
	must(t, err)
	got, err := io.ReadAll(r)
	wantKind(t, "a short answer", err, tutti.KindUnavailable)
	must(t, r.Close())
	if len(got) != 1000 {
		t.Errorf("%d of 1000 bytes before the end", len(got))
	}
}

// TestOpenFile: a reader of tags needs few requests.
func TestOpenFile(t *testing.T) {
	b := bucket(t)
	want := content(5 << 20)
	put(t, b, "x.mp3", want)
	put(t, b, "empty.mp3", nil)
	p := newProxy(t)
	o := p.origin(t, b)
	f, err := o.OpenFile(t.Context(), "1", "x.mp3")
	must(t, err)
	defer f.Close()
	ra := f.(io.ReaderAt)
	requests := 0
	check := func(what string, off, n, cost int) {
		t.Helper()
		got := make([]byte, n)
		m, err := ra.ReadAt(got, int64(off))
		if err != nil && !(errors.Is(err, io.EOF) && off+n >= len(want)) {
			t.Fatal(err)
		}
		if !bytes.Equal(got[:m], want[off:min(off+n, len(want))]) {
			t.Errorf("%s: the wrong bytes", what)
		}
		if requests += cost; len(p.requests()) != requests {
			t.Errorf("%s: %q, want %d in all", what, p.requests(), requests)
		}
	}
	check("the beginning", 0, 10, 1)
	check("a little on", 200_000, 50_000, 0)
	check("a piece of the middle", 2<<20, 16<<10, 1)
	check("again", 2<<20+1000, 100, 0)
	check("the last bytes", len(want)-128, 128, 1)
	check("before those", len(want)-190_000, 65_536, 0)
	check("over the end", len(want)-10, 100, 0)
	check("much at once", 3<<20, 1<<20, 1)
	// Whoever reads on asks for more each time.
	p.on(func(*http.Request) fault { return fault{} })
	all, err := io.ReadAll(f.(io.Reader))
	must(t, err)
	if !bytes.Equal(all, want) || len(p.requests()) > 9 {
		t.Errorf("from beginning to end: %d bytes in %d requests", len(all), len(p.requests()))
	}
	if pos, err := f.(io.Seeker).Seek(-5, io.SeekEnd); err != nil || pos != int64(len(want)-5) {
		t.Errorf("Seek: %d, %v", pos, err)
	}
	last, err := io.ReadAll(f.(io.Reader))
	if err != nil || !bytes.Equal(last, want[len(want)-5:]) {
		t.Errorf("the last five: %q, %v", last, err)
	}
	empty, err := o.OpenFile(t.Context(), "1", "empty.mp3")
	must(t, err)
	defer empty.Close()
	if n, err := empty.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		t.Errorf("an empty file: %d, %v", n, err)
	}
}

// TestMoney: what was asked of the store, and what that costs.
func TestMoney(t *testing.T) {
	b := bucket(t)
	put(t, b, "x.mp3", content(1000))
	o := open(t, s3.Config{Libraries: []s3.Library{{ID: "1", Bucket: b}}, Prices: &s3.Prices{Get: 1000, List: 20_000, GB: 1e9 / 1000}})
	_, err := o.List(t.Context(), "1", ".")
	must(t, err)
	f, err := o.OpenFile(t.Context(), "1", "x.mp3")
	must(t, err)
	f.Close()
	_, err = o.OpenFile(t.Context(), "1", "none.mp3")
	wantKind(t, "what is not there", err, tutti.KindNotFound)
	got := metrics(t, o)
	for name := range got {
		if strings.HasPrefix(name, "tutti_origin_s3_request_seconds") {
			delete(got, name)
		}
	}
	want := map[string]float64{
		"tutti_origin_s3_bytes_total":                  1000,
		"tutti_origin_s3_cost_dollars_total":           23,
		"tutti_origin_s3_requests_total get not found": 1,
		"tutti_origin_s3_requests_total get ok":        1,
		"tutti_origin_s3_requests_total list ok":       1,
		"tutti_origin_s3_retries_total":                0,
		"tutti_origin_s3_resumed_total":                0,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// metrics are a collector's counters by name and labels.
func metrics(t testing.TB, c prometheus.Collector) map[string]float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	must(t, reg.Register(c))
	families, err := reg.Gather()
	must(t, err)
	m := map[string]float64{}
	for _, f := range families {
		for _, one := range f.Metric {
			name := f.GetName()
			for _, l := range one.Label {
				name += " " + l.GetValue()
			}
			m[name] = one.GetCounter().GetValue()
		}
	}
	return m
}
