package sendspin

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"reflect"
	"slices"
	"time"

	"golang.org/x/image/bmp"
	"golang.org/x/image/draw"

	"tutti"
	"tutti/clock"
)

// The sources of a channel of pictures.
const (
	sourceAlbum  = "album"
	sourceArtist = "artist"
	sourceNone   = "none"
)

const (
	maxPicture  = 16 << 20 // bytes of a picture of the server's own making
	jpegQuality = 85
	// part and pause spread a picture out, so that sound goes between its parts.
	part  = 16 << 10
	pause = 2 * time.Millisecond
	// paletteSide is how large a picture is in which colours are counted.
	paletteSide = 64
	// maxKernel is up to how many pixels between the two passes of a kernel's scaling, 32 bytes each, pictures are scaled
	// by one: larger ones have been made about as large as they are wanted by who keeps them, so that little is left to scale.
	maxKernel = 1 << 20
)

// paint sends the pictures of what plays, and its colours, to a client that shows them. They stay while a room is paused.
func (c *client) paint(ctx context.Context) error {
	var (
		shown    []pictureWish // of the stream that is active; nil where none is
		of       tutti.ID      // the track whose pictures are shown
		coloured bool
		hueOf    tutti.ID
	)
	for {
		scene, changed := c.seat.Scene()
		r, said := c.reports()
		track, err := c.track(ctx, scene.Room)
		if err != nil {
			return err
		}
		var id tutti.ID
		if track != nil && !r.away {
			id = track.ID
		}
		if slices.Contains(c.active, roleColor) && (!coloured || hueOf != id) {
			coloured, hueOf = true, id
			if err := c.colours(ctx, track, id); err != nil {
				return err
			}
		}
		if slices.Contains(c.active, roleArtwork) {
			wanted := r.pictures
			if id == "" || !r.said || !r.available || !slices.ContainsFunc(wanted, func(w pictureWish) bool { return w.Source != sourceNone }) {
				wanted = nil
			}
			before := shown
			switch {
			case wanted == nil && shown != nil:
				shown, of = nil, ""
				if err := c.l.say(ctx, "stream/end", map[string]any{"roles": []string{roleArtwork}}); err != nil {
					return err
				}
			case wanted != nil && !reflect.DeepEqual(wanted, shown):
				if c.l.dialect == current {
					for n, w := range shown {
						if w.Source != sourceNone && (n >= len(wanted) || wanted[n].Source == sourceNone) {
							if err := c.picture(ctx, n, nil); err != nil {
								return err
							}
						}
					}
				}
				shown = slices.Clone(wanted)
				if err := c.l.sayAt(ctx, "stream/start", c.stamped(map[string]any{roleArtwork: map[string]any{"channels": channelsOf(shown)}})); err != nil {
					return err
				}
			}
			for n, w := range shown {
				if w.Source == sourceNone || id == of && n < len(before) && before[n] == w {
					continue
				}
				data, err := c.encoded(ctx, track, w)
				if err != nil {
					return err
				}
				if err := c.picture(ctx, n, data); err != nil {
					return err
				}
			}
			if shown != nil {
				of = id
			}
		}
		if err := c.until(ctx, scene, changed, said); err != nil {
			return err
		}
	}
}

// channelsOf is the artwork's part of stream/start.
func channelsOf(all []pictureWish) []map[string]any {
	out := []map[string]any{}
	for _, w := range all {
		if w.Source == sourceNone {
			out = append(out, map[string]any{"source": sourceNone})
			continue
		}
		out = append(out, map[string]any{"source": w.Source, "format": w.Format, "width": w.Width, "height": w.Height})
	}
	return out
}

// encoded is a track's picture as a channel wants it; nil where there is none.
func (c *client) encoded(ctx context.Context, t *tutti.Track, w pictureWish) ([]byte, error) {
	of := t.ID
	if w.Source == sourceArtist {
		of = t.Artists[0].ID
	}
	select {
	case c.s.painting <- struct{}{}:
		defer func() { <-c.s.painting }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	src, err := c.cover(ctx, of, max(w.Width, w.Height))
	if err != nil || src == nil {
		return nil, err
	}
	data, err := render(src, w, c.l.dialect == current)
	if err != nil {
		return nil, fmt.Errorf("make a picture for a client: %w", err)
	}
	return data, nil
}

// cover is the picture of something, with at most so many pixels on its longest side. There is none where it cannot be
// had, which is logged: music does not depend on it.
func (c *client) cover(ctx context.Context, of tutti.ID, pixels int) (image.Image, error) {
	if of == "" {
		return nil, nil
	}
	src, err := c.readCover(ctx, of, pixels)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case tutti.IsKind(err, tutti.KindNotFound):
		return nil, nil
	case err != nil:
		c.s.c.Logger.Warn("a picture could not be had", "of", of, "err", err)
		return nil, nil
	}
	return src, nil
}

func (c *client) readCover(ctx context.Context, of tutti.ID, pixels int) (_ image.Image, err error) {
	ref, err := c.s.c.Browser.Cover(ctx, everyone, of)
	if err != nil {
		return nil, err
	}
	ref.Profile.Format, ref.Profile.Pixels = "jpeg", pixels
	o, err := c.s.c.Source.Open(ctx, ref)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, o.Close()) }()
	var data bytes.Buffer
	if _, err := o.CopyRange(ctx, &data, 0, maxPicture); err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return jpeg.Decode(&data)
}

// render scales a picture into a channel's size, whole. The present text wants that size exactly, with black around it; the
// ones before want none.
func render(src image.Image, w pictureWish, exactly bool) ([]byte, error) {
	from := src.Bounds()
	scale := min(float64(w.Width)/float64(from.Dx()), float64(w.Height)/float64(from.Dy()))
	width, height := max(1, int(math.Round(float64(from.Dx())*scale))), max(1, int(math.Round(float64(from.Dy())*scale)))
	canvas := image.Rect(0, 0, width, height)
	into := canvas
	if exactly {
		canvas = image.Rect(0, 0, w.Width, w.Height)
		into = into.Add(image.Pt((w.Width-width)/2, (w.Height-height)/2))
	}
	dst := image.NewRGBA(canvas)
	draw.Draw(dst, canvas, image.NewUniform(color.Black), image.Point{}, draw.Src)
	var scaler draw.Scaler = draw.CatmullRom
	if width*from.Dy() > maxKernel {
		scaler = draw.ApproxBiLinear
	}
	scaler.Scale(dst, into, src, from, draw.Src, nil)
	var out bytes.Buffer
	var err error
	switch w.Format {
	case "png":
		err = png.Encode(&out, dst)
	case "bmp":
		err = bmp.Encode(&out, dst)
	default:
		err = jpeg.Encode(&out, dst, &jpeg.Options{Quality: jpegQuality})
	}
	return out.Bytes(), err
}

// picture sends a channel's picture, to be shown at once; nil clears it.
func (c *client) picture(ctx context.Context, channel int, data []byte) error {
	id := byte(artworkFirst + channel)
	if c.l.dialect != current {
		return c.l.send(ctx, id, func(now time.Time) []byte {
			return append(binary.BigEndian.AppendUint64(nil, uint64(now.UnixMicro())), data...)
		})
	}
	// An announcement, and the picture in parts (spec, artwork, Wire format).
	const announces = 2
	if err := c.l.send(ctx, id, func(now time.Time) []byte {
		b := binary.BigEndian.AppendUint64([]byte{announces}, uint64(now.UnixMicro()))
		return binary.BigEndian.AppendUint32(b, uint32(len(data)))
	}); err != nil {
		return err
	}
	for some := range slices.Chunk(data, part) {
		if err := c.l.send(ctx, id, func(time.Time) []byte { return append([]byte{0}, some...) }); err != nil {
			return err
		}
		if err := clock.Sleep(ctx, c.s.c.Clock, pause); err != nil {
			return err
		}
	}
	return nil
}

// colours sends those of a track's picture.
func (c *client) colours(ctx context.Context, t *tutti.Track, id tutti.ID) error {
	out := map[string]any{}
	if id != "" {
		src, err := c.cover(ctx, t.ID, paletteSide)
		if err != nil {
			return err
		}
		if src != nil {
			out = palette(src)
		}
	}
	return c.l.sayAt(ctx, "server/state", func(now int64) any {
		out["timestamp"] = now
		return map[string]any{roleColor: out}
	})
}

// rgb is a colour in linear light, 0 to 1 a channel.
type rgb [3]float64

// palette finds a picture's colours: the one there is most of, the most vivid that is far from it, and of both what text
// and backgrounds can use, with the contrasts of WCAG 2.2 that the specification asks for.
func palette(src image.Image) map[string]any {
	type bin struct {
		sum rgb
		n   float64
	}
	bins := map[[3]uint8]*bin{}
	b := src.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			r, g, bl, _ := src.At(x, y).RGBA()
			at := [3]uint8{uint8(r >> 13), uint8(g >> 13), uint8(bl >> 13)} // eight steps a channel
			if bins[at] == nil {
				bins[at] = &bin{}
			}
			for i, v := range []uint32{r, g, bl} {
				bins[at].sum[i] += linear(float64(v) / 0xffff)
			}
			bins[at].n++
		}
	}
	best := func(score func(c rgb, n float64) float64) rgb {
		var top rgb
		most, of := math.Inf(-1), [3]uint8{}
		for at, v := range bins {
			c := rgb{v.sum[0] / v.n, v.sum[1] / v.n, v.sum[2] / v.n}
			// Equal scores are told apart by the bin, so that a picture's colours are always the same.
			if s := score(c, v.n); s > most || s == most && slices.Compare(at[:], of[:]) < 0 {
				most, top, of = s, c, at
			}
		}
		return top
	}
	primary := best(func(_ rgb, n float64) float64 { return n })
	accent := best(func(c rgb, n float64) float64 { return math.Sqrt(n) * c.vividness() * c.distance(primary) })
	// Between 4.5 : 1 to white or black and 4.5 : 1 to one another lie these luminances.
	return map[string]any{
		"primary": primary.bytes(), "accent": accent.bytes(),
		"background_dark": primary.within(0, 0.04).bytes(), "on_dark": accent.within(0.45, 1).bytes(),
		"background_light": primary.within(0.75, 1).bytes(), "on_light": accent.within(0, 0.10).bytes(),
	}
}

func linear(v float64) float64 { // sRGB, IEC 61966-2-1
	if v <= 0.04045 {
		return v / 12.92
	}
	return math.Pow((v+0.055)/1.055, 2.4)
}

func gamma(v float64) float64 {
	if v <= 0.0031308 {
		return v * 12.92
	}
	return 1.055*math.Pow(v, 1/2.4) - 0.055
}

// luminance is relative luminance (WCAG 2.2).
func (c rgb) luminance() float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }

func (c rgb) vividness() float64 {
	lo, hi := gamma(min(c[0], c[1], c[2])), gamma(max(c[0], c[1], c[2]))
	return 0.05 + hi - lo
}

func (c rgb) distance(o rgb) float64 {
	sum := 0.0
	for i := range c {
		d := gamma(c[i]) - gamma(o[i])
		sum += d * d
	}
	return math.Sqrt(sum)
}

// within mixes a colour with black or white until its luminance lies between two.
func (c rgb) within(low, high float64) rgb {
	l := c.luminance()
	switch {
	case l > high:
		for i := range c {
			c[i] *= high / l
		}
	case l < low:
		share := (low - l) / (1 - l)
		for i := range c {
			c[i] += (1 - c[i]) * share
		}
	}
	return c
}

// bytes are those of sRGB. Luminances keep enough of a distance from what they must be for the rounding.
func (c rgb) bytes() [3]int {
	var out [3]int
	for i, v := range c {
		out[i] = int(math.Round(gamma(min(max(v, 0), 1)) * 255))
	}
	return out
}
