package demo

import (
	"image"
	"image/color"
	"math"
)

const coverSize = 800 // pixels a side

// coverImage draws rings that spread from several rooms and meet: the interference of five sources, in warm colours.
func coverImage() image.Image {
	img := image.NewRGBA(image.Rect(0, 0, coverSize, coverSize))
	sources := [][2]float64{{0.22, 0.30}, {0.78, 0.24}, {0.50, 0.52}, {0.26, 0.78}, {0.76, 0.74}}
	low, mid, high := [3]float64{22, 18, 46}, [3]float64{214, 72, 88}, [3]float64{255, 214, 148}
	for y := range coverSize {
		for x := range coverSize {
			u, v := float64(x)/coverSize, float64(y)/coverSize
			sum := 0.0
			for _, s := range sources {
				d := math.Hypot(u-s[0], v-s[1])
				sum += math.Cos(d*78) * math.Exp(-d*2.6)
			}
			level := 0.5 + 0.5*math.Tanh(sum*1.3)
			level = 0.82*level + 0.18*(1-v)
			var c [3]float64
			for i := range c {
				if level < 0.55 {
					c[i] = mix(low[i], mid[i], level/0.55)
				} else {
					c[i] = mix(mid[i], high[i], (level-0.55)/0.45)
				}
			}
			img.SetRGBA(x, y, color.RGBA{uint8(c[0]), uint8(c[1]), uint8(c[2]), 255})
		}
	}
	return img
}

func mix(a, b, t float64) float64 { return a + (b-a)*math.Max(0, math.Min(1, t)) }
