// Command codec measures the metadata codec against what else there is, in one run: bytes a record, processor time a
// record and size of the model or dictionary, for records alone, in albums and in pages of a random order, on songs of
// artists that neither the models nor the dictionary were trained on. It writes the table and the plots into
// docs/metadata-model.md.
//
//	go run ./bench/codec --train train.tsv --test test.tsv
//
// It needs zstd, brotli, xz and bzip2 (the reference implementations) and Linux.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"tutti/metacodec"
	"tutti/metacodec/corpus"
)

func main() {
	train := flag.String("train", "", "collection that the dictionary is trained on, as a table with tabs")
	test := flag.String("test", "", "collection of other artists to measure")
	doc := flag.String("doc", "docs/metadata-model.md", "page to write the results into")
	draw := flag.Int("draw", 1_000_000, "songs to draw from the model for the size of a whole catalogue; 0 leaves that out")
	flag.Parse()
	if err := run(*train, *test, *doc, *draw); err != nil {
		fmt.Fprintln(os.Stderr, "codec:", err)
		os.Exit(1)
	}
}

// form is a way to put songs together.
type form struct {
	name   string
	groups [][]*corpus.Song
}

// result is what a method does with one form.
type result struct {
	size        float64       // bytes a record
	write, read time.Duration // of the processor, a record; 0 was not measured
}

// method is a way to make songs small.
type method struct {
	name   string
	model  int // bytes of model or dictionary that both sides have
	result []result
}

func run(train, test, doc string, draw int) error {
	learn, err := load(train)
	if err != nil {
		return err
	}
	songs, err := load(test)
	if err != nil {
		return err
	}
	alone, albums, pages := corpus.Groups(songs)
	forms := []form{{"alone", alone}, {"album", albums}, {"page of 100", pages}}
	work, err := os.MkdirTemp("", "tutti-codec-*")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	dict := filepath.Join(work, "dict")
	if err := dictionary(learn, work, dict); err != nil {
		return err
	}
	var methods []*method
	for _, tool := range []tool{
		{name: "zstd -19 with dictionary", dict: dict, write: []string{"zstd", "-q", "-19", "--no-check", "-D", dict, "-r", "in", "--output-dir-flat", "out"}, read: []string{"zstd", "-q", "-d", "-D", dict, "-r", "out", "--output-dir-flat", "back"}},
		{name: "the same without magic number and dictionary id", dict: dict, less: 8, same: true},
		{name: "zstd -3 with dictionary", dict: dict, write: []string{"zstd", "-q", "-3", "--no-check", "-D", dict, "-r", "in", "--output-dir-flat", "out"}, read: []string{"zstd", "-q", "-d", "-D", dict, "-r", "out", "--output-dir-flat", "back"}},
		{name: "zstd -19", write: []string{"zstd", "-q", "-19", "--no-check", "-r", "in", "--output-dir-flat", "out"}, read: []string{"zstd", "-q", "-d", "-r", "out", "--output-dir-flat", "back"}},
		{name: "brotli -11", write: []string{"brotli", "-q", "11", "-k"}, suffix: ".br", each: true},
		{name: "xz -9e", write: []string{"xz", "-9e", "-k"}, suffix: ".xz", each: true},
		{name: "bzip2 -9", write: []string{"bzip2", "-9", "-k"}, suffix: ".bz2", each: true},
	} {
		m := &method{name: tool.name}
		if tool.dict != "" {
			m.model = int(size(tool.dict))
		}
		for i, f := range forms {
			if tool.same {
				r := methods[len(methods)-1].result[i]
				r.size -= float64(tool.less*len(f.groups)) / float64(len(songs))
				m.result = append(m.result, r)
				continue
			}
			r, err := tool.measure(work, f, len(songs))
			if err != nil {
				return err
			}
			m.result = append(m.result, r)
		}
		methods = append(methods, m)
	}
	for _, of := range []struct {
		name string
		get  func() (*metacodec.Model, error)
	}{
		{"tutti without a model", func() (*metacodec.Model, error) { return nil, nil }},
		{"tutti, small model", metacodec.Small},
		{"tutti, default model", metacodec.Default},
	} {
		model, err := of.get()
		if err != nil {
			return err
		}
		m := &method{name: of.name}
		if model != nil {
			file, err := model.File()
			if err != nil {
				return err
			}
			m.model = len(file)
		}
		for _, f := range forms {
			r, err := ours(model, f, len(songs))
			if err != nil {
				return err
			}
			m.result = append(m.result, r)
		}
		methods = append(methods, m)
	}
	var b bytes.Buffer
	if err := report(&b, filepath.Dir(doc), methods, forms, songs); err != nil {
		return err
	}
	if draw > 0 {
		if err := whole(&b, draw); err != nil {
			return err
		}
	}
	page, err := os.ReadFile(doc)
	if err != nil {
		return err
	}
	head, rest, ok := strings.Cut(string(page), begins)
	_, tail, ok2 := strings.Cut(rest, ends)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the results", doc)
	}
	fmt.Print(b.String())
	return os.WriteFile(doc, []byte(head+begins+b.String()+ends+tail), 0o644)
}

func load(name string) (all []*corpus.Song, err error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return all, corpus.ReadTSV(f, func(s *corpus.Song) error {
		own := *s
		all = append(all, &own)
		return nil
	})
}

// line is a song as text, for those who know of no fields.
func line(s *corpus.Song) string {
	return fmt.Sprintf("%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\t%d", s.AlbumArtist, s.Artist, s.Album, s.Title, s.Track, s.Disc, s.Year, s.Genre, s.Seconds)
}

func lines(group []*corpus.Song) []byte {
	all := make([]string, len(group))
	for i, s := range group {
		all[i] = line(s)
	}
	return []byte(strings.Join(all, "\n"))
}

// dictionary trains one of 112 KB, zstd's default and the most that helps.
func dictionary(learn []*corpus.Song, work, to string) error {
	samples := filepath.Join(work, "samples")
	if err := os.Mkdir(samples, 0o700); err != nil {
		return err
	}
	for i, s := range learn {
		if err := os.WriteFile(filepath.Join(samples, fmt.Sprint(i)), []byte(line(s)), 0o600); err != nil {
			return err
		}
	}
	out, err := exec.Command("zstd", "-q", "-19", "--train", "-r", samples, "--maxdict=112640", "-o", to).CombinedOutput()
	if err != nil {
		return fmt.Errorf("train the dictionary: %w: %s", err, out)
	}
	return os.RemoveAll(samples)
}

// tool is a compressor that is a program of its own.
type tool struct {
	name        string
	dict        string
	write, read []string
	suffix      string // of what it writes beside the files
	each        bool   // takes the files as arguments
	same        bool   // is the one before
	less        int    // but for so many bytes a frame
}

func (t *tool) measure(work string, f form, songs int) (r result, err error) {
	var dirs []string
	for _, name := range []string{"in", "out", "back"} {
		dir := filepath.Join(work, name)
		if err := os.RemoveAll(dir); err != nil {
			return r, err
		}
		if err := os.Mkdir(dir, 0o700); err != nil {
			return r, err
		}
		dirs = append(dirs, dir)
	}
	var files []string
	for i, g := range f.groups {
		name := filepath.Join(dirs[0], fmt.Sprint(i))
		files = append(files, name)
		if err := os.WriteFile(name, lines(g), 0o600); err != nil {
			return r, err
		}
	}
	call := func(args []string) (spent time.Duration, err error) {
		c := exec.Command(args[0], args[1:]...)
		c.Dir = work
		out, err := c.CombinedOutput()
		if err != nil {
			return 0, fmt.Errorf("%s: %w: %s", t.name, err, out)
		}
		return c.ProcessState.UserTime(), nil
	}
	if !t.each {
		if r.write, err = call(t.write); err != nil {
			return r, err
		}
		if r.read, err = call(t.read); err != nil {
			return r, err
		}
	}
	for group := range slices.Chunk(files, 500) {
		if t.each {
			d, err := call(append(slices.Clone(t.write), group...))
			if err != nil {
				return r, err
			}
			r.write += d
		}
	}
	dir := dirs[1]
	if t.each {
		dir = dirs[0]
	}
	total := int64(0)
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.HasSuffix(path, t.suffix) {
			total += size(path)
		}
		return err
	})
	r.size = float64(total) / float64(songs)
	r.write /= time.Duration(songs)
	r.read /= time.Duration(songs)
	return r, err
}

func size(name string) int64 {
	info, err := os.Stat(name)
	if err != nil {
		return 0 // shows in the table
	}
	return info.Size()
}

// ours measures the codec, and demands that everything comes back.
func ours(m *metacodec.Model, f form, songs int) (r result, err error) {
	e, d := metacodec.NewEncoder(m), metacodec.NewDecoder(metacodec.NewModels(m))
	defer d.Close()
	frames := make([][]byte, len(f.groups))
	const rounds = 3
	var total int
	for round := range rounds {
		began := spent()
		total = 0
		for i, g := range f.groups {
			for _, s := range g {
				s.Write(e)
			}
			if frames[i], err = e.AppendFrame(frames[i][:0]); err != nil {
				return r, err
			}
			total += len(frames[i])
		}
		if took := spent() - began; round == 0 || took < r.write {
			r.write = took
		}
	}
	for round := range rounds {
		began := spent()
		for i, g := range f.groups {
			if err := d.Reset(frames[i]); err != nil {
				return r, err
			}
			for k := 0; d.Next(); k++ {
				got := corpus.Read(d)
				got.Source, got.Group = g[k].Source, g[k].Group
				if got != *g[k] {
					return r, fmt.Errorf("%v became %v", *g[k], got)
				}
			}
			if d.Err() != nil {
				return r, d.Err()
			}
		}
		if took := spent() - began; round == 0 || took < r.read {
			r.read = took
		}
	}
	r.size = float64(total) / float64(songs)
	r.write /= time.Duration(songs)
	r.read /= time.Duration(songs)
	return r, nil
}

// spent is the processor time of this process so far.
func spent() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano())
}

const begins, ends = "<!-- frontier: written by go run ./bench/codec -->\n", "<!-- /frontier -->\n"

// report writes the table into b and the plots into a folder.
func report(b *bytes.Buffer, dir string, methods []*method, forms []form, songs []*corpus.Song) error {
	raw := 0
	for _, s := range songs {
		raw += len(line(s))
	}
	fmt.Fprintf(b, "%d songs of %d artists; as lines of text %.1f bytes a song. Bytes a song (µs of the processor to write / to read):\n\n",
		len(songs), corpus.Artists(songs), float64(raw)/float64(len(songs)))
	b.WriteString("| | model |")
	for _, f := range forms {
		fmt.Fprintf(b, " %s |", f.name)
	}
	b.WriteString("\n|---|--:|" + strings.Repeat("--:|", len(forms)) + "\n")
	for _, m := range methods {
		fmt.Fprintf(b, "| %s | %s |", m.name, kilobytes(m.model))
		for _, r := range m.result {
			fmt.Fprintf(b, " %.2f", r.size)
			if r.write > 0 {
				fmt.Fprintf(b, " (%s / %s)", micros(r.write), micros(r.read))
			}
			b.WriteString(" |")
		}
		b.WriteString("\n")
	}
	base, best := methods[0], methods[len(methods)-1]
	fmt.Fprintf(b, "| **%s ÷ %s** | |", base.name, best.name)
	for i := range forms {
		fmt.Fprintf(b, " **%.2f ×** |", base.result[i].size/best.result[i].size)
	}
	b.WriteString("\n\n")
	for i, f := range forms {
		name := fmt.Sprintf("metadata-frontier-%d.svg", i+1)
		var svg bytes.Buffer
		scatter(&svg, "A song "+map[int]string{0: "alone", 1: "in its album", 2: "in a page of 100"}[i], methods, i)
		if err := os.WriteFile(filepath.Join(dir, name), svg.Bytes(), 0o644); err != nil {
			return err
		}
		fmt.Fprintf(b, "![Bytes against processor time, %s](%s)\n", f.name, name)
	}
	return nil
}

func kilobytes(n int) string {
	if n == 0 {
		return "–"
	}
	return fmt.Sprintf("%d kB", (n+500)/1000)
}

func micros(d time.Duration) string {
	if d == 0 {
		return "–"
	}
	return fmt.Sprintf("%.0f", float64(d)/float64(time.Microsecond))
}
