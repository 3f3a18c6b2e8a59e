package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"tutti/deploy/capacity"
)

// row is one line of the table: what, what was measured, the reference beside it, and the bar.
type row struct{ what, ours, reference, ratio, bar string }

// section is a table with a title and a sentence on how it was measured.
type section struct {
	title, how string
	rows       []row
	text       string // of a section read back from the page, in place of how and rows
}

func (s *section) add(what, ours, reference, ratio, bar string) {
	s.rows = append(s.rows, row{what, ours, reference, ratio, bar})
}

// write prints sections as Markdown.
func write(w io.Writer, sections []section) error {
	var b strings.Builder
	for _, s := range sections {
		if s.text != "" {
			fmt.Fprintf(&b, "## %s\n%s", s.title, s.text)
			continue
		}
		fmt.Fprintf(&b, "## %s\n\n%s\n\n", s.title, s.how)
		b.WriteString("| what | tutti | reference | ratio | bar |\n|---|---|---|---|---|\n")
		for _, r := range s.rows {
			fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", r.what, dash(r.ours), dash(r.reference), dash(r.ratio), dash(r.bar))
		}
		b.WriteString("\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// readSections reads the sections of a page that write has written. A page that is not there has none.
func readSections(path string) ([]section, error) {
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []section
	for _, part := range strings.Split("\n"+string(b), "\n## ")[1:] {
		title, text, _ := strings.Cut(part, "\n")
		out = append(out, section{title: title, text: strings.TrimRight(text, "\n") + "\n\n"})
	}
	return out, nil
}

// merge puts fresh sections in the places of those with the same title, and new ones at the end.
func merge(kept, fresh []section) []section {
	for _, f := range fresh {
		if i := slices.IndexFunc(kept, func(k section) bool { return k.title == f.title }); i >= 0 {
			kept[i] = f
		} else {
			kept = append(kept, f)
		}
	}
	return kept
}

// ledger collects the figures that capacity plans reckon with.
type ledger struct {
	values map[string]capacity.Figure
	hits   []capacity.Point
	how    string
}

// set notes what a measurement has found, in the unit that the file has for it.
func (l *ledger) set(name string, value float64, source string) {
	l.values[name] = capacity.Figure{Value: value, Source: source}
}

// figure is what was measured now, or else what plans reckon with so far.
func (o options) figure(name string) (float64, error) {
	if v, ok := o.ledger.values[name]; ok {
		return v.Value, nil
	}
	f, err := readFigures(o.measured)
	return f.Figures[name].Value, err
}

func (l *ledger) write(path string) error {
	if len(l.values) == 0 && len(l.hits) == 0 {
		return nil
	}
	where := fmt.Sprintf("%d cores shared with the load, %s/%s, %s", runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version())
	return capacity.Rewrite(path, time.Now().UTC().Format(time.DateOnly), where, l.values, l.hits, l.how)
}

func dash(s string) string {
	if s == "" {
		return "–"
	}
	return s
}

func ms(d time.Duration) string { return fmt.Sprintf("%.2f ms", float64(d)/float64(time.Millisecond)) }

func ratio(a, b time.Duration) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.2f ×", float64(a)/float64(b))
}

func mib(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

func kb(n int64) string { return fmt.Sprintf("%.1f kB", float64(n)/1000) }
