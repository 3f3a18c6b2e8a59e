package main

import (
	"bytes"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// parse runs the command line as main does, without running the command, and returns the settings.
func parse(t *testing.T, args ...string) (settings, error) {
	t.Helper()
	p := &program{}
	parser, err := newParser(p, &streams{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = parser.Parse(args)
	return p.settings, err
}

// clean keeps the machine's own configuration out of a test.
func clean(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("XDG_DATA_HOME", dir)
	t.Setenv("HOME", dir)
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "TUTTI_") {
			t.Setenv(name, "") // remembers the old value for the end of the test
			os.Unsetenv(name)
		}
	}
	return dir
}

// TestReferenceIsComplete holds tutti.yml to the flags: every setting is in it, at its default, and nothing else.
func TestReferenceIsComplete(t *testing.T) {
	dir := clean(t)
	file := filepath.Join(dir, "reference.yml")
	if err := os.WriteFile(file, []byte(reference), 0o600); err != nil {
		t.Fatal(err)
	}
	bare, err := parse(t, "serve")
	if err != nil {
		t.Fatal(err)
	}
	full, err := parse(t, "serve", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	full.Config = ""
	if len(full.Music) == 0 {
		full.Music = nil
	}
	if !reflect.DeepEqual(bare, full) {
		t.Errorf("tutti.yml differs from the defaults:\nflags %+v\nfile  %+v", bare, full)
	}

	r, err := parseConfig("tutti.yml", []byte(reference))
	if err != nil {
		t.Fatal(err)
	}
	k, err := newParser(&program{}, &streams{in: strings.NewReader(""), out: &bytes.Buffer{}, err: &bytes.Buffer{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range k.Model.Flags {
		if f.Name == "help" || f.Name == "config" || f.Name == "data" {
			continue // data and config say where the file itself is
		}
		if _, ok := r.lines[f.Name]; !ok {
			t.Errorf("tutti.yml does not mention %s", f.Name)
		}
		if len(f.Envs) == 0 {
			t.Errorf("--%s has no environment variable", f.Name)
		} else if want := "TUTTI_" + strings.ToUpper(strings.ReplaceAll(f.Name, "-", "_")); f.Envs[0] != want {
			t.Errorf("--%s is mirrored by %s, not %s", f.Name, f.Envs[0], want)
		}
	}
}

func TestPrecedence(t *testing.T) {
	dir := clean(t)
	data := filepath.Join(dir, "tutti")
	if err := os.MkdirAll(data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "tutti.yml"), []byte("cache:\n  size: 1GiB\n  memory: 1MiB\nrole: all\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TUTTI_CACHE_SIZE", "2GiB")
	s, err := parse(t, "serve")
	if err != nil || s.Cache.Size != 2<<30 || s.Cache.Memory != 1<<20 {
		t.Errorf("the environment does not win over the file in the data folder: %+v, %v", s.Cache, err)
	}
	s, err = parse(t, "serve", "--cache-size", "3GiB")
	if err != nil || s.Cache.Size != 3<<30 {
		t.Errorf("the flag does not win: %+v, %v", s.Cache, err)
	}
}

func TestConfigErrorsNameTheLine(t *testing.T) {
	dir := clean(t)
	file := filepath.Join(dir, "c.yml")
	for content, want := range map[string]string{
		"listen: 127.0.0.1:1\ncolour: red\n":         `c.yml:2: there is no setting "colour"`,
		"cache:\n  sise: 1\n":                        `c.yml:2: there is no setting "cache: sise"`,
		"- a\n":                                      "expected keys",
		"music:\n  - {path: /a, inclued: [x]}\n":     `not "inclued"`,
		"cache: {size: many}\n":                      `"many" is not a size`,
		"log: {level: loud}\n":                       "must be one of",
		"scan: {interval: soon}\n":                   "soon",
		"trace: {sample: 7}\n":                       "a share, from 0 to 1",
		"trace: {sample: NaN}\n":                     "a share, from 0 to 1",
		"music: [/a/b, /a/bc, /a]\n":                 "/a/b and /a overlap",
		"role: all\nrole: all\n":                     "is set twice",
		"http: {trusted-proxies: [10.0.0.0/8, x]}\n": "x",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := parse(t, "serve", "--config", file); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %q", content, err, want)
		}
	}
	if _, err := parse(t, "serve", "--config", filepath.Join(dir, "none.yml")); err == nil {
		t.Error("a configuration that was named and is not there is no error")
	}
}

func TestMusicFolders(t *testing.T) {
	dir := clean(t)
	file := filepath.Join(dir, "c.yml")
	if err := os.WriteFile(file, []byte("music:\n  - ~/Music\n  - {name: 'Plays, old & new', path: /srv/plays, exclude: ['*/drafts/*', '*.tmp']}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := parse(t, "serve", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	want := []musicFolder{
		{Name: "Music", Path: filepath.Join(dir, "Music")},
		{Name: "Plays, old & new", Path: "/srv/plays", Exclude: []string{"*/drafts/*", "*.tmp"}},
	}
	if !reflect.DeepEqual(s.Music, want) {
		t.Errorf("got %+v", s.Music)
	}
	s, err = parse(t, "serve", "--music", "Jazz=/srv/jazz", "--music", "/srv/a=b")
	if err != nil || len(s.Music) != 2 || s.Music[0].Name != "Jazz" || s.Music[1].Path != "/srv/a=b" {
		t.Errorf("got %+v, %v", s.Music, err)
	}
}

func TestBuckets(t *testing.T) {
	dir := clean(t)
	file := filepath.Join(dir, "c.yml")
	config := "music:\n  - s3://shop/music/old?region=eu-west-1\n" +
		"  - {name: Archive, path: 's3://archive?endpoint=http://127.0.0.1:7070&path-style=true', exclude: ['*.tmp']}\n"
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := parse(t, "serve", "--config", file)
	if err != nil {
		t.Fatal(err)
	}
	want := []musicFolder{
		{Name: "old", Path: "s3://shop/music/old", S3: &bucket{Bucket: "shop", Prefix: "music/old", Region: "eu-west-1"}},
		{Name: "Archive", Path: "s3://archive", Exclude: []string{"*.tmp"}, S3: &bucket{Bucket: "archive", Endpoint: "http://127.0.0.1:7070", PathStyle: true}},
	}
	if !reflect.DeepEqual(s.Music, want) {
		t.Errorf("got %+v %+v", s.Music[0].S3, s.Music[1].S3)
	}
	s, err = parse(t, "serve", "--music", "Jazz=s3://shop/jazz", "--music", "/srv/music")
	if err != nil || len(s.Music) != 2 || s.Music[0].Name != "Jazz" || s.Music[0].S3.Prefix != "jazz" {
		t.Errorf("got %+v, %v", s.Music, err)
	}
	for arg, want := range map[string]string{
		"s3://":                  "names no bucket",
		"s3://b?colour=red":      "takes region",
		"s3://b?path-style=some": "write true or false",
	} {
		if _, err := parse(t, "serve", "--music", arg); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", arg, err, want)
		}
	}
	if _, err := parse(t, "serve", "--music", "s3://b/a", "--music", "s3://b/a/c"); err == nil || !strings.Contains(err.Error(), "overlaps") {
		t.Errorf("a bucket within another: %v", err)
	}
}

func TestFleetSettings(t *testing.T) {
	clean(t)
	s, err := parse(t, "serve", "--role", "delivery", "--store", "dynamodb://tutti?region=eu-west-1&endpoint=http://127.0.0.1:8000")
	if err != nil || s.Store != (storeAddress{Table: "tutti", Region: "eu-west-1", Endpoint: "http://127.0.0.1:8000"}) {
		t.Errorf("got %+v, %v", s.Store, err)
	}
	s, err = parse(t, "serve", "--role", "trackcache", "--store", "http://10.0.0.7:4534")
	if err != nil || s.Store.Elsewhere != "http://10.0.0.7:4534" {
		t.Errorf("got %+v, %v", s.Store, err)
	}
	for want, args := range map[string][]string{
		"needs a store that the fleet shares": {"--role", "delivery"},
		"must be one of":                      {"--role", "conductor"},
		"belong together":                     {"--fleet-tls-ca", "ca.pem"},
		"give them to tutti nginx": {
			"--role", "delivery", "--store", "dynamodb://t", "--fleet-tls-ca", "ca.pem", "--fleet-tls-cert", "c.pem", "--fleet-tls-key", "k.pem", "--http-tls-cert", "h.pem",
		},
		"is no store":                  {"--store", "postgres://x"},
		"region and endpoint only":     {"--store", "dynamodb://t?colour=red"},
		"takes nothing after its port": {"--store", "http://h:1?x=y"},
	} {
		if _, err := parse(t, append([]string{"serve"}, args...)...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", args, err, want)
		}
	}
}

func TestAdvertised(t *testing.T) {
	for address, ok := range map[string]bool{
		"10.0.0.7:4533": true, "[2001:db8::1]:4533": true, "music-1.example.org:4533": true,
		"": true, ":4533": false, "0.0.0.0:4533": false, "10.0.0.7:0": false, "music_1:4533": false, "10.0.0.7": false,
	} {
		s := settings{Listen: []string{"127.0.0.1:4533"}, Fleet: fleetSettings{Advertise: address}}
		if got, err := s.advertised(); ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "--fleet-advertise") {
			t.Errorf("%q: %q, %v", address, got, err)
		}
	}
}

// TestMemberID: it stays with the data folder, and an empty file that a power failure left is no reason not to start.
func TestMemberID(t *testing.T) {
	dir := t.TempDir()
	first, err := memberID(dir, "catalog")
	if err != nil {
		t.Fatal(err)
	}
	if again, err := memberID(dir, "catalog"); err != nil || again != first || !strings.HasPrefix(first, "catalog-") {
		t.Errorf("%q became %q, %v", first, again, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "member-id"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if anew, err := memberID(dir, "catalog"); err != nil || anew == first || len(anew) != len(first) {
		t.Errorf("after an empty file: %q, %v", anew, err)
	}
}

func TestFoldersByFlag(t *testing.T) {
	clean(t)
	s, err := parse(t, "serve", "--music", "Jazz=/srv/jazz", "--music", "/srv/a=b")
	if err != nil || len(s.Music) != 2 || s.Music[0].Name != "Jazz" || s.Music[1].Path != "/srv/a=b" {
		t.Errorf("got %+v, %v", s.Music, err)
	}
}

func FuzzConfig(f *testing.F) {
	f.Add([]byte(reference))
	f.Add([]byte("music: [{path: a}, [b], {c: d}]\ncache: {size: {a: b}}"))
	f.Add([]byte("&a [*a]"))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = parseConfig("fuzz.yml", b) // must not panic
	})
}

func FuzzByteSize(f *testing.F) {
	for _, s := range []string{"1", "1.5GiB", "10 MB", "-1", "1e300TiB", "NaN"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var b byteSize
		if err := b.UnmarshalText([]byte(s)); err == nil && b < 0 {
			t.Errorf("%q became %d bytes", s, b)
		}
	})
}
