package metacodec_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"tutti/metacodec"
)

var update = flag.Bool("update", false, "write the golden vectors anew")

// vectors are frames that every machine must write byte for byte, by name.
func vectors() (names []string, write map[string]func(e *metacodec.Encoder)) {
	write = map[string]func(e *metacodec.Encoder){
		"empty":  func(*metacodec.Encoder) {},
		"record": song,
		"album": func(e *metacodec.Encoder) {
			for i, title := range []string{"I. Poco sostenuto – Vivace", "II. Allegretto", "III. Presto", "IV. Allegro con brio"} {
				e.Begin(0)
				e.Text(metacodec.Genre, "Classical")
				e.Text(metacodec.AlbumArtist, "Berliner Philharmoniker")
				e.Text(metacodec.Artist, "Berliner Philharmoniker")
				e.Text(metacodec.Album, "Symphony No. 7 in A major, Op. 92")
				e.Uint(metacodec.Year, 1984)
				e.Uint(metacodec.DiscNumber, 1)
				e.Uint(metacodec.TrackNumber, uint64(i+1))
				e.Text(metacodec.Title, title)
				e.Uint(metacodec.Seconds, uint64(400+60*i))
				e.End()
			}
		},
		"all types": func(e *metacodec.Encoder) {
			for i := range 3 {
				e.Begin(metacodec.Kind(7 * i))
				e.Uint(metacodec.Number, 1<<63+uint64(i))
				e.Int(metacodec.Loudness, -7*int64(i))
				e.Bool(metacodec.Flag, i == 1)
				e.Time(metacodec.When, time.Unix(1_700_000_000+int64(i), int64(i)*1_000_000))
				e.ID(metacodec.Identifier, [16]byte{1, 2, 3, 15: byte(i / 2)})
				e.Bytes(metacodec.Other, []byte{0, 255, byte(i)})
				e.Text(metacodec.Path, "Ångström/Ωmega/0"+string(rune('1'+i))+" Ghostwriter.flac")
				e.Text(metacodec.Other, "\x00\xff")
				e.End()
			}
		},
		"page": func(e *metacodec.Encoder) {
			for i := range 100 {
				e.Begin(0)
				e.Text(metacodec.Artist, []string{"Nina Simone", "Ella Fitzgerald", "Erroll Garner"}[i*i%3])
				e.Text(metacodec.Title, []string{"Sinnerman", "Misty", "Summertime", "Night and Day"}[i*7%4]+strings.Repeat(" (live)", i%5/4))
				e.Uint(metacodec.Seconds, uint64(100+i*i%97))
				e.End()
			}
		},
	}
	return []string{"empty", "record", "album", "all types", "page"}, write
}

const goldenFile = "testdata/golden.txt"

// TestGolden holds the frames of the default model to what they were on another machine: reading depends on nothing but
// whole numbers. A new default model makes new vectors (go test ./metacodec -run Golden -update), which is no change of
// the format, for old frames name the model that they were written with.
func TestGolden(t *testing.T) {
	m := model(t)
	names, write := vectors()
	var all bytes.Buffer
	fmt.Fprintln(&all, "model", m.ID())
	for _, name := range names {
		e := metacodec.NewEncoder(m)
		write[name](e)
		frame, err := e.AppendFrame(nil)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&all, "%s: %x\n", name, frame)
	}
	fmt.Fprintf(&all, "bits: %.4f\n", m.Bits(metacodec.Title, "Sinnerman", metacodec.Value{Field: metacodec.Artist, Text: "Nina Simone"}))
	if *update {
		if err := os.WriteFile(goldenFile, all.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(goldenFile)
	if err != nil {
		t.Fatal(err)
	}
	got, was := bufio.NewScanner(&all), bufio.NewScanner(bytes.NewReader(want))
	for was.Scan() {
		if !got.Scan() || got.Text() != was.Text() {
			t.Errorf("%s wrote\n%s\nnot\n%s", runtime.GOARCH, got.Text(), was.Text())
		}
	}
	d := metacodec.NewDecoder(metacodec.NewModels(m))
	for _, line := range strings.Split(string(want), "\n") {
		name, digits, _ := strings.Cut(line, ": ")
		if write[name] == nil {
			continue
		}
		frame, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Reset(frame); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		d.Close()
	}
}

// TestEveryProcessor runs the golden vectors on other processors. It builds for each of them, which takes a minute or so.
func TestEveryProcessor(t *testing.T) {
	if os.Getenv("TUTTI_PROCESSORS") == "" {
		t.Skip("set TUTTI_PROCESSORS=1 to run the golden vectors on 386, arm64 (needs qemu-user) and wasm (needs node)")
	}
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct {
		system, arch, needs string
		runner              []string
	}{
		{runtime.GOOS, "386", "", nil},
		{runtime.GOOS, "arm64", "qemu-aarch64", []string{"qemu-aarch64"}},
		{"js", "wasm", "node", []string{filepath.Join(strings.TrimSpace(string(root)), "lib/wasm/go_js_wasm_exec")}},
	} {
		t.Run(p.arch, func(t *testing.T) {
			if p.needs != "" {
				if _, err := exec.LookPath(p.needs); err != nil {
					t.Skip("there is no ", p.needs)
				}
			}
			binary := filepath.Join(t.TempDir(), "golden.test")
			build := exec.Command("go", "test", "-c", "-o", binary, ".")
			build.Env = append(os.Environ(), "GOOS="+p.system, "GOARCH="+p.arch, "CGO_ENABLED=0")
			if out, err := build.CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			run := exec.Command(binary, "-test.run=TestGolden$", "-test.v")
			if p.runner != nil {
				run = exec.Command(p.runner[0], append(p.runner[1:], run.Args...)...)
			}
			if out, err := run.CombinedOutput(); err != nil || !strings.Contains(string(out), "--- PASS: TestGolden") {
				t.Errorf("%v: %s", err, out)
			}
		})
	}
}
