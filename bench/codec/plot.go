package main

import (
	"fmt"
	"html"
	"io"
	"math"
	"time"
)

// scatter draws bytes against time to write, with areas by the size of the model.
func scatter(w io.Writer, title string, methods []*method, of int) {
	const width, height, left, right, above, below = 760, 340, 60, 20, 34, 46
	least, most, top := math.Inf(1), 0.0, 0.0
	at := func(m *method) (x, y float64) {
		return math.Log10(max(float64(m.result[of].write)/float64(time.Microsecond), 0.3)), m.result[of].size
	}
	for _, m := range methods {
		x, y := at(m)
		least, most, top = min(least, x), max(most, x), max(top, y)
	}
	least, most = math.Floor(least), math.Ceil(most)
	step := 10.0
	if top > 80 {
		step = 20
	}
	top = math.Ceil(top/step) * step
	px := func(x float64) float64 { return left + (x-least)/(most-least)*(width-left-right) }
	py := func(y float64) float64 { return height - below - y/top*(height-above-below) }
	fmt.Fprintf(w, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12" role="img">`+"\n", width, height)
	fmt.Fprintf(w, `<title>%s</title><rect width="100%%" height="100%%" fill="#fff"/><text x="%d" y="20" font-size="14">%s</text>`+"\n", html.EscapeString(title), left, html.EscapeString(title))
	for y := 0.0; y <= top; y += step {
		fmt.Fprintf(w, `<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%.0f</text>`+"\n", left, py(y), width-right, left-6, py(y)+4, y)
	}
	for x := least; x <= most; x++ {
		fmt.Fprintf(w, `<path d="M%.1f %dV%d" stroke="#eee"/><text x="%.1f" y="%d" text-anchor="middle">%g</text>`+"\n", px(x), above, height-below, px(x), height-below+16, math.Pow(10, x))
	}
	fmt.Fprintf(w, `<text x="%d" y="%d" text-anchor="middle">µs of the processor to write a song</text><text x="14" y="%d" transform="rotate(-90 14 %d)" text-anchor="middle">bytes a song</text>`+"\n",
		(left+width-right)/2, height-8, height/2, height/2)
	for i, m := range methods {
		x, y := at(m)
		colour := "#0072B2" // Okabe and Ito, "Color Universal Design", 2008
		if i >= len(methods)-3 {
			colour = "#D55E00"
		}
		anchor, dx := "start", 8.0
		if px(x) > width*0.6 {
			anchor, dx = "end", -8
		}
		fmt.Fprintf(w, `<circle cx="%.1f" cy="%.1f" r="%.1f" fill="%s" fill-opacity="0.7"/><text x="%.1f" y="%.1f" text-anchor="%s" fill="%s">%s</text>`+"\n",
			px(x), py(y), 3+math.Sqrt(float64(m.model))/400, colour, px(x)+dx, py(y)-6, anchor, colour, html.EscapeString(m.name))
	}
	fmt.Fprintln(w, "</svg>")
}
