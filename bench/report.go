package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// row is one line of the table: what, what was measured, the reference beside it, and the bar.
type row struct{ what, ours, reference, ratio, bar string }

// section is a table with a title and a sentence on how it was measured.
type section struct {
	title, how string
	rows       []row
}

func (s *section) add(what, ours, reference, ratio, bar string) {
	s.rows = append(s.rows, row{what, ours, reference, ratio, bar})
}

// write prints sections as Markdown.
func write(w io.Writer, sections []section) error {
	var b strings.Builder
	for _, s := range sections {
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
