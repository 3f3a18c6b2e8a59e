package sim

import (
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"strings"
)

// Line is one curve of a plot.
type Line struct {
	Name string
	X, Y []float64
}

// colours tell apart for those who see few of them as well (Okabe and Ito, "Color Universal Design", 2008).
var colours = []string{"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"}

// Plot draws lines over a common axis as SVG, from 0 up, with a mark at an x unless it is 0.
func Plot(w io.Writer, title, x, y string, lines []Line, mark float64) error {
	const width, height, left, right, above, below = 760, 300, 64, 150, 34, 42
	top, end := 0.0, 0.0
	for _, l := range lines {
		for i := range l.X {
			top, end = max(top, l.Y[i]), max(end, l.X[i])
		}
	}
	stepY, stepX := nice(top/5), nice(end/8)
	top = max(stepY, math.Ceil(top/stepY)*stepY)
	end = max(end, stepX/10)
	px := func(v float64) float64 { return left + v/end*(width-left-right) }
	py := func(v float64) float64 { return height - below - v/top*(height-above-below) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", width, height)
	fmt.Fprintf(&b, `<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/><text x="%d" y="20" font-size="14">%s</text>`+"\n", escape(title), left, escape(title))
	for v := 0.0; v <= top*1.0001; v += stepY {
		fmt.Fprintf(&b, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", left, py(v), width-right, left-6, py(v)+4, tick(v))
	}
	for v := 0.0; v <= end*1.0001; v += stepX {
		fmt.Fprintf(&b, `<text x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", px(v), height-below+16, tick(v))
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">%s</text><text x="14" y="%d" transform="rotate(-90 14 %d)" text-anchor="middle">%s</text>`+"\n",
		(left+width-right)/2, height-8, escape(x), height/2, height/2, escape(y))
	if mark > 0 {
		fmt.Fprintf(&b, `<path d="M%.1f %dV%d" stroke="#999" stroke-dasharray="4 3"/>`+"\n", px(mark), above, height-below)
	}
	for i, l := range lines {
		var d strings.Builder
		for k := range l.X {
			fmt.Fprintf(&d, "%c%.1f %.1f", "ML"[min(k, 1)], px(l.X[k]), py(l.Y[k]))
		}
		colour := colours[i%len(colours)]
		fmt.Fprintf(&b, `<path d="%s" fill="none" stroke="%s" stroke-width="1.6"/><text x="%d" y="%d" fill="%s">%s</text>`+"\n",
			d.String(), colour, width-right+8, above+12+i*17, colour, escape(l.Name))
	}
	b.WriteString("</svg>\n")
	_, err := io.WriteString(w, b.String())
	return err
}

// nice rounds up to 1, 2 or 5 times a power of ten.
func nice(v float64) float64 {
	if v <= 0 {
		return 1
	}
	power := math.Pow(10, math.Floor(math.Log10(v)))
	for _, n := range []float64{1, 2, 5} {
		if v <= n*power*1.0001 {
			return n * power
		}
	}
	return 10 * power
}

func tick(v float64) string {
	if v >= 10_000 {
		return fmt.Sprintf("%.0fk", v/1000)
	}
	return fmt.Sprintf("%.4g", v)
}

func escape(s string) string {
	var b strings.Builder
	_ = xml.EscapeText(&b, []byte(s)) // a Builder takes everything
	return b.String()
}
