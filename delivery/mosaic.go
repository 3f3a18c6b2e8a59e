package delivery

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"image"
	"image/jpeg"
	"net/http"
	"strconv"

	"golang.org/x/image/draw"

	"tutti"
)

// A playlist has no picture of its own: it is shown by those of its first four albums, two by two. The four are made and
// kept by the track cache; putting them together takes less than reading the result from a disk would.

const (
	mosaicTiles = 4
	mosaicSide  = 1200    // pixels at most, and where nobody says
	mosaicGrade = 85      // of 100, as the track cache makes pictures
	maxTile     = 4 << 20 // bytes: a JPEG of half that side has a tenth at most

	// mosaicCaching has a browser ask each time: a list changes. That costs no picture but an ETag.
	mosaicCaching = "private, no-cache"
)

// serveMosaic answers with the picture of a playlist: of fewer than four albums, that of the first.
func (s *Streamer) serveMosaic(w http.ResponseWriter, r *http.Request, v tutti.Viewer, playlist tutti.ID, pixels int) error {
	refs, err := s.c.Catalog.Mosaic(r.Context(), v, playlist)
	if err != nil {
		return err
	}
	if len(refs) < mosaicTiles {
		return s.servePicture(w, r, playlist, refs[0], pixels, mosaicCaching)
	}
	side := mosaicSide
	if pixels > 0 {
		side = min(pixels, side)
	}
	name := sha256.New()
	for _, ref := range refs[:mosaicTiles] {
		_, _ = name.Write([]byte(ref.Key() + "\x00")) // a hash never fails
	}
	_, _ = name.Write([]byte(strconv.Itoa(side)))
	tag := validators{etag: `"` + base64.RawURLEncoding.EncodeToString(name.Sum(nil)[:16]) + `"`}
	h := w.Header()
	if tag.check(r) == notModified {
		h.Set("Cache-Control", mosaicCaching)
		tag.set(h)
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	picture, err := s.mosaic(r.Context(), refs[:mosaicTiles], side)
	switch err = hidden(err); {
	case tutti.IsKind(err, tutti.KindNotFound): // one of them is damaged, or gone: the first may still do
		return s.servePicture(w, r, playlist, refs[0], pixels, mosaicCaching)
	case err != nil:
		return err
	}
	tag.set(h)
	h.Set("Content-Type", "image/jpeg")
	h.Set("Cache-Control", mosaicCaching)
	h.Set("Content-Length", strconv.Itoa(len(picture)))
	s.c.Metrics.covers.Inc()
	if r.Method != http.MethodHead {
		_, _ = w.Write(picture) // who has left needs no picture
	}
	return nil
}

// mosaic puts four pictures together.
func (s *Streamer) mosaic(ctx context.Context, refs []tutti.Ref, side int) ([]byte, error) {
	const op = "delivery.ServeCover"
	if err := s.mosaics.Acquire(ctx, 1); err != nil {
		return nil, tutti.Wrap(tutti.KindUnavailable, op, err)
	}
	defer s.mosaics.Release(1)
	whole := image.NewRGBA(image.Rect(0, 0, side, side))
	half := (side + 1) / 2
	for i, ref := range refs {
		ref.Profile.Pixels, ref.Profile.Format = half, "jpeg"
		tile, err := s.tile(ctx, ref)
		if err != nil {
			return nil, err
		}
		x, y := i%2*half, i/2*half
		draw.CatmullRom.Scale(whole, image.Rect(x, y, min(x+half, side), min(y+half, side)), tile, middle(tile.Bounds()), draw.Src, nil)
	}
	var b bytes.Buffer
	err := jpeg.Encode(&b, whole, &jpeg.Options{Quality: mosaicGrade})
	return b.Bytes(), tutti.Wrap(tutti.KindInternal, op, err)
}

// middle is the largest square in the middle of a picture.
func middle(r image.Rectangle) image.Rectangle {
	n := min(r.Dx(), r.Dy())
	at := r.Min.Add(image.Pt((r.Dx()-n)/2, (r.Dy()-n)/2))
	return image.Rectangle{Min: at, Max: at.Add(image.Pt(n, n))}
}

func (s *Streamer) tile(ctx context.Context, r tutti.Ref) (picture image.Image, err error) {
	obj, err := s.c.Cache.Open(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, obj.Close()) }()
	var b bytes.Buffer
	if _, err := obj.CopyRange(ctx, &limitedWriter{&b, maxTile}, 0, -1); err != nil {
		return nil, err
	}
	picture, err = jpeg.Decode(&b)
	return picture, tutti.Wrap(tutti.KindInternal, "delivery.ServeCover", err)
}
