package trackcache

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/color"
	_ "image/gif" // its first picture
	"image/jpeg"
	"image/png"
	"io"
	"runtime"

	"golang.org/x/image/draw"
	_ "golang.org/x/image/webp" // decoding only
	"golang.org/x/sync/semaphore"

	"tutti"
	"tutti/audio"
)

const (
	maxPicture = audio.MaxPicture // bytes of a picture file
	maxSide    = 10_000           // pixels
	jpegGrade  = 85               // of 100: no difference to see at the sizes that pages use
)

// pictures is the Source of covers: embedded ones taken out of their file, and any in another size.
type pictures struct {
	origin tutti.Source
	// pixels are what may be decoded at once: one picture of the largest size that is accepted, or as many smaller
	// ones as there are processors. A hostile picture costs at most 4 bytes of memory for each, twice.
	pixels *semaphore.Weighted
	share  int64
}

func newPictures(origin tutti.Source) *pictures {
	const all = maxSide * maxSide
	return &pictures{origin: origin, pixels: semaphore.NewWeighted(all), share: all / int64(runtime.NumCPU())}
}

// Open implements tutti.Source.
func (p *pictures) Open(ctx context.Context, r tutti.Ref) (tutti.Object, error) {
	const op = "trackcache: make a picture"
	obj, err := p.origin.Open(ctx, tutti.Ref{Library: r.Library, Path: r.Path, Version: r.Version})
	if err != nil {
		return nil, err
	}
	data, mime, err := original(ctx, obj, r)
	if err == nil && (r.Profile.Pixels != 0 || r.Profile.Format != "") {
		data, mime, err = p.render(ctx, data, r.Profile)
	}
	modTime := obj.ModTime()
	if err := errors.Join(err, obj.Close()); err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	return &held{piece: &piece{data: data, contentType: mime, modTime: modTime}}, nil
}

// original returns the picture in, or that is, obj.
func original(ctx context.Context, obj tutti.Object, r tutti.Ref) (data []byte, mime string, err error) {
	if r.Profile.Cover {
		return audio.Picture(ctx, obj, obj.Size(), r.Path, audio.PictureFront)
	}
	size := obj.Size()
	if size < 0 || size > maxPicture {
		return nil, "", tutti.Errorf(tutti.KindExhausted, "trackcache: read a picture", "the picture is larger than %d MiB", maxPicture>>20)
	}
	data = make([]byte, size)
	if n, err := obj.ReadAt(data, 0); err != nil && !(errors.Is(err, io.EOF) && int64(n) == size) {
		return nil, "", err
	}
	return data, obj.ContentType(), nil
}

// render decodes a picture, turns it the right way up, makes it no larger than asked on its longest side, and encodes
// it: as PNG if it is asked for or has transparent parts, else as JPEG. A picture that already is what is asked for
// stays as it is.
func (p *pictures) render(ctx context.Context, data []byte, want tutti.Profile) (out []byte, mime string, err error) {
	const op = "trackcache: make a picture"
	head, kind, err := image.DecodeConfig(bytes.NewReader(data))
	switch {
	case err != nil:
		return nil, "", &tutti.Error{Kind: tutti.KindInvalid, Op: op, Message: "the picture is damaged or of a kind that is not known", Err: err}
	case head.Width <= 0 || head.Height <= 0 || head.Width > maxSide || head.Height > maxSide:
		return nil, "", tutti.Errorf(tutti.KindExhausted, op, "a picture of %d × %d pixels is too large", head.Width, head.Height)
	}
	turn := upright
	if kind == "jpeg" {
		turn = exifOrientation(data)
	}
	fits := want.Pixels == 0 || max(head.Width, head.Height) <= want.Pixels
	if fits && turn == upright && (want.Format == kind || want.Format == "" && kind != "gif") {
		return data, "image/" + kind, nil
	}

	// No more than all there are, and no less than a processor's share, so that many small ones do not decode at once.
	weight := max(int64(head.Width)*int64(head.Height), p.share)
	if err := p.pixels.Acquire(ctx, weight); err != nil {
		return nil, "", tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	defer p.pixels.Release(weight)
	src, _, err := image.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, "", &tutti.Error{Kind: tutti.KindInvalid, Op: op, Message: "the picture is damaged", Err: err}
	}
	dst := scale(src, want.Pixels)
	dst = turn.apply(dst)

	var buf bytes.Buffer
	if want.Format == "png" || want.Format == "" && !dst.Opaque() {
		err = png.Encode(&buf, dst)
		mime = "image/png"
	} else {
		if !dst.Opaque() {
			dst = onWhite(dst)
		}
		err = jpeg.Encode(&buf, dst, &jpeg.Options{Quality: jpegGrade})
		mime = "image/jpeg"
	}
	return buf.Bytes(), mime, tutti.Wrap(tutti.KindInternal, op, err)
}

// scale returns src with at most pixels on its longest side (0: as large as it is). It never enlarges.
func scale(src image.Image, pixels int) *image.RGBA {
	w, h := src.Bounds().Dx(), src.Bounds().Dy()
	if longest := max(w, h); pixels > 0 && longest > pixels {
		w, h = max(1, (w*pixels+longest/2)/longest), max(1, (h*pixels+longest/2)/longest)
		dst := image.NewRGBA(image.Rect(0, 0, w, h))
		draw.CatmullRom.Scale(dst, dst.Bounds(), src, src.Bounds(), draw.Src, nil)
		return dst
	}
	dst := image.NewRGBA(image.Rect(0, 0, w, h))
	draw.Draw(dst, dst.Bounds(), src, src.Bounds().Min, draw.Src)
	return dst
}

// onWhite puts white behind what is transparent, for JPEG, which knows no transparency.
func onWhite(src *image.RGBA) *image.RGBA {
	dst := image.NewRGBA(src.Bounds())
	draw.Draw(dst, dst.Bounds(), image.NewUniform(color.White), image.Point{}, draw.Src)
	draw.Draw(dst, dst.Bounds(), src, image.Point{}, draw.Over)
	return dst
}
